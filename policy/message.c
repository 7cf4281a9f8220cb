/*
 * Messages as numbers: a hash of the instance, its two lowest bits set aside.
 */
#include "policy/message.h"

#include "cache/hash.h"

enum { BY_MILTER = 1, OF_AN_INSTANCE = 2 };

uint64_t message_of(const struct question *question)
{
    uint64_t hash;

    if (question->instance[0] == '\0')
        return MESSAGE_UNKNOWN;
    hash = hash_choice("message", question->instance) | OF_AN_INSTANCE;
    return question->asker == QUESTION_MILTER ? hash | BY_MILTER : hash & ~(uint64_t)BY_MILTER;
}

bool message_is_later(uint64_t message, uint64_t first)
{
    if (message == MESSAGE_UNKNOWN || first == MESSAGE_UNKNOWN)
        return false;
    if (message == MESSAGE_ANOTHER || first == MESSAGE_ANOTHER)
        return true;
    return message != first && (message & BY_MILTER) == (first & BY_MILTER);
}
