# mxwarden: one plain Makefile.
#
#   make            builds the three programs into $(B)/
#   make run        installs what is missing, builds, starts both daemons in the foreground
#   make check      installs what the tests need, builds, runs every test
#   make install    DESTDIR= PREFIX= as usual; make uninstall leaves /etc/mxwarden
#   make lint mutants tsan fuzz bench demo harm pool domains sim
#
# CC, CFLAGS, LDFLAGS, DESTDIR, PREFIX are the caller's. SAN=1 builds with ASan and UBSan, TSAN=1
# with the thread sanitiser, each into a build folder of its own.

CC      ?= cc
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WERROR  ?= -Werror

# Warnings are judged in the plain builds: instrumented code makes gcc see what is not there.
ifdef SAN
WERROR   :=
B        ?= build-san
EXTRA    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifdef TSAN
WERROR   :=
B        ?= build-tsan
EXTRA    := -fsanitize=thread -fno-omit-frame-pointer
else
B        ?= build
EXTRA    :=
endif

VERSION  := 0.1.0
# Everything but the first goals of a fresh machine needs pkg-config; those install it.
PKGS     := libevent hiredis libcares libconfuse libidn2 libpsl libsodium jansson
PC       := $(shell command -v pkg-config)
# TLS to Redis where hiredis and libevent have it (hiredis 1.x): cache/tls.c, else cache/tls_none.c.
TLS_PKGS := hiredis_ssl libevent_openssl openssl
HAS_TLS  := $(if $(PC),$(shell $(PC) --exists 'hiredis >= 1.0' $(TLS_PKGS) 2>/dev/null && echo 1))
PKGS     += $(if $(HAS_TLS),$(TLS_PKGS))
PCFLAGS  := $(if $(PC),$(shell $(PC) --cflags $(PKGS) 2>/dev/null))
LIBS     := $(if $(PC),$(shell $(PC) --libs $(PKGS) 2>/dev/null)) -lresolv
LIBMILTER := -lmilter -lpthread

OWNFLAGS := -std=gnu17 -D_GNU_SOURCE -I. -DMXW_VERSION='"$(VERSION)"' -DMXW_PREFIX='"$(PREFIX)"' \
            -DMXW_HAS_TLS=$(if $(HAS_TLS),1,0) -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wformat=2 -Wwrite-strings -Wpointer-arith -fstack-protector-strong -MMD -MP
ALLFLAGS := $(OWNFLAGS) $(PCFLAGS) $(EXTRA) $(CFLAGS)
LINK     := -Wl,--as-needed $(EXTRA) $(LDFLAGS)

CACHE_SRC  := $(filter-out $(if $(HAS_TLS),cache/tls_none.c,cache/tls.c),$(sort $(wildcard cache/*.c)))
CLI_SRC    := policy/cli.c
POLICY_SRC := $(filter-out policy/main.c $(CLI_SRC),$(sort $(wildcard policy/*.c)))
# A sanitiser has its own allocator.
MILTER_SRC := $(filter-out milter/main.c $(if $(EXTRA),milter/slack.c),$(sort $(wildcard milter/*.c)))
UNIT_SRC   := $(sort $(wildcard tests/unit/test_*.c))
REPLAY_SRC := $(sort $(wildcard tests/replay/*.c))
BENCH_SRC  := $(sort $(wildcard tests/bench/floor_*.c tests/bench/load_*.c))
BENCHLIB_SRC := $(filter-out $(BENCH_SRC),$(sort $(wildcard tests/bench/*.c)))
LABTOOL_SRC := $(sort $(wildcard tests/lab/*.c))

# V=1 shows the whole commands.
ifdef V
say =
Q   =
else
say = @echo "  $(1)	$@"
Q   = @
endif
JOBS := -j$(shell nproc 2>/dev/null || echo 1)

obj = $(patsubst %.c,$(B)/%.o,$(1))
PROGRAMS := $(B)/mxwardend $(B)/mxwarden-milter $(B)/mxwarden
UNIT     := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
REPLAY   := $(if $(REPLAY_SRC),$(B)/tests/replay/replay)
BENCH    := $(patsubst %.c,$(B)/%,$(BENCH_SRC))
LABTOOLS := $(patsubst %.c,$(B)/%,$(LABTOOL_SRC))
DEPS     := $(wildcard $(B)/*/*.d $(B)/tests/*/*.d)

all: $(PROGRAMS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALLFLAGS) -c -o $@ $<

$(B)/libcache.a: $(call obj,$(CACHE_SRC))
$(B)/libpolicy.a: $(call obj,$(POLICY_SRC))
$(B)/libmilterfront.a: $(call obj,$(MILTER_SRC))
$(B)/libbench.a: $(call obj,$(BENCHLIB_SRC))
$(B)/%.a:
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

ARCHIVES := $(B)/libpolicy.a $(B)/libcache.a

$(B)/mxwardend: $(B)/policy/main.o $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/mxwarden: $(call obj,$(CLI_SRC)) $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBS)
$(B)/mxwarden-milter: $(B)/milter/main.o $(B)/libmilterfront.a $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBMILTER) $(LIBS)

$(UNIT): %: %.o $(B)/libmilterfront.a $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBMILTER) $(LIBS) -lcmocka -lm
# world.o comes before the archives, so that its fetch, timer, probe and clock win at link time.
$(REPLAY): $(call obj,$(REPLAY_SRC)) $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBS) -lcmocka -lm
$(BENCH): %: %.o $(B)/libbench.a $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBMILTER) $(LIBS) -lm
$(LABTOOLS): %: %.o $(ARCHIVES)
	$(call say,LD)
	$(Q)$(CC) $(LINK) -o $@ $^ $(LIBMILTER) $(LIBS) -lm

# What a target begins with: the packages for it, and what of ours it wants built.
define made
@scripts/packages build $(1)
+@$(MAKE) --no-print-directory $(JOBS) $(2)
endef

run:
	$(call made,,all)
	@scripts/run $(B)

check:
	$(call made,check,all tests)
	@scripts/check $(B)

tests: $(UNIT) $(REPLAY) $(BENCH) $(LABTOOLS)

lint:
	$(call made,lint,all)
	@scripts/lint $(B)

bench:
	$(call made,check,all tests)
	@scripts/bench $(B)

demo:
	$(call made,check,all)
	@scripts/demo $(B)

fuzz:
	@scripts/packages build lint
	@scripts/fuzz

tsan:
	@scripts/packages build check
	@tests/milter/tsan

# What the guard costs real senders, into doc/harm.md: some twenty minutes.
harm:
	$(call made,check,all)
	@scripts/harm $(B)

# 20,000 messages through a weighted pool whose hosts die, drain and dawdle, and 2,000 to as many
# domains by Sendmail: some five minutes.
pool:
	$(call made,check,all)
	@tests/pool/run $(B) 20000
	@LAB_MESSAGES=2000 tests/lab/run $(B) "mailertable: 2000"

# A hundred thousand domains through one match section, where make check takes some thousands.
domains:
	$(call made,check,all)
	@LAB_DOMAINS=100000 tests/lab/run $(B) "distinct domains"

# What must hold of every route, over 100,000 generated inputs each: some minutes.
properties:
	$(call made,check,all tests)
	@scripts/properties $(B)

# Every way in which Redis fails, under mail, into doc/chaos.md: a quarter of an hour.
chaos:
	$(call made,check,all)
	@scripts/chaos $(B)

# What sites of several sizes need of Redis, into doc/capacity.md: nine minutes.
sim:
	$(call made,check,all)
	@scripts/sim $(B)

mutants:
	@scripts/packages build check
	@scripts/mutants $(B)

install: all
	install -D -m 0755 $(B)/mxwardend $(DESTDIR)$(PREFIX)/sbin/mxwardend
	install -D -m 0755 $(B)/mxwarden-milter $(DESTDIR)$(PREFIX)/sbin/mxwarden-milter
	install -D -m 0755 $(B)/mxwarden $(DESTDIR)$(PREFIX)/bin/mxwarden
	for page in doc/*.[1-8]; do \
	    install -D -m 0644 $$page \
	        $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	test -e $(DESTDIR)/etc/mxwarden/mxwarden.conf || \
	    install -D -m 0644 etc/mxwarden.conf $(DESTDIR)/etc/mxwarden/mxwarden.conf

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/mxwardend $(DESTDIR)$(PREFIX)/sbin/mxwarden-milter \
	    $(DESTDIR)$(PREFIX)/bin/mxwarden
	for page in doc/*.[1-8]; do \
	    rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done

clean:
	rm -rf build build-fuzz build-san build-tsan build-clang

.PHONY: all run check tests lint bench domains demo mutants properties harm sim pool tsan install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(DEPS)
