/*
 * tests/unit/nexthop.h: what Postfix takes, and what it dies of. An oracle that says yes to
 * everything would prove nothing.
 */
#include "tests/unit/nexthop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* wanted: hosts and ports as read; NULL where the reply is bad. */
static const struct {
    const char *reply, *wanted;
} cases[] = {
    {"NOTFOUND ", ""},
    {"OK error:5.1.10 Domain does not accept mail", ""},
    {"OK retry:4.4.4 no usable host", ""},
    {"OK smtp:[gw1.example.net]:25", "gw1.example.net/25"},
    {"OK smtp:[gw1.example.net]", "gw1.example.net/25"},
    {"OK smtp:gw1.example.net:2525", "gw1.example.net/2525"},
    {"OK smtp:gw1.example.net", "gw1.example.net/25"},
    {"OK smtp:[a.example]:25, [b.example]:2525", "a.example/25 b.example/2525"},
    {"OK smtp:[a.example]:25,[b.example]:2525", "a.example/25 b.example/2525"},
    {"OK smtp:[192.0.2.77]:25, [IPv6:2001:db8::77]:2525", "192.0.2.77/25 2001:db8::77/2525"},
    {"OK smtp:[IPv6:2001:db8::77]", "2001:db8::77/25"},
    {"OK relay-2:[_a-b." A63 ".example]:65535", "_a-b." A63 ".example/65535"},
    {"", NULL},
    {"OK ", NULL},
    {"OK", NULL},
    {"NOTFOUND", NULL},
    {"NOTFOUND  ", NULL},
    {"TEMP no", NULL},
    {"OK smtp", NULL},
    {"OK smtp:", NULL},
    {"OK :[a.example]:25", NULL},
    {"OK [a.example]:25", NULL},
    {"OK smtp:, ,", NULL},
    {"OK smtp:[a.example", NULL},
    {"OK smtp:[a.example]x", NULL},
    {"OK smtp:[a.example]25", NULL},
    {"OK smtp:[a.example]:", NULL},
    {"OK smtp:[a.example]:0", NULL},
    {"OK smtp:[a.example]:65536", NULL},
    {"OK smtp:[a.example]:25x", NULL},
    {"OK smtp:[a.example]:smtp", NULL},
    {"OK smtp:[]:25", NULL},
    {"OK smtp:[a..example]:25", NULL},
    {"OK smtp:[a.example.]:25", NULL},
    {"OK smtp:[-a.example]:25", NULL},
    {"OK smtp:[a-.example]:25", NULL},
    {"OK smtp:[a" A63 ".example]:25", NULL},
    {"OK smtp:[12.34]:25", NULL},
    {"OK smtp:[192.0.2.256]:25", NULL},
    {"OK smtp:[0.0.2.1]:25", NULL},
    {"OK smtp:[2001:db8::77]:25", NULL},
    {"OK smtp:[IPv6:2001:db8::gg]:25", NULL},
    {"OK smtp:[IPv6:192.0.2.1]:25", NULL},
    {"OK smtp:[b\xc3\xbc"
     "cher.example]:25",
     NULL},
    {"OK smtp:[a.example]:25\n", NULL},
    {"OK smtp:[a.example]:25\r", NULL},
    {"OK smtp:a:1 b:1 c:1 d:1 e:1", NULL},
    {"OK error:4.1.10 Domain does not accept mail", NULL},
    {"OK error:Domain does not accept mail", NULL},
    {"OK retry:4.4.4", NULL},
};

static void read_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nexthop_reply reply;
        const char *wrong = nexthop_parse(cases[i].reply, strlen(cases[i].reply), &reply);
        char got[512] = "";

        for (size_t h = 0; h < reply.count; h++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s/%u", h ? " " : "",
                     reply.hop[h].host, reply.hop[h].port);
        if (!cases[i].wanted ? !wrong : wrong || strcmp(got, cases[i].wanted) != 0)
            fail_msg("'%s': %s, read as '%s'", cases[i].reply, wrong ? wrong : "fine", got);
    }
}

static void bounds(void **state)
{
    struct nexthop_reply reply;
    char text[600] = "OK smtp:";

    (void)state;
    while (strlen(text) < 3 + 512 - 1)
        strcat(text, text[strlen(text) - 1] == 'a' && strlen(text) % 50 == 0 ? "." : "a");
    strcat(text, "a");
    assert_string_equal(nexthop_parse(text, strlen(text), &reply), "a host too long");
    strcat(text, "a");
    assert_string_equal(nexthop_parse(text, strlen(text), &reply), "too long");
    assert_non_null(nexthop_parse("OK smtp:a\0b", 11, &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_the_table_says),
        cmocka_unit_test(bounds),
    };

    return cmocka_run_group_tests_name("nexthop", tests, NULL, NULL);
}
