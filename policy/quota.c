/*
 * Accounts as the time at which they will be full again: taking one name moves it on by what one
 * costs, and an account is overdrawn when it lies further ahead than a whole burst. Of networks only
 * those that asked lately are remembered, the last QUOTA_NETS of them; one that is forgotten has a
 * full account again, and the common one bounds what can be made of that.
 */
#include "policy/quota.h"

#include "cache/local.h"

#include <stdlib.h>

enum { BURST_PART = 10, US = 1000 };

struct quota {
    int64_t cost, burst; /* microseconds of one name, and of all that may be taken at once */
    int64_t full;        /* monotonic microseconds */
    struct local *nets;  /* the same of each, as int64_t */
};

struct quota *quota_new(size_t names, int64_t window)
{
    struct quota *quota = calloc(1, sizeof *quota);

    if (!quota)
        return NULL;
    quota->nets = local_new(QUOTA_NETS, free);
    if (!quota->nets) {
        free(quota);
        return NULL;
    }
    quota_set(quota, names, window);
    return quota;
}

void quota_free(struct quota *quota)
{
    if (!quota)
        return;
    local_free(quota->nets);
    free(quota);
}

void quota_set(struct quota *quota, size_t names, int64_t window)
{
    quota->cost = window * US / (int64_t)(names ? names : 1);
    quota->burst = window * US / BURST_PART;
    if (quota->burst < quota->cost)
        quota->burst = quota->cost;
}

/* Where the account stands after one more, or -1. */
static int64_t spend(int64_t full, int64_t cost, int64_t burst, int64_t now)
{
    int64_t after = (full > now ? full : now) + cost;

    return after - now > burst ? -1 : after;
}

bool quota_take(struct quota *quota, const char *net, int64_t now)
{
    const int64_t cost = (int64_t)QUOTA_NET_MS * US, burst = QUOTA_NET_BURST * cost;
    int64_t *account = local_get(quota->nets, net, now), all, own;

    all = spend(quota->full, quota->cost, quota->burst, now * US);
    own = spend(account ? *account : 0, cost, burst, now * US);
    if (all < 0 || own < 0)
        return false;
    quota->full = all;
    if (account) {
        *account = own;
        local_set_expiry(quota->nets, net, own / US + 1);
    } else if ((account = malloc(sizeof *account))) {
        *account = own;
        local_put(quota->nets, net, account, now, own / US + 1);
    }
    return true;
}
