/*
 * The floor of a milter: libmilter with callbacks that do nothing, in the stages that
 * mxwarden-milter keeps on a unix socket (all but body, end of headers and unknown commands, with
 * no reply at connect, HELO and headers), so that the ratio shows the cost of asking and not the
 * cost of libmilter.
 */
#include <libmilter/mfapi.h>

#include <stdio.h>

static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long steps,
                             unsigned long spare2, unsigned long spare3, unsigned long *wanted,
                             unsigned long *unwanted, unsigned long *out2, unsigned long *out3)
{
    (void)context;
    (void)actions;
    (void)spare2;
    (void)spare3;
    *wanted = 0;
    *unwanted = steps & (SMFIP_NOBODY | SMFIP_NOEOH | SMFIP_NOUNKNOWN | SMFIP_RCPT_REJ |
                         SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_HDR);
    *out2 = *out3 = 0;
    return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *context, char *name, _SOCK_ADDR *address)
{
    (void)context;
    (void)name;
    (void)address;
    return SMFIS_NOREPLY;
}

static sfsistat on_text(SMFICTX *context, char *text)
{
    (void)context;
    (void)text;
    return SMFIS_NOREPLY;
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    (void)context;
    (void)name;
    (void)value;
    return SMFIS_NOREPLY;
}

static sfsistat on_envelope(SMFICTX *context, char **argument)
{
    (void)context;
    (void)argument;
    return SMFIS_CONTINUE;
}

static sfsistat on_stage(SMFICTX *context)
{
    (void)context;
    return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
    static char name[] = "floor";
    const struct smfiDesc callbacks = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_text,
        .xxfi_envfrom = on_envelope,
        .xxfi_envrcpt = on_envelope,
        .xxfi_header = on_header,
        .xxfi_eom = on_stage,
        .xxfi_data = on_stage,
        .xxfi_negotiate = on_negotiate,
    };
    if (argc != 2) {
        fputs("usage: floor_milter SOCKET\n", stderr);
        return 2;
    }
    if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(callbacks) != MI_SUCCESS)
        return 1;
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}
