/*
 * The callbacks run in threads of libmilter's choosing, one at a time for a session; a session's
 * state hangs on smfi_setpriv only. It is made at CONNECT and freed at close, which libmilter calls
 * also when the mail server reuses the connection for its next client.
 *
 * Reply-less stages: the mail server need not wait for what cannot refuse. libmilter answers in
 * their place where the server does not offer them. Over TCP they are left alone: a run of small
 * writes without a reply meets Nagle's algorithm and the peer's delayed acknowledgement, and waits
 * 40 ms. For the same reason the DATA stage stays, and with it its reply.
 *
 * The end-of-header stage stays because of libmilter: without it a message that has no header at
 * all goes from DATA to its end, which libmilter's table of states does not know, and the end is
 * never answered.
 */
#include "milter/front.h"

#include <errno.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRONT_BACKLOG = 1024, FRONT_WAKE_NS = 20 * 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

/* libmilter's callbacks carry nothing of ours before the first smfi_setpriv. Written once, before
 * any thread exists. */
static struct {
    const struct session_policy *policy;
    bool is_local;
} front;

static const char *mta_macro(void *context, const char *name)
{
    return smfi_getsymval(context, (char *)name);
}

static bool mta_set_reply(void *context, const char *code, const char *status, const char *text)
{
    return smfi_setreply(context, (char *)code, (char *)status, (char *)text) == MI_SUCCESS;
}

static bool mta_add_header(void *context, const char *name, const char *value)
{
    return smfi_addheader(context, (char *)name, (char *)value) == MI_SUCCESS;
}

static bool mta_delete_header(void *context, const char *name, int index)
{
    return smfi_chgheader(context, (char *)name, index, NULL) == MI_SUCCESS;
}

static bool mta_quarantine(void *context, const char *reason)
{
    return smfi_quarantine(context, (char *)reason) == MI_SUCCESS;
}

static struct session_mta mta_of(SMFICTX *ctx)
{
    return (struct session_mta){
        ctx, mta_macro, mta_set_reply, mta_add_header, mta_delete_header, mta_quarantine};
}

/* What a stage without a reply returns. */
static sfsistat no_reply(void)
{
    return front.is_local ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* The macros wanted; without this a Postfix leaves {daemon_port} out, and a Sendmail {verify}. */
static void symbols_ask(SMFICTX *ctx)
{
    static struct {
        int stage;
        char names[128];
    } lists[] = {
        {SMFIM_CONNECT, "j _ v {daemon_name} {daemon_addr} {daemon_port} {if_addr} "
                        "{client_resolve}"},
        {SMFIM_ENVFROM, "i {auth_type} {auth_authen} {cert_subject} {verify}"},
        {SMFIM_ENVRCPT, "i {rcpt_mailer}"},
        {SMFIM_DATA, "i"},
        {SMFIM_EOM, "i"},
    };

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        (void)smfi_setsymlist(ctx, lists[i].stage, lists[i].names);
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long unused2, unsigned long unused3,
                             unsigned long *actions_out, unsigned long *steps_out,
                             unsigned long *unused2_out, unsigned long *unused3_out)
{
    unsigned long wanted = SMFIP_NOBODY | SMFIP_NOUNKNOWN | SMFIP_RCPT_REJ;

    (void)unused2;
    (void)unused3;
    /* CONNECT and HELO keep their replies: Postfix holds back what wants none until something does,
     * and then a client that leaves before MAIL, as every probe does, was never here. */
    if (front.is_local)
        wanted |= SMFIP_NR_HDR | SMFIP_NR_EOH;
    *actions_out = actions & (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST);
    *steps_out = steps & wanted;
    *unused2_out = *unused3_out = 0;
    if (actions & SMFIF_SETSYMLIST)
        symbols_ask(ctx);
    return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *client)
{
    struct session_mta mta = mta_of(ctx);
    struct session *session = smfi_getpriv(ctx);

    if (!session) {
        session = session_new(front.policy);
        (void)smfi_setpriv(ctx, session);
    }
    session_connect(session, &mta, hostname, (const struct sockaddr *)client);
    return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    session_helo(smfi_getpriv(ctx), name);
    return SMFIS_CONTINUE;
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
    struct session_mta mta = mta_of(ctx);

    session_mail(smfi_getpriv(ctx), &mta, arguments[0]);
    return SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
    struct session_mta mta = mta_of(ctx);

    switch (session_rcpt(smfi_getpriv(ctx), &mta, arguments[0])) {
    case SESSION_CONTINUE: return SMFIS_CONTINUE;
    case SESSION_TEMPFAIL: return SMFIS_TEMPFAIL;
    case SESSION_REJECT: return SMFIS_REJECT;
    }
    return SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *ctx)
{
    struct session_mta mta = mta_of(ctx);

    session_data(smfi_getpriv(ctx), &mta);
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)value;
    session_header(smfi_getpriv(ctx), name);
    return no_reply();
}

static sfsistat on_headers_end(SMFICTX *ctx)
{
    (void)ctx;
    return no_reply();
}

static sfsistat on_finish(SMFICTX *ctx)
{
    struct session_mta mta = mta_of(ctx);

    session_finish(smfi_getpriv(ctx), &mta);
    return SMFIS_CONTINUE;
}

static sfsistat on_abort(SMFICTX *ctx)
{
    session_abort(smfi_getpriv(ctx));
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
    session_free(smfi_getpriv(ctx));
    (void)smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

bool front_open(const char *name, bool is_local, const struct session_policy *policy)
{
    struct smfiDesc description = {
        .xxfi_name = (char *)"mxwarden-milter",
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_eoh = on_headers_end,
        .xxfi_eom = on_finish,
        .xxfi_abort = on_abort,
        .xxfi_close = on_close,
        .xxfi_data = on_data,
        .xxfi_negotiate = on_negotiate,
    };

    front.policy = policy;
    front.is_local = is_local;
    return smfi_register(description) == MI_SUCCESS && smfi_setconn((char *)name) == MI_SUCCESS &&
           smfi_setbacklog(FRONT_BACKLOG) == MI_SUCCESS && smfi_opensocket(true) == MI_SUCCESS;
}

struct run {
    pthread_t waiter;
    bool is_good;
    atomic_bool is_over;
};

static void *serve(void *arg)
{
    struct run *run = arg;

    run->is_good = smfi_main() == MI_SUCCESS;
    atomic_store(&run->is_over, true);
    /* Where libmilter gave up by itself nobody else ends the wait. The signal is blocked there and
     * taken by sigwait, so it ends nothing else. NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread) */
    pthread_kill(run->waiter, SIGTERM);
    return NULL;
}

static void *stop(void *arg)
{
    (void)smfi_stop();
    return arg;
}

static void come(const struct sockaddr *own, socklen_t own_length)
{
    int fd = socket(own->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    (void)connect(fd, own, own_length);
    close(fd);
}

/* libmilter looks whether it is to stop when somebody comes, or every five seconds; until then
 * smfi_stop waits, and so do the mail server's new sessions, before their banner. So somebody
 * comes. */
static void end(pthread_t server, const struct sockaddr *own, socklen_t own_length)
{
    struct timespec until;
    pthread_t stopper;

    if (pthread_create(&stopper, NULL, stop, NULL) == 0)
        pthread_detach(stopper);
    else
        stop(NULL);
    do {
        come(own, own_length);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += FRONT_WAKE_NS;
        until.tv_sec += until.tv_nsec / NS_PER_S;
        until.tv_nsec %= NS_PER_S;
    } while (pthread_timedjoin_np(server, NULL, &until) == ETIMEDOUT);
}

/* libmilter waits for the signals, too, but one for the process goes to its first thread where that
 * waits for it (signal(7) leaves it open, Linux does it so); otherwise the end takes longer. */
bool front_run(const struct sockaddr *own, socklen_t own_length)
{
    struct run run = {.waiter = pthread_self()};
    pthread_t server;
    sigset_t ends;
    int number;
    bool is_asked;

    sigemptyset(&ends);
    sigaddset(&ends, SIGHUP);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    if (pthread_create(&server, NULL, serve, &run) != 0)
        return false;
    sigwait(&ends, &number);
    /* Asked to end it may say whatever it likes about how it went: sessions under way count as
     * failures there. */
    is_asked = !atomic_load(&run.is_over);
    end(server, own, own_length);
    return is_asked || run.is_good;
}
