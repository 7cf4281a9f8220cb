/*
 * What an action of the policy service means to a milter. Pure: a line of text in, a verdict out.
 *
 * The actions are those of Postfix's access(5). What a milter cannot do for one recipient (FILTER,
 * REDIRECT), what is no refusal (DUNNO, OK), what is empty and what nobody has heard of accept:
 * anything uncertain accepts.
 */
#ifndef MILTER_ACTION_H
#define MILTER_ACTION_H

enum action_kind {
    ACTION_ACCEPT,
    ACTION_TAG,    /* accept, and add the header to the message */
    ACTION_HOLD,   /* accept, and quarantine the message */
    ACTION_DEFER,  /* 4xx */
    ACTION_REJECT, /* 5xx */
};

enum {
    ACTION_LINE = 980,    /* what libmilter takes as one line of a reply, at most */
    ACTION_NAME_SIZE = 80 /* a header's name and its NUL */
};

/* Members that the kind does not use are "". */
struct action {
    enum action_kind kind;
    char code[4];                /* "451" */
    char status[12];             /* "4.7.1", RFC 3463; always of the code's class */
    char name[ACTION_NAME_SIZE]; /* of the header */
    char text[ACTION_LINE];      /* the reply's, the header's value, or the reason to hold */
};

/* Never fails. Whatever text holds, the texts in *out are one line of printable ASCII ('?' for what
 * is not), cut so that "code status text" with each '%' doubled is at most ACTION_LINE bytes. */
void action_parse(const char *text, struct action *out);

/* The text of a reply with each '%' doubled: smfi_setreply reads it as a format. */
void action_escape(const char *text, char out[ACTION_LINE + 1]);

/* "accept", "tag", "hold", "defer", "reject" */
const char *action_name(enum action_kind kind);

#endif
