/*
 * policy/conf*.c: what a file means, and what is said of a broken one.
 *
 * Broken files of several lines are in tests/unit/conf; their "#! " lines are the messages wanted.
 */
#include "policy/conf.h"

#include "policy/conf_key.h"
#include "policy/conf_value.h"
#include "tests/unit/conf_dump.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHIPPED "etc/mxwarden.conf"
#define WIDTH   8192

static char folder[96];

static int make_folder(void **state)
{
    (void)state;
    return scratch_folder(folder, sizeof folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char pattern[128];
    glob_t found;

    (void)state;
    snprintf(pattern, sizeof pattern, "%s/*", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
    return rmdir(folder);
}

/* Writes a file of the folder; its path is static. */
static const char *put_file(const char *name, const char *text, size_t length, mode_t mode)
{
    static char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static const char *put_text(const char *name, const char *text)
{
    return put_file(name, text, strlen(text), 0600);
}

static char *get_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) < 65535);
    fclose(file);
    return text;
}

/* Replaces every FOLDER, so that tables can name files. */
static void fill_in(const char *text, char out[WIDTH])
{
    size_t used = 0;

    for (; *text; text++)
        if (strncmp(text, "FOLDER", 6) == 0) {
            used += (size_t)sprintf(out + used, "%s", folder);
            text += 5;
        } else {
            out[used++] = *text;
        }
    out[used] = '\0';
}

/* All messages, a line each, "FILE:" left off where it is file's. */
static void list_problems(const struct conf_problems *problems, const char *file, char out[WIDTH])
{
    size_t used = 0, head = strlen(file);

    *out = '\0';
    for (size_t i = 0; i < problems->count; i++) {
        char *text = conf_problem_format(&problems->item[i]);
        bool ours = strncmp(text, file, head) == 0 && text[head] == ':';
        used += (size_t)snprintf(
            out + used, WIDTH - used, "%s%s\n",
            problems->item[i].fatal ? "" : "warning: ", ours ? text + head + 1 : text);
        assert_true(used < WIDTH);
        free(text);
    }
}

/* Reads path and compares the messages; whether there is a conf must follow from them. */
static struct conf *read_file(const char *label, const char *path, const char *wanted)
{
    struct conf_problems problems;
    struct conf *conf = conf_read(path, true, &problems);
    char got[WIDTH];

    list_problems(&problems, path, got);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: got\n%swanted\n%s", label, got, wanted);
    assert_int_equal(conf != NULL, problems.errors == 0);
    conf_problems_clear(&problems);
    return conf;
}

static struct conf *read_text(const char *label, const char *text, const char *wanted)
{
    return read_file(label, put_text("main.conf", text), wanted);
}

/* Values: what is written, and a line of the dump. */
static const struct {
    const char *label, *text, *wanted;
} values[] = {
    {"node, canonical", "node = MX2.Example.COM.", "node=mx2.example.com"},
    {"node, U-label", "node = mx.bücher.example", "node=mx.xn--bcher-kva.example"},
    {"own", "own = {mx.example.com, \"192.0.2.1\", \"[2001:db8::1]\"}", "own.names=mx.example.com"},
    {"own, addresses", "own = {a.example, \"192.0.2.1\", \"2001:db8::1\"}",
     "own.nets=[192.0.2.1/32],[2001:db8::1/128]"},
    {"listeners", "listeners = {\"10.0.0.25=192.0.2.25\"}",
     "listener [10.0.0.25]:0=[192.0.2.25]:0"},
    {"listeners with ports", "listeners = {\"[fd00::1]:2525=[2001:db8::1]:25\"}",
     "listener [fd00::1]:2525=[2001:db8::1]:25"},
    {"a list replaces", "networks = {\"198.51.100.0/24\"}", "networks=[198.51.100.0/24]"},
    {"an empty list", "networks = {}", "networks="},
    {"a list without braces", "networks = \"198.51.100.0/24\"", "networks=[198.51.100.0/24]"},
    {"a final comma", "networks = {\"198.51.100.0/24\",}", "networks=[198.51.100.0/24]"},
    {"delimiter", "recipient_delimiter = \"+-\"", "recipient_delimiter=+-"},
    {"two sockets", "listen { policy = {\"unix:/a\", \"inet:127.0.0.1:10\"} }",
     "listen.policy=inet:127.0.0.1:10 path=- addr=[127.0.0.1] port=10"},
    {"a network socket", "listen { milter = \"[::1]:8891\" }",
     "listen.milter=[::1]:8891 path=- addr=[::1] port=8891"},
    {"mode", "listen { mode = 0666 }", "listen.mode=0666"},
    {"mode of three digits", "listen { mode = \"600\" }", "listen.mode=0600"},
    {"log", "log { target = SYSLOG level = debug }", "log=1,3"},
    {"servers", "dns { servers = {\"192.0.2.53\", \"[2001:db8::53]:5353\", \"2001:db8::54\"} }",
     "dns.servers=192.0.2.53:53,[2001:db8::53]:5353,[2001:db8::54]:53"},
    {"nothing", "dns { stale = 0 }", "dns.ttl=30000,86400000,300000,0"},
    {"500ms", "dns { timeout = 500ms }", "dns.timeout=500"},
    {"15s", "dns { timeout = \"15s\" }", "dns.timeout=15000"},
    {"10m", "guard { grace = 10m }", "grace=600000"},
    {"4h", "guard { grace = 4h }", "grace=14400000"},
    {"1d", "guard { grace = 1d }", "grace=86400000"},
    {"redis, path", "cache { redis = \"unix:/run/redis.sock\" }",
     "cache.redis=1,unix:/run/redis.sock,/run/redis.sock,,0,0,,"},
    {"redis, all parts", "cache { redis = redis://mx@redis.example.com:6380/3 }",
     "cache.redis=2,redis://mx@redis.example.com:6380/3,,redis.example.com,6380,3,mx,"},
    {"redis, address", "cache { redis = \"redis://[2001:db8::1]\" }",
     "cache.redis=2,redis://[2001:db8::1],,2001:db8::1,6379,0,,"},
    {"probes", "health { interval = 2s timeout = 3s fall = 1 rise = 5 depth = rcpt }",
     "health=2000,3000,1,5,1"},
    {"source", "health { source = \"192.0.2.2\" }", "health.source=[192.0.2.2]"},
    {"mode in capitals", "guard { mode = DEFER }", "mode=defer"},
    {"text with format characters", "guard { text = \"100 % \\\"sure\\\"\" }",
     "text=100 % \"sure\""},
    {"text, single quotes", "guard { text = 'pay ${HOME} # now' }", "text=pay ${HOME} # now"},
    {"text, escaped dollar", "guard { text = \"pay \\${HOME}\" }", "text=pay ${HOME}"},
    {"text, UTF-8", "guard { text = \"Zuerst über mx1\" }", "text=Zuerst über mx1"},
    {"bool", "guard { require_observed = no }", "require_observed=0"},
    {"evidence_net", "guard { evidence_net = \"32, 48\" }", "evidence_net=32,48"},
    {"allow", "guard { allow = {\"192.0.2.1\", Mail.example.net, .Example.ORG} }",
     "allow.names=mail.example.net,.example.org"},
    {"mailboxes", "guard { allow_senders = {News, \"A.B@Example.COM\", \"@bücher.example\"} }",
     "allow_senders=news,a.b@example.com,@xn--bcher-kva.example"},
    {"off", "guard { off_mx = off }", "off_mx=0"},
    {"several on a line", "health { fall=1 rise=1 } guard{mode=off}", "mode=off"},
    {"a comment of each kind", "# a\n// b\n/* c\n*/ guard { mode = tag } # d", "mode=tag"},
    {"CRLF", "guard {\r\n  mode = tag\r\n}\r\n", "mode=tag"},
    {"BOM", "\xef\xbb\xbfguard { mode = tag }", "mode=tag"},
    {"a comment without a final newline", "guard { mode = tag }\n# end", "mode=tag"},
    {"a string over two lines", "guard { text = \"a \\\nb\" }", "text=a b"},
    {"domain, canonical", "domain \"Bücher.Example.\" { }", "domain xn--bcher-kva.example"},
    {"the rest", "domain \"*\" { route = primary }", "domain *"},
    {"what is below a domain", "domain \".Bücher.Example\" { }", "domain .xn--bcher-kva.example"},
    {"an address", "domain \"Some.One+x@Bücher.Example\" { route = mx }",
     "domain some.one+x@xn--bcher-kva.example"},
    {"an address, quoted", "domain \"\\\"a b\\\"@example.com\" { }", "domain a b@example.com"},
    {"an address has no guard", "guard { mode = defer } domain u@example.com { }", "mode=off"},
    {"srv", "domain example.com { route = srv }", "route=2,-"},
    {"weights", "domain example.com { route = mx weights = {\"MX1.example.com=0\"} }",
     "weight mx1.example.com=0"},
    {"a pool further down",
     "domain a.example { route = \"pool p\" } pool p { tier 1 { host h.example { } } }",
     "route=4,p"},
    {"match", "match \"*.MX.Example.\" { route = primary }", "match *.mx.example\nroute=3,-"},
    {"matches in their order",
     "match b { } match \"a*\" { route = mx weights = {\"x.example=2\"} }",
     "match b\nroute=0,-\nmatch a*\nroute=1,-\nweight x.example=2"},
    {"pool", "pool p { transport = relay stick = none tier 1 { host h.example { } } }",
     "pool p transport=relay stick=2 spill=0"},
    {"no slow start", "health { slow_start = 0 }", "health.slow_start=0"},
    {"pool that spills", "pool p { spill = proportional tier 1 { host h.example { } } }",
     "pool p transport=smtp stick=0 spill=1"},
    {"hosts of a pool",
     "pool p { tier 1 { host \"[2001:db8::1]:26\" { weight = 0 } "
     "host h.example { } } }",
     "tier 1 host [2001:db8::1] port=26 weight=0"},
    {"defaults of a host", "pool p { tier 7 { host \"H.example.\" { } } }",
     "tier 7 host h.example[] port=25 weight=100"},
    {"tiers by number", "pool p { tier 20 { host b.example { } } tier 3 { host a.example { } } }",
     "tier 3 host a.example[] port=25 weight=100\ntier 20 host b.example[] port=25 weight=100"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct conf *conf = read_text(values[i].label, values[i].text, "");
        char *dump = conf_dump(conf), line[512];

        snprintf(line, sizeof line, "\n%s\n", values[i].wanted);
        if (!strstr(dump, line))
            fail_msg("%s: no %s in\n%s", values[i].label, values[i].wanted, dump);
        free(dump);
        conf_unref(conf);
    }
}

/* Where this build has no TLS, it says so, and what to do. */
static void test_tls(void **state)
{
    struct conf *conf = read_text(
        "TLS", "cache { redis = rediss://mx@redis.example.com:6380 }",
        MXW_HAS_TLS
            ? ""
            : "1: cache.redis: \"rediss://mx@redis.example.com:6380\": no TLS in this build: "
              "use stunnel and its local port (mxwarden.conf(5), TLS)\n");

    (void)state;
    assert_int_equal(conf != NULL, MXW_HAS_TLS);
    if (conf) {
        assert_true(conf->cache.tls);
        assert_string_equal(conf->cache.host, "redis.example.com");
        assert_int_equal(conf->cache.port, 6380);
    }
    conf_unref(conf);
}

/* Single mistakes; FOLDER is the test's folder. */
static const struct {
    const char *label, *text, *wanted;
} mistakes[] = {
    {"tier 0, twice",
     "pool p { tier 0 { host a.example { } } tier 1 { host b.example { } }\n"
     "tier 00 { host c.example { } } }",
     "2: pool p: tier 00: is there twice, first in line 1\n"},
    {"duration without unit", "guard { grace = 5 }",
     "1: guard.grace: \"5\" is no duration (such as 0, 500ms, 15s, 10m, 4h, 1d)\n"},
    {"duration, negative", "guard { grace = -5s }",
     "1: guard.grace: \"-5s\" is no duration (such as 0, 500ms, 15s, 10m, 4h, 1d)\n"},
    {"duration, overflowing", "guard { grace = 99999999999999999999d }",
     "1: guard.grace: \"99999999999999999999d\" is no duration (such as 0, 500ms, 15s, 10m, 4h, "
     "1d)\n"},
    {"duration, too long", "guard { grace = 2d }",
     "1: guard.grace: \"2d\" is out of range (0 to 1d)\n"},
    {"duration, too short", "health { interval = 99ms }",
     "1: health.interval: \"99ms\" is out of range (100ms to 1h)\n"},
    {"rise", "\nhealth { rise = 101 }", "2: health.rise: \"101\" is no number from 1 to 100\n"},
    {"number", "cache { entries = 1e6 }",
     "1: cache.entries: \"1e6\" is no number from 1000 to 100000000\n"},
    {"bool", "needs_feed = maybe", "1: needs_feed: \"maybe\" is neither true nor false\n"},
    {"node", "node = \"a b\"", "1: node: \"a b\" is no host name\n"},
    {"own", "own = {\"192.0.2.0/24\"}",
     "1: own: \"192.0.2.0/24\" is neither a name nor an address\n"},
    {"mode of the sockets", "listen { mode = 0470 }",
     "1: listen.mode: \"0470\" is no octal mode of at least 0600\n"},
    {"mode, not octal", "listen { mode = 0690 }",
     "1: listen.mode: \"0690\" is no octal mode of at least 0600\n"},
    {"a relative socket", "listen { milter = \"unix:a.sock\" }",
     "1: listen.milter: \"unix:a.sock\" is no absolute path of up to 107 bytes\n"},
    {"no socket", "listen { milter = \"\" }",
     "1: listen.milter: \"\" is neither unix:/path nor address:port\n"},
    {"a socket without a port", "listen { policy = {\"127.0.0.1\"} }",
     "1: listen.policy: \"127.0.0.1\" is neither unix:/path nor address:port\n"},
    {"a socket without effect, wrong", "listen { http = \"localhost:80\" }",
     "1: listen.http: \"localhost:80\" is neither unix:/path nor address:port\n"},
    {"servers", "dns { servers = {\"ns.example.com\"} }",
     "1: dns.servers: \"ns.example.com\" is no address or address:port\n"},
    {"redis, scheme", "cache { redis = \"redis.example.com:6379\" }",
     "1: cache.redis: \"redis.example.com:6379\": neither unix:/path, "
     "redis://[user@]host:port[/db] nor sentinel://[user@]h:p,h:p/master\n"},
    {"redis, port", "cache { redis = redis://redis.example.com:0 }",
     "1: cache.redis: \"redis://redis.example.com:0\": no host and port\n"},
    {"redis, database", "cache { redis = redis://redis.example.com/x }",
     "1: cache.redis: \"redis://redis.example.com/x\": the database is no number\n"},
    {"sentinel without a master", "cache { redis = \"sentinel://a.example:1,b.example:2\" }",
     "1: cache.redis: \"sentinel://a.example:1,b.example:2\": no name of a master after '/'\n"},
    {"sentinel, password", "cache { redis = \"sentinel://a:b@a.example:1/main\" }",
     "1: cache.redis: \"sentinel://a:b@a.example:1/main\": a password belongs into "
     "password_file\n"},
    {"sentinel, too many",
     "cache { redis = \"sentinel://a.example,a.example,a.example,a.example,a.example,a.example,"
     "a.example,a.example,a.example,a.example,a.example,a.example,a.example,a.example,a.example,"
     "a.example,a.example/main\" }",
     "1: cache.redis: \"sentinel://a.example,a.example,a.example,a.example,a.example,a.example,"
     "a.example,a.example,a.example,a.example,a.example,a.example,a.example,a.example,a.example,"
     "a.example,a.example/main\": more than 16 Sentinels\n"},
    {"sentinel, hosts", "cache { redis = \"sentinel://a.example:1,,b/main\" }",
     "1: cache.redis: \"sentinel://a.example:1,,b/main\": not a list of host:port\n"},
    {"prefix", "cache { prefix = \"mxw:*\" }",
     "1: cache.prefix: \"mxw:*\" is not up to 32 letters, digits, '-', '_' and '.'\n"},
    {"source", "health { source = eth0 }", "1: health.source: \"eth0\" is no address\n"},
    {"text, empty", "guard { text = \"\" }", "1: guard.text: has 0 bytes, not 1 to 400\n"},
    {"text, two lines", "guard { text = \"a\\r\\nb\" }",
     "1: guard.text: holds control characters, or is not UTF-8\n"},
    {"text, Latin-1", "guard { text = \"\xfc\" }",
     "1: guard.text: holds control characters, or is not UTF-8\n"},
    {"evidence_net, one", "guard { evidence_net = 24 }",
     "1: guard.evidence_net: \"24\" is not two prefix lengths, 8 to 32 and 16 to 128 "
     "(\"24,64\")\n"},
    {"evidence_net, large", "guard { evidence_net = \"24,129\" }",
     "1: guard.evidence_net: \"24,129\" is not two prefix lengths, 8 to 32 and 16 to 128 "
     "(\"24,64\")\n"},
    {"evidence_net, no quotes", "\n\nguard { evidence_net = 24,64 }",
     "3: guard: unexpected token ','\n3: guard.evidence_net: \"24\" is not two prefix lengths, "
     "8 to 32 and 16 to 128 (\"24,64\")\n"},
    {"mailbox", "guard { allow_senders = {\"a b@example.com\", \"@\"} }",
     "1: guard.allow_senders: \"a b@example.com\" is none of local, user@domain, @domain\n"
     "1: guard.allow_senders: \"@\" is none of local, user@domain, @domain\n"},
    {"trap", "guard { trap = \" \" }", "1: guard.trap: \" \" is no host name\n"},
    {"route without quotes", "domain a.example { route = pool p }",
     "1: domain a.example: p: unknown key\n"
     "1: domain a.example: route: \"pool\" is none of off, mx, srv, primary, \"pool NAME\"\n"},
    {"transport", "pool p { transport = \"smtp:x\" tier 1 { host h.example { } } }",
     "1: pool p: transport: \"smtp:x\" is no name of a service in master.cf\n"},
    {"a value where a section is", "guard = \"x\"",
     "1: guard: missing opening brace for section 'guard'\n"},
    {"a section where a value is", "node { x = 1 }",
     "1: node: missing equal sign after option 'node'\n"},
    {"a list where a value is", "node = {\n\"a\", {}}\nhealth { fall = 0 }",
     "1: node: takes one value, not a list\n3: health.fall: \"0\" is no number from 1 to 100\n"},
    {"a title too many", "guard \"x\" { }",
     "1: guard: missing opening brace for section 'guard'\n"},
    {"a brace too many", "guard { }\n}", "2: unexpected closing brace\n"},
    {"a value missing", "guard { mode = }", "1: guard.mode: unexpected token '}'\n"},
    {"an equals sign missing at the end", "node", "1: node: premature end of file\n"},
    {"a comma missing", "networks = {\"192.0.2.1\" b}", "1: networks: unexpected token 'b'\n"},
    {"no allow_file", "guard { allow_file = \"FOLDER/none\" }",
     "1: guard.allow_file: FOLDER/none: No such file or directory\n"},
    {"allow_file of mistakes", "\nguard { allow_file = \"FOLDER/allow.bad\" }",
     "FOLDER/allow.bad:3: allow_file: \"192.0.2.1/24\" is no address, network or name\n"
     "FOLDER/allow.bad:5: allow_file: \"a b\" is no address, network or name\n"},
    {"a folder", "guard { allow_file = \"FOLDER\" }",
     "1: guard.allow_file: FOLDER: not a regular file\n"},
    {"domains_file, relative", "domains_file = \"a\"",
     "1: domains_file: \"a\" is not an absolute path\n"},
    {"no domains_file", "# x\ndomains_file = \"FOLDER/none\"",
     "2: domains_file: FOLDER/none: No such file or directory\n"},
    {"domains_file of mistakes",
     "domains_file = \"FOLDER/domains.bad\"\ndomain a.example { }\ndomain \"*\" { }",
     "FOLDER/domains.bad:2: domains_file: \"a.example\" is there twice, first in line 2 of "
     "FOLDER/main.conf\n"
     "FOLDER/domains.bad:3: domains_file: \"b b\" is no domain name\n"
     "FOLDER/domains.bad:6: domains_file: \"c.example\" is there twice, first in line 5\n"},
    {"world-readable password", "cache { redis = \"unix:/r\" password_file = \"FOLDER/open\" }",
     "1: cache.password_file: FOLDER/open: is open to everybody: chmod o-rwx\n"},
    {"no password", "cache { redis = \"unix:/r\" password_file = \"FOLDER/empty\" }",
     "1: cache.password_file: FOLDER/empty: its first line is empty, or longer than 4096 bytes\n"},
    {"world-readable secret", "cache { secret_file = \"FOLDER/open\" }",
     "1: cache.secret_file: FOLDER/open: is open to everybody: chmod o-rwx\n"},
    {"a short secret", "cache { secret_file = \"FOLDER/password\" }",
     "1: cache.secret_file: FOLDER/password: shorter than 16 bytes\n"},
    {"a password for nobody", "cache { password_file = \"FOLDER/password\" }",
     "warning: 1: cache.password_file: is of no use without redis\n"},
    {"weights beside srv", "domain a.example {\nroute = srv weights = {\"b.example=1\"} }",
     "warning: 2: domain a.example: weights: has no effect with route = srv: the weights of the "
     "SRV "
     "records count\n"},
    {"weights beside srv in a match", "match b { weights = {\"b.example=1\"} route = srv }",
     "warning: 1: match b: weights: has no effect with route = srv: the weights of the SRV "
     "records "
     "count\n"},
    {"evidence_net in a domain", "domain a.example { guard { evidence_net = \"16,48\" } }",
     "warning: 1: domain a.example: guard.evidence_net: has no effect here: evidence is written "
     "before the domain is known\n"},
    {"no such group", "listen { group = no-such-group-here }",
     "warning: 1: listen.group: there is no group \"no-such-group-here\" on this host\n"},
};

static void put_files(void)
{
    put_text("allow.bad", "# one\n192.0.2.0/24\n192.0.2.1/24 # host bits\n\n  a b\nmail.example\n");
    put_text("allow.good", "\n192.0.2.0/24\r\n  Mail.Example.NET # a host\n.example.org");
    put_text("domains.bad", "\nA.Example\nb b\n# d.example\nc.example\nC.example.\n");
    put_text("domains.good", "b.example # one\n\nA.Example");
    put_file("open", "0123456789abcdef\n", 17, 0644);
    put_text("empty", "\n");
    put_file("password", "s3cret word\n", 12, 0640);
    put_text("secret", "0123456789abcdef\n");
}

static void test_mistakes(void **state)
{
    char text[WIDTH], wanted[WIDTH];

    (void)state;
    put_files();
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        fill_in(mistakes[i].text, text);
        fill_in(mistakes[i].wanted, wanted);
        conf_unref(read_text(mistakes[i].label, text, wanted));
    }
}

/* The folder tests/unit/conf. */
static void test_files(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("tests/unit/conf/*.conf", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *text = get_file(found.gl_pathv[i]), wanted[WIDTH] = "", *rest = text, *line;
        while ((line = strsep(&rest, "\n")))
            if (strncmp(line, "#! ", 3) == 0)
                strcat(strcat(wanted, line + 3), "\n");
        assert_null(read_file(found.gl_pathv[i], found.gl_pathv[i], wanted));
        /* libconfuse's lexer is global: a broken file must not spoil the next. */
        conf_unref(read_text("after a broken file", "guard { mode = \"tag\" }", ""));
        free(text);
    }
    globfree(&found);
}

static void test_nul(void **state)
{
    static const char text[] = "# a\nnode = \"a\0b\"\nhealth { fall = 0 }\n";
    const char *path = put_file("main.conf", text, sizeof text - 1, 0600);

    (void)state;
    assert_null(read_file("NUL", path,
                          "2: a NUL byte\n2: node: \"a b\" is no host name\n"
                          "3: health.fall: \"0\" is no number from 1 to 100\n"));
}

/* What is checked but has no effect: the warning, and the line of the dump that stays. */
static const struct {
    const char *text, *wanted, *dump;
} laters[] = {
    {"listen { http = \"127.0.0.1:9476\" }", "listen.http: \"127.0.0.1:9476\" has no effect yet",
     "listen.http=none"},
};

static void test_laters(void **state)
{
    char text[WIDTH], wanted[WIDTH], line[WIDTH + 32];

    (void)state;
    put_files();
    for (size_t i = 0; i < sizeof laters / sizeof laters[0]; i++) {
        fill_in(laters[i].text, text);
        fill_in(laters[i].wanted, wanted);
        snprintf(line, sizeof line, "warning: 1: %s\n", wanted);
        struct conf *conf = read_text(laters[i].text, text, line);
        char *dump = conf_dump(conf);
        snprintf(line, sizeof line, "\n%s\n", laters[i].dump);
        if (*laters[i].dump && !strstr(dump, line))
            fail_msg("%s: no %s in\n%s", text, laters[i].dump, dump);
        free(dump);
        conf_unref(conf);
    }
}

/* The default in other words is no setting. */
static void test_defaults_silent(void **state)
{
    (void)state;
    conf_unref(read_text("defaults",
                         "guard { breaker_window = 300s mode = DETECT off_mx = log }\n"
                         "needs_feed = false\nlisten { http = \"\" }",
                         ""));
}

/* A file in which key, in the sections that lead to it, is set to value in line 3. */
static void write_key(const struct conf_key *key, const char *value, char *out, size_t size)
{
    static const char *const open[CONF_SCOPES] = {
        [CONF_TOP] = "",
        [CONF_LISTEN] = "listen {",
        [CONF_LOG] = "log {",
        [CONF_DNS] = "dns {",
        [CONF_CACHE] = "cache {",
        [CONF_HEALTH] = "health {",
        [CONF_GUARD] = "domain \"a.example\" { guard {",
        [CONF_DOMAIN] = "domain \"a.example\" {",
        [CONF_POOL] = "pool \"p\" { tier 1 { host h.example { } }",
        [CONF_TIER] = "",
        [CONF_HOST] = "pool \"p\" { tier 1 { host h.example {",
        [CONF_MATCH] = "match \"*\" {",
    };
    int used = snprintf(out, size, "# one\n%s\n%s = %s\n", open[key->scope], key->name, value);
    size_t depth = 0;

    for (const char *at = open[key->scope]; *at; at++)
        depth += (*at == '{') - (*at == '}');
    while (depth-- > 0)
        used += snprintf(out + used, size - (size_t)used, "}");
}

/* Every key of the table refuses a value that nothing accepts, and names its line. */
static void test_every_key_checks(void **state)
{
    char text[256], got[WIDTH];

    (void)state;
    for (const struct conf_key *key = conf_keys; key->name; key++) {
        struct conf_problems problems;
        const struct conf_problem *last;
        size_t length;
        write_key(key, key->list ? "{\"= ,\\x01\"}" : "\"= ,\\x01\"", text, sizeof text);
        assert_null(conf_read(put_text("main.conf", text), true, &problems));
        length = strlen(key->name);
        list_problems(&problems, put_text("main.conf", text), got);
        last = &problems.item[problems.count - 1];
        if (problems.errors != 1 || last->line != 3 ||
            strcmp(last->key + strlen(last->key) - length, key->name) != 0)
            fail_msg("%s: %s", text, got);
        conf_problems_clear(&problems);
    }
}

/* Every default of the table, written out, is accepted in silence and changes nothing. */
static void test_every_default(void **state)
{
    struct conf *empty = read_text("empty", "", "");
    char *wanted = conf_dump(empty), text[512], value[256];

    (void)state;
    for (const struct conf_key *key = conf_keys; key->name; key++) {
        struct conf *conf;
        char *got;
        snprintf(value, sizeof value, key->list && !*key->initial ? "{}" : "\"%s\"", key->initial);
        if (key->list && strchr(key->initial, ','))
            snprintf(value, sizeof value, "{\"%.*s\", \"%s\"}", (int)strcspn(key->initial, ","),
                     key->initial, strchr(key->initial, ',') + 1);
        write_key(key, value, text, sizeof text);
        conf = read_text(key->name, text, "");
        got = conf_dump(conf);
        if (key->scope <= CONF_HEALTH)
            assert_string_equal(got, wanted);
        if (key->scope == CONF_GUARD)
            assert_int_equal(conf->domain[0].guard.yield_after, conf->guard.yield_after);
        free(got);
        conf_unref(conf);
    }
    free(wanted);
    conf_unref(empty);
}

/* etc/mxwarden.conf says what is so anyway, and all of it. */
static void test_shipped(void **state)
{
    struct conf *shipped = read_file("shipped", SHIPPED, "");
    struct conf *empty = read_text("empty", "", "");
    char *got = conf_dump(shipped), *wanted = conf_dump(empty);

    (void)state;
    assert_string_equal(got, wanted);
    free(got);
    free(wanted);
    conf_unref(shipped);
    conf_unref(empty);
}

/* Takes the '#' off the examples: from a line that begins with it and no space to "#}". */
static void uncomment(char *text)
{
    bool inside = false;

    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        bool last = strncmp(line, "#}\n", 3) == 0;
        inside |= line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
        if (inside)
            *line = ' ';
        inside &= !last;
    }
}

/* Whether text sets or opens name at the start of a line. */
static bool mentions(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
        const char *before = at;
        while (before > text && strchr(" {", before[-1]))
            before--;
        if ((before == text || before[-1] == '\n' || before[-1] == '"') &&
            (strncmp(at + length, " = ", 3) == 0 || at[length] == ' '))
            return true;
    }
    return false;
}

static void test_shipped_examples(void **state)
{
    char *text = get_file(SHIPPED), got[WIDTH];
    struct conf_problems problems;
    struct conf *conf;

    (void)state;
    uncomment(text);
    conf = conf_read(put_text("main.conf", text), true, &problems);
    list_problems(&problems, "", got);
    if (!conf || problems.count != 0) {
        fail_msg("%s", got);
        return;
    }
    assert_int_equal(conf->domain_count, 4);
    assert_int_equal(conf->pool_count, 1);
    for (const struct conf_key *key = conf_keys; key->name; key++)
        if (!mentions(text, key->name))
            fail_msg("%s is not in " SHIPPED, key->name);
    for (const struct conf_nesting *nesting = conf_nestings; nesting->name; nesting++)
        if (!mentions(text, nesting->name))
            fail_msg("%s is not in " SHIPPED, nesting->name);
    conf_problems_clear(&problems);
    conf_unref(conf);
    free(text);
}

static void test_missing_file(void **state)
{
    struct conf_problems problems;
    struct conf *conf = conf_read("/nonexistent/mxwarden.conf", false, &problems);

    (void)state;
    assert_non_null(conf);
    assert_string_equal(conf->file, "");
    assert_true(*conf->node);
    assert_int_equal(problems.count, 0);
    conf_unref(conf);
    assert_null(
        read_file("required", "/nonexistent/mxwarden.conf", " No such file or directory\n"));
    conf_unref(read_file("/dev/null", "/dev/null", ""));
}

/* Only keys set in a domain's guard differ from the top one; lists replace. */
static void test_inheritance(void **state)
{
    struct conf *conf = read_text(
        "inheritance",
        "domain \"b.example\" { }\n"
        "domain \"a.example\" { guard { yield_after = 2m allow = {} allow_recipients = {root} } }\n"
        "guard { mode = defer text = \"Top\" allow = {\"192.0.2.0/24\"} allow_senders = {news} }\n"
        "domain \"c.example\" { guard { mode = off allow = {mail.example} } }\n",
        "");
    const struct conf_guard *a = &conf_find_domain(conf, "a.example", true)->guard;
    const struct conf_guard *b = &conf_find_domain(conf, "b.example", true)->guard;
    const struct conf_guard *c = &conf_find_domain(conf, "c.example", true)->guard;

    (void)state;
    assert_int_equal(a->mode, CONF_MODE_DEFER);
    assert_string_equal(a->text, "Top");
    assert_int_equal(a->yield_after, 120000);
    assert_int_equal(a->allow.nets.count, 0);
    assert_int_equal(a->allow_senders.count, 1);
    assert_int_equal(a->allow_recipients.count, 1);
    assert_string_equal(a->allow_recipients.item[0], "root");
    assert_int_equal(b->mode, CONF_MODE_DEFER);
    assert_int_equal(b->yield_after, 240000);
    assert_int_equal(b->allow.nets.count, 1);
    assert_int_equal(b->allow_recipients.count, 2);
    assert_int_equal(c->mode, CONF_MODE_OFF);
    assert_int_equal(c->allow.nets.count, 0);
    assert_int_equal(c->allow.names.count, 1);
    conf_unref(conf);
}

/* allow and allow_file are two keys: a domain may set one and inherit the other. */
static void test_allow_file(void **state)
{
    char text[WIDTH];
    struct conf *conf;
    struct net_addr inside, outside;

    (void)state;
    put_files();
    fill_in("guard { allow = {\"198.51.100.1\"} allow_file = \"FOLDER/allow.good\" }\n"
            "domain a.example { guard { allow = {} } }",
            text);
    conf = read_text("allow_file", text, "");
    net_addr_parse("192.0.2.77", &inside);
    net_addr_parse("203.0.113.1", &outside);
    assert_int_equal(conf->guard.allow.nets.count, 2);
    assert_int_equal(conf->domain[0].guard.allow.nets.count, 1);
    assert_true(conf_allow_has(&conf->guard.allow, &inside, ""));
    assert_true(conf_allow_has(&conf->domain[0].guard.allow, &inside, "x.example"));
    assert_false(conf_allow_has(&conf->guard.allow, &outside, ""));
    assert_true(conf_allow_has(&conf->guard.allow, &outside, "mail.example.net"));
    assert_false(conf_allow_has(&conf->guard.allow, &outside, "a.mail.example.net"));
    assert_true(conf_allow_has(&conf->guard.allow, &outside, "a.example.org"));
    assert_true(conf_allow_has(&conf->guard.allow, &outside, "example.org"));
    assert_false(conf_allow_has(&conf->guard.allow, &outside, "anexample.org"));
    conf_unref(conf);
}

static void test_domains(void **state)
{
    char text[WIDTH];
    struct conf *conf;

    (void)state;
    put_files();
    fill_in("domains_file = \"FOLDER/domains.good\"\nguard { mode = tag }\n"
            "domain \"*\" { route = mx weights = {\"mx1.example=7\"} }\n"
            "domain c.example { }",
            text);
    conf = read_text("domains", text, "");
    assert_int_equal(conf->domain_count, 4);
    assert_string_equal(conf_find_domain(conf, "a.example", true)->name, "a.example");
    assert_int_equal(conf_find_domain(conf, "b.example", false)->guard.mode, CONF_MODE_TAG);
    assert_string_equal(conf_find_domain(conf, "d.example", false)->name, "*");
    assert_null(conf_find_domain(conf, "d.example", true));
    assert_int_equal(conf_find_weight(&conf_find_domain(conf, "*", true)->routing, "mx1.example"),
                     7);
    assert_int_equal(conf_find_weight(&conf_find_domain(conf, "*", true)->routing, "mx2.example"),
                     100);
    assert_null(conf_find_pool(conf, "none"));
    conf_unref(conf);
}

/* Which section counts for a domain as a whole. */
static const struct {
    const char *domain, *wanted; /* NULL: none */
} walks[] = {
    {"example.com", "example.com"},
    {"www.example.com", ".example.com"},
    {"a.b.www.example.com", ".example.com"},
    {"sub.example.com", "sub.example.com"},
    {"x.sub.example.com", ".sub.example.com"},
    {"y.x.sub.example.com", ".sub.example.com"},
    {"anexample.com", NULL},
    {"example.org", NULL}, /* what is below it has a section, it has none */
    {"x.example.org", ".example.org"},
    {"u", NULL},
    {"org", NULL},
};

static void test_walk(void **state)
{
    static const char sections[] =
        "domain \"u@example.com\" { }\ndomain \"example.com\" { }\ndomain \".Example.com\" { }\n"
        "domain \"sub.example.com\" { }\ndomain \".sub.example.com\" { }\n"
        "domain \".example.org\" { }\n";
    char text[1024];
    struct conf *conf = read_text("walk", sections, ""), *rest;

    (void)state;
    snprintf(text, sizeof text, "%sdomain \"*\" { }\n", sections);
    rest = read_text("walk", text, "");
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        const struct conf_domain *got = conf_find_domain(conf, walks[i].domain, false);
        const char *name = got ? got->name : "none";
        if (strcmp(name, walks[i].wanted ? walks[i].wanted : "none") != 0)
            fail_msg("%s: %s", walks[i].domain, name);
        assert_ptr_equal(conf_find_own(conf, walks[i].domain), got);
        name = conf_find_domain(rest, walks[i].domain, false)->name;
        if (strcmp(name, walks[i].wanted ? walks[i].wanted : "*") != 0)
            fail_msg("%s, with \"*\": %s", walks[i].domain, name);
    }
    assert_null(conf_find_domain(rest, "www.example.com", true));
    assert_string_equal(conf_find_title(rest, "u@example.com")->domain, "example.com");
    conf_unref(conf);
    conf_unref(rest);
}

/* Secrets are for who asks; the others do not so much as open the file. */
static void test_secrets(void **state)
{
    struct conf_problems problems;
    char text[WIDTH];
    struct conf *conf;

    (void)state;
    put_files();
    fill_in("cache { redis = \"unix:/r\" password_file = \"FOLDER/password\" }", text);
    conf = read_text("password", text, "");
    assert_string_equal(conf->cache.password, "s3cret word");
    conf_unref(conf);
    fill_in("cache { redis = \"unix:/r\" password_file = \"FOLDER/none\" }", text);
    conf = conf_read_public(put_text("main.conf", text), true, &problems);
    assert_non_null(conf);
    assert_string_equal(conf->cache.password, "");
    conf_unref(conf);
}

static void test_references(void **state)
{
    struct conf *conf = read_text("references", "", "");

    (void)state;
    assert_ptr_equal(conf_ref(conf), conf);
    conf_unref(conf);
    assert_string_equal(conf->cache.prefix, "mxw1");
    conf_unref(conf);
    conf_unref(NULL);
}

/* As many hosts as a route looks at, and one more. */
static void test_large_pool(void **state)
{
    (void)state;
    for (int hosts = 64; hosts <= 65; hosts++) {
        struct conf_problems problems;
        struct conf *conf;
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fprintf(out, "pool \"p\" { tier \"10\" {");
        for (int i = 1; i < hosts; i++)
            fprintf(out, " host \"192.0.2.%d\" { }", i);
        fprintf(out, " } tier \"20\" { host \"b.example.net\" { } } }\n");
        fclose(out);
        conf = conf_read(put_text("main.conf", text), true, &problems);
        assert_int_equal(!conf, hosts > 64);
        conf_unref(conf);
        conf_problems_clear(&problems);
        free(text);
    }
}

/* A site of 10,000 domains starts and reloads in a moment, and a name of the most labels there can
 * be is found, or not, in less. */
static void test_many_domains(void **state)
{
    enum { DOMAINS = 10000, WALKS = 1000 };
    char *text, name[NAME_SIZE];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    clock_t began;
    struct conf *conf;

    (void)state;
    for (int i = 0; i < DOMAINS; i++)
        fprintf(out, "domain \"d%d.example\" { # %d\n guard { mode = defer } }\n", i, i);
    fclose(out);
    began = clock();
    conf = read_text("many", text, "");
    assert_true(clock() - began < 5 * CLOCKS_PER_SEC);
    assert_int_equal(conf->domain_count, DOMAINS);
    for (int i = 0; i < DOMAINS; i += 999) {
        snprintf(name, sizeof name, "d%d.example", i);
        assert_non_null(conf_find_domain(conf, name, true));
    }
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[sizeof name - 1] = '\0';
    began = clock();
    for (int i = 0; i < WALKS; i++)
        assert_null(conf_find_domain(conf, name, false));
    assert_true(clock() - began < WALKS * CLOCKS_PER_SEC / 1000);
    conf_unref(conf);
    free(text);
}

/* A file cut off anywhere is read or refused, and leaves nothing behind. */
static void test_cut_off(void **state)
{
    char *text = get_file("tests/unit/conf/lines.conf");
    const char *path;

    (void)state;
    for (size_t length = 0; length < strlen(text); length += 7) {
        struct conf_problems problems;
        path = put_file("main.conf", text, length, 0600);
        conf_unref(conf_read(path, true, &problems));
        conf_problems_clear(&problems);
        conf_unref(read_text("after a cut", "guard { mode = \"tag\" }", ""));
    }
    free(text);
}

static void *read_often(void *path)
{
    for (int i = 0; i < 20; i++) {
        struct conf_problems problems;
        struct conf *conf = conf_read(path, true, &problems);
        conf_problems_clear(&problems);
        if (!conf)
            return path;
        conf_unref(conf);
    }
    return NULL;
}

/* A reload reads in a thread of its own. */
static void test_threads(void **state)
{
    pthread_t thread[2];
    void *result;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, read_often, (char *)SHIPPED), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_null(result);
    }
}

static const struct {
    const char *text;
    int64_t wanted; /* -1: none */
} durations[] = {
    {"0", 0},
    {"0s", 0},
    {"500ms", 500},
    {"15s", 15000},
    {"10m", 600000},
    {"4h", 14400000},
    {"1d", 86400000},
    {"36500d", INT64_C(3153600000000)},
    {"36501d", -1},
    {"", -1},
    {"s", -1},
    {"1", -1},
    {"1 s", -1},
    {"1S", -1},
    {"1.5s", -1},
    {"-1s", -1},
    {"+1s", -1},
    {"1s ", -1},
    {"1sm", -1},
    {"0x1s", -1},
    {"9999999999999999s", -1},
    {"999999999999999d", -1},
};

static void test_durations(void **state)
{
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t got = -2;
        bool good = conf_value_duration(durations[i].text, &got);
        if (good != (durations[i].wanted >= 0) || (good && got != durations[i].wanted))
            fail_msg("%s: %d %lld", durations[i].text, good, (long long)got);
        if (good && strcmp(durations[i].text, "0s") != 0)
            assert_string_equal(conf_value_format_duration(got, text), durations[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_laters),
        cmocka_unit_test(test_defaults_silent),
        cmocka_unit_test(test_every_key_checks),
        cmocka_unit_test(test_every_default),
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_shipped_examples),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_allow_file),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_large_pool),
        cmocka_unit_test(test_many_domains),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_durations),
    };

    return cmocka_run_group_tests_name("conf", tests, make_folder, remove_folder);
}
