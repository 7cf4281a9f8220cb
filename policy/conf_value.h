/*
 * One value of the configuration, from its text. Pure: no file, no report; false is "not one".
 */
#ifndef POLICY_CONF_VALUE_H
#define POLICY_CONF_VALUE_H

#include "policy/conf.h"

/* "0", "500ms", "15s", "10m", "4h", "1d" into milliseconds; up to 100 years. */
bool conf_value_duration(const char *text, int64_t *out);
/* The longest unit that divides it: "90s", "1d". Returns out. */
char *conf_value_format_duration(int64_t duration, char out[32]);
/* Decimal digits, no sign. False when it does not fit too. */
bool conf_value_number(const char *text, int64_t *out);
/* true, yes, on; false, no, off; in any case. */
bool conf_value_bool(const char *text, bool *out);
/* The place of text in comma-separated words, in any case. */
bool conf_value_word(const char *text, const char *words, unsigned *out);

/* "192.0.2.1", "192.0.2.1:25", "2001:db8::1", "[2001:db8::1]:25". port is what a missing one
 * means. */
bool conf_value_endpoint(const char *text, uint16_t port, struct net_addr *addr,
                         uint16_t *port_out);
/* The same, or a name in place of the address: then addr is NET_NONE, else name "". */
bool conf_value_host(const char *text, uint16_t port, char name[NAME_SIZE], struct net_addr *addr,
                     uint16_t *port_out);

/* "local", "user@domain", "@domain" with the local part in lower case and the domain canonical. */
bool conf_value_mailbox(const char *text, char *out, size_t size);

/* Letters, digits, '-', '_', '.', at most max of them, at least one: what Postfix takes for the
 * name of a service, and what is harmless in a Redis key. */
bool conf_value_is_token(const char *text, size_t max);
/* UTF-8 without control characters: fit for one line of an SMTP reply. */
bool conf_value_is_line(const char *text);

#endif
