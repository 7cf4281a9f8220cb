/*
 * Which message a question is about: a number, by which what one message met is told from what a
 * later one meets. Pure.
 *
 * The numbers are of the asker's own making: the milter and Postfix's policy client name one message
 * differently, so theirs are never compared with each other.
 */
#ifndef POLICY_MESSAGE_H
#define POLICY_MESSAGE_H

#include "policy/question.h"

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_UNKNOWN UINT64_C(0) /* the asker does not say */
#define MESSAGE_ANOTHER UINT64_C(1) /* none of those that were asked about here */

uint64_t message_of(const struct question *question);

/* Whether a question about message cannot be one about first, which came before it. */
bool message_is_later(uint64_t message, uint64_t first);

#endif
