/*
 * Identities: who a client is, in the words that evidence and retries are kept under.
 */
#include "policy/identity.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct question client(const char *addr, const char *name, const char *helo)
{
    struct question question = {.client = addr_of(addr)};

    strcpy(question.client_name, name);
    strcpy(question.helo_name, helo);
    return question;
}

static void mail(struct question *question, const char *sender, const char *recipient)
{
    question->has_sender = question->has_recipient = true;
    assert_true(address_parse(sender, &question->sender));
    assert_true(address_parse(recipient, &question->recipient));
}

static const struct {
    const char *label, *addr, *name;
    const char *wanted; /* learned: address, network, verified domain */
} clients[] = {
    {"no name", "198.51.100.7", "", "[198.51.100.7] [198.51.100.0/24]"},
    {"verified name", "198.51.100.7", "out1.mail.example.net",
     "[198.51.100.7] [198.51.100.0/24] example.net"},
    {"name that embeds the address", "198.51.100.7", "host-198-51-100-7.example.net",
     "[198.51.100.7] [198.51.100.0/24]"},
    {"name that is a public suffix", "198.51.100.7", "com", "[198.51.100.7] [198.51.100.0/24]"},
    {"IPv6", "2001:db8:1:2::7", "", "[2001:db8:1:2::7] [2001:db8:1:2::/64]"},
};

static void names_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct question question = client(clients[i].addr, clients[i].name, "");
        struct identity_set who;
        char got[1024] = "";

        identity_of_learned(&question, 24, 64, &who);
        for (size_t n = 0; n < who.count; n++) {
            strcat(got, n ? " " : "");
            strcat(got, who.text[n]);
        }
        if (strcmp(got, clients[i].wanted) != 0)
            fail_msg("%s: '%s', wanted '%s'", clients[i].label, got, clients[i].wanted);
    }
}

/* The envelope's digest needs all three: HELO domain, sender, recipient. */
static void envelope_needs_all(void **state)
{
    struct question question = client("198.51.100.7", "", "out.example.net");
    struct identity_set who;

    (void)state;
    identity_of_visit(&question, 24, 64, &who);
    assert_int_equal(who.count, 2);
    mail(&question, "a@example.net", "u@example.com");
    identity_of_visit(&question, 24, 64, &who);
    assert_int_equal(who.count, 3);
    assert_int_equal(who.text[2][0], '#');
    question.helo_name[0] = '\0';
    identity_of_visit(&question, 24, 64, &who);
    assert_int_equal(who.count, 2);
}

static bool shares(const struct question *a, const struct question *b)
{
    struct identity_set first, second;

    identity_of_retry(a, 24, 64, &first);
    identity_of_retry(b, 24, 64, &second);
    for (size_t i = 0; i < first.count; i++)
        for (size_t j = 0; j < second.count; j++)
            if (strcmp(first.text[i], second.text[j]) == 0)
                return true;
    return false;
}

static const struct {
    const char *label, *addr, *name, *helo, *sender, *recipient;
    bool same;
} retries[] = {
    {"the same", "198.51.100.7", "out1.example.net", "out1.example.net", "a@example.net",
     "u@example.com", true},
    {"address only", "198.51.100.7", "", "", "a@example.net", "u@example.com", true},
    {"network", "198.51.100.9", "", "", "a@example.net", "u@example.com", true},
    {"verified domain", "203.0.113.1", "out2.example.net", "", "a@example.net", "u@example.com",
     true},
    {"HELO domain", "203.0.113.1", "", "out2.example.net", "a@example.net", "u@example.com", true},
    {"case of the addresses", "198.51.100.7", "", "", "A@Example.NET", "U@Example.Com", true},
    {"none of them", "203.0.113.1", "", "", "a@example.net", "u@example.com", false},
    {"another sender", "198.51.100.7", "", "", "b@example.net", "u@example.com", false},
    {"the null sender", "198.51.100.7", "", "", "", "u@example.com", false},
    {"another recipient", "198.51.100.7", "", "", "a@example.net", "v@example.com", false},
    {"sender and recipient exchanged", "198.51.100.7", "", "", "u@example.com", "a@example.net",
     false},
};

static void knows_retries(void **state)
{
    struct question first = client("198.51.100.7", "out1.example.net", "out1.example.net");

    (void)state;
    mail(&first, "a@example.net", "u@example.com");
    for (size_t i = 0; i < sizeof retries / sizeof *retries; i++) {
        struct question again = client(retries[i].addr, retries[i].name, retries[i].helo);
        mail(&again, retries[i].sender, retries[i].recipient);
        if (shares(&first, &again) != retries[i].same)
            fail_msg("%s", retries[i].label);
    }
}

static const struct {
    const char *label, *addr, *name, *helo;
    bool server;
} servers[] = {
    {"HELO by its verified name", "198.51.100.7", "mail.example.net", "mail.example.net", true},
    {"another name of its domain", "198.51.100.7", "out1.example.net", "mail.example.net", false},
    {"its domain alone", "198.51.100.7", "mail.example.net", "example.net", false},
    {"no verified name", "198.51.100.7", "", "mail.example.net", false},
    {"no HELO name", "198.51.100.7", "mail.example.net", "", false},
    {"neither", "198.51.100.7", "", "", false},
    {"a provider's name of the line", "198.51.100.7", "host-198-51-100-7.example.net",
     "host-198-51-100-7.example.net", false},
    {"another line's name", "198.51.100.7", "host-203-0-113-7.example.net",
     "host-203-0-113-7.example.net", true},
    {"a name without a registrable domain", "198.51.100.7", "localhost", "localhost", false},
    {"over IPv6", "2001:db8:1:2::7", "mail.example.net", "mail.example.net", true},
};

static void knows_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct question question = client(servers[i].addr, servers[i].name, servers[i].helo);
        if (identity_is_server(&question) != servers[i].server)
            fail_msg("%s", servers[i].label);
    }
}

/* A HELO name is a claim: it must not pass for the verified domain. */
static void claim_is_not_verified(void **state)
{
    struct question verified = client("198.51.100.7", "out.example.net", "");
    struct question claimed = client("203.0.113.1", "", "out.example.net");

    (void)state;
    mail(&verified, "a@example.net", "u@example.com");
    mail(&claimed, "a@example.net", "u@example.com");
    assert_false(shares(&verified, &claimed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_clients),         cmocka_unit_test(envelope_needs_all),
        cmocka_unit_test(knows_retries),         cmocka_unit_test(knows_servers),
        cmocka_unit_test(claim_is_not_verified),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
