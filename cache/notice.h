/*
 * What happened in cache/, as an enum, to a hook that main sets: so that cache/ neither logs nor
 * counts by itself.
 */
#ifndef CACHE_NOTICE_H
#define CACHE_NOTICE_H

enum notice_kind {
    NOTICE_MX_HIT,    /* answered from the process's table, MX */
    NOTICE_MX_MISS,   /* had to be fetched */
    NOTICE_MX_STALE,  /* expired, served because the fetch could not tell */
    NOTICE_MX_SHARED, /* answered from Redis */
    NOTICE_ADDR_HIT,
    NOTICE_ADDR_MISS,
    NOTICE_ADDR_STALE,
    NOTICE_ADDR_SHARED,
    NOTICE_HERD_JOINED, /* one more waiter on a fetch under way */
    NOTICE_DNS_QUERY,
    NOTICE_DNS_FAIL,    /* detail: name */
    NOTICE_EVICTED,     /* least recently used out, table full */
    NOTICE_REDIS_UP,    /* detail: address */
    NOTICE_REDIS_DOWN,  /* detail: why */
    NOTICE_REDIS_ERROR, /* one operation failed; detail: why */
    NOTICE_REDIS_TIMEOUT,
    NOTICE_REDIS_REFUSED,   /* wrong password, no permission, a Cluster, a replica; detail: why */
    NOTICE_REDIS_FAILING,   /* LOADING, BUSY, OOM, ..., told as it begins; detail: why */
    NOTICE_SENTINEL_UP,     /* detail: which, and the master that it names */
    NOTICE_SENTINEL_DOWN,   /* none answers; detail: the last, and why */
    NOTICE_SENTINEL_SWITCH, /* another master; detail: which Sentinel, and the master */
    NOTICE_TRACK_UP,
    NOTICE_TRACK_DOWN,  /* detail: why */
    NOTICE_INVALIDATED, /* detail: key, or "*" */
    NOTICE_COUNT,
};

/* detail may be NULL, and lives as long as the call. Must not call back into cache/. */
struct notice {
    void (*hook)(void *arg, enum notice_kind kind, const char *detail);
    void *arg;
};

static inline void notice_give(const struct notice *notice, enum notice_kind kind,
                               const char *detail)
{
    if (notice && notice->hook)
        notice->hook(notice->arg, kind, detail);
}

#endif
