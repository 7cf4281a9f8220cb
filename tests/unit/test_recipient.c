/*
 * Mail addresses: what is parsed, what is not, and what lists hold.
 */
#include "policy/recipient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *label, *text;
    bool ok;
    const char *local, *domain;
} parses[] = {
    {"plain", "user@example.com", true, "user", "example.com"},
    {"case: local kept, domain folded", "User@EXAMPLE.com", true, "User", "example.com"},
    {"final dot", "user@example.com.", true, "user", "example.com"},
    {"angle brackets", "<user@example.com>", true, "user", "example.com"},
    {"null address", "", true, "", ""},
    {"null address in brackets", "<>", true, "", ""},
    {"quoted local part", "\"a b\"@example.com", true, "\"a b\"", "example.com"},
    {"quoted '@'", "\"a@b\"@example.com", true, "\"a@b\"", "example.com"},
    {"escaped quote", "\"a\\\"@b\"@example.com", true, "\"a\\\"@b\"", "example.com"},
    {"extension", "user+ext@example.com", true, "user+ext", "example.com"},
    {"two '@': the last", "a@b@example.com", true, "a@b", "example.com"},
    {"U-label",
     "user@b\xc3\xbc"
     "cher.example",
     true, "user", "xn--bcher-kva.example"},
    {"A-label", "user@XN--bcher-kva.example", true, "user", "xn--bcher-kva.example"},
    {"no '@'", "root", false, "", ""},
    {"star", "*", false, "", ""},
    {"nothing before '@'", "@example.com", false, "", ""},
    {"nothing after '@'", "user@", false, "", ""},
    {"address literal", "user@[192.0.2.1]", false, "", ""},
    {"open quote", "\"user@example.com", false, "", ""},
    {"control character", "us\ner@example.com", false, "", ""},
    {"bad domain", "user@exa mple.com", false, "", ""},
    {"empty label", "user@example..com", false, "", ""},
};

static void parses_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parses / sizeof *parses; i++) {
        struct address address;
        bool ok = address_parse(parses[i].text, &address);

        if (ok != parses[i].ok || strcmp(address.local, parses[i].local) != 0 ||
            strcmp(address.domain, parses[i].domain) != 0)
            fail_msg("%s: %d '%s' '%s'", parses[i].label, ok, address.local, address.domain);
    }
}

static void refuses_long_local_parts(void **state)
{
    char text[400];
    struct address address;

    (void)state;
    memset(text, 'a', sizeof text);
    strcpy(text + 255, "@example.com");
    assert_true(address_parse(text, &address));
    strcpy(text + 256 - 1, "a@example.com");
    assert_false(address_parse(text, &address));
    assert_int_equal(address.local[0], '\0');
}

static const struct {
    const char *label, *entry, *address, *delimiter;
    bool listed;
} lists[] = {
    {"local part, any domain", "postmaster", "postmaster@example.com", "", true},
    {"case does not count", "postmaster", "PostMaster@Example.com", "", true},
    {"another local part", "postmaster", "postmasters@example.com", "", false},
    {"whole address", "user@example.com", "user@example.com", "", true},
    {"whole address, other domain", "user@example.com", "user@example.net", "", false},
    {"domain", "@example.com", "any@example.com", "", true},
    {"domain is not its children", "@example.com", "any@sub.example.com", "", false},
    {"extension without delimiter", "abuse", "abuse+x@example.com", "", false},
    {"extension", "abuse", "abuse+x@example.com", "+", true},
    {"one of two delimiters", "abuse", "abuse-x@example.com", "+-", true},
    {"delimiter first separates nothing", "abuse", "+abuse@example.com", "+", false},
    {"entry with extension", "abuse+x@example.com", "abuse+x@example.com", "+", true},
    {"quotes that are not needed", "postmaster", "\"PostMaster\"@example.com", "", true},
    {"quotes in the entry", "\"user\"@example.com", "user@example.com", "", true},
    {"quotes on both sides", "\"A b\"@example.com", "\"a b\"@example.com", "", true},
    {"quoted pair", "postmaster", "\"post\\master\"@example.com", "", true},
    {"extension in quotes", "abuse", "\"abuse+x\"@example.com", "+", true},
    {"another in quotes", "postmaster", "\"post master\"@example.com", "", false},
    {"nothing in quotes is not whoever", "\"\"@example.com", "user@example.com", "", false},
};

static void finds_in_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct address address;
        char entry[128];
        char *item[] = {entry};
        struct conf_texts list = {.count = 1, .item = item};

        strcpy(entry, lists[i].entry);
        assert_true(address_parse(lists[i].address, &address));
        if (address_is_listed(&address, &list, lists[i].delimiter) != lists[i].listed)
            fail_msg("%s", lists[i].label);
    }
}

static const struct {
    const char *label, *address, *delimiter;
    const char *wanted; /* NULL: none */
} mailboxes[] = {
    {"plain", "user@example.com", "", "user@example.com"},
    {"case", "Some.One@Example.COM", "", "some.one@example.com"},
    {"U-label",
     "u@B\xc3\xbc"
     "cher.example",
     "", "u@xn--bcher-kva.example"},
    {"quotes that are not needed", "\"User\"@example.com", "", "user@example.com"},
    {"quotes that are", "\"a b\"@example.com", "", "a b@example.com"},
    {"a quoted quote", "\"a\\\"b\"@example.com", "", "a\"b@example.com"},
    {"a quoted backslash", "\"a\\\\\"@example.com", "", "a\\@example.com"},
    {"a quoted '@'", "\"a@b\"@example.com", "", "a@b@example.com"},
    {"a part in quotes", "a.\"B\".c@example.com", "", "a.b.c@example.com"},
    {"extension kept", "user+Ext@example.com", "", "user+ext@example.com"},
    {"extension off", "user+ext@example.com", "+", "user@example.com"},
    {"at the first delimiter", "user-a+b@example.com", "+-", "user@example.com"},
    {"extension in quotes", "\"User+x y\"@example.com", "+", "user@example.com"},
    {"an empty extension", "user+@example.com", "+", "user@example.com"},
    {"no extension", "user@example.com", "+", NULL},
    {"delimiter first", "+user@example.com", "+", NULL},
    {"nothing but quotes", "\"\"@example.com", "", NULL},
    {"the null address", "<>", "", NULL},
};

static void names_mailboxes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mailboxes / sizeof *mailboxes; i++) {
        struct address address;
        char got[ADDRESS_SIZE];
        bool named;

        assert_true(address_parse(mailboxes[i].address, &address));
        named = address_mailbox(&address, mailboxes[i].delimiter, got);
        if (named != (mailboxes[i].wanted != NULL) ||
            strcmp(got, named ? mailboxes[i].wanted : "") != 0)
            fail_msg("%s: %d '%s'", mailboxes[i].label, named, got);
    }
}

static void null_address_is_never_listed(void **state)
{
    struct address address;
    char at[] = "@example.com", empty[] = "";
    char *item[] = {at, empty};
    struct conf_texts list = {.count = 2, .item = item};

    (void)state;
    assert_true(address_parse("<>", &address));
    assert_false(address_is_listed(&address, &list, "+"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_addresses),
        cmocka_unit_test(refuses_long_local_parts),
        cmocka_unit_test(finds_in_lists),
        cmocka_unit_test(names_mailboxes),
        cmocka_unit_test(null_address_is_never_listed),
    };

    return cmocka_run_group_tests_name("recipient", tests, NULL, NULL);
}
