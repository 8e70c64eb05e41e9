/* Client transactions: requests out, responses in.
 *
 * A request is composed by its user (who knows all but the topmost Via) into a scratch buffer, and
 * the bytes are kept for retransmission, ACK and CANCEL. The Via branch is made from the id of the
 * transaction, so a response names its transaction; nothing is searched.
 *
 * CANCEL is a transaction of its own that shares the branch of its INVITE [RFC3261 9.1]: it hangs
 * on the INVITE's object, which hands it the responses that say CANCEL in CSeq. It dies with its
 * INVITE, when nobody wants to know any more.
 *
 * A request of more than 1,300 bytes for a UDP target that is ours to change goes by TCP; when the
 * connection cannot be made it is composed again and goes by UDP after all [RFC3261 18.1.1].
 *
 * Invariants:
 * 1. parent->cancel == c exactly when c->parent == parent.
 * 2. is_on_flow: the transaction is in by_flow under dst.flow: when that connection ends while no
 *    response has come, the transaction fails at once instead of after 32 s.
 * 3. A detached transaction (user NULL) runs on like any other and tells nobody.
 *
 * [RFC3261 17.1, 9.1, 18.1.1] [RFC6026 7.2, 8.4] [RFC3581]
 */
#include "transaction/priv.h"

#include <string.h>

#define MTU_SAFE 1300 /* bytes: RFC 3261 18.1.1, path MTU unknown */

static struct tsx_client *find(struct tsx_mgr *m, tsx_id ct)
{
	struct tsx_client *c = pool_find(&m->clients, ct);
	return c && !c->t.is_over ? c : NULL;
}

static bool is_invite(const struct tsx_client *c)
{
	return c->t.machine == TSX_ICT;
}

static tsx_id id_of(const struct tsx_client *c)
{
	return pool_id(&c->t.m->clients, c);
}

/* No response has come yet. */
static bool is_calling(const struct tsx_client *c)
{
	return is_invite(c) ? c->t.state == ICT_CALLING || c->t.state == ICT_CANCEL_WAITS
			    : c->t.state == NICT_TRYING;
}

/* --- life ------------------------------------------------------------------------------------- */

static void leave_flow(struct tsx_client *c)
{
	if (c->is_on_flow)
		htab_del(&c->t.m->by_flow, &c->by_flow);
	c->is_on_flow = false;
}

void tsx_client_free(struct tsx_client *c)
{
	struct tsx_mgr *m = c->t.m;
	if (c->cancel)
		tsx_client_free(c->cancel);
	if (c->parent)
		c->parent->cancel = NULL;
	leave_flow(c);
	tsx_unqueue(&c->t);
	ev_timer_stop(m->loop, &c->t.retransmit);
	ev_timer_stop(m->loop, &c->t.deadline);
	tsx_drop_bytes(&c->t);
	block_put(m->blocks, c->cancel_lines);
	pool_put(&m->clients, c);
}

void tsx_client_tell_end(struct tsx_client *c)
{
	if (c->user)
		c->user->on_end(c->ctx, id_of(c), (enum tsx_end)c->t.end);
	tsx_client_free(c);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK..." */
static enum err write_via(struct tsx_mgr *m, const struct tp_dst *dst, obj_id id)
{
	struct addr local;
	enum err e = tp_local_for(m->tp, dst, &local);
	if (e != OK)
		return e;
	char branch[TP_BRANCH_MAX];
	buf_clear(&m->via);
	buf_str(&m->via, STR("Via: SIP/2.0/"));
	buf_str(&m->via, tp_proto_name(dst->proto));
	buf_chr(&m->via, ' ');
	addr_put(&m->via, &local);
	buf_str(&m->via, STR(";rport;branch="));
	buf_str(&m->via, tp_branch_make(m->tp, id, branch));
	buf_str(&m->via, STR("\r\n"));
	return m->via.err;
}

typedef enum err compose_fn(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out);

/* The whole request in m->scratch. */
static enum err compose(struct tsx_mgr *m, const struct tp_dst *dst, obj_id id, compose_fn *fn,
			void *ctx)
{
	enum err e = write_via(m, dst, id);
	if (e != OK)
		return e;
	buf_clear(&m->scratch);
	e = fn(ctx, buf_view(&m->via), dst, &m->scratch);
	return e == OK ? m->scratch.err : e;
}

static enum err compose_for(struct tsx_client *c, const struct tp_dst *dst)
{
	return compose(c->t.m, dst, id_of(c), c->user->compose, c->ctx);
}

static enum err send_kept(struct tsx_client *c)
{
	return tp_send(c->t.m->tp, &c->dst, str_of(c->t.bytes, c->t.n_bytes), id_of(c));
}

/* What m->scratch holds becomes the request, goes out to dst, and the timers start. */
static enum err start(struct tsx_client *c, const struct tp_dst *dst)
{
	enum err e = tsx_keep(&c->t, buf_view(&c->t.m->scratch));
	if (e != OK)
		return e;
	c->dst = *dst;
	c->t.is_reliable = tp_is_reliable(dst->proto);
	e = send_kept(c);
	if (e != OK)
		return e;
	if (c->t.is_reliable)
		ev_timer_stop(c->t.m->loop, &c->t.retransmit);
	else
		tsx_start_retransmit(&c->t, is_invite(c) ? ICT_TIMER_A : NICT_TIMER_E, TSX_T1_US);
	tsx_start_deadline(&c->t, is_invite(c) ? ICT_TIMER_B : NICT_TIMER_F, TSX_64T1_US);
	return OK;
}

static struct tp_dst over_tcp(const struct tp_dst *dst)
{
	struct tp_dst tcp = *dst;
	tcp.proto = TP_TCP;
	tcp.from.port = 0; /* the address still stands */
	if (addr_is_any(&tcp.from))
		tcp.from.family = ADDR_NONE;
	return tcp;
}

/* Composes and sends; large ones by TCP if that can be had. */
static enum err compose_and_start(struct tsx_client *c, const struct tp_dst *dst)
{
	enum err e = compose_for(c, dst);
	if (e != OK)
		return e;
	if (dst->proto != TP_UDP || dst->is_fixed || c->t.m->scratch.n <= MTU_SAFE)
		return start(c, dst);
	struct tp_dst tcp = over_tcp(dst);
	if (tp_hop_is_dead(c->t.m->tp, &tcp)) /* it was refused a moment ago */
		return start(c, dst);
	c->is_switched = true;
	if (compose_for(c, &tcp) == OK && start(c, &tcp) == OK)
		return OK;
	c->is_switched = false;
	e = compose_for(c, dst);
	return e == OK ? start(c, dst) : e;
}

/* Took TCP for its size only, and there is none: UDP then. */
static bool fall_back(struct tsx_client *c)
{
	if (!c->is_switched || !c->user || !is_calling(c))
		return false;
	struct tp_dst udp = c->dst;
	tp_hop_failed(c->t.m->tp, &c->dst, 0);
	udp.proto = TP_UDP;
	c->is_switched = false;
	return compose_for(c, &udp) == OK && start(c, &udp) == OK;
}

/* --- ACK and CANCEL --------------------------------------------------------------------------- */

static void send_ack(struct tsx_client *c, struct tp_rx *rx)
{
	struct tsx_mgr *m = c->t.m;
	ASSERT(rx); /* only responses lead to rows with an ACK */
	struct sip_msg *invite = tsx_index(m, str_of(c->t.bytes, c->t.n_bytes));
	if (!invite)
		return; /* the peer will repeat its response */
	buf_clear(&m->scratch);
	if (sip_out_ack_non2xx(&m->scratch, invite, rx->msg) == OK &&
	    tp_send(m->tp, &c->dst, buf_view(&m->scratch), id_of(c)) != OK)
		tsx_fail_later(&c->t);
	block_put(m->blocks, invite);
}

/* The CANCEL in m->scratch, with the extra lines before its empty line. */
static bool write_cancel(struct tsx_client *c)
{
	struct tsx_mgr *m = c->t.m;
	struct sip_msg *invite = tsx_index(m, str_of(c->t.bytes, c->t.n_bytes));
	if (!invite)
		return false;
	buf_clear(&m->scratch);
	enum err e = sip_out_cancel(&m->scratch, invite);
	block_put(m->blocks, invite);
	if (e != OK)
		return false;
	if (c->cancel_lines) {
		ASSERT_SLOW(str_ends(buf_view(&m->scratch), STR("\r\n\r\n")));
		m->scratch.n -= 2;
		buf_put(&m->scratch, c->cancel_lines, c->n_cancel_lines);
		buf_str(&m->scratch, STR("\r\n"));
	}
	return m->scratch.err == OK;
}

static struct tsx_client *new_client(struct tsx_mgr *m, uint8_t method)
{
	struct tsx_client *c = pool_get(&m->clients);
	if (!c)
		return NULL;
	c->t.m = m;
	c->method = method;
	c->t.machine = method == SIP_INVITE ? TSX_ICT : TSX_NICT;
	return c;
}

static void start_cancel(struct tsx_client *c)
{
	struct tsx_mgr *m = c->t.m;
	if (!write_cancel(c))
		return;
	struct tsx_client *k = new_client(m, SIP_CANCEL);
	if (!k) { /* once and without retransmission is better than not at all */
		if (tp_send(m->tp, &c->dst, buf_view(&m->scratch), 0) != OK)
			m->stats.transport_errors++;
		return;
	}
	k->parent = c;
	c->cancel = k;
	m->stats.n_client++;
	if (start(k, &c->dst) != OK)
		tsx_client_free(k);
}

/* --- steps ------------------------------------------------------------------------------------ */

/* Whose user has gone, who would have had the patience: without a final response it ends 64*T1
 * later, as after a CANCEL. A re-INVITE that was out when its dialog ended is such a one. */
static void bound_orphan(struct tsx_client *c)
{
	if (!c->user && is_invite(c) && c->t.state == ICT_PROCEEDING &&
	    !tmr_is_running(&c->t.deadline))
		tsx_start_deadline(&c->t, ICT_TIMER_CANCEL, TSX_64T1_US);
}

/* One event; rx is the response behind it. The object may be gone afterwards. */
void tsx_client_step(struct tsx_client *c, uint8_t event, struct tp_rx *rx)
{
	struct tsx_mgr *m = c->t.m;
	uint32_t act = tsx_step(&c->t, event)->actions;
	if (act & FSM_IGNORE)
		return;
	if (act & ACT_RESEND) {
		m->stats.retransmits_sent++;
		if (send_kept(c) != OK)
			tsx_fail_later(&c->t);
	}
	if (act & ACT_ABSORB)
		m->stats.retransmits_absorbed++;
	if (act & ACT_ACK)
		send_ack(c, rx);
	if (act & ACT_CANCEL)
		start_cancel(c);
	tsx_timers(&c->t, act, 0);
	bound_orphan(c);
	if (c->is_on_flow && !is_calling(c))
		leave_flow(c);
	if (act & ACT_TELL) {
		if (c->user)
			c->user->on_response(c->ctx, id_of(c), rx);
		else if (event == ICT_2XX && is_invite(c)) /* its user has gone: a stray */
			m->user.on_stray_response(m->user.ctx, rx);
		if (is_invite(c) && c->t.state == ICT_ACCEPTED)
			tsx_drop_bytes(&c->t); /* there is no ACK of ours to be made of it */
	} else if (act & ACT_TELL_STRAY)
		m->user.on_stray_response(m->user.ctx, rx);
	else if (act & ACT_END_DONE)
		tsx_end_now(&c->t, TSX_END_DONE);
	else if (act & ACT_END_TIMEOUT)
		tsx_end_now(&c->t, TSX_END_TIMEOUT);
	else if (act & ACT_END_TRANSPORT)
		tsx_end_now(&c->t, TSX_END_TRANSPORT);
}

void tsx_client_timer(struct tsx *t, uint8_t event)
{
	struct tsx_client *c = CONTAINER_OF(t, struct tsx_client, t);
	if (is_calling(c) && event == (is_invite(c) ? ICT_TIMER_B : NICT_TIMER_F))
		tp_hop_failed(t->m->tp, &c->dst, 0);
	tsx_client_step(c, event, NULL);
}

/* What a response says of the hop that it came from [RFC3263 4.3] [RFC3261 21.5.4]. */
static void note_hop(struct tsx_client *c, const struct sip_msg *m)
{
	struct str rest, value;
	uint32_t s = 0;
	if (m->status != 503) {
		tp_hop_answered(c->t.m->tp, &c->dst);
		return;
	}
	value = str_cut(sip_value(m, SIP_HDR_RETRY_AFTER), ';', &rest);
	if (sip_seconds_parse(str_trim(str_cut(value, '(', &rest)), &s) != OK)
		s = 0;
	tp_hop_failed(c->t.m->tp, &c->dst, s);
}

static uint8_t response_event(const struct tsx_client *c, unsigned status)
{
	if (!is_invite(c))
		return status < 200 ? NICT_1XX : NICT_FINAL;
	return status < 200 ? ICT_1XX : status < 300 ? ICT_2XX : ICT_3XX_6XX;
}

void tsx_client_on_response(struct tsx_mgr *m, struct tp_rx *rx)
{
	const struct sip_msg *msg = rx->msg;
	obj_id id;
	if (!tp_branch_read(m->tp, msg->via_branch, &id)) {
		m->stats.refused++; /* not an answer to anything of ours [RFC3261 18.1.2] */
		return;
	}
	struct tsx_client *c = find(m, id);
	if (c && msg->method == SIP_CANCEL && c->method == SIP_INVITE)
		c = c->cancel;
	if (c && c->method == msg->method)
		note_hop(c, msg);
	if (c && c->method == msg->method)
		tsx_client_step(c, response_event(c, msg->status), rx);
	else if (msg->method == SIP_INVITE && msg->status / 100 == 2)
		m->user.on_stray_response(m->user.ctx, rx);
}

static void fail(struct tsx_client *c)
{
	if (fall_back(c))
		return;
	if (is_calling(c))
		tp_hop_failed(c->t.m->tp, &c->dst, 0);
	c->t.m->stats.transport_errors++;
	tsx_client_step(c, is_invite(c) ? ICT_TRANSPORT : NICT_TRANSPORT, NULL);
}

void tsx_client_on_error(struct tsx_mgr *m, const struct tp_error *e)
{
	obj_id id = e->owner;
	if (!id && !tp_branch_read(m->tp, e->branch, &id))
		return;
	struct tsx_client *c = find(m, id);
	/* an ICMP error about a datagram that went elsewhere than this transaction is now */
	if (c && (e->owner || addr_eq(&e->peer, &c->dst.to)))
		fail(c);
}

void tsx_client_on_flow_down(struct tsx_mgr *m, tp_flow flow)
{
	/* a step may end others through the user's hands: look from the start each time */
	struct hnode *n;
	while ((n = htab_first(&m->by_flow, flow))) {
		struct tsx_client *c = CONTAINER_OF(n, struct tsx_client, by_flow);
		leave_flow(c);
		fail(c);
	}
}

/* --- calls of the user ------------------------------------------------------------------------ */

enum err tsx_client_new(struct tsx_mgr *m, struct str method, const struct tp_dst *dst,
			const struct tsx_client_user *user, void *ctx, tsx_id *out)
{
	enum sip_method id = sip_method_find(method);
	ASSERT(id != SIP_ACK && id != SIP_CANCEL);
	struct tsx_client *c = new_client(m, (uint8_t)id);
	if (!c)
		return ERR_LIMIT;
	c->user = user;
	c->ctx = ctx;
	enum err e = compose_and_start(c, dst);
	if (e != OK) {
		tsx_client_free(c);
		return e;
	}
	if (dst->flow) {
		htab_add(&m->by_flow, &c->by_flow, dst->flow);
		c->is_on_flow = true;
	}
	m->stats.n_client++;
	*out = id_of(c);
	return OK;
}

void tsx_cancel(struct tsx_mgr *m, tsx_id ct, struct str extra_lines)
{
	struct tsx_client *c = find(m, ct);
	if (!c || !is_invite(c))
		return;
	if (extra_lines.n && !c->cancel_lines) {
		c->cancel_lines = block_get(m->blocks, extra_lines.n, NULL);
		if (c->cancel_lines) {
			memcpy(c->cancel_lines, extra_lines.p, extra_lines.n);
			c->n_cancel_lines = (uint32_t)extra_lines.n;
		}
	}
	tsx_client_step(c, ICT_CANCEL, NULL);
}

void tsx_detach(struct tsx_mgr *m, tsx_id ct)
{
	struct tsx_client *c = pool_find(&m->clients, ct);
	if (!c)
		return;
	c->user = NULL;
	bound_orphan(c);
}

struct str tsx_client_bytes(struct tsx_mgr *m, tsx_id ct)
{
	struct tsx_client *c = pool_find(&m->clients, ct);
	return c ? str_of(c->t.bytes, c->t.n_bytes) : STR_NONE;
}

struct tp_dst tsx_client_dst(struct tsx_mgr *m, tsx_id ct)
{
	struct tsx_client *c = pool_find(&m->clients, ct);
	return c ? c->dst : (struct tp_dst){0};
}

enum err tsx_send_stateless(struct tsx_mgr *m, const struct tp_dst *dst, compose_fn *fn, void *ctx)
{
	/* a branch of our form, so that its uniqueness is known, with an id that no pool knows */
	obj_id id = (obj_id)TSX_KIND_NONE << 56 | (obj_id)(uint8_t)m->loop->shard << 48 |
		    (++m->stateless & 0xffff'ffff'ffff);
	enum err e = compose(m, dst, id, fn, ctx);
	return e == OK ? tp_send(m->tp, dst, buf_view(&m->scratch), 0) : e;
}

void tsx_drop(struct tsx_mgr *m, tsx_id id)
{
	struct tsx_client *c = find(m, id);
	if (c)
		tsx_end_later(&c->t, TSX_END_DROPPED);
	else
		tsx_drop_server(m, id);
}
