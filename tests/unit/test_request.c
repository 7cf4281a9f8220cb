/*
 * milter/request.c: the bytes that go to the service.
 */
#include "milter/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define HEAD(state)                                                                                \
    "request=smtpd_access_policy\nprotocol_state=" state                                           \
    "\nprotocol_name=ESMTP\nmxwarden_asker=milter\n"
#define CLIENT                                                                                     \
    {                                                                                              \
        NET_IPV4,                                                                                  \
        {                                                                                          \
            198, 51, 100, 7                                                                        \
        }                                                                                          \
    }
#define SERVER                                                                                     \
    {                                                                                              \
        NET_IPV4,                                                                                  \
        {                                                                                          \
            192, 0, 2, 20                                                                          \
        }                                                                                          \
    }

static const struct {
    const char *label;
    struct request request;
    const char *wanted; /* "": cannot be asked */
} requests[] = {
    {"connect",
     {.stage = REQUEST_CONNECT,
      .client = CLIENT,
      .client_port = 4321,
      .server = SERVER,
      .server_port = 25,
      .client_name = "mail.example.net"},
     HEAD("CONNECT") "client_address=198.51.100.7\nclient_port=4321\nclient_name=mail.example.net\n"
                     "server_address=192.0.2.20\nserver_port=25\n\n"},
    {"little is known",
     {.stage = REQUEST_CONNECT, .client = CLIENT},
     HEAD("CONNECT") "client_address=198.51.100.7\nclient_name=unknown\n\n"},
    {"IPv6 without brackets",
     {.stage = REQUEST_CONNECT, .client = {NET_IPV6, {0x20, 1, 0xd, 0xb8, [15] = 7}}},
     HEAD("CONNECT") "client_address=2001:db8::7\nclient_name=unknown\n\n"},
    {"helo",
     {.stage = REQUEST_HELO, .client = CLIENT, .helo = "mxwp-abc.mx1.example.com"},
     HEAD("HELO") "client_address=198.51.100.7\nclient_name=unknown\n"
                  "helo_name=mxwp-abc.mx1.example.com\n\n"},
    {"rcpt",
     {.stage = REQUEST_RCPT,
      .client = CLIENT,
      .sender = "a@example.net",
      .recipient = "u@example.com",
      .helo = "mail",
      .sasl_method = "PLAIN",
      .sasl_username = "a",
      .ccert_subject = "/CN=relay",
      .instance = "1.2",
      .queue_id = "4bX"},
     HEAD("RCPT") "client_address=198.51.100.7\nclient_name=unknown\nrecipient=u@example.com\n"
                  "sender=a@example.net\nhelo_name=mail\nsasl_method=PLAIN\nsasl_username=a\n"
                  "ccert_subject=/CN=relay\ninstance=1.2\nqueue_id=4bX\n\n"},
    {"the null sender, refused",
     {.stage = REQUEST_RCPT,
      .client = CLIENT,
      .sender = "",
      .recipient = "u@example.com",
      .refused = true},
     HEAD("RCPT") "client_address=198.51.100.7\nclient_name=unknown\nrecipient=u@example.com\n"
                  "sender=\nmxwarden_refused=1\n\n"},
    {"a line end in what can be missed",
     {.stage = REQUEST_RCPT,
      .client = CLIENT,
      .recipient = "u@example.com",
      .helo = "x\nsasl_username=root"},
     HEAD("RCPT") "client_address=198.51.100.7\nclient_name=unknown\nrecipient=u@example.com\n\n"},
    {"a line end in the recipient",
     {.stage = REQUEST_RCPT, .client = CLIENT, .recipient = "u@example.com\nx=y"},
     ""},
    {"no recipient", {.stage = REQUEST_RCPT, .client = CLIENT}, ""},
    {"no client", {.stage = REQUEST_RCPT, .recipient = "u@example.com"}, ""},
};

static void format_table(void **state)
{
    (void)state;
    static char out[REQUEST_SIZE];
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        size_t length = request_format(&requests[i].request, out, sizeof out);
        if (length != strlen(requests[i].wanted) || memcmp(out, requests[i].wanted, length))
            fail_msg("%s:\n%.*s", requests[i].label, (int)length, out);
    }
}

/* In a buffer of any size it is whole, or lacks what can be missed, or is refused. */
static void every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300; size++) {
        char *out = malloc(size + 1);
        assert_non_null(out);
        size_t length = request_format(&requests[4].request, out, size);
        assert_true(length <= size);
        if (length > 0)
            assert_memory_equal(out + length - 2, "\n\n", 2);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_table),
        cmocka_unit_test(every_size),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
