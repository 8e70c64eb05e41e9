/* rung tour: the walkthrough on loopback. An exchange (store in memory, one shard) and two phones
 * of rung's own run on one loop in this process; what the exchange receives and sends is tracked,
 * and after each flow its ladder is printed.
 *
 * Flows: 1 registration, 2 message-waiting, 3 a call that is declined, 4 one that is given up, 5
 * one that is answered: ended by the caller, by the callee, and with hold. The tour fails (exit 1)
 * when a flow does not end as it should: it is a test of the whole as well. */
#include "base/assert.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "phone/phone.h"
#include "scope/lad.h"
#include "service/accounts.h"
#include "service/exchange.h"
#include "store/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEP_US 15000000ull /* no flow takes longer */

struct party {
	struct tour *tour;
	const char *name, *user, *host; /* address */
	struct ph *ph;
	const char *awaited; /* name of the event that ends the step */
	bool is_met;
	enum ph_outcome outcome;
};

struct tour {
	bool is_ascii, is_fast;
	const char *server_host;
	struct env *env;
	struct ev_shards *shards;
	struct ev_loop *loop;
	struct st_mem *disk;
	struct st *st;
	struct exc *exc;
	struct trk *trk;
	uint64_t offset_us;
	uint32_t n_shown, n_failed;
	struct party caller, callee;
	struct ph_plan caller_plan, callee_plan;
	struct tmr deadline;
	bool is_late;
	char server[64]; /* "127.0.0.57:5060" */
};

/* ---- waiting --------------------------------------------------------------------------------- */

static void on_event(void *ctx, struct ph *ph, const struct ph_event *ev)
{
	struct party *p = ctx;
	if (!p->awaited || strcmp(ev->name, p->awaited) != 0)
		return;
	p->is_met = true;
	p->outcome = ev->outcome;
	p->awaited = NULL;
	ev_stop(p->tour->loop);
}

static void on_deadline(struct tmr *t)
{
	struct tour *tour = CONTAINER_OF(t, struct tour, deadline);
	tour->is_late = true;
	ev_stop(tour->loop);
}

static void expect(struct party *p, const char *event)
{
	p->awaited = event;
	p->is_met = false;
}

/* Runs until what was expected of both has come. */
static bool run(struct tour *t)
{
	t->is_late = false;
	ev_timer(t->loop, &t->deadline, STEP_US, on_deadline);
	while (!t->is_late && (t->caller.awaited || t->callee.awaited))
		ev_run(t->loop);
	ev_timer_stop(t->loop, &t->deadline);
	t->caller.awaited = t->callee.awaited = NULL;
	return !t->is_late;
}

/* Lets what is still on its way (an ACK, a 200 to BYE) arrive. */
static void settle(struct tour *t)
{
	ev_timer(t->loop, &t->deadline, 100000, on_deadline);
	t->is_late = false;
	while (!t->is_late)
		ev_run(t->loop);
}

/* ---- what happened --------------------------------------------------------------------------- */

static void on_tap(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes)
{
	struct tour *t = ctx;
	struct trk_packet p = {
		.at_us = at_us + t->offset_us,
		.frame_no = (uint32_t)trk_stats(t->trk)->n_messages + 1,
		.from = *from,
		.to = *to,
		.transport = proto == TP_UDP ? TRK_UDP : TRK_TCP,
		.bytes = bytes,
	};
	enum err e = trk_message(t->trk, &p, NULL);
	(void)e; /* the tracker counts what it cannot keep */
}

static struct str alias(void *arg, const struct addr *a)
{
	const struct tour *t = arg;
	const struct party *parties[] = {&t->caller, &t->callee};
	struct addr ip;
	for (size_t i = 0; i < ARRAY_LEN(parties); i++)
		if (addr_parse(str_c(parties[i]->host), 0, &ip) && addr_ip_eq(&ip, a))
			return str_c(parties[i]->name);
	return STR("exchange");
}

/* Ladders of what came since the last time. */
static void show(struct tour *t)
{
	struct lad_opts o = {
		.is_ascii = t->is_ascii, .is_colour = isatty(1) == 1, .alias = alias, .arg = t};
	uint32_t n = 0;
	for (struct trk_call *c = trk_first(t->trk); c; c = trk_after(t->trk, c)) {
		if (n++ < t->n_shown)
			continue;
		struct vrd v;
		struct buf b;
		vrd_init(&v);
		buf_init(&b);
		enum err e = vrd_judge(&v, t->trk, c);
		lad_put(&b, t->trk, c, e ? NULL : &v, &o);
		if (!b.err)
			fwrite(b.p, 1, b.n, stdout);
		putchar('\n');
		buf_fini(&b);
		vrd_fini(&v);
	}
	t->n_shown = n;
	fflush(stdout);
}

static void check(struct tour *t, bool is_ok, const char *what)
{
	if (is_ok)
		return;
	t->n_failed++;
	printf("!! %s\n\n", what);
}

static void heading(const char *text)
{
	printf("\n== %s\n\n", text);
	fflush(stdout);
}

/* ---- the flows ------------------------------------------------------------------------------- */

static void flow_register(struct tour *t)
{
	struct party *both[] = {&t->caller, &t->callee};
	heading("1  Registration: challenge, credentials, 200 OK");
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		expect(both[i], "registered");
		ph_register(both[i]->ph, 3600, false);
		check(t, run(t) && both[i]->outcome == PH_DONE, "a phone could not register");
	}
	settle(t);
	show(t);
}

static void flow_subscribe(struct tour *t)
{
	heading("2  Message-waiting: SUBSCRIBE, 407, SUBSCRIBE, 200, NOTIFY, 200");
	char uri[128];
	snprintf(uri, sizeof(uri), "sip:%s@%s", t->caller.user, t->server);
	expect(&t->caller, "notify");
	enum err e = ph_subscribe(t->caller.ph, str_c(uri), STR("message-summary"),
				  STR("application/simple-message-summary"), 3600);
	check(t, e == OK && run(t), "no NOTIFY came");
	settle(t);
	show(t);
}

static void call(struct tour *t, const char *title, enum ph_outcome wanted)
{
	char uri[128];
	heading(title);
	snprintf(uri, sizeof(uri), "sip:%s@%s", t->callee.user, t->server);
	ph_accept(t->callee.ph, &t->callee_plan);
	expect(&t->caller, "ended");
	expect(&t->callee, "ended");
	enum err e = ph_call(t->caller.ph, str_c(uri), &t->caller_plan);
	bool is_done = e == OK && run(t);
	check(t, is_done && t->caller.outcome == wanted, "the call did not end as it should");
	settle(t);
	show(t);
}

static void flow_calls(struct tour *t)
{
	struct ph_plan *a = &t->caller_plan, *b = &t->callee_plan;
	double talk_s = t->is_fast ? 0.3 : 1.5;
	ph_plan_init(a);
	ph_plan_init(b);
	b->reject = 486;
	call(t, "3  A call that is declined: 486", PH_BUSY);

	b->reject = 0;
	b->ring_s = -1;
	a->cancel_s = t->is_fast ? 0.2 : 1;
	call(t, "4  A call that the caller gives up while it rings: CANCEL, 487", PH_DONE);

	a->cancel_s = -1;
	b->ring_s = t->is_fast ? 0.1 : 0.5;
	a->tone_hz = 440;
	b->tone_hz = 660;
	a->expect_audio = b->expect_audio = true;
	a->hangup_s = talk_s;
	call(t, "5a  A call that is answered; the caller hangs up", PH_DONE);

	a->hangup_s = -1;
	b->hangup_s = talk_s;
	call(t, "5b  The callee hangs up", PH_DONE);

	b->hangup_s = -1;
	a->hangup_s = talk_s;
	a->hold_s = talk_s / 3;
	a->resume_s = talk_s * 2 / 3;
	call(t, "5c  Hold and resume by re-INVITE", PH_DONE);
}

/* ---- the stage ------------------------------------------------------------------------------- */

static enum err add_account(struct tour *t, struct str realm, const char *user)
{
	struct st_account a = {.user = str_c(user), .is_enabled = true};
	acc_set_password(&a, realm, STR("walkthrough"));
	return st_account_put(t->st, &a, ST_ADD);
}

static enum err open_exchange(struct tour *t, struct buf *why)
{
	struct buf realm;
	buf_init(&realm);
	enum err e = st_mem_new(&t->disk);
	if (e == OK)
		e = st_open_mem(t->disk, &t->st, why);
	if (e == OK)
		e = acc_realm(t->st, t->env, STR("rung-tour"), &realm);
	if (e == OK)
		e = add_account(t, buf_view(&realm), t->caller.user);
	if (e == OK)
		e = add_account(t, buf_view(&realm), t->callee.user);
	buf_fini(&realm);
	if (e)
		return e;
	e = ev_shards_new(&t->env, 1, &t->shards);
	if (e)
		return e;
	t->loop = ev_shard(t->shards, 0);
	e = ev_workers_start(t->shards, 0);
	struct exc_cfg cfg = {.product = STR("rung")};
	return e ? e : exc_new(t->shards, t->st, t->env, &cfg, &t->exc, why);
}

static enum err open_listener(struct tour *t, struct buf *why)
{
	struct addr a;
	const char *reason = "";
	enum tp_proto proto;
	addr_parse(str_c(t->server_host), 0, &a);
	enum err e = exc_listen(t->exc, TP_UDP, &a, &reason);
	if (e) {
		buf_fmt(why, "cannot listen on %s: %s", t->server_host, reason);
		return e;
	}
	tp_listener(exc_transport(t->exc, 0), 0, &proto, &a);
	addr_text(&a, t->server);
	struct tp_tap tap = {.ctx = t, .fn = on_tap};
	exc_set_tap(t->exc, 0, &tap);
	return OK;
}

static enum err open_phone(struct tour *t, struct party *p, struct buf *why)
{
	char from[128];
	const char *reason = "";
	struct ph_config cfg = {.password = STR("walkthrough"),
				.proxy = str_c(t->server),
				.on_event = on_event,
				.ctx = p};
	p->tour = t;
	snprintf(from, sizeof(from), "sip:%s@%s", p->user, t->server);
	cfg.from = str_c(from);
	addr_parse(str_c(p->host), 0, &cfg.bind);
	enum err e = ph_new(t->loop, &cfg, &p->ph, &reason);
	if (e) {
		buf_str(why, str_c(reason));
		return e;
	}
	expect(p, "ready");
	ph_start(p->ph, STR_NONE);
	if (p->awaited && !run(t)) {
		buf_fmt(why, "the phone at %s does not start", p->host);
		return ERR_NET;
	}
	return OK;
}

static enum err open_stage(struct tour *t, struct buf *why)
{
	enum err e = env_os_new(&t->env);
	if (e)
		return e;
	t->offset_us = env_wall_us(t->env) - env_now_us(t->env);
	t->trk = trk_new(&(struct trk_cfg){0});
	if (!t->trk)
		return ERR_NOMEM;
	e = open_exchange(t, why);
	if (e == OK)
		e = open_listener(t, why);
	if (e == OK)
		e = open_phone(t, &t->caller, why);
	return e ? e : open_phone(t, &t->callee, why);
}

static void close_stage(struct tour *t)
{
	ph_free(t->caller.ph);
	ph_free(t->callee.ph);
	exc_free(t->exc);
	if (t->shards) {
		ev_workers_stop(t->shards);
		ev_shards_free(t->shards);
	}
	st_close(t->st);
	if (t->disk)
		st_mem_free(t->disk);
	if (t->trk)
		trk_free(t->trk);
	if (t->env)
		env_free(t->env);
}

int cmd_tour(int argc, char **argv)
{
	static struct tour t;
	t.server_host = "127.0.0.57";
	t.caller = (struct party){.name = "caller", .user = "1001", .host = "127.0.0.21"};
	t.callee = (struct party){.name = "callee", .user = "1002", .host = "127.0.0.43"};
	struct opt opts[] = {
		{0, "ascii", OPT_FLAG, &t.is_ascii, NULL, "ladders without box drawing"},
		{0, "fast",  OPT_FLAG, &t.is_fast,  NULL, "shorter calls"              },
	};
	struct opt_spec spec = {
		.command = "tour",
		.words = "",
		.about = "Plays the walkthrough on loopback (an exchange at 127.0.0.57, phones at "
			 "127.0.0.21 and 127.0.0.43)\n"
			 "and prints the ladder and the verdict of each flow. Nothing is kept.",
		.examples = "  rung tour --fast\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	struct buf why;
	buf_init(&why);
	enum err e = open_stage(&t, &why);
	if (e) {
		fprintf(stderr, "rung tour: " STR_FMT "\n", why.n ? (int)why.n : 22,
			why.n ? why.p : "the stage cannot be set");
	} else {
		flow_register(&t);
		flow_subscribe(&t);
		flow_calls(&t);
		printf("%s\n", t.n_failed ? "The tour found faults: see the lines with !!"
					  : "All flows ended as they should.");
	}
	buf_fini(&why);
	close_stage(&t);
	return e || t.n_failed ? EXIT_FAILED : EXIT_DONE;
}
