/*
 * The configuration as data: one file read into one immutable, counted struct.
 *
 * Who may change it: nobody. A reload builds a new struct and the owner swaps its pointer; a
 * question that began under the old one keeps it with conf_ref until it is answered.
 *
 * Units: durations in milliseconds, ports 1..65535, weights 0..65535. Domain and host names are
 * canonical (cache/name.h), patterns lower-case, texts never NULL. Source: libconfuse syntax.
 */
#ifndef POLICY_CONF_H
#define POLICY_CONF_H

#include "cache/name.h"
#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONF_DEFAULT_FILE "/etc/mxwarden/mxwarden.conf"

enum conf_mode {
    CONF_MODE_OFF,
    CONF_MODE_DETECT,
    CONF_MODE_TAG,
    CONF_MODE_HOLD,
    CONF_MODE_DEFER,
    CONF_MODE_REJECT,
    CONF_MODE_FILTER,
};
enum conf_stage { CONF_STAGE_CONNECT, CONF_STAGE_RCPT };
enum conf_off_mx { CONF_OFF_MX_OFF, CONF_OFF_MX_LOG, CONF_OFF_MX_DEFER, CONF_OFF_MX_REJECT };
enum conf_depth { CONF_DEPTH_BANNER, CONF_DEPTH_RCPT };
enum conf_route {
    CONF_ROUTE_OFF,
    CONF_ROUTE_MX,
    CONF_ROUTE_SRV,
    CONF_ROUTE_PRIMARY,
    CONF_ROUTE_POOL
};
enum conf_stick { CONF_STICK_RECIPIENT, CONF_STICK_DOMAIN, CONF_STICK_NONE };
enum conf_spill { CONF_SPILL_STRICT, CONF_SPILL_PROPORTIONAL };
enum conf_log_target { CONF_LOG_STDERR, CONF_LOG_SYSLOG };
enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARNING, CONF_LOG_INFO, CONF_LOG_DEBUG };
enum conf_redis { CONF_REDIS_NONE, CONF_REDIS_UNIX, CONF_REDIS_TCP, CONF_REDIS_SENTINEL };

struct conf_texts {
    size_t count;
    char **item;
};

struct conf_nets {
    size_t count;
    struct net_cidr *item;
};

/* One socket to listen on or to ask: a path, or an address and port. */
struct conf_socket {
    char *text; /* as written: "unix:/path", "inet:ADDR:PORT", "127.0.0.1:9476" */
    char *path; /* NULL for a network socket */
    struct net_addr addr;
    uint16_t port;
};

struct conf_sockets {
    size_t count;
    struct conf_socket *item;
};

struct conf_listener { /* listeners = {"LOCAL=PUBLIC"}; a port of 0 matches any */
    struct net_addr local, public;
    uint16_t local_port, public_port;
};

/* Clients and senders that are never judged: networks, and names (canonical; a name also covers
 * what is below it when written ".example.net"). */
struct conf_allow {
    struct conf_nets nets;
    struct conf_texts names;
};

/* Addresses: "local" (any domain), "user@domain", "@domain"; lower-case, domains canonical. */
struct conf_guard {
    enum conf_mode mode;
    char *text;
    bool require_observed;
    int64_t evidence_ttl;
    uint8_t evidence_net4, evidence_net6; /* prefix lengths */
    enum conf_stage min_stage;
    int64_t yield_after, learn, hold_down, grace;
    unsigned breaker_nets, breaker_factor;
    int64_t breaker_window;
    struct conf_allow allow; /* allow and allow_file together */
    struct conf_texts allow_senders, allow_recipients;
    enum conf_off_mx off_mx;
    char trap[NAME_SIZE]; /* "" for none */
};

struct conf_pool_host {
    char name[NAME_SIZE]; /* canonical; "[address]" when it is one */
    struct net_addr addr; /* NET_NONE when it is a name */
    uint16_t port;
    unsigned weight;
};

struct conf_tier {
    unsigned order; /* the tier's title as a number; tiers are sorted by it, lowest first */
    size_t host_count;
    struct conf_pool_host *host;
};

struct conf_pool {
    char *name;
    char *transport;
    enum conf_stick stick;
    enum conf_spill spill;
    size_t tier_count;
    struct conf_tier *tier;
};

struct conf_weight {
    char name[NAME_SIZE];
    unsigned weight;
};

/* What a domain section, or a match, says about routes. */
struct conf_routing {
    enum conf_route route;
    const struct conf_pool *pool; /* for CONF_ROUTE_POOL; lives as long as the conf */
    size_t weight_count;
    struct conf_weight *weight;
};

/* What a domain section stands for, by its title. */
enum conf_title {
    CONF_TITLE_DOMAIN,  /* "example.com" */
    CONF_TITLE_BELOW,   /* ".example.com": everything below it, but not it */
    CONF_TITLE_ADDRESS, /* "user@example.com": for routes only, guard.mode is off */
    CONF_TITLE_REST,    /* "*" */
};

struct conf_domain {
    enum conf_title kind;
    const char *name;        /* the title, canonical; an address as address_mailbox writes it */
    const char *domain;      /* the domain that is meant; "" where it is no single one */
    struct conf_guard guard; /* whole: keys not set here are those of the top guard section */
    struct conf_routing routing;
    struct conf_socket *flush; /* NULL for none */
};

struct conf_match {
    char *pattern;
    struct conf_routing routing;
};

struct conf_memory;

struct conf {
    unsigned refs;
    struct conf_memory
        *memory; /* holds this struct and all it points to; domains share what they inherit */
    char *file;  /* "" when the default file was missing */
    char node[NAME_SIZE];
    struct { /* own = {}: names and addresses */
        struct conf_texts names;
        struct conf_nets nets;
    } own;
    size_t listener_count;
    struct conf_listener *listener;
    bool needs_feed;
    struct conf_nets networks;
    char *recipient_delimiter;
    struct {
        struct conf_sockets policy, socketmap;
        struct conf_socket milter, control;
        struct conf_socket *http; /* NULL for none */
        mode_t mode;
        char *group; /* "" for the default */
    } listen;
    struct {
        enum conf_log_target target;
        enum conf_log_level level;
    } log;
    struct {
        char *servers; /* comma-separated "addr:port" for c-ares; "" for resolv.conf */
        int64_t timeout, min_ttl, max_ttl, negative_ttl, stale;
    } dns;
    struct {
        enum conf_redis kind;
        char *redis;   /* as written */
        char *path;    /* unix */
        char *host;    /* tcp: name or bare address */
        uint16_t port; /* tcp */
        bool tls;      /* tcp */
        unsigned database;
        char *user;     /* "" for none */
        char *password; /* "" for none; read from password_file */
        char *sentinel; /* "h1:p,h2:p/master" without scheme and user */
        char *prefix;
        int64_t timeout;
        size_t entries;
        size_t secret_size; /* 0 for none */
        uint8_t *secret;
    } cache;
    struct conf_guard guard;
    struct {
        int64_t interval, timeout, slow_start;
        unsigned fall, rise;
        enum conf_depth depth;
        struct net_addr source; /* NET_NONE: the kernel's choice */
    } health;
    size_t domain_count;
    struct conf_domain *domain; /* sorted by title, domains_file's included */
    size_t pool_count;
    struct conf_pool *pool;
    size_t match_count;
    struct conf_match *match;
};

/* One complaint. line is 1-based, 0 where no line applies; key as written, dotted
 * ("guard.yield_after", "domain example.com: guard.mode"). */
struct conf_problem {
    char *file;
    unsigned line;
    char *key;
    char *text;
    bool fatal; /* an error; else a warning (a key that has no effect yet, say) */
};

struct conf_problems {
    size_t count, errors;
    struct conf_problem *item;
};

/* Reads file; required says that it must exist (named by -c), else a missing one means defaults.
 * Returns a conf with one reference, or NULL when there was any error. problems is set to all that
 * was found either way, in the order of its lines; the caller clears it. Reads allow_file,
 * domains_file, password_file and secret_file too; a secret readable by others is an error. Does
 * not log: safe in a helper thread. */
struct conf *conf_read(const char *file, bool required, struct conf_problems *problems);
/* The same for programs that have no use for secrets, and perhaps no right to read them: those
 * files are left alone, cache.password and cache.secret empty. */
struct conf *conf_read_public(const char *file, bool required, struct conf_problems *problems);
void conf_problems_clear(struct conf_problems *problems);
/* "file:line: key: text" into a new string that the caller frees; how grave it is says fatal. */
char *conf_problem_format(const struct conf_problem *problem);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf); /* NULL is fine */

/* The section that has this very title, in canonical form; NULL where there is none. */
const struct conf_domain *conf_find_title(const struct conf *conf, const char *title);
/* Of a canonical domain: its own section, else that of the nearest ".parent", else NULL. */
const struct conf_domain *conf_find_own(const struct conf *conf, const char *domain);
/* The section that counts for a domain as a whole: as above, else "*", else NULL. With exact only
 * the one titled so. */
const struct conf_domain *conf_find_domain(const struct conf *conf, const char *domain, bool exact);
const struct conf_pool *conf_find_pool(const struct conf *conf, const char *name);
/* The weight given to host in routing->weight, else 100. */
unsigned conf_find_weight(const struct conf_routing *routing, const char *host);
/* Whether the client is in allow; name is "" where the MTA did not verify one. */
bool conf_allow_has(const struct conf_allow *allow, const struct net_addr *client,
                    const char *name);
bool conf_nets_have(const struct conf_nets *nets, const struct net_addr *addr);
const char *conf_mode_name(enum conf_mode mode);

#endif
