/*
 * The command flush: an ETRN by hand, and what the server said to it.
 */
#include "policy/control_ask.h"

#include "policy/flush.h"
#include "policy/log.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* The section may have gone by then: what is needed of it is in ask. */
static void on_done(void *arg, const struct etrn_answer *answer, size_t count)
{
    struct control_ask *ask = arg;
    const char *hint = etrn_hint(answer);

    (void)count;
    ask->etrn = NULL;
    flush_note(ask->conversation->flush, ask->domain, ask->done, answer);
    if (answer->result == ETRN_DONE)
        control_end(ask, json_pack("{s:s, s:s, s:s, s:o}", "status", "ok", "server", ask->done,
                                   "reply", answer->reply, "message",
                                   json_sprintf("%s: %s", ask->done, answer->reply)));
    else
        control_fail(ask, "refused", "%s: %s (%s)", ask->done, answer->reply, hint);
}

void control_flush(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "domain");
    const struct conf_domain *section = NULL;

    if (!text || !name_normalize(text, strlen(text), ask->domain)) {
        control_fail(ask, "usage", "domain is missing, or no domain name");
        return;
    }
    section = conf_find_domain(ask->conversation->conf, ask->domain, true);
    if (!section || !section->flush) {
        control_fail(ask, "refused", "domain \"%s\" has no `flush` in the configuration",
                     ask->domain);
        return;
    }
    snprintf(ask->done, sizeof ask->done, "%s", section->flush->text);
    log_info("control: flush of %s at %s", ask->domain, ask->done);
    ask->etrn = flush_now(ask->conversation->flush, section, on_done, ask);
    if (!ask->etrn)
        control_fail(ask, "refused", "out of memory");
}
