/* rung serve: wires the exchange together and runs it.
 *
 * Threads: one per shard (event/shard), a few workers, the store's; and this one, which is the
 * scope: it empties the shards' tap rings, judges calls, prints lines, answers the control socket
 * and takes signals. It never touches a shard's objects; commands go by inbox message, answers come
 * back as words that this thread may read (event/words).
 *
 * Start: data folder and lock → accounts → listeners → threads → "ready". End (SIGTERM, SIGINT):
 * new calls are refused, what is under way is given DRAIN_US, then all threads are joined and
 * everything is freed. A second signal ends at once. SIGHUP reads the accounts again. */
#include "base/assert.h"
#include "cmd/certs.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/listen.h"
#include "cmd/live.h"
#include "cmd/opt.h"
#include "cmd/welcome.h"
#include "service/accounts.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_US      3000000ull
#define DRAIN_POLL_US 50000ull
#define STARTING_US   20000ull /* until it is announced */
/* Without a message for so long: time to tidy up. All transactions have ended (64*T1 is 32 s). */
#define QUIET_US       40000000ull
#define N_WORKERS      2
#define FIRST_ACCOUNTS 2

struct first_account {
	char user[64], password[64];
};

struct serve {
	/* flags */
	struct opt_list listen, domains, trust, advertise;
	struct certs certs;
	const char *data, *realm, *echo, *dns;
	uint32_t n_shards;
	bool is_b2bua, has_farewell, is_quiet, has_no_qr;
	/* the machine */
	struct env *env;
	struct ev_loop loop;
	struct env *shard_envs[256];
	struct ev_shards *shards;
	struct st *st;
	struct exc *exc;
	struct net_tls *tls;
	struct live *live;
	struct control *control;
	struct ev_words
		*words; /* per shard 1 + what is pending, when asked; then: accounts loaded */
	struct env_sock *signals;
	int signal_fd;
	struct tmr tick, drain;
	struct buf host; /* "192.0.2.1" or "192.0.2.1:5070": what phones must be told */
	char dir_mem[512];
	struct first_account first[FIRST_ACCOUNTS];
	size_t n_first;
	bool is_announced;
	uint64_t end_by_us;   /* 0: not ending */
	uint64_t quiet_at_us; /* when memory is tidied up; 0: it is tidy */
};

/* ---- commands to the shards ------------------------------------------------------------------ */

enum command_kind { CMD_RELOAD, CMD_COUNT };
struct command {
	struct inbox_msg msg;
	enum command_kind kind;
};

/* On shard 0: what the database holds is in force. */
static void on_reloaded(void *ctx, enum err e)
{
	struct serve *s = ctx;
	if (e == OK)
		ev_words_set(s->words, s->n_shards, 1);
}

static void on_command_msg(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct serve *s = ctx;
	struct command *c = CONTAINER_OF(m, struct command, msg);
	switch (c->kind) {
	case CMD_RELOAD:
		acc_reload(exc_accounts(s->exc), on_reloaded, s);
		net_tls_reload(s->tls);
		break;
	case CMD_COUNT:
		ev_words_set(s->words, l->shard, (uint32_t)exc_pending(s->exc, l->shard) + 1);
		break;
	}
	free(c);
}

static void command(struct serve *s, size_t shard, enum command_kind kind)
{
	struct command *c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->msg.kind = INBOX_CONTROL;
	c->kind = kind;
	ev_send(s->shards, shard, &c->msg);
}

/* ---- the operator ---------------------------------------------------------------------------- */

static void print_line(void *ctx, uint64_t wall_us, struct str line)
{
	struct serve *s = ctx;
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm;
	char at[16], mem[1024];
	struct buf b;
	if (s->is_quiet)
		return;
	localtime_r(&t, &tm);
	strftime(at, sizeof(at), "%H:%M:%S", &tm);
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_plain(&b, str_sub(line, 0, sizeof(mem))); /* names and agents are whatever peers say */
	printf("%s  " STR_FMT "\n", at, STR_ARG(buf_view(&b)));
}

static void on_control(void *ctx, struct str cmd, struct buf *out)
{
	struct serve *s = ctx;
	if (str_eq(cmd, STR("reload"))) {
		command(s, 0, CMD_RELOAD);
		buf_str(out, STR("ok\n"));
	} else {
		buf_fmt(out, "unknown command `" STR_FMT "`\n", STR_ARG(cmd));
	}
}

static void on_live(void *ctx, int fd)
{
	struct serve *s = ctx;
	if (live_watch(s->live, fd))
		print_line(s, env_wall_us(s->env),
			   STR("too many watch the live scope; one was refused"));
}

/* ---- the newcomer ---- */

/* What phones are told as server: the first listener, with the LAN address where it is a wildcard.
 */
static void find_host(struct serve *s)
{
	enum tp_proto proto;
	struct addr a = {0}, lan = env_host_addr(s->env);
	if (!tp_listener(exc_transport(s->exc, 0), 0, &proto, &a))
		return;
	uint16_t port = a.port;
	if (addr_is_any(&a))
		a = lan;
	a.port = port == 5060 ? 0 : port;
	if (a.port)
		addr_put(&s->host, &a);
	else
		addr_put_host(&s->host, &a);
}

static void show_first_accounts(const struct serve *s)
{
	struct buf b;
	buf_init(&b);
	if (s->n_first)
		buf_str(&b, STR("Two accounts were made for your first call. Their passwords are "
				"shown only now\n"
				"(`rung user passwd NAME` makes a new one):\n\n"));
	for (size_t i = 0; i < s->n_first; i++)
		welcome_account(&b, str_c(s->first[i].user), str_c(s->first[i].password),
				buf_view(&s->host), !s->has_no_qr);
	if (!b.err && b.n)
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
}

static void announce(struct serve *s)
{
	enum tp_proto proto;
	struct addr a;
	char text[ADDR_TEXT_MAX];
	printf("Echo test: call %s. Data: %s. Watch it: rung scope --live %s\n",
	       s->echo ? s->echo : "echo or *43", s->data, s->data);
	printf("ready");
	for (size_t i = 0; tp_listener(exc_transport(s->exc, 0), i, &proto, &a); i++) {
		struct str name = tp_proto_param(proto);
		printf(" " STR_FMT ":%s", STR_ARG(name), addr_text(&a, text));
	}
	struct str host = buf_view(&s->host);
	printf(" (%u shards, server for phones: " STR_FMT ")\n", s->n_shards, STR_ARG(host));
	fflush(stdout);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* What lives long (bindings) and what comes by the chunk (pools, tables) are kept apart: pieces of
 * 64 kB and more are mappings of their own, whatever malloc would learn from the first one freed,
 * so that what a burst took goes back. One arena for all threads: messages move between shards, and
 * what one thread frees another asks for next; in the steady state hardly anybody asks. It grows by
 * a megabyte, since a system call per page is what a registration would notice. */
static void set_malloc(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_ARENA_MAX, 1);
}

/* Free pages between what is in use go back when nobody is there to wait for it. */
static void tidy_up(struct serve *s, bool was_busy)
{
	uint64_t now = env_now_us(s->env);
	if (was_busy) {
		s->quiet_at_us = now + QUIET_US;
	} else if (s->quiet_at_us && now >= s->quiet_at_us) {
		malloc_trim(0);
		s->quiet_at_us = 0;
	}
}

/* ---- ticking and ending ---------------------------------------------------------------------- */

static void on_tick(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, tick);
	if (!s->is_announced && ev_words_get(s->words, s->n_shards)) {
		s->is_announced = true;
		find_host(s);
		show_first_accounts(s);
		announce(s);
	}
	bool was_busy = live_drain(s->live, env_now_us(s->env), env_wall_us(s->env));
	fflush(stdout); /* a verdict may come of time passing, with nothing to drain */
	tidy_up(s, was_busy);
	ev_timer(&s->loop, &s->tick, s->is_announced ? live_pace_us(s->live) : STARTING_US,
		 on_tick);
}

static void on_drain_poll(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, drain);
	bool is_idle = true;
	for (size_t i = 0; i < s->n_shards; i++) {
		is_idle &= ev_words_get(s->words, i) == 1; /* 0: not answered yet */
		command(s, i, CMD_COUNT);
	}
	if (is_idle || ev_now_us(&s->loop) > s->end_by_us)
		ev_stop(&s->loop);
	else
		ev_timer(&s->loop, &s->drain, DRAIN_POLL_US, on_drain_poll);
}

static void end(struct serve *s)
{
	if (s->end_by_us) {
		ev_stop(&s->loop);
		return;
	}
	s->end_by_us = ev_now_us(&s->loop) + DRAIN_US;
	exc_drain(s->exc);
	on_drain_poll(&s->drain);
}

static void on_signal(void *arg, unsigned events)
{
	struct serve *s = arg;
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			command(s, 0, CMD_RELOAD);
		else
			end(s);
	}
}

/* ---- starting -------------------------------------------------------------------------------- */

static void complain(const char *fmt, va_list ap)
{
	fputs("rung serve: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

[[gnu::format(printf, 1, 2)]] static int fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	return EXIT_FAILED;
}

[[gnu::format(printf, 1, 2)]] static int misuse(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

static void on_first_account(void *arg, struct str user, struct str password)
{
	struct serve *s = arg;
	struct first_account *a = &s->first[s->n_first++];
	if (!str_copy(a->user, sizeof(a->user), user) ||
	    !str_copy(a->password, sizeof(a->password), password))
		s->n_first--;
}

/* Only when all else is well: their passwords are shown once. */
static int make_first_accounts(struct serve *s)
{
	struct buf realm;
	buf_init(&realm);
	enum err e = acc_realm(s->st, s->env, str_c(s->realm), &realm);
	if (e == OK)
		e = acc_first(s->st, s->env, buf_view(&realm), FIRST_ACCOUNTS, on_first_account, s);
	buf_fini(&realm);
	if (e == OK)
		return -1;
	struct str why = st_why(s->st);
	return fail("cannot make the first accounts: " STR_FMT, STR_ARG(why));
}

static int open_store(struct serve *s)
{
	struct buf why;
	buf_init(&why);
	int code = -1;
	if (st_open(s->data, ST_SERVER | ST_CREATE, &s->st, &why))
		code = fail(STR_FMT, (int)why.n,
			    why.n ? why.p : "the data folder cannot be opened");
	buf_fini(&why);
	return code;
}

static int make_exchange(struct serve *s)
{
	struct addr_net trust[OPT_LIST_MAX];
	struct str domains[OPT_LIST_MAX];
	char host_name[256] = "";
	for (size_t i = 0; i < s->trust.n; i++)
		if (!addr_net_parse(str_c(s->trust.v[i]), &trust[i]))
			return misuse("--trust wants a network such as 10.0.0.0/8, not `%s`",
				      s->trust.v[i]);
	for (size_t i = 0; i < s->domains.n; i++)
		domains[i] = str_c(s->domains.v[i]);
	gethostname(host_name, sizeof(host_name) - 1);
	struct exc_cfg cfg = {
		.domains = domains,
		.n_domains = s->domains.n,
		.host_name = str_c(host_name),
		.realm = str_c(s->realm),
		.trust = trust,
		.n_trust = s->trust.n,
		.echo_user = str_c(s->echo),
		.product = STR("rung"),
		.dns = s->dns,
		.is_b2bua = s->is_b2bua || s->has_farewell,
		.has_farewell = s->has_farewell,
	};
	for (size_t i = 0; i < s->advertise.n; i++) {
		struct addr a;
		if (!addr_parse(str_c(s->advertise.v[i]), 0, &a) || addr_is_any(&a))
			return misuse("--advertise wants an address such as 203.0.113.7, not `%s`",
				      s->advertise.v[i]);
		cfg.advertise[a.family == ADDR_V6] = a;
	}
	struct buf why;
	buf_init(&why);
	enum err e = exc_new(s->shards, s->st, s->shard_envs[0], &cfg, &s->exc, &why);
	if (e)
		fail(STR_FMT, (int)why.n, why.n ? why.p : "not enough memory");
	buf_fini(&why);
	return e ? EXIT_FAILED : -1;
}

/* On shard 0. */
static void on_certificates(void *ctx, enum err e, struct str why)
{
	if (e)
		fprintf(stderr, "rung serve: the old certificates stay: " STR_FMT "\n",
			STR_ARG(why));
	else
		fprintf(stderr, "rung serve: the certificates were read again\n");
}

static int make_tls(struct serve *s)
{
	struct certs_host host = {.data = s->data,
				  .is_secure = listen_is_secure(&s->listen),
				  .domains = &s->domains,
				  .listen = &s->listen,
				  .lan = env_host_addr(s->env)};
	int r = certs_serve(&s->certs, &host, &s->tls);
	if (r >= 0)
		return r;
	exc_set_tls(s->exc, s->tls);
	net_tls_watch(s->tls, ev_shard(s->shards, 0), on_certificates, s);
	return -1;
}

/* What opening and loading found and repaired. */
static void show_notices(const struct serve *s)
{
	struct str notices = st_notices(s->st);
	if (notices.n)
		fprintf(stderr, STR_FMT "%s", STR_ARG(notices),
			str_ends(notices, STR("\n")) ? "" : "\n");
}

static int make_shards(struct serve *s)
{
	for (size_t i = 0; i < s->n_shards; i++)
		if (env_os_new(&s->shard_envs[i]))
			return fail(
				"the system refuses to open an event loop (too many open files?)");
	if (ev_shards_new(s->shard_envs, s->n_shards, &s->shards) ||
	    ev_words_new(s->n_shards + 1, &s->words) || live_new(s->n_shards, &s->live))
		return fail("not enough memory");
	return -1;
}

static void wire(struct serve *s)
{
	live_set_printer(s->live, print_line, s);
	exc_set_notes(s->exc, live_note, s->live);
	for (size_t i = 0; i < s->n_shards; i++) {
		struct tp_tap tap = live_tap(s->live, i);
		exc_set_tap(s->exc, i, &tap);
		ev_inbox_handle(s->shards, i, INBOX_CONTROL, on_command_msg, s);
	}
}

static int watch(struct serve *s)
{
	const char *why;
	struct control_user user = {.ctx = s, .on_command = on_control, .on_live = on_live};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the threads: they inherit it */
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0 ||
	    env_watch_fd(s->env, s->signal_fd, ENV_READ, on_signal, s, &s->signals))
		return fail("cannot watch signals");
	if (control_new(s->env, s->data, &user, &s->control, &why))
		return fail("%s: %s", s->data, why);
	return -1;
}

static int start(struct serve *s)
{
	int r = open_store(s);
	if (r < 0)
		r = make_shards(s);
	if (r < 0)
		r = make_exchange(s);
	if (r < 0) {
		show_notices(s);
		r = make_tls(s);
	}
	if (r < 0)
		r = listen_all(s->exc, &s->listen);
	if (r < 0)
		r = make_first_accounts(s);
	if (r < 0)
		r = watch(s);
	if (r >= 0)
		return r;
	wire(s);
	if (!s->n_first)
		ev_words_set(s->words, s->n_shards, 1);
	if (ev_workers_start(s->shards, N_WORKERS) || ev_shards_start(s->shards, NULL, NULL))
		return fail("the system refuses to start threads");
	return -1;
}

static void finish(struct serve *s, bool has_threads)
{
	if (has_threads) {
		ev_shards_stop(s->shards);
		ev_workers_stop(s->shards);
		live_drain(s->live, env_now_us(s->env), env_wall_us(s->env));
		live_end(s->live);
	}
	control_free(s->control);
	exc_free(s->exc);
	if (s->tls)
		net_tls_watch(s->tls, NULL, NULL, NULL);
	live_free(s->live);
	ev_words_free(s->words);
	if (s->shards)
		ev_shards_free(s->shards);
	net_tls_free(s->tls);
	for (size_t i = 0; i < s->n_shards; i++)
		if (s->shard_envs[i])
			env_free(s->shard_envs[i]);
	st_close(s->st);
	env_close(s->signals);
	if (s->signal_fd > 0)
		close(s->signal_fd);
	buf_fini(&s->host);
}

static int run(struct serve *s)
{
	set_malloc();
	if (env_os_new(&s->env))
		return fail("the system refuses to open an event loop (too many open files?)");
	ev_loop_init(&s->loop, s->env);
	buf_init(&s->host);
	int code = start(s);
	bool is_up = code < 0;
	if (is_up) {
		if (s->n_first)
			command(s, 0, CMD_RELOAD);
		on_tick(&s->tick);
		ev_run(&s->loop);
		code = EXIT_DONE;
	}
	finish(s, is_up);
	ev_loop_fini(&s->loop);
	env_free(s->env);
	return code;
}

int cmd_serve(int argc, char **argv)
{
	static struct serve s;
	struct opt opts[] = {
		{'l', "listen",      OPT_LIST, &s.listen,             "P:ADDR:PORT",
		 "udp, tcp, tls, ws or wss, several times (all: 5060, TLS 5061, WS 8088, WSS "
		 "8089)"												      },
		{'d', "domain",      OPT_LIST, &s.domains,            "NAME",
		 "a name of this exchange, several times (its addresses always count)"                                        },
		{0,   "data",        OPT_STR,  &s.data,               "DIR",
		 "where accounts and registrations are kept (~/.local/share/rung)"                                            },
		{0,   "shards",      OPT_U32,  &s.n_shards,           "N",           "threads that carry calls (one per core)"},
		{0,   "trust",       OPT_LIST, &s.trust,              "NET",
		 "no digest for requests from there (trunks, tests), several times"                                           },
		{0,   "tls-cert",    OPT_LIST, &s.certs.cert,         "FILE",
		 "PEM certificate with its chain; several are chosen by name (a self-signed one)"                             },
		{0,   "tls-key",     OPT_LIST, &s.certs.key,          "FILE",
		 "PEM key of each --tls-cert (in the same file)"                                                              },
		{0,   "tls-ca",      OPT_STR,  &s.certs.ca,           "FILE",
		 "PEM certificates to trust when connecting (the system's)"                                                   },
		{0,   "tls-clients", OPT_FLAG, &s.certs.needs_client, NULL,
		 "who connects must show a certificate that --tls-ca vouches for"                                             },
		{0,   "advertise",   OPT_LIST, &s.advertise,          "ADDR",
		 "public address of this exchange, when it is behind a NAT (one IPv4, one IPv6)"                              },
		{0,   "dns",         OPT_STR,  &s.dns,                "ADDR",        "name servers, not those of the system"  },
		{0,   "realm",       OPT_STR,  &s.realm,              "NAME",
		 "digest realm; chosen at the first start, never changed"                                                     },
		{0,   "echo",        OPT_STR,  &s.echo,               "USER",        "number of the echo test (echo and *43)" },
		{0,   "b2bua",       OPT_FLAG, &s.is_b2bua,           NULL,
		 "calls between phones go through two dialogs (topology hidden)"                                              },
		{0,   "farewell",    OPT_FLAG, &s.has_farewell,       NULL,
		 "the same, and a callee who hangs up leaves the caller with a tone first"                                    },
		{0,   "no-qr",       OPT_FLAG, &s.has_no_qr,          NULL,          "no QR codes for new accounts"           },
		{'q', "quiet",       OPT_FLAG, &s.is_quiet,           NULL,          "no line per call and registration"      },
	};
	struct opt_spec spec = {
		.command = "serve",
		.words = "",
		.about = "Runs the exchange: phones register, call each other, and each call ends "
			 "with a line that says what\n"
			 "happened and why. At the first start two accounts are made and shown. "
			 "SIGTERM ends it after the calls\n"
			 "that are being set up; SIGHUP reads accounts and certificates again "
			 "(changes are noticed anyway).",
		.examples =
			"  rung serve\n  rung serve --listen udp:127.0.0.1:5070 --data /tmp/rung\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	if (!s.data)
		s.data = control_default_dir(s.dir_mem);
	if (!s.n_shards) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);
		s.n_shards = n > 0 && n <= 64 ? (uint32_t)n : 1;
	}
	if (s.n_shards > ARRAY_LEN(s.shard_envs))
		return opt_usage(&spec, "--shards: at most %zu", ARRAY_LEN(s.shard_envs));
	return run(&s);
}
