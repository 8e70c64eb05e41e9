/* Lines of trunks: one per host, on shard 0. A line keeps the trunk's user registered there, and
 * asks by OPTIONS whether the host is up.
 *
 * Down: no answer to a probe, REGISTER or call, 503, or unreachable; at once, by the first of them.
 * Up: any other answer to a probe or REGISTER, a refusal too, since somebody is there. Where nobody
 * probes, what a call found out is believed for a while only (trunks_doubt). A host that comes up
 * is registered at again without waiting for the registration's own pause; what its registrar
 * refuses for good (a wrong password) is asked again every ten minutes, since the fault may be
 * mended there.
 *
 * All hosts begin as up: a call may go out before the first probe is back.
 *
 * Invariants: 1. register_timer and rgc exclude each other. 2. `probe` runs at most PROBE_US.
 * 3. A line in `leaving` has its rgc and nothing else; it is freed with the last answer.
 * [RFC3261 10, 11] [RFC3263 4.3] */
#include "service/trunks_priv.h"

#include "base/assert.h"
#include "sip/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From being made to the first request: listeners are opened meanwhile. */
#define START_US 50000u
/* A probe has been sent four times over UDP by then. */
#define PROBE_US   5000000u
#define REFUSED_US 600000000ull
#define AGAIN_US   30000000u

static const struct uac_user probe_user;
static const struct rgc_user register_user;

/* ---- up and down ----------------------------------------------------------------------------- */

static void say(struct line *l, const char *what)
{
	char mem[400];
	struct buf b;
	if (!l->t->user.on_news)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "trunk " STR_FMT ", " STR_FMT ": %s%s%s", STR_ARG(l->trunk), STR_ARG(l->host),
		what, l->why[0] ? ", " : "", l->why);
	l->t->user.on_news(l->t->user.ctx, buf_view(&b));
}

static void register_now(struct line *l);

static void set_state(struct line *l, enum trunk_state state)
{
	enum trunk_state was = l->state;
	if (was == state)
		return;
	l->state = state;
	l->since_us = ev_now_us(l->t->loop);
	ev_words_set(l->t->words, trunk_word(l->slot, 1u + l->host_at), state == TRUNK_DOWN);
	if (state != TRUNK_DOWN)
		ev_timer_stop(l->t->loop, &l->back_timer);
	if (state == TRUNK_DOWN)
		say(l, "down");
	else if (was == TRUNK_DOWN)
		say(l, state == TRUNK_UP ? "up again" : "tried again");
	if (was == TRUNK_DOWN && l->does_register && !l->is_registered)
		register_now(l);
}

static void set_why(struct line *l, const struct uac_result *r)
{
	switch (r->how) {
	case UAC_FINAL:
		snprintf(l->why, sizeof(l->why), "%u %.*s", r->status,
			 (int)(r->rx->msg->reason.n < 80 ? r->rx->msg->reason.n : 80),
			 r->rx->msg->reason.p);
		break;
	case UAC_TIMEOUT:
		snprintf(l->why, sizeof(l->why), "no answer");
		break;
	case UAC_UNREACHABLE:
		snprintf(l->why, sizeof(l->why), "unreachable");
		break;
	case UAC_FAILED:
		snprintf(l->why, sizeof(l->why), "nothing could be sent");
		break;
	}
}

/* Is anybody there? */
static enum trunk_state state_by(const struct uac_result *r)
{
	if (r->how == UAC_FAILED)
		return TRUNK_UNKNOWN;
	return r->how == UAC_FINAL && r->status != 503 ? TRUNK_UP : TRUNK_DOWN;
}

/* By a new address of ours the host is to reach us at once; but one that tells another each time is
 * not asked for ever. */
static void note_address(struct line *l, const struct uac_result *r)
{
	const struct trunks_user *user = &l->t->user;
	uint64_t now = ev_now_us(l->t->loop);
	if (!r->rx || !user->on_answer || !user->on_answer(user->ctx, r) || !l->rgc ||
	    now < l->again_us)
		return;
	l->again_us = now + AGAIN_US;
	rgc_again(l->rgc);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void on_probe_timer(struct tmr *t);

static void wait_for_probe(struct line *l, uint64_t us)
{
	ev_timer(l->t->loop, &l->probe_timer, us, on_probe_timer);
}

static void on_probed(void *ctx, struct uac *u, const struct uac_result *r)
{
	struct line *l = ctx;
	enum trunk_state state = state_by(r);
	l->probe = NULL;
	wait_for_probe(l, l->probe_s * 1000000ull);
	if (state == TRUNK_DOWN)
		set_why(l, r);
	else if (!l->does_register || l->is_registered)
		l->why[0] = 0;
	if (state == TRUNK_UP)
		l->at = r->dst.to;
	note_address(l, r);
	if (state != TRUNK_UNKNOWN)
		set_state(l, state);
}

static const struct uac_user probe_user = {.on_done = on_probed};

static const char *host_uri(const struct line *l, char mem[320])
{
	snprintf(mem, 320, "sip:%.*s", (int)l->host.n, l->host.p);
	return mem;
}

/* The host without port and parameters, as it stands in From. */
static void put_aor(const struct line *l, struct str user, struct buf *b)
{
	char mem[320];
	struct sip_uri u;
	if (sip_uri_parse(str_c(host_uri(l, mem)), &u) != OK)
		return;
	bool is_ref = str_chr(u.host, ':') != SIZE_MAX;
	buf_str(b, STR("<sip:"));
	sip_escape_user(b, user);
	buf_fmt(b, "@%s" STR_FMT "%s>", is_ref ? "[" : "", STR_ARG(u.host), is_ref ? "]" : "");
}

static void on_probe_timer(struct tmr *t)
{
	struct line *l = CONTAINER_OF(t, struct line, probe_timer);
	char uri[320], mem[400];
	struct buf from;
	if (l->probe) { /* it has had its time */
		uac_drop(l->probe);
		l->probe = NULL;
		snprintf(l->why, sizeof(l->why), "no answer");
		wait_for_probe(l, l->probe_s * 1000000ull);
		set_state(l, TRUNK_DOWN);
		return;
	}
	buf_init_fixed(&from, mem, sizeof(mem));
	put_aor(l, l->user.n ? l->user : STR("rung"), &from);
	struct uac_account acc = {.from = buf_view(&from),
				  .contact_user = l->user,
				  .auth_user = l->auth_user,
				  .password = l->password};
	struct uac_request req = {.method = STR("OPTIONS"), .ruri = str_c(host_uri(l, uri))};
	bool is_sent = !from.err && uac_send(l->t->m, &acc, &req, &probe_user, l, &l->probe) == OK;
	wait_for_probe(l, is_sent ? PROBE_US : l->probe_s * 1000000ull);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_back(struct tmr *t)
{
	struct line *l = CONTAINER_OF(t, struct line, back_timer);
	l->why[0] = 0;
	set_state(l, TRUNK_UNKNOWN);
}

void line_doubt(struct line *l, unsigned status, uint32_t for_s)
{
	if (l->state == TRUNK_DOWN)
		return;
	if (status)
		snprintf(l->why, sizeof(l->why), "%u to a call", status);
	else
		snprintf(l->why, sizeof(l->why), "no answer to a call");
	set_state(l, TRUNK_DOWN);
	if (!l->probe_s)
		ev_timer(l->t->loop, &l->back_timer, for_s * 1000000ull, on_back);
	else if (!l->probe)
		wait_for_probe(l, l->probe_s * 1000000ull);
}

/* ---- registration ---------------------------------------------------------------------------- */

static void on_register_timer(struct tmr *t)
{
	register_now(CONTAINER_OF(t, struct line, register_timer));
}

static void register_later(struct line *l, uint64_t us)
{
	rgc_free(l->rgc);
	l->rgc = NULL;
	ev_timer(l->t->loop, &l->register_timer, us, on_register_timer);
}

static void on_registered(struct line *l, const struct rgc_event *ev)
{
	struct addr at = ev->result->dst.to;
	bool is_news = !l->is_registered || !addr_ip_eq(&at, &l->at);
	l->is_registered = true;
	l->at = at;
	l->why[0] = 0;
	l->expires_us = ev_now_us(l->t->loop) + ev->expires_s * 1000000ull;
	set_state(l, TRUNK_UP);
	if (is_news)
		trunks_publish(l->t);
	if (ev->kind == RGC_EV_REGISTERED)
		say(l, "registered");
	note_address(l, ev->result);
}

static void on_failed(struct line *l, const struct rgc_event *ev)
{
	enum trunk_state state = state_by(ev->result);
	bool was = l->is_registered, is_news = was || !l->why[0];
	l->is_registered = false;
	l->expires_us = 0;
	set_why(l, ev->result);
	if (is_news)
		say(l, "not registered");
	if (was)
		trunks_publish(l->t);
	if (!ev->retry_us)
		register_later(l, ev->asked_us > REFUSED_US ? ev->asked_us : REFUSED_US);
	if (state != TRUNK_UNKNOWN)
		set_state(l, state);
}

static void on_register(void *ctx, struct rgc *r, const struct rgc_event *ev)
{
	struct line *l = ctx;
	switch (ev->kind) {
	case RGC_EV_REGISTERED:
	case RGC_EV_REFRESHED:
		on_registered(l, ev);
		break;
	case RGC_EV_FAILED:
		on_failed(l, ev);
		break;
	case RGC_EV_UNREGISTERED:
		l->rgc = NULL; /* it frees itself */
		line_free(l);
		break;
	}
}

static const struct rgc_user register_user = {.on_event = on_register};

static void register_now(struct line *l)
{
	char uri[320], mem[400];
	struct buf from;
	ev_timer_stop(l->t->loop, &l->register_timer);
	rgc_free(l->rgc);
	l->rgc = NULL;
	buf_init_fixed(&from, mem, sizeof(mem));
	put_aor(l, l->user, &from);
	struct rgc_config cfg = {
		.account = {.from = buf_view(&from),
			    .contact_user = l->user,
			    .auth_user = l->auth_user,
			    .password = l->password},
		.registrar = str_c(host_uri(l, uri)),
		.instance_key = l->t->user.instance_key,
	};
	if (from.err || rgc_new(l->t->m, &cfg, &register_user, l, &l->rgc) != OK) {
		snprintf(l->why, sizeof(l->why), "nothing could be sent");
		l->rgc = NULL;
		register_later(l, REFUSED_US / 20);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct str keep(char **at, struct str s)
{
	struct str out = str_of(*at, s.n);
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

struct line *line_new(struct trunks *t, uint16_t slot, const struct pol_trunk *p, size_t host)
{
	const struct pol_host *h = (const struct pol_host *)p->hosts.v + host;
	struct line *l = calloc(1, sizeof(*l));
	size_t n = p->name.s.n + h->host.s.n + p->user.s.n + p->auth_user.s.n + p->password.s.n;
	char *at = malloc(n + 1);
	if (!l || !at) {
		free(l);
		free(at);
		return NULL;
	}
	l->t = t;
	l->slot = slot;
	l->text = at;
	l->trunk = keep(&at, p->name.s);
	l->host = keep(&at, h->host.s);
	l->user = keep(&at, p->user.s);
	l->auth_user = keep(&at, p->auth_user.s);
	l->password = keep(&at, p->password.s);
	l->does_register = p->does_register == POL_YES;
	l->probe_s = p->probe_s;
	list_init(&l->link);
	return l;
}

void line_start(struct line *l)
{
	if (l->does_register)
		register_later(l, START_US);
	if (l->probe_s)
		wait_for_probe(l, START_US);
}

static void stop(struct line *l)
{
	uac_drop(l->probe);
	l->probe = NULL;
	ev_timer_stop(l->t->loop, &l->probe_timer);
	ev_timer_stop(l->t->loop, &l->register_timer);
	ev_timer_stop(l->t->loop, &l->back_timer);
}

void line_free(struct line *l)
{
	stop(l);
	rgc_free(l->rgc);
	list_del(&l->link);
	free(l->text);
	free(l);
}

void line_end(struct line *l, bool unregisters)
{
	if (!l->is_registered || !l->rgc || !unregisters) {
		line_free(l);
		return;
	}
	stop(l);
	l->is_registered = false;
	list_del(&l->link);
	list_push(&l->t->leaving, &l->link);
	rgc_stop(l->rgc);
}
