/* Server transactions: requests in, responses out.
 *
 * The path of a request: find the transaction it repeats (then the machine absorbs it, perhaps
 * sending the last response again); a CANCEL looks for its INVITE and is answered here; an ACK goes
 * to its INVITE's machine or, when it acknowledges a 2xx, straight to the user; all else makes a
 * new transaction and is given to the user.
 *
 * The path of a response: the user's bytes are copied where the machine may have to send them
 * again (UDP only), then sent, then the machine's timers move. A non-INVITE transaction ends for
 * its user with the final response: what remains is a record (record.c).
 *
 * Invariants:
 * 1. is_in_table: the transaction is in by_key, and in by_merge when is_merge_known. It leaves both
 *    before its user is told of the end.
 * 2. t.is_over: every further response is refused with ERR_STATE.
 * 3. rx is held until the user was told of the end, so tsx_request works in on_server_end.
 *
 * [RFC3261 17.2, 9.2, 8.2.2.2] [RFC6026 7.1] [RFC4320 4]
 */
#include "transaction/priv.h"

static struct tsx_server *find(struct tsx_mgr *m, tsx_id st)
{
	return pool_find(&m->servers, st);
}

static bool is_invite(const struct tsx_server *s)
{
	return s->t.machine == TSX_IST;
}

/* --- life ------------------------------------------------------------------------------------- */

static void leave_merge(struct tsx_server *s)
{
	if (s->is_merge_known)
		htab_del(&s->t.m->by_merge, &s->merge);
	s->is_merge_known = false;
}

static void unlink_server(struct tsx_server *s)
{
	if (!s->is_in_table)
		return;
	s->is_in_table = false;
	keytab_del(&s->t.m->by_key, &s->key);
	leave_merge(s);
}

void tsx_server_free(struct tsx_server *s)
{
	struct tsx_mgr *m = s->t.m;
	tsx_unqueue(&s->t);
	unlink_server(s);
	ev_timer_stop(m->loop, &s->t.retransmit);
	ev_timer_stop(m->loop, &s->t.deadline);
	tsx_drop_bytes(&s->t);
	tp_rx_unref(m->tp, s->rx);
	pool_put(&m->servers, s);
}

void tsx_server_tell_end(struct tsx_server *s)
{
	struct tsx_mgr *m = s->t.m;
	unlink_server(s);
	if (s->rx->msg->method != SIP_CANCEL) /* of that one he does not know */
		m->user.on_server_end(m->user.ctx, pool_id(&m->servers, s), s->owner,
				      (enum tsx_end)s->t.end);
	tsx_server_free(s);
}

/* For its user a non-INVITE transaction ends with the final response. */
static void release(struct tsx_server *s, struct str response, bool is_sent)
{
	uint64_t merge = s->is_merge_known ? s->merge.hash : 0;
	unlink_server(s);
	if (!s->t.is_reliable)
		tsx_record_add(s, response, merge);
	tsx_end_later(&s->t, is_sent ? TSX_END_DONE : TSX_END_TRANSPORT);
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool send_bytes(struct tsx_server *s, struct str bytes)
{
	struct tp_dst dst;
	if (!tp_response_anew(s->t.m->tp, s->rx, &dst))
		dst = tp_response_dst(s->rx);
	return tp_send(s->t.m->tp, &dst, bytes, 0) == OK;
}

static void send_100(struct tsx_server *s)
{
	struct tsx_mgr *m = s->t.m;
	if (tsx_write_reply(m, s->rx, 100, STR_NONE, tsx_courtesy_lines(m, s->rx)) != OK)
		return;
	struct str bytes = buf_view(&m->scratch);
	if (!s->t.is_reliable && tsx_keep(&s->t, bytes) != OK)
		return; /* the client will repeat its request, and 100 is only a courtesy */
	struct tp_dst dst = tp_response_dst(s->rx); /* not worth a new connection */
	if (tp_send(m->tp, &dst, bytes, 0) != OK)
		tsx_fail_later(&s->t);
}

/* One event. `bytes`: the response of a SEND; `rx`: the request that came. The object may be gone
 * afterwards. */
static enum err step(struct tsx_server *s, uint8_t event, struct str bytes, struct tp_rx *rx)
{
	struct tsx_mgr *m = s->t.m;
	uint32_t act = tsx_step(&s->t, event)->actions;
	if (act & (FSM_REFUSE | FSM_IGNORE))
		return act & FSM_REFUSE ? ERR_STATE : OK;
	bool is_sent = true;
	if (act & ACT_SEND)
		is_sent = send_bytes(s, bytes);
	if ((act & ACT_RESEND) && s->t.bytes) {
		m->stats.retransmits_sent++;
		is_sent = send_bytes(s, str_of(s->t.bytes, s->t.n_bytes));
	}
	if (!is_sent && !(act & ACT_RELEASE))
		tsx_fail_later(&s->t);
	if (act & ACT_100)
		send_100(s);
	if (act & ACT_ABSORB)
		m->stats.retransmits_absorbed++;
	tsx_timers(&s->t, act, s->started_us);
	if (act & ACT_RELEASE)
		release(s, act & ACT_SEND ? bytes : STR_NONE, is_sent);
	else if (act & ACT_TELL_ACK)
		m->user.on_ack(m->user.ctx, rx);
	else if (act & ACT_END_DONE)
		tsx_end_now(&s->t, TSX_END_DONE);
	else if (act & ACT_END_TIMEOUT)
		tsx_end_now(&s->t, TSX_END_TIMEOUT);
	else if (act & ACT_END_TRANSPORT)
		tsx_end_now(&s->t, TSX_END_TRANSPORT);
	return OK;
}

/* For events that no row refuses. */
static void advance(struct tsx_server *s, uint8_t event, struct tp_rx *rx)
{
	enum err e = step(s, event, STR_NONE, rx);
	ASSERT(e == OK);
}

void tsx_server_timer(struct tsx *t, uint8_t event)
{
	advance(CONTAINER_OF(t, struct tsx_server, t), event, NULL);
}

/* --- requests --------------------------------------------------------------------------------- */

/* The last tenth of the pool is for requests inside dialogs: a flood of new calls must not end
 * those in progress. */
static bool is_full(const struct tsx_mgr *m, const struct sip_msg *req)
{
	uint32_t reserve = req->to_tag.n ? 0 : m->servers.max / 10;
	return m->servers.n_used + reserve >= m->servers.max;
}

static struct tsx_server *new_server(struct tsx_mgr *m, struct tp_rx *rx, uint64_t hash)
{
	struct tsx_server *s = is_full(m, rx->msg) ? NULL : pool_get(&m->servers);
	if (!s)
		return NULL;
	s->t.m = m;
	s->t.is_reliable = tp_is_reliable(rx->proto);
	s->rx = tp_rx_ref(rx);
	s->started_us = ev_now_us(m->loop);
	if (rx->msg->method == SIP_INVITE) {
		s->t.machine = TSX_IST;
		s->t.state = IST_PROCEEDING;
		tsx_start_deadline(&s->t, IST_TIMER_100, TSX_TIMER_100_US);
	} else {
		s->t.machine = TSX_NIST;
		s->t.state = NIST_TRYING;
		tsx_start_deadline(&s->t, NIST_TIMER_100, TSX_TIMER_4320_US);
	}
	keytab_add(&m->by_key, &s->key, hash);
	s->is_in_table = true;
	m->stats.n_server++;
	return s;
}

/* [RFC3261 9.2] */
static void on_cancel(struct tsx_mgr *m, struct tp_rx *rx, uint64_t hash)
{
	struct tsx_server *invite;
	struct tsx_record *rec;
	uint64_t invite_hash = tsx_key_hash(m, rx->msg, SIP_INVITE);
	tsx_find_server(m, rx->msg, SIP_INVITE, invite_hash, &invite, &rec);
	unsigned status = invite ? 200 : 481;
	struct str lines = invite ? tsx_courtesy_lines(m, rx)
				  : tsx_refusal_lines(m, TSX_REFUSE_NO_INVITE, NULL, STR_NONE);
	/* a CANCEL frees more than it takes: it works without a transaction of its own, too */
	struct tsx_server *s = new_server(m, rx, hash);
	if (!s || tsx_reply(m, pool_id(&m->servers, s), status, STR_NONE, lines) != OK)
		tsx_answer_stateless(m, rx, status, STR_NONE, lines);
	if (!invite || invite->t.state != IST_PROCEEDING || invite->is_cancelled)
		return;
	invite->is_cancelled = true;
	m->user.on_cancel(m->user.ctx, pool_id(&m->servers, invite), rx);
}

static void on_ack(struct tsx_mgr *m, struct tp_rx *rx)
{
	struct tsx_server *s;
	struct tsx_record *rec;
	uint64_t hash = tsx_key_hash(m, rx->msg, SIP_INVITE);
	tsx_find_server(m, rx->msg, SIP_INVITE, hash, &s, &rec);
	if (s)
		advance(s, IST_ACK, rx);
	else
		m->user.on_ack(m->user.ctx, rx);
}

void tsx_server_on_request(struct tsx_mgr *m, struct tp_rx *rx)
{
	uint8_t method = rx->msg->method;
	if (method == SIP_ACK) {
		on_ack(m, rx);
		return;
	}
	struct tsx_server *s;
	struct tsx_record *rec;
	uint64_t hash = tsx_key_hash(m, rx->msg, method);
	tsx_find_server(m, rx->msg, method, hash, &s, &rec);
	if (s) {
		advance(s, is_invite(s) ? IST_INVITE : NIST_REQUEST, rx);
	} else if (rec) {
		tsx_record_on_request(m, rec, rx);
	} else if (method == SIP_CANCEL) {
		on_cancel(m, rx, hash);
	} else {
		s = new_server(m, rx, hash);
		if (s)
			m->user.on_request(m->user.ctx, pool_id(&m->servers, s), rx);
		else
			tsx_answer_stateless(m, rx, 503, STR_NONE,
					     tsx_refusal_lines(m, TSX_REFUSE_FULL, NULL,
							       STR("Retry-After: 5\r\n")));
	}
}

/* --- calls of the user ------------------------------------------------------------------------ */

static uint8_t send_event(const struct tsx_server *s, unsigned status)
{
	if (is_invite(s))
		return status < 200 ? IST_SEND_1XX : status < 300 ? IST_SEND_2XX : IST_SEND_3XX_6XX;
	if (status == 408)
		return NIST_SEND_408;
	if (status >= 200)
		return NIST_SEND_FINAL;
	/* over UDP not before the client's Timer E is at T2: the machine does it then */
	return status == 100 && s->t.is_reliable ? NIST_SEND_100 : NIST_SEND_1XX;
}

enum err tsx_respond(struct tsx_mgr *m, tsx_id st, unsigned status, struct str bytes)
{
	struct tsx_server *s = find(m, st);
	if (!s || s->t.is_over)
		return ERR_STATE;
	uint8_t event = send_event(s, status);
	bool is_kept = !s->t.is_reliable && is_invite(s) && s->t.state == IST_PROCEEDING &&
		       event != IST_SEND_2XX;
	if (is_kept) {
		enum err e = tsx_keep(&s->t, bytes);
		if (e != OK)
			return e;
	} else if (event == IST_SEND_2XX && is_invite(s) && s->t.state == IST_PROCEEDING) {
		tsx_drop_bytes(&s->t);
	}
	/* a client whose request failed here may come again with it by another way [RFC3263 4.3] */
	if (status >= 300)
		leave_merge(s);
	return step(s, event, bytes, NULL);
}

enum err tsx_reply(struct tsx_mgr *m, tsx_id st, unsigned status, struct str reason,
		   struct str extra_lines)
{
	struct tsx_server *s = find(m, st);
	if (!s || s->t.is_over)
		return ERR_STATE;
	enum err e = tsx_write_reply(m, s->rx, status, reason, extra_lines);
	if (e == OK) {
		m->reply.status = reason.n ? 0 : status;
		m->reply.lines = extra_lines;
		e = tsx_respond(m, st, status, buf_view(&m->scratch));
		m->reply.status = 0;
	}
	if (e != OK && e != ERR_STATE && status >= 200)
		tsx_drop_server(m, st); /* nobody would try again, and it must end */
	return e;
}

enum err tsx_reply_and_forget(struct tsx_mgr *m, tsx_id st, unsigned status, struct str extra_lines)
{
	struct tsx_server *s = find(m, st);
	if (!s || s->t.is_over)
		return ERR_STATE;
	tsx_answer_stateless(m, s->rx, status, STR_NONE, extra_lines);
	unlink_server(s);
	tsx_end_later(&s->t, TSX_END_DONE);
	return OK;
}

struct tp_rx *tsx_request(struct tsx_mgr *m, tsx_id st)
{
	struct tsx_server *s = find(m, st);
	return s ? s->rx : NULL;
}

void tsx_set_owner(struct tsx_mgr *m, tsx_id st, void *owner)
{
	struct tsx_server *s = find(m, st);
	if (s)
		s->owner = owner;
}

void *tsx_owner(struct tsx_mgr *m, tsx_id st)
{
	struct tsx_server *s = find(m, st);
	return s ? s->owner : NULL;
}

bool tsx_is_cancelled(struct tsx_mgr *m, tsx_id st)
{
	struct tsx_server *s = find(m, st);
	return s && s->is_cancelled;
}

/* A request is entered when it is asked about: what is only forwarded never is, and costs nothing.
 */
static void enter_merge(struct tsx_server *s)
{
	struct tsx_mgr *m = s->t.m;
	uint64_t hash = s->rx->msg->to_tag.n ? 0 : tsx_merge_hash(m, s->rx->msg);
	if (!hash)
		return;
	/* The hash is keyed and has 64 bits: nobody makes two keys meet, and chance does not. */
	s->is_merged = htab_first(&m->by_merge, hash) != NULL;
	htab_add(&m->by_merge, &s->merge, hash);
	s->is_merge_known = true;
}

bool tsx_is_merged(struct tsx_mgr *m, tsx_id st)
{
	struct tsx_server *s = find(m, st);
	if (s && !s->is_merge_known && s->is_in_table)
		enter_merge(s);
	return s && s->is_merged;
}

void tsx_drop_server(struct tsx_mgr *m, tsx_id st)
{
	struct tsx_server *s = find(m, st);
	if (!s || s->t.is_over)
		return;
	unlink_server(s);
	tsx_end_later(&s->t, TSX_END_DROPPED);
}
