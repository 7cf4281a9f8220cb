/*
 * What is asked about one client, as data: a policy request or a milter callback, checked and in
 * canonical form. Built by delegate.c, read by everybody behind it.
 */
#ifndef POLICY_QUESTION_H
#define POLICY_QUESTION_H

#include "cache/name.h"
#include "cache/net.h"
#include "policy/recipient.h"

#include <stdbool.h>
#include <stdint.h>

enum question_stage {
    QUESTION_CONNECT,
    QUESTION_HELO,
    QUESTION_RCPT,
    QUESTION_DATA, /* from Postfix; has_recipient where the message has exactly one */
    QUESTION_OTHER
};
enum question_asker { QUESTION_POLICY, QUESTION_MILTER };

enum { QUESTION_HELO_SIZE = 256, QUESTION_ID_SIZE = 64 };

struct question {
    enum question_stage stage;
    enum question_asker asker;
    bool evidence_only; /* policy_context=evidence, or a recipient that the MTA refused */
    bool is_probe;      /* HELO mxwp-<nonce>.<node>: nonce and node below are set */
    char nonce[QUESTION_ID_SIZE];
    char probe_node[NAME_SIZE];

    struct net_addr client;
    char client_name[NAME_SIZE];   /* verified by the MTA, canonical; "" unknown */
    char helo[QUESTION_HELO_SIZE]; /* as given, printable; "" missing */
    char helo_name[NAME_SIZE];     /* its canonical form; "" for literals and nonsense */
    bool has_sender;               /* false: not known yet; the null sender is has_sender and "" */
    struct address sender;
    bool has_recipient;
    struct address recipient;
    bool has_sasl, has_cert;

    struct net_addr listener; /* the local address that was reached; NET_NONE not known */
    uint16_t listener_port;   /* 0 not known */

    char instance[QUESTION_ID_SIZE]; /* one a message */
    unsigned earlier;                /* recipients of this message asked about before */
    char queue_id[QUESTION_ID_SIZE];
};

#endif
