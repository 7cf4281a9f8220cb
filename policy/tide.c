/*
 * Tides: a small table of networks, and samples of a counter.
 */
#include "policy/tide.h"

#include <string.h>

void tide_note_net(struct tide_nets *nets, uint64_t net, int64_t now)
{
    size_t oldest = 0;

    for (size_t i = 0; i < nets->count; i++) {
        if (nets->item[i].net == net) {
            nets->item[i].at = now;
            return;
        }
        if (nets->item[i].at < nets->item[oldest].at)
            oldest = i;
    }
    if (nets->count < TIDE_NETS)
        oldest = nets->count++;
    nets->item[oldest].net = net;
    nets->item[oldest].at = now;
}

unsigned tide_count_nets(const struct tide_nets *nets, int64_t now, int64_t window)
{
    unsigned count = 0;

    for (size_t i = 0; i < nets->count; i++)
        count += now - nets->item[i].at < window;
    return count;
}

void tide_note_visits(struct tide_visits *visits, uint64_t total, int64_t now, int64_t spacing)
{
    size_t last = visits->count - 1;

    if (visits->count > 0 && total < visits->item[last].total)
        visits->count = 0;
    if (visits->count > 1 && now - visits->item[last - 1].at < spacing) {
        visits->item[last].total = total; /* the newest sample moves on until it is its turn */
        visits->item[last].at = now;
        return;
    }
    if (visits->count == TIDE_SAMPLES) {
        memmove(&visits->item[0], &visits->item[1], (TIDE_SAMPLES - 1) * sizeof visits->item[0]);
        visits->count--;
    }
    visits->item[visits->count].at = now;
    visits->item[visits->count++].total = total;
}

/* The total at a time, between two samples by how near it is to each; false before the first. */
static bool total_at(const struct tide_visits *visits, int64_t when, uint64_t *total)
{
    size_t i = 0;

    if (visits->count == 0 || visits->item[0].at > when)
        return false;
    while (i + 1 < visits->count && visits->item[i + 1].at <= when)
        i++;
    *total = visits->item[i].total;
    if (i + 1 < visits->count) {
        uint64_t more = visits->item[i + 1].total - *total;
        int64_t span = visits->item[i + 1].at - visits->item[i].at;
        *total += more * (uint64_t)(when - visits->item[i].at) / (uint64_t)span;
    }
    return true;
}

bool tide_has_fallen(const struct tide_visits *visits, int64_t now, int64_t window, unsigned factor)
{
    uint64_t begin, middle, end;
    int64_t windows;

    if (visits->count == 0)
        return false;
    windows = (now - window - visits->item[0].at) / window;
    if (windows > TIDE_HISTORY)
        windows = TIDE_HISTORY;
    if (windows < TIDE_ENOUGH || !total_at(visits, now - (windows + 1) * window, &begin) ||
        !total_at(visits, now - window, &middle) || !total_at(visits, now, &end))
        return false;
    /* recent < average / factor, in whole numbers */
    return middle - begin >= TIDE_LEAST * (uint64_t)windows &&
           (end - middle) * factor * (uint64_t)windows < middle - begin;
}
