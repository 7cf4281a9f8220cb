/*
 * The setters of the table (conf_key.h): each checks one value and stores it in field, or reports
 * and returns false. What field points to is said for each; all it allocates is the conf's.
 */
#ifndef POLICY_CONF_SET_H
#define POLICY_CONF_SET_H

#include "policy/conf_reader.h"

/* Plain values (conf_set.c) */
bool conf_set_bool(struct conf_reader *, const struct conf_value *, void *field);   /* bool */
bool conf_set_time(struct conf_reader *, const struct conf_value *, void *field);   /* int64_t */
bool conf_set_number(struct conf_reader *, const struct conf_value *, void *field); /* unsigned */
bool conf_set_size(struct conf_reader *, const struct conf_value *, void *field);   /* size_t */
bool conf_set_word(struct conf_reader *, const struct conf_value *, void *field);   /* an enum */
bool conf_set_line(struct conf_reader *, const struct conf_value *, void *field);   /* char * */
bool conf_set_token(struct conf_reader *, const struct conf_value *, void *field);  /* char * */
bool conf_set_name(struct conf_reader *, const struct conf_value *, void *field);   /* NAME_SIZE */
bool conf_set_mode(struct conf_reader *, const struct conf_value *, void *field);   /* mode_t */
bool conf_set_delimiter(struct conf_reader *, const struct conf_value *, void *field); /* char * */
bool conf_set_transport(struct conf_reader *, const struct conf_value *, void *field); /* char * */
bool conf_set_domains_file(struct conf_reader *, const struct conf_value *, void *field);
bool conf_set_password_file(struct conf_reader *, const struct conf_value *,
                            void *field);                                                /* conf */
bool conf_set_secret_file(struct conf_reader *, const struct conf_value *, void *field); /* conf */

/* Addresses and sockets (conf_net.c) */
bool conf_set_evidence_net(struct conf_reader *, const struct conf_value *,
                           void *field);                                          /* guard */
bool conf_set_nets(struct conf_reader *, const struct conf_value *, void *field); /* conf_nets */
bool conf_set_own(struct conf_reader *, const struct conf_value *, void *field);  /* conf */
bool conf_set_listeners(struct conf_reader *, const struct conf_value *, void *field); /* conf */
bool conf_set_sockets(struct conf_reader *, const struct conf_value *, void *field); /* _sockets */
bool conf_set_socket(struct conf_reader *, const struct conf_value *, void *field);  /* _socket */
bool conf_set_control(struct conf_reader *, const struct conf_value *, void *field); /* _socket */
bool conf_set_http(struct conf_reader *, const struct conf_value *, void *field);    /* _socket * */
bool conf_set_flush(struct conf_reader *, const struct conf_value *, void *field);   /* _socket * */
bool conf_set_servers(struct conf_reader *, const struct conf_value *, void *field); /* char * */
bool conf_set_source(struct conf_reader *, const struct conf_value *, void *field);  /* net_addr */
bool conf_set_redis(struct conf_reader *, const struct conf_value *, void *field);   /* conf */

/* Clients, mailboxes, routes (conf_list.c) */
bool conf_set_allow(struct conf_reader *, const struct conf_value *, void *field); /* conf_allow */
bool conf_set_allow_file(struct conf_reader *, const struct conf_value *, void *field);
bool conf_set_mailboxes(struct conf_reader *, const struct conf_value *, void *field); /* _texts */
bool conf_set_route(struct conf_reader *, const struct conf_value *, void *field);   /* _routing */
bool conf_set_weights(struct conf_reader *, const struct conf_value *, void *field); /* _routing */

#endif
