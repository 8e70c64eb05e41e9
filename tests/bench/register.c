/* Registration in user space: REGISTER, 401, REGISTER with credentials, 200 through transport,
 * transactions, digest, location and journal (over memory), with the kernel left out; then what
 * 100,000 bindings cost: a look-up, bytes of memory, the time to load them. Budget: half of
 * Kamailio's CPU is 18 us for both messages, of which the kernel takes 10 to 11. */
#include "bench.h"
#include "null_env.h"
#include "service/accounts.h"
#include "service/exchange.h"
#include "sip/auth.h"
#include "store/mem.h"
#include "transaction/transaction.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USERS 100000u

struct rig {
	struct env *env;
	struct ev_shards *shards;
	struct ev_loop *loop;
	struct st *st;
	struct exc *exc;
	struct addr phone, server;
	uint32_t serial, user, looked;
};

static struct st_mem *disk;

static void die(const char *what)
{
	fprintf(stderr, "bench_register: %s\n", what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct str user_name(uint32_t user, char mem[16])
{
	return str_of(mem, (size_t)snprintf(mem, 16, "user%06u", user));
}

/* All have the HA1 of one name and password, so that the phone's digest can be made beforehand. */
static void add_accounts(struct st *st)
{
	struct st_account a = {.is_enabled = true};
	char mem[16];
	if (st_begin(st))
		die("no accounts");
	for (uint32_t i = 0; i < USERS; i++) {
		a.user = STR("bench");
		if (i == 0)
			acc_set_password(&a, STR("bench"), STR("bench"));
		a.user = user_name(i, mem);
		if (st_account_put(st, &a, ST_ADD))
			die("no account");
	}
	if (st_commit(st))
		die("no accounts");
}

/* dir NULL: the disk in memory. */
static void open_rig(struct rig *r, const char *dir)
{
	struct buf why;
	const char *reason;
	*r = (struct rig){0};
	buf_init(&why);
	r->env = null_env_new();
	addr_parse(STR("192.0.2.43:5060"), 0, &r->phone);
	addr_parse(STR("192.0.2.1:5060"), 0, &r->server);
	if (!r->env || ev_shards_new(&r->env, 1, &r->shards) || ev_workers_start(r->shards, 0))
		die("no shard");
	r->loop = ev_shard(r->shards, 0);
	if (dir ? st_open(dir, ST_SERVER | ST_CREATE, &r->st, &why)
		: st_open_mem(disk, &r->st, &why))
		die("no store");
	size_t n;
	if (st_accounts_count(r->st, &n) || n == 0)
		add_accounts(r->st);
	struct exc_cfg cfg = {.realm = STR("bench"), .product = STR("rung")};
	if (exc_new(r->shards, r->st, r->env, &cfg, &r->exc, &why) ||
	    exc_listen(r->exc, TP_UDP, &r->server, &reason))
		die("no exchange");
	ev_turn(r->loop);
}

static void close_rig(struct rig *r)
{
	exc_free(r->exc);
	st_close(r->st);
	ev_shards_free(r->shards);
	env_free(r->env);
}

static size_t put_register(char *p, size_t cap, struct str user, uint32_t serial, unsigned cseq,
			   const char *credentials)
{
	return (size_t)snprintf(
		p, cap,
		"REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.43:5060;rport;branch=z9hG4bK%08x%u\r\nMax-Forwards: 70\r\n"
		"From: <sip:" STR_FMT "@192.0.2.1>;tag=a%08x\r\nTo: <sip:" STR_FMT "@192.0.2.1>\r\n"
		"Call-ID: %08x-1f0c@192.0.2.43\r\nCSeq: %u REGISTER\r\nContact: <sip:" STR_FMT
		"@192.0.2.43:5060>\r\n%sUser-Agent: Phone/1.2.3\r\nExpires: 3600\r\n"
		"Content-Length: 0\r\n\r\n",
		serial, cseq, STR_ARG(user), serial, STR_ARG(user), serial, cseq, STR_ARG(user),
		credentials);
}

static void put_credentials(char *p, size_t cap, struct str user, struct str nonce)
{
	char response[SIP_HA1_MAX], ha1[SIP_HA1_MAX];
	struct sip_credentials c = {.username = user,
				    .realm = STR("bench"),
				    .nonce = nonce,
				    .uri = STR("sip:192.0.2.1"),
				    .cnonce = STR("0a4f113b"),
				    .qop = STR("auth"),
				    .nc = STR("00000001")};
	struct str h = sip_ha1(MD_MD5, STR("bench"), STR("bench"), STR("bench"), ha1);
	struct str r = sip_digest_response(&c, h, STR("REGISTER"), STR_NONE, response);
	snprintf(p, cap,
		 "Authorization: Digest username=\"" STR_FMT "\", realm=\"bench\", nonce=\"" STR_FMT
		 "\", uri=\"sip:192.0.2.1\", response=\"" STR_FMT
		 "\", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001\r\n",
		 STR_ARG(user), STR_ARG(nonce), STR_ARG(r));
}

static void feed(struct rig *r, const char *p, size_t n)
{
	struct tp *tp = exc_transport(r->exc, 0);
	struct tp_rx *rx = tp_rx_make(tp, str_of(p, n), &r->phone, &r->server, TP_UDP);
	if (!rx)
		die("message refused");
	tsx_on_message(exc_transactions(r->exc, 0), rx);
	tp_rx_unref(tp, rx);
	ev_turn(r->loop);
}

static void register_one(struct rig *r)
{
	static char text[2048], credentials[700], name[16];
	struct str user = user_name(r->user++ % USERS, name), reply;
	feed(r, text, put_register(text, sizeof(text), user, ++r->serial, 1, ""));
	reply = null_env_last(r->env);
	size_t at = str_find(reply, STR("nonce=\""));
	if (at == SIZE_MAX)
		die("no challenge");
	struct str rest = str_skip(reply, at + 7);
	put_credentials(credentials, sizeof(credentials), user, str_sub(rest, 0, 24));
	feed(r, text, put_register(text, sizeof(text), user, r->serial, 2, credentials));
	if (!str_starts(null_env_last(r->env), STR("SIP/2.0 200")))
		die("not registered");
	null_env_advance(r->env, 1000); /* 1,000 a second */
}

static void registrations(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		register_one(arg);
}

/* What the bench itself does for one registration: its figure is to be taken off. */
static void texts_only(void *arg, uint64_t n)
{
	static char text[2048], credentials[700], name[16];
	for (uint64_t i = 0; i < n; i++) {
		struct str user = user_name((uint32_t)i % USERS, name);
		put_register(text, sizeof(text), user, 1, 1, "");
		put_credentials(credentials, sizeof(credentials), user,
				STR("AamAD0cDa4q3yY72Da/hFbCq"));
		put_register(text, sizeof(text), user, 1, 2, credentials);
		BENCH_KEEP(text[0]);
	}
}

static void lookups(void *arg, uint64_t n)
{
	struct rig *r = arg;
	struct loc_targets t;
	char name[32];
	for (uint64_t i = 0; i < n; i++) {
		r->looked = (r->looked * 1664525u + 1013904223u) % USERS;
		int len = snprintf(name, sizeof(name), "user%06u@bench", r->looked);
		if (loc_lookup(exc_location(r->exc), 0, str_of(name, (size_t)len), &t) || !t.n)
			die("not found");
	}
}

static void lookup_names(void *arg, uint64_t n)
{
	struct rig *r = arg;
	char name[32];
	for (uint64_t i = 0; i < n; i++) {
		r->looked = (r->looked * 1664525u + 1013904223u) % USERS;
		snprintf(name, sizeof(name), "user%06u@bench", r->looked);
		BENCH_KEEP(name[0]);
	}
}

static double pss_bytes(void)
{
	char line[200];
	double kb = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lf", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

/* All told, by the growth of this process: first a minute of refreshes of few users, so that pools
 * of transactions, nonces and buffers have their steady size, then all users at the same rate. */
static void measure_memory(void)
{
	static struct rig r;
	char dir[] = "/tmp/rung-bench-XXXXXX", path[600];
	if (!mkdtemp(dir))
		die("no folder");
	open_rig(&r, dir);
	for (uint32_t i = 0; i < 60000; i++) {
		r.user = i % 1000;
		register_one(&r);
	}
	double before = pss_bytes();
	for (r.user = 1000; r.user < USERS;)
		register_one(&r);
	bench_note("bytes per binding, all told (growth of PSS)", "B",
		   (pss_bytes() - before) / (USERS - 1000), 310);
	close_rig(&r);
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void bench_main(void)
{
	static struct rig r;
	if (st_mem_new(&disk))
		die("no disk");
	open_rig(&r, NULL);
	bench_run(&(struct bench){.name = "registration with digest, both messages",
				  .fn = registrations,
				  .arg = &r,
				  .budget_ns = 7000,
				  .ops = 1});
	bench_run(&(struct bench){.name = "  of it: the bench's own texts and digests",
				  .fn = texts_only,
				  .arg = &r,
				  .ops = 1});
	/* every transaction over, every user registered: what stays is bindings */
	null_env_advance(r.env, 40000000);
	ev_turn(r.loop);
	while (r.user < USERS)
		register_one(&r);
	struct loc_stats s;
	loc_stats(exc_location(r.exc), 0, &s);
	bench_note("bytes per binding, records and table", "B",
		   (double)s.bytes / (double)s.n_bindings, 310);
	bench_run(&(struct bench){.name = "look-up among 100,000",
				  .fn = lookups,
				  .arg = &r,
				  .budget_ns = 400,
				  .ops = 1});
	bench_run(&(struct bench){
		.name = "  of it: the bench's own names", .fn = lookup_names, .arg = &r, .ops = 1});
	close_rig(&r);
	double t0 = now_ms();
	open_rig(&r, NULL);
	bench_note("start with 100,000 accounts and bindings", "ms", now_ms() - t0, 1000);
	loc_stats(exc_location(r.exc), 0, &s);
	if (s.n_bindings < USERS)
		die("bindings are missing after the restart");
	close_rig(&r);
	st_mem_free(disk);
	measure_memory();
}
