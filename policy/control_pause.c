/*
 * The commands pause and resume: the guard off for a time, for the whole site or one domain.
 */
#include "policy/control_ask.h"

#include "policy/conf.h"
#include "policy/conf_value.h"
#include "policy/log.h"
#include "policy/pause.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PAUSE_DEFAULT = 3600 }; /* seconds */

/* The request's domain, PAUSE_EVERYTHING where there is none; false, and the request has ended,
 * where it is no domain. */
static bool read_domain(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "domain");

    if (!text) {
        strcpy(ask->domain, PAUSE_EVERYTHING);
        return true;
    }
    if (name_normalize(text, strlen(text), ask->domain))
        return true;
    control_fail(ask, "usage", "domain is no domain name");
    return false;
}

static bool is_everything(const struct control_ask *ask)
{
    return strcmp(ask->domain, PAUSE_EVERYTHING) == 0;
}

/* A domain that has been resumed while the whole site's pause goes on. */
static void note_still_paused(struct control_ask *ask)
{
    int64_t until = pause_until(ask->conversation->pause, ask->domain);
    size_t length = strlen(ask->done);

    if (until > 0)
        snprintf(ask->done + length, sizeof ask->done - length,
                 ", but the whole site's pause goes on for %" PRId64
                 " s: the guard stays off (`mxwarden resume` ends it)",
                 until - clock_unix(ask->conversation->clock));
}

static void put(struct control_ask *ask, int64_t seconds)
{
    bool saved = pause_put(ask->conversation->pause, ask->domain, seconds);

    if (seconds == 0 && !is_everything(ask))
        note_still_paused(ask);
    log_info("control: %s", ask->done);
    if (saved)
        control_end(ask, json_pack("{s:s, s:s}", "status", "ok", "message", ask->done));
    else
        control_fail(ask, "refused", "%s, but only on this node until Redis can be reached",
                     ask->done);
}

void control_pause(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "time");
    int64_t ms = PAUSE_DEFAULT * INT64_C(1000), seconds;
    char time[32];

    if (text && (!conf_value_duration(text, &ms) || ms < 1000)) {
        control_fail(ask, "usage", "time is no duration of a second or more (90s, 10m, 2h, 1d)");
        return;
    }
    if (!read_domain(ask, request))
        return;
    seconds = ms / 1000 > PAUSE_MAX ? PAUSE_MAX : ms / 1000;
    conf_value_format_duration(seconds * 1000, time);
    if (is_everything(ask))
        snprintf(ask->done, sizeof ask->done, "the guard is off for every domain for %s", time);
    else
        snprintf(ask->done, sizeof ask->done, "the guard is off for %s for %s%s", ask->domain, time,
                 conf_find_domain(ask->conversation->conf, ask->domain, false)
                     ? ""
                     : " (no section of this host's configuration covers it)");
    put(ask, seconds);
}

void control_resume(struct control_ask *ask, const json_t *request)
{
    if (!read_domain(ask, request))
        return;
    if (is_everything(ask))
        snprintf(ask->done, sizeof ask->done, "the guard is on again everywhere");
    else
        snprintf(ask->done, sizeof ask->done, "the pause of %s is over", ask->domain);
    put(ask, 0);
}
