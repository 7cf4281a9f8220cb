/*
 * Fall and rise. A state changes after so many equal results against it; a single result between
 * begins the count anew, so a host that fails every other probe keeps the state it has.
 */
#include "policy/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEALTH_MAX_STREAK = 1000000000, HEALTH_MAX_MS = 3600 * 1000 };

static bool state_due(const struct health *health, const struct health_rule *rule, bool good)
{
    enum health_state wanted = good ? HEALTH_UP : HEALTH_DOWN;

    if (health->state == wanted)
        return false;
    return health->state == HEALTH_UNKNOWN || health->streak >= (good ? rule->rise : rule->fall);
}

bool health_note(struct health *health, const struct health_rule *rule, bool good, int32_t ms,
                 int64_t now)
{
    bool same = health->at && health->last_good == good;

    if (!same)
        health->streak = 0;
    if (health->streak < HEALTH_MAX_STREAK)
        health->streak++;
    health->last_good = good;
    health->at = now;
    if (!good)
        health->good_since = 0;
    else if (!same || !health->good_since)
        health->good_since = now;
    if (good)
        health->ms = ms;
    if (!state_due(health, rule, good))
        return false;
    health->state = good ? HEALTH_UP : HEALTH_DOWN;
    health->since = now;
    return true;
}

char *health_format(const struct health *health, char out[HEALTH_TEXT])
{
    snprintf(out, HEALTH_TEXT, "%s,%s%u,%lld,%lld,%d", health_state_name(health->state),
             health->last_good ? "" : "-", health->streak, (long long)health->since,
             (long long)health->at, (int)health->ms);
    return out;
}

/* One number of the list, from low to high; *text moves behind it and its comma. */
static bool number_take(const char **text, int64_t low, int64_t high, int64_t *out)
{
    const char *digits = **text == '-' ? *text + 1 : *text;
    size_t length = strspn(digits, "0123456789");
    char *end;

    if (length == 0 || length > 18)
        return false;
    *out = strtoll(*text, &end, 10);
    if (*out < low || *out > high)
        return false;
    *text = *end == ',' ? end + 1 : end;
    return true;
}

bool health_parse(const char *text, int64_t now, int64_t interval, struct health *out)
{
    struct health got = {.state = HEALTH_UNKNOWN};
    int64_t streak, ms;

    *out = got;
    if (!strncmp(text, "up,", 3))
        got.state = HEALTH_UP;
    else if (!strncmp(text, "down,", 5))
        got.state = HEALTH_DOWN;
    else
        return false;
    text = strchr(text, ',') + 1;
    if (!number_take(&text, -HEALTH_MAX_STREAK, HEALTH_MAX_STREAK, &streak) || streak == 0 ||
        !number_take(&text, 1, INT64_MAX, &got.since) ||
        !number_take(&text, 1, INT64_MAX, &got.at) || !number_take(&text, 0, HEALTH_MAX_MS, &ms) ||
        *text != '\0')
        return false;
    got.last_good = streak > 0;
    got.streak = (unsigned)(streak > 0 ? streak : -streak);
    got.ms = (int32_t)ms;
    if (got.at > now)
        got.at = now;
    if (got.since > got.at)
        got.since = got.at;
    if (got.last_good) {
        got.good_since = got.at - (int64_t)(got.streak - 1) * interval;
        /* Up before that, or a streak that spans a pause: the later of the two is certain. */
        if (got.state == HEALTH_UP && got.good_since < got.since)
            got.good_since = got.since;
    }
    *out = got;
    return true;
}

bool health_restore(struct health *health, const struct health *saved, int64_t gap, int64_t now)
{
    bool begun = health->at != 0;
    int64_t first = begun ? health->since : now;

    if (saved->state == HEALTH_UNKNOWN || saved->at < first - gap)
        return false;
    if (!begun) {
        *health = *saved;
        return true;
    }
    /* The first result decides, so one history of equal results has `since` at its start. */
    if (health->state != saved->state || health->last_good != saved->last_good ||
        saved->since > health->since || (health->last_good && health->good_since != health->since))
        return false;
    health->since = saved->since;
    health->good_since = saved->good_since;
    if (health->streak < HEALTH_MAX_STREAK)
        health->streak += saved->streak;
    return false;
}

const char *health_state_name(enum health_state state)
{
    switch (state) {
    case HEALTH_UNKNOWN: return "unknown";
    case HEALTH_UP: return "up";
    case HEALTH_DOWN: return "down";
    }
    return "unknown";
}
