/* Who has an account cannot be told from how long a refusal takes: the processor time that the
 * exchange needs for a request about a user that exists, and about one that does not, is the same
 * distribution. N of each, in random order, for each method, without credentials and with wrong
 * ones; two-sample Kolmogorov-Smirnov. A hundredth of such tests fails by chance, so a suspicion
 * counts only when fresh samples confirm it. */
#include "stage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N       10000
#define USERS   1000
#define LEAST_P 0.01

static const struct sim_link lan = {.delay_us = 1000};

struct probe {
	struct stage *s;
	struct env *env;
	struct ev_loop loop;
	struct env_sock *sock;
	struct addr to;
	char reply[4096], nonce[64];
	size_t n_reply;
	unsigned serial;
};

static void on_ready(void *arg, unsigned events)
{
	struct probe *p = arg;
	struct env_rx rx;
	while (env_recv(p->sock, p->reply, sizeof(p->reply) - 1, &rx) == OK) {
		p->n_reply = rx.n;
		p->reply[rx.n] = 0;
	}
}

static bool has_reply(void *arg)
{
	return ((struct probe *)arg)->n_reply > 0;
}

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void write_request(struct probe *p, const char *method, const char *user, bool has_auth,
			  struct buf *b)
{
	bool is_reg = strcmp(method, "REGISTER") == 0;
	char uri[64];
	unsigned id = 1000000 + p->serial++; /* all requests are of one length */
	snprintf(uri, sizeof(uri), "sip:%s%s" STAGE_SERVER, is_reg ? "" : user, is_reg ? "" : "@");
	buf_fmt(b,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bK%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:%s@" STAGE_SERVER
		">;tag=t%u\r\nTo: <sip:%s@" STAGE_SERVER
		">\r\nCall-ID: c%u\r\nCSeq: 1 %s\r\nContact: <sip:x@10.0.0.99>\r\nEvent: "
		"presence\r\n",
		method, uri, id, user, id, user, id, method);
	if (has_auth)
		buf_fmt(b,
			"%s: Digest username=\"%s\", realm=\"sim\", nonce=\"%s\", uri=\"%s\", "
			"response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5\r\n",
			is_reg ? "Authorization" : "Proxy-Authorization", user, p->nonce, uri);
	buf_str(b, STR("Content-Length: 0\r\n\r\n"));
}

/* Processor time from the request to its answer. */
static double ask(struct probe *p, const char *method, const char *user, bool has_auth)
{
	char mem[2048];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	write_request(p, method, user, has_auth, &b);
	p->n_reply = 0;
	double begin = cpu_us();
	CHECK_EQ(env_send(p->sock, b.p, b.n, &p->to, NULL), OK);
	CHECK(stage_run_until(p->s, 0.05, has_reply, p));
	double took = cpu_us() - begin;
	CHECK(str_starts(str_c(p->reply), STR("SIP/2.0 40")));
	return took;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* p of two samples of N each; sorts them. */
static double kolmogorov_smirnov(double *a, double *b)
{
	double d = 0, p = 0, n = N / 2.0;
	qsort(a, N, sizeof(*a), by_value);
	qsort(b, N, sizeof(*b), by_value);
	for (size_t i = 0, k = 0; i < N && k < N;) {
		double v = a[i] < b[k] ? a[i] : b[k];
		while (i < N && a[i] <= v)
			i++;
		while (k < N && b[k] <= v)
			k++;
		d = fmax(d, fabs((double)i - (double)k) / N);
	}
	double l = (sqrt(n) + 0.12 + 0.11 / sqrt(n)) * d;
	for (int k = 1; k <= 100; k++)
		p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * l * l);
	return l < 0.2 ? 1 : fmin(fmax(p, 0), 1);
}

static double compare(struct probe *p, const char *method, bool has_auth)
{
	static double time_of[2][N];
	size_t n[2] = {0, 0};
	srand(7);
	while (n[0] + n[1] < 2 * (size_t)N) {
		char user[16];
		size_t is_there = (size_t)rand() & 1;
		if (n[is_there] == N)
			is_there = !is_there;
		snprintf(user, sizeof(user), "%c%04d", is_there ? 'e' : 'n', rand() % USERS);
		time_of[is_there][n[is_there]++] = ask(p, method, user, has_auth);
	}
	double value = kolmogorov_smirnov(time_of[0], time_of[1]);
	printf("# %s %s: median %.2f us unknown, %.2f us known, p = %.3f\n", method,
	       has_auth ? "with a wrong password" : "without credentials", time_of[0][N / 2],
	       time_of[1][N / 2], value);
	return value;
}

/* What the stage does with notes is not the exchange's time. */
static void on_note(void *ctx, const struct exc_note *n)
{
}

static void take_nonce(struct probe *p)
{
	ask(p, "REGISTER", "e0000", false);
	const char *nonce = strstr(p->reply, "nonce=\"");
	CHECK(nonce);
	(void)str_copy(p->nonce, sizeof(p->nonce),
		       str_cut(str_c(nonce + 7), '"', &(struct str){0}));
}

TEST_NO_OOM(refusals_take_the_same_time_for_all_users)
{
	static const char *const methods[] = {"REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS"};
	struct addr_net net;
	struct exc_cfg cfg = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};
	struct addr ip, at;
	struct sim_host *host;
	const char *why;
	CHECK(addr_net_parse(STR("10.0.0.99/32"), &net));
	cfg.never_ban = &net;
	cfg.n_never_ban = 1;
	static struct probe p;
	p.s = stage_new_with(5, 1, &lan, &cfg);
	for (int i = 0; i < USERS; i++) {
		char user[16];
		snprintf(user, sizeof(user), "e%04d", i);
		stage_account(p.s, user);
	}
	stage_run(p.s, 3);
	CHECK(addr_parse(STR("10.0.0.99"), 0, &ip) && addr_parse(STR(STAGE_SERVER), 5060, &p.to));
	at = ip;
	at.port = 5060;
	p.to.port = 5060;
	CHECK_EQ(sim_host_new(p.s->sim, "prober", &ip, 1, &host), OK);
	CHECK_EQ(sim_env_new(host, &p.env), OK);
	ev_loop_init(&p.loop, p.env);
	sim_add_loop(p.s->sim, &p.loop);
	CHECK_EQ(env_udp_open(p.env, &at, 0, on_ready, &p, &p.sock, &why), OK);
	exc_set_notes(p.s->exc, on_note, NULL);
	take_nonce(&p);
	for (size_t i = 0; i < 2 * sizeof(methods) / sizeof(methods[0]); i++) {
		bool has_auth = i & 1;
		CHECK(compare(&p, methods[i / 2], has_auth) >= LEAST_P ||
		      compare(&p, methods[i / 2], has_auth) >= LEAST_P);
	}
	sim_del_loop(p.s->sim, &p.loop);
	env_close(p.sock);
	ev_loop_fini(&p.loop);
	env_free(p.env);
	stage_free(p.s);
}
