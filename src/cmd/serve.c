/* rung serve: wires the exchange together and runs it.
 *
 * Threads: one per shard (event/shard), a few workers, the store's; and this one, which is the
 * scope: it empties the shards' tap rings, judges calls, prints lines, answers the control socket
 * and takes signals. It never touches a shard's objects; commands go by inbox message, answers come
 * back as words that this thread may read (event/words).
 *
 * Start: data folder and lock → accounts → listeners → threads → "ready". At the end all threads
 * are joined and everything is freed. Here: flags, making and freeing; what happens in between is
 * in serve_run.c. */
#include "base/assert.h"
#include "cmd/certs.h"
#include "cmd/cmd.h"
#include "cmd/listen.h"
#include "cmd/serve_priv.h"
#include "service/accounts.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define N_WORKERS 2
#define CDR_DAYS  365

static void complain(const char *fmt, va_list ap)
{
	fputs("rung serve: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int serve_fail(const char *fmt, ...)
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
	return serve_fail("cannot make the first accounts: " STR_FMT, STR_ARG(why));
}

static int open_store(struct serve *s)
{
	struct buf why;
	buf_init(&why);
	int code = -1;
	if (st_open(s->data, ST_SERVER | ST_CREATE, &s->st, &why))
		code = serve_fail(STR_FMT, (int)why.n,
				  why.n ? why.p : "the data folder cannot be opened");
	buf_fini(&why);
	return code;
}

/* This machine, unless it is told: whose tests and trunks on it would end with it. */
static bool find_never_ban(const struct serve *s, struct addr_net *nets, size_t *n)
{
	static const struct opt_list usual = {
		.v = {"127.0.0.0/8", "::1"},
                  .n = 2
        };
	const struct opt_list *l = s->never_ban.n ? &s->never_ban : &usual;
	*n = 0;
	if (l->n == 1 && strcmp(l->v[0], "none") == 0)
		return true;
	for (; *n < l->n; ++*n)
		if (!addr_net_parse(str_c(l->v[*n]), &nets[*n])) {
			misuse("--never-ban wants a network such as 10.0.0.0/8, not `%s`",
			       l->v[*n]);
			return false;
		}
	return true;
}

static int make_exchange(struct serve *s)
{
	struct addr_net trust[OPT_LIST_MAX], never_ban[OPT_LIST_MAX];
	size_t n_never_ban;
	struct str domains[OPT_LIST_MAX];
	char host_name[256] = "";
	if (!find_never_ban(s, never_ban, &n_never_ban))
		return EXIT_USAGE;
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
		.never_ban = never_ban,
		.n_never_ban = n_never_ban,
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
	if (e == OK) {
		e = exc_set_policy(s->exc, s->policy);
		s->policy = NULL;
	}
	if (e)
		serve_fail(STR_FMT, (int)why.n, why.n ? why.p : "not enough memory");
	buf_fini(&why);
	return e == ERR_SYNTAX ? EXIT_USAGE : e ? EXIT_FAILED : -1;
}

/* On shard 0. */
/* Peers that verify us cannot come back by a Record-Route that no certificate names. [RFC5922 7.5]
 */
static void tell_misnamed(struct serve *s)
{
	struct str name;
	if (!net_tls_is_misnamed(s->tls, &name))
		return;
	fprintf(stderr,
		"rung serve: no certificate names this exchange's domain or machine: over TLS it "
		"calls itself " STR_FMT "\n",
		STR_ARG(name.n ? name : STR("by its address")));
}

static void on_certificates(void *ctx, enum err e, struct str why)
{
	if (e)
		fprintf(stderr, "rung serve: the old certificates stay: " STR_FMT "\n",
			STR_ARG(why));
	else
		fprintf(stderr, "rung serve: the certificates were read again\n");
	if (!e)
		tell_misnamed(ctx);
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
	tell_misnamed(s);
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
			return serve_fail(
				"the system refuses to open an event loop (too many open files?)");
	if (ev_shards_new(s->shard_envs, s->n_shards, &s->shards) ||
	    ev_words_new(s->n_shards + 1, &s->words) || live_new(s->data, s->n_shards, &s->live))
		return serve_fail("not enough memory");
	return -1;
}

static void wire(struct serve *s)
{
	live_set_printer(s->live, serve_line, s);
	live_set_shards(s->live, s->shards);
	exc_set_notes(s->exc, live_note, s->live);
	for (size_t i = 0; i < s->n_shards; i++) {
		struct tp_tap tap = live_tap(s->live, i);
		exc_set_tap(s->exc, i, &tap);
	}
}

static int watch(struct serve *s)
{
	const char *why;
	struct control_user user = {.ctx = s,
				    .on_command = serve_on_control,
				    .on_sent = serve_on_control_sent,
				    .on_gone = serve_on_control_gone,
				    .on_live = serve_on_live};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the threads: they inherit it */
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0 ||
	    env_watch_fd(s->env, s->signal_fd, ENV_READ, serve_on_signal, s, &s->signals))
		return serve_fail("cannot watch signals");
	if (control_new(s->env, s->data, &user, &s->control, &why))
		return serve_fail("%s: %s", s->data, why);
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
		r = watch(s);
	if (r < 0) {
		wire(s);
		r = serve_admin_start(s);
	}
	if (r < 0)
		r = make_first_accounts(s);
	if (r >= 0)
		return r;
	if (!s->n_first)
		ev_words_set(s->words, s->n_shards, 1);
	if (ev_workers_start(s->shards, N_WORKERS) || ev_workers_start(s->scope, 1) ||
	    ev_shards_start(s->shards, NULL, NULL))
		return serve_fail("the system refuses to start threads");
	return -1;
}

static void finish(struct serve *s, bool has_threads)
{
	serve_admin_stop(s);
	if (has_threads) {
		ev_shards_stop(s->shards);
		ev_workers_stop(s->shards);
		ev_workers_stop(s->scope);
		live_drain(s->live, env_now_us(s->env), env_wall_us(s->env));
		live_end(s->live);
	}
	control_free(s->control);
	serve_admin_end(s);
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
	serve_set_malloc();
	if (env_os_new(&s->env))
		return serve_fail(
			"the system refuses to open an event loop (too many open files?)");
	if (ev_shards_new(&s->env, 1, &s->scope)) {
		env_free(s->env);
		return serve_fail("not enough memory");
	}
	s->loop = ev_shard(s->scope, 0);
	buf_init(&s->host);
	int code = start(s);
	bool is_up = code < 0;
	if (is_up) {
		serve_run(s);
		code = EXIT_DONE;
	}
	finish(s, is_up);
	ev_shards_free(s->scope);
	env_free(s->env);
	return code;
}

int cmd_serve(int argc, char **argv)
{
	static struct serve s;
	struct opt opts[] = {
#define SERVE_FLAG(letter, name, kind, member, value, help)                                        \
	{letter, name, OPT_##kind, &s.member, value, help},
#include "cmd/serve_flags.def"
#undef SERVE_FLAG
	};
	struct opt_spec spec = {
		.command = "serve",
		.words = "",
		.about =
			"Runs the exchange: phones register, call each other, and each call ends "
			"with a line that says what\n"
			"happened and why. At the first start two accounts are made and shown. "
			"SIGTERM hangs up the calls that it is\n"
			"an end of (`--b2bua`, trunks, the echo test), takes its registrations at "
			"trunks out, gives what is\nbeing set up three seconds, and ends it; calls "
			"that it passes on go on. SIGHUP (or `rung reload`) reads\naccounts, "
			"certificates and configuration again (a change of the first two is "
			"noticed anyway).",
		.examples =
			"  rung serve\n  rung serve --listen udp:127.0.0.1:5070 --data /tmp/rung\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	if (!serve_config_open(&s)) {
		serve_config_close(&s);
		return EXIT_FAILED;
	}
	if (!s.data)
		s.data = control_default_dir(s.dir_mem);
	if (!s.cdr_days)
		s.cdr_days = CDR_DAYS;
	if (!s.n_shards) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);
		s.n_shards = n > 0 && n <= 64 ? (uint32_t)n : 1;
	}
	if (s.n_shards > ARRAY_LEN(s.shard_envs))
		code = opt_usage(&spec, "--shards: at most %zu", ARRAY_LEN(s.shard_envs));
	else
		code = run(&s);
	serve_config_close(&s);
	return code;
}
