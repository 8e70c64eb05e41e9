/* Keeps the way from the registrar to us open, and notices when it has closed. [RFC5626 4.4]
 *
 * Whether it is needed, the 200 tells: the top Via shows a NAT (received or rport are not what we
 * have here), the registrar keeps flows (Require: outbound), or it wants to see us (Flow-Timer).
 *
 * A registrar that keeps flows answers: STUN by UDP, CRLF on a connection. Then silence is the end
 * of the flow, and another mapped address is another flow: both lead to a new REGISTER. One that
 * does not is sent CRLF CRLF, which only keeps the NAT's mapping; so does a loop of several shards,
 * where the answer may come in on another one.
 *
 * Intervals [RFC5626 4.4.1, 4.4.2]: 80 to 100 % of 29 s by UDP, of 120 s on a connection, or of
 * Flow-Timer. A STUN request is repeated after 0.5, 1, 2, 4 s and given up after 8 more; CRLF after
 * 10 s.
 */
#include "dialog/reg_priv.h"

#include "transport/seen.h"

#define UDP_S          29u
#define STREAM_S       120u
#define STUN_FIRST_US  500'000u
#define STUN_TRIES     5
#define STREAM_WAIT_US 10'000'000u

static bool is_stream(const struct rgc *r)
{
	return tp_is_reliable(r->dst.proto);
}

static void on_timer(struct tmr *t);

static void wait_interval(struct rgc *r)
{
	struct keep *k = &r->keep;
	uint64_t s = k->every_s ? k->every_s : is_stream(r) ? STREAM_S : UDP_S, us = s * 1'000'000;
	k->n_sent = 0;
	us -= env_random_u64(r->m->loop->env) % (us / 5 + 1);
	ev_timer(r->m->loop, &k->timer, us, on_timer);
}

static void ping(struct rgc *r)
{
	struct keep *k = &r->keep;
	enum err e;
	if (!k->is_answered) {
		e = tp_send(r->m->tp, &r->dst, STR("\r\n\r\n"), 0);
		(void)e; /* whether it arrives nobody would tell */
		wait_interval(r);
		return;
	}
	if (!k->n_sent)
		env_random(r->m->loop->env, k->txid, sizeof(k->txid));
	e = tp_ping(r->m->tp, &r->dst, k->txid);
	(void)e; /* no answer will say the same */
	ev_timer(r->m->loop, &k->timer, is_stream(r) ? STREAM_WAIT_US : STUN_FIRST_US << k->n_sent,
		 on_timer);
	k->n_sent++;
}

static void on_timer(struct tmr *t)
{
	struct rgc *r = CONTAINER_OF(t, struct rgc, keep.timer);
	if (r->keep.n_sent < (is_stream(r) ? 1 : STUN_TRIES)) {
		ping(r);
		return;
	}
	r->keep.n_sent = 0;
	if (r->flow)
		tp_flow_close(r->m->tp, r->flow); /* its end is told, and leads to a REGISTER */
	else
		rgc_again(r);
}

void keep_on_pong(struct rgc *r, const struct tp_pong *p)
{
	struct keep *k = &r->keep;
	bool is_mine =
		p->txid ? memcmp(p->txid, k->txid, sizeof(k->txid)) == 0 : p->flow == r->flow;
	if (!k->n_sent || !is_mine)
		return;
	wait_interval(r);
	if (!p->mapped.family || addr_eq(&p->mapped, &k->mapped))
		return;
	bool is_moved = k->mapped.family != ADDR_NONE;
	k->mapped = p->mapped;
	if (is_moved)
		rgc_again(r);
}

/* The address that the registrar saw is not the one that we have here [RFC3581 4]. */
static bool is_behind_nat(const struct rgc *r, const struct sip_msg *m)
{
	struct addr seen = tp_seen_in(m), own;
	if (!seen.family || tp_own_for(r->m->tp, &r->dst, &own) != OK)
		return false;
	return is_stream(r) ? !addr_ip_eq(&seen, &own) : !addr_eq(&seen, &own);
}

void keep_after_200(struct rgc *r, const struct sip_msg *m)
{
	struct keep *k = &r->keep;
	struct ev_loop *loop = r->m->loop;
	bool is_outbound = sip_has_token(m, SIP_HDR_REQUIRE, STR("outbound"));
	k->every_s = 0;
	if (sip_seconds_parse(sip_value(m, SIP_HDR_FLOW_TIMER), &k->every_s) != OK)
		k->every_s = 0;
	k->is_answered = is_outbound && (!loop->shards || ev_shards_count(loop->shards) == 1);
	k->is_needed = !r->is_once && (is_outbound || k->every_s || is_behind_nat(r, m));
	if (!k->is_needed)
		keep_stop(r);
	else if (!tmr_is_running(&k->timer))
		wait_interval(r);
}

void keep_stop(struct rgc *r)
{
	ev_timer_stop(r->m->loop, &r->keep.timer);
	r->keep.n_sent = 0;
	r->keep.mapped = (struct addr){0};
}
