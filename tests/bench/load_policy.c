/*
 * Asks what smtpd asks of a policy service at RCPT. Clients come in pairs of questions: first at
 * mx1, the best host, where they are let in and remembered, then at mx2, which has to find them in
 * that memory. So half the questions write evidence and half look for it, and the right action is
 * always DUNNO.
 */
#include "tests/bench/load.h"

#include <stdio.h>
#include <string.h>

enum { CLIENTS = 200, RECIPIENTS = 50 };

static size_t ask(struct load_turn *turn, char *out, size_t size)
{
    if (turn->step > 0) {
        turn->over = true;
        return 0;
    }
    /* Pair 0 is both its questions, 0 and 1; the client goes round after CLIENTS pairs. */
    unsigned client = (unsigned)(turn->number / 2 % CLIENTS);
    bool backup = turn->number % 2 == 1;
    int length = snprintf(
        out, size,
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
        "client_address=198.51.100.%u\nclient_name=mail%u.example.net\nclient_port=40000\n"
        "reverse_client_name=mail%u.example.net\nserver_address=192.0.2.%d\nserver_port=25\n"
        "helo_name=mail%u.example.net\nsender=sender%u@example.net\n"
        "recipient=user%u@guard.example.com\nrecipient_count=0\nqueue_id=\n"
        "instance=bench.%llx\nsize=1000\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\n"
        "sasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint="
        "\nencryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n",
        client + 1, client, client, backup ? 20 : 10, client, client,
        (unsigned)(turn->number / 2 % RECIPIENTS), (unsigned long long)turn->number);
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

static enum load_answer check(struct load_turn *turn, const char *data, size_t length, size_t *used)
{
    static const char dunno[] = "action=DUNNO\n\n";
    (void)turn;
    if (length < sizeof dunno - 1)
        return memcmp(data, dunno, length) == 0 ? LOAD_MORE : LOAD_WRONG;
    *used = sizeof dunno - 1;
    return memcmp(data, dunno, sizeof dunno - 1) == 0 ? LOAD_RIGHT : LOAD_WRONG;
}

int main(int argc, char **argv)
{
    static const struct load_script script = {.program = "load_policy", .ask = ask, .check = check};
    return load_main(&script, argc, argv);
}
