/*
 * Notices: one table, from what happened to its counter, its level and its words.
 */
#include "policy/notices.h"

#include "policy/log.h"

static const struct {
    const char *counter, *text;
    enum conf_log_level level;
} notices[NOTICE_COUNT] = {
    [NOTICE_MX_HIT] = {"mx_hits", "mx hit", CONF_LOG_DEBUG},
    [NOTICE_MX_MISS] = {"mx_misses", "mx miss", CONF_LOG_DEBUG},
    [NOTICE_MX_STALE] = {"mx_stale", "mx served stale", CONF_LOG_DEBUG},
    [NOTICE_MX_SHARED] = {"mx_shared", "mx from Redis", CONF_LOG_DEBUG},
    [NOTICE_ADDR_HIT] = {"addr_hits", "addr hit", CONF_LOG_DEBUG},
    [NOTICE_ADDR_MISS] = {"addr_misses", "addr miss", CONF_LOG_DEBUG},
    [NOTICE_ADDR_STALE] = {"addr_stale", "addr served stale", CONF_LOG_DEBUG},
    [NOTICE_ADDR_SHARED] = {"addr_shared", "addr from Redis", CONF_LOG_DEBUG},
    [NOTICE_HERD_JOINED] = {"herd_joined", "joined a fetch", CONF_LOG_DEBUG},
    [NOTICE_DNS_QUERY] = {"dns_queries", "dns query", CONF_LOG_DEBUG},
    [NOTICE_DNS_FAIL] = {"dns_failures", "dns look-up failed", CONF_LOG_DEBUG},
    [NOTICE_EVICTED] = {"evictions", "table full, oldest entry out", CONF_LOG_DEBUG},
    [NOTICE_REDIS_UP] = {"redis_connects", "redis connected", CONF_LOG_INFO},
    [NOTICE_REDIS_DOWN] = {"redis_disconnects", "redis away, this process goes on alone",
                           CONF_LOG_WARNING},
    [NOTICE_REDIS_ERROR] = {"redis_errors", "redis operation failed", CONF_LOG_DEBUG},
    [NOTICE_REDIS_TIMEOUT] = {"redis_timeouts", "redis too slow", CONF_LOG_DEBUG},
    [NOTICE_REDIS_REFUSED] = {"redis_refused", "redis refuses us", CONF_LOG_ERROR},
    [NOTICE_REDIS_FAILING] = {"redis_failing", "redis is in trouble", CONF_LOG_WARNING},
    [NOTICE_SENTINEL_UP] = {"sentinel_connects", "sentinel answers", CONF_LOG_INFO},
    [NOTICE_SENTINEL_DOWN] = {"sentinel_disconnects", "no sentinel answers", CONF_LOG_WARNING},
    [NOTICE_SENTINEL_SWITCH] = {"sentinel_switches", "redis failed over", CONF_LOG_WARNING},
    [NOTICE_TRACK_UP] = {"track_connects", "redis tracking connected", CONF_LOG_INFO},
    [NOTICE_TRACK_DOWN] = {"track_disconnects", "redis tracking lost", CONF_LOG_INFO},
    [NOTICE_INVALIDATED] = {"invalidated", "changed in redis", CONF_LOG_DEBUG},
};

const char *notices_counter(enum notice_kind kind)
{
    return notices[kind].counter;
}

/* Errors of servers are sentences: their spaces stay, and only what could break the line goes. */
static void copy_line(const char *text, char *out, size_t size)
{
    size_t length = 0;

    for (; *text && length + 1 < size; text++)
        out[length++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    out[length] = '\0';
}

void notices_log(enum notice_kind kind, const char *detail)
{
    const char *text = notices[kind].text, *between = detail && *detail ? ": " : "";
    char line[256];

    if (!log_has(notices[kind].level))
        return;
    copy_line(detail ? detail : "", line, sizeof line);
    switch (notices[kind].level) {
    case CONF_LOG_ERROR: log_error("%s%s%s", text, between, line); break;
    case CONF_LOG_WARNING: log_warning("%s%s%s", text, between, line); break;
    case CONF_LOG_INFO: log_info("%s%s%s", text, between, line); break;
    case CONF_LOG_DEBUG: log_debug("%s%s%s", text, between, line); break;
    }
}
