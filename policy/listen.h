/*
 * Listening sockets and the peers on them: what socketmap, policy and control share.
 *
 * A peer is one connection with an input buffer and one conversation's handler. One request at a
 * time: while a question is under way its peer is not read, so replies keep the order of requests
 * and a pipelining peer waits in the kernel's buffer. Limits: connections in number (a newcomer is
 * refused, an idle one never closed), a frame's size, and a deadline inside a frame that has begun;
 * between frames a peer may be idle for 1000 s. The accept loop sheds at EMFILE instead of
 * spinning.
 */
#ifndef POLICY_LISTEN_H
#define POLICY_LISTEN_H

#include "policy/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event_base;
struct listen;
struct peer;

enum listen_input {
    LISTEN_MORE,  /* no whole frame yet */
    LISTEN_TAKEN, /* *used bytes were a frame; a reply will come by peer_reply or has come */
    LISTEN_BAD,   /* malformed: close this connection, send nothing */
};

/* One conversation. */
struct listen_handler {
    const char *name; /* "socketmap", for log and counters */
    size_t max_frame;
    int64_t frame_timeout; /* milliseconds for the rest of a frame that has begun */
    size_t max_peers;      /* lowered to a third of the descriptors that the process may have */
    /* Bytes at the start of the input. May reply inside the call. */
    enum listen_input (*input)(struct peer *peer, const char *data, size_t length, size_t *used);
    /* The peer goes away: once for each peer, the last that is heard of it. A question of its that
     * is under way is to be cancelled, its data freed. */
    void (*closed)(struct peer *peer);
    void *arg; /* the conversation's own */
};

/* Opens one socket: creates the unix path (mode, group; a left-over path that nobody answers on is
 * replaced, one that somebody answers on is an error) or binds the address. NULL with errno, and
 * *why set to a constant text. group "" means postfix, else smmsp, else none. */
struct listen *listen_start(struct event_base *base, const struct conf_socket *socket, mode_t mode,
                            const char *group, const struct listen_handler *handler,
                            const char **why);
/* Stops listening, removes the path, closes the peers that are idle; others end with their reply. */
void listen_stop(struct listen *listen);
/* Closes the peers that are left, whatever they wait for. NULL is fine. The handler's arg must live
 * until then. */
void listen_free(struct listen *listen);
size_t listen_peers(const struct listen *listen);

/* Sends the reply to the frame taken, and reads on. close_after ends the connection then. */
void peer_reply(struct peer *peer, const void *data, size_t length, bool close_after);
void peer_close(struct peer *peer);                /* nothing is sent */
void *peer_arg(const struct peer *peer);           /* the handler's arg */
void peer_set_data(struct peer *peer, void *data); /* the conversation's state of this peer */
void *peer_data(const struct peer *peer);
/* Logs trouble with what this peer sent, at a limited rate: what is a constant text, detail, which
 * may come from outside and may be NULL, is escaped. */
void peer_complain(struct peer *peer, const char *what, const char *detail);
/* SO_PEERCRED; false on a network socket. */
bool peer_uid(const struct peer *peer, uid_t *uid);

#endif
