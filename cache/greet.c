/*
 * Is this a Redis to use: one that answers us, is no Cluster, has loaded its data, and is a master.
 */
#include "cache/greet.h"

#include "cache/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_batch *greet_batch(const struct dial *dial)
{
    struct store_batch *batch = store_batch_new(false);
    char database[16];

    if (*dial->user)
        store_batch_add(batch, "AUTH", dial->user, dial->password, NULL);
    else if (*dial->password)
        store_batch_add(batch, "AUTH", dial->password, NULL);
    snprintf(database, sizeof(database), "%u", dial->database);
    if (dial->database)
        store_batch_add(batch, "SELECT", database, NULL);
    store_batch_add(batch, "INFO", NULL);
    store_batch_add(batch, "ROLE", NULL);
    store_batch_add(batch, "TIME", NULL);
    return batch;
}

const struct store_reply *greet_info(const struct store_reply *const *reply, size_t count)
{
    return reply[count - 3];
}

const struct store_reply *greet_time(const struct store_reply *const *reply, size_t count)
{
    return reply[count - 1];
}

/* A field of INFO's "name:value" lines; "" where it is not, or is too long. */
static const char *info_field(const char *info, const char *name, char *out, size_t size)
{
    size_t length = strlen(name), value;

    out[0] = '\0';
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) || line[length] != ':')
            continue;
        value = strcspn(line + length + 1, "\r\n");
        if (value < size)
            snprintf(out, size, "%.*s", (int)value, line + length + 1);
        break;
    }
    return out;
}

static enum greet_verdict refuse_cluster(char why[GREET_WHY])
{
    snprintf(why, GREET_WHY, "it is a Redis Cluster, which cannot be used");
    return GREET_REFUSED;
}

/* Any error, but one that passes, is the administrator's to mend. */
static enum greet_verdict judge_error(const redisReply *error, char why[GREET_WHY])
{
    enum reply_trouble trouble = reply_trouble(error);

    if (trouble == REPLY_MOVED)
        return refuse_cluster(why);
    snprintf(why, GREET_WHY, "%s", error->str);
    return trouble == REPLY_FAILING ? GREET_NOT_NOW : GREET_REFUSED;
}

static enum greet_verdict judge_role(const struct store_reply *role, char why[GREET_WHY])
{
    const char *part =
        store_reply_count(role) ? store_reply_text(store_reply_at(role, 0), NULL) : NULL;

    if (!part) {
        snprintf(why, GREET_WHY, "greeting not understood");
        return GREET_NOT_NOW;
    }
    if (!strcmp(part, "master"))
        return GREET_GOOD;
    if (!strcmp(part, "slave"))
        snprintf(why, GREET_WHY, "it is a read-only replica, not the master");
    else
        snprintf(why, GREET_WHY, "its role is %s, not master", part);
    return GREET_REPLICA;
}

static bool is_cluster(const char *info)
{
    char field[16];

    return !strcmp(info_field(info, "redis_mode", field, sizeof(field)), "cluster") ||
           !strcmp(info_field(info, "cluster_enabled", field, sizeof(field)), "1");
}

enum greet_verdict greet_judge(const struct store_reply *const *reply, size_t count,
                               char run_id[GREET_RUN_ID], char why[GREET_WHY])
{
    const char *info = store_reply_text(greet_info(reply, count), NULL);
    char field[16];

    if (info && is_cluster(info))
        return refuse_cluster(why);
    for (size_t i = 0; i < count; i++) {
        if (store_reply_kind(reply[i]) == STORE_KIND_ERROR)
            return judge_error((const redisReply *)reply[i], why);
    }
    snprintf(why, GREET_WHY, "greeting not understood");
    if (!info || !*info_field(info, "run_id", run_id, GREET_RUN_ID))
        return GREET_NOT_NOW;
    if (strcmp(info_field(info, "loading", field, sizeof(field)), "0") && *field) {
        snprintf(why, GREET_WHY, "LOADING: it is reading its data");
        return GREET_NOT_NOW;
    }
    return judge_role(reply[count - 2], why);
}

/* Bounds keep a broken clock from overflowing. */
int64_t greet_parse_time(const struct store_reply *reply)
{
    int64_t seconds, micros;

    if (store_reply_count(reply) != 2)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        if (store_reply_kind(store_reply_at(reply, i)) != STORE_KIND_TEXT)
            return 0;
    }
    seconds = strtoll(store_reply_text(store_reply_at(reply, 0), NULL), NULL, 10);
    micros = strtoll(store_reply_text(store_reply_at(reply, 1), NULL), NULL, 10);
    if (seconds <= 0 || seconds >= INT32_MAX * INT64_C(128) || micros < 0 || micros >= 1000000)
        return 0;
    return seconds * 1000 + micros / 1000;
}

int64_t greet_parse_evicted(const struct store_reply *reply)
{
    const char *info = store_reply_text(reply, NULL);
    char text[32];

    if (!info || !*info_field(info, "evicted_keys", text, sizeof(text)))
        return -1;
    return strtoll(text, NULL, 10);
}

const char *greet_parse_policy(const struct store_reply *reply, char out[GREET_POLICY])
{
    return info_field(store_reply_text(reply, NULL), "maxmemory_policy", out, GREET_POLICY);
}
