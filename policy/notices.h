/*
 * What cache/ gives notice of, as counters and log lines.
 */
#ifndef POLICY_NOTICES_H
#define POLICY_NOTICES_H

#include "cache/notice.h"

const char *notices_counter(enum notice_kind kind); /* the counter's name (policy/stats.h) */
/* Logs what an administrator must know at its level, the rest at debug; detail is made one line. */
void notices_log(enum notice_kind kind, const char *detail);

#endif
