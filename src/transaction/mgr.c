/* The manager of one shard's transactions: entry from the transport, timers, ends.
 *
 * A received message comes in by tsx_on_message. What the grammar refuses is answered or dropped
 * here, so that nobody above ever sees it. Responses go to client.c, which finds their transaction
 * by the id inside our own Via branch; requests go to server.c, which finds theirs by a keyed hash.
 * A machine step is: find the row (fsm_step), send, move the timers, and last of all tell the user.
 *
 * Words: a *step* is one event of a machine; *failed* transactions had a send refused inside a call
 * of their user; *ended* server transactions wait for their user to be told.
 *
 * Invariants:
 * 1. The user is called only as the last thing of a step that the loop began (a message, a timer),
 *    or from `task`; never inside tsx_client_new, tsx_respond, tsx_cancel. So a user may call
 *    anything from a callback, and an object is not freed under his feet.
 * 2. Each client transaction with a user gets one on_end, each server transaction one
 * on_server_end; the object is freed right after, and its id finds nothing.
 * 3. A transaction is in by_key (server), by_flow (client on a connection) exactly while it lives;
 *    it has running timers or waits for its user, but is never forgotten.
 * 4. Steady state allocates nothing: objects from pools, bytes from the block cache.
 *
 * Ownership: the manager owns transactions and records; a server transaction holds one reference on
 * its request. [RFC3261 17] [RFC6026] [RFC4320]
 */
#include "base/limits.h"
#include "transaction/priv.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a record of class k, its head included. */
static const size_t record_size[TSX_RECORD_CLASSES] = {128, 192, 256, 448, 576, 960, 2432};

static void on_task(struct ev_task *task);

enum err tsx_mgr_new(struct ev_loop *loop, struct tp *tp, struct block_cache *blocks,
		     const struct tsx_user *user, struct tsx_mgr **out)
{
	struct tsx_mgr *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	m->loop = loop;
	m->tp = tp;
	m->blocks = blocks;
	m->user = *user;
	uint8_t shard = (uint8_t)loop->shard;
	pool_init(&m->clients, sizeof(struct tsx_client), LIMIT_TRANSACTIONS, TSX_KIND_CLIENT,
		  shard);
	pool_init(&m->servers, sizeof(struct tsx_server), LIMIT_TRANSACTIONS, TSX_KIND_SERVER,
		  shard);
	m->max_records = LIMIT_TSX_RECORDS;
	for (unsigned k = 0; k < TSX_RECORD_CLASSES; k++)
		pool_init(&m->records[k], record_size[k], LIMIT_TSX_RECORDS, TSX_KIND_NONE, shard);
	m->ended_end = &m->ended;
	m->task.fn = on_task;
	buf_init(&m->scratch);
	buf_init(&m->via);
	buf_init(&m->keys);
	buf_init(&m->lines);
	env_random(loop->env, m->key, sizeof(m->key));
	env_random(loop->env, m->check_key, sizeof(m->check_key));
	m->slack_us = TSX_SLACK_US;
	for (unsigned i = 0; i < TSX_MACHINES; i++)
		fsm_index_init(&m->fsm[i], &tsx_machines[i]);
	enum err e = keytab_init(&m->by_key, 4096);
	if (e == OK)
		e = htab_init(&m->by_merge, 256);
	if (e == OK)
		e = htab_init(&m->by_flow, 64);
	if (e != OK) {
		tsx_mgr_free(m);
		return e;
	}
	*out = m;
	return OK;
}

void tsx_mgr_free(struct tsx_mgr *m)
{
	if (!m)
		return;
	uint32_t at = 0;
	for (struct tsx_client *c; (c = pool_next(&m->clients, &at));)
		tsx_client_free(c);
	at = 0;
	for (struct tsx_server *s; (s = pool_next(&m->servers, &at));)
		tsx_server_free(s);
	while (m->n_records)
		tsx_record_free_oldest(m);
	free(m->due);
	ev_defer_cancel(m->loop, &m->task);
	ev_timer_stop(m->loop, &m->record_timer);
	pool_fini(&m->clients);
	pool_fini(&m->servers);
	for (unsigned k = 0; k < TSX_RECORD_CLASSES; k++)
		pool_fini(&m->records[k]);
	keytab_fini(&m->by_key);
	htab_fini(&m->by_merge);
	htab_fini(&m->by_flow);
	buf_fini(&m->scratch);
	buf_fini(&m->via);
	buf_fini(&m->keys);
	buf_fini(&m->lines);
	free(m);
}

void tsx_set_limits(struct tsx_mgr *m, uint32_t max_client, uint32_t max_server,
		    uint32_t max_records)
{
	m->clients.max = max_client;
	m->servers.max = max_server;
	m->max_records = max_records < LIMIT_TSX_RECORDS ? max_records : LIMIT_TSX_RECORDS;
}

void tsx_set_slack(struct tsx_mgr *m, uint32_t slack_us)
{
	m->slack_us = slack_us;
}

/* --- steps and timers ------------------------------------------------------------------------- */

const struct fsm_row *tsx_step(struct tsx *t, uint8_t event)
{
	return fsm_step(&tsx_machines[t->machine], &t->m->fsm[t->machine], &t->state, event);
}

static bool is_server(const struct tsx *t)
{
	return t->machine == TSX_IST || t->machine == TSX_NIST;
}

static void fire(struct tsx *t, uint8_t event)
{
	if (is_server(t))
		tsx_server_timer(t, event);
	else
		tsx_client_timer(t, event);
}

static void on_retransmit(struct tmr *tmr)
{
	struct tsx *t = CONTAINER_OF(tmr, struct tsx, retransmit);
	fire(t, t->retransmit_ev);
}

static void on_deadline(struct tmr *tmr)
{
	struct tsx *t = CONTAINER_OF(tmr, struct tsx, deadline);
	fire(t, t->deadline_ev);
}

void tsx_start_retransmit(struct tsx *t, uint8_t event, uint32_t interval_us)
{
	t->retransmit_ev = event;
	t->interval_us = interval_us;
	ev_timer(t->m->loop, &t->retransmit, interval_us, on_retransmit);
}

void tsx_start_deadline(struct tsx *t, uint8_t event, uint64_t delay_us)
{
	t->deadline_ev = event;
	ev_timer(t->m->loop, &t->deadline, delay_us, on_deadline);
}

static void move_retransmit(struct tsx *t, uint32_t actions)
{
	if (actions & ACT_STOP_R)
		ev_timer_stop(t->m->loop, &t->retransmit);
	uint32_t next = 0;
	if (actions & ACT_DOUBLE)
		next = 2 * t->interval_us;
	else if (actions & ACT_DOUBLE_T2)
		next = 2 * t->interval_us < TSX_T2_US ? 2 * t->interval_us : TSX_T2_US;
	else if (actions & ACT_FLAT_T2)
		next = TSX_T2_US;
	if (next)
		tsx_start_retransmit(t, t->retransmit_ev, next);
	if ((actions & ACT_START_G) && !t->is_reliable)
		tsx_start_retransmit(t, IST_TIMER_G, TSX_T1_US);
}

/* How long the deadline timers are: over UDP, and over the rest. Those that only end the wait for
 * repetitions are in no hurry. [RFC3261 table 4] [RFC6026 8.7] */
static const struct {
	uint32_t action;
	uint8_t event;
	bool is_lazy;
	uint64_t udp_us, stream_us;
} deadlines[] = {
	{ACT_START_D,      ICT_TIMER_D,      true,  TSX_TIMER_D_US, 0          },
	{ACT_START_H,      IST_TIMER_H,      false, TSX_64T1_US,    TSX_64T1_US},
	{ACT_START_I,      IST_TIMER_I,      true,  TSX_T4_US,      0          },
	{ACT_START_K,      NICT_TIMER_K,     true,  TSX_T4_US,      0          },
	{ACT_START_L,      IST_TIMER_L,      true,  TSX_64T1_US,    TSX_64T1_US},
	{ACT_START_M,      ICT_TIMER_M,      true,  TSX_64T1_US,    TSX_64T1_US},
	{ACT_START_CANCEL, ICT_TIMER_CANCEL, false, TSX_64T1_US,    TSX_64T1_US},
};

static void start_deadline(struct tsx *t, size_t i)
{
	uint64_t delay_us = t->is_reliable ? deadlines[i].stream_us : deadlines[i].udp_us;
	if (!deadlines[i].is_lazy || delay_us == 0) {
		tsx_start_deadline(t, deadlines[i].event, delay_us);
		return;
	}
	t->deadline_ev = deadlines[i].event;
	ev_timer_lazy(t->m->loop, &t->deadline, delay_us, t->m->slack_us, on_deadline);
}

void tsx_timers(struct tsx *t, uint32_t actions, uint64_t started_us)
{
	const uint32_t retransmit =
		ACT_STOP_R | ACT_DOUBLE | ACT_DOUBLE_T2 | ACT_FLAT_T2 | ACT_START_G;
	if (actions & retransmit)
		move_retransmit(t, actions);
	if (actions & ACT_STOP_D)
		ev_timer_stop(t->m->loop, &t->deadline);
	if (actions < ACT_START_D) /* most steps start none */
		return;
	for (unsigned i = 0; i < ARRAY_LEN(deadlines); i++)
		if (actions & deadlines[i].action)
			start_deadline(t, i);
	if (actions & ACT_START_EXPIRE) {
		uint64_t due = started_us + TSX_64T1_US, now = ev_now_us(t->m->loop);
		tsx_start_deadline(t, NIST_TIMER_EXPIRE, due > now ? due - now : 0);
	}
}

/* --- what happens later in the turn ----------------------------------------------------------- */

void tsx_fail_later(struct tsx *t)
{
	if (t->queue != TSX_Q_NONE)
		return;
	t->queue = TSX_Q_FAILED;
	t->next = t->m->failed;
	t->m->failed = t;
	ev_defer(t->m->loop, &t->m->task);
}

void tsx_unqueue(struct tsx *t)
{
	if (t->queue == TSX_Q_NONE)
		return;
	struct tsx **at = t->queue == TSX_Q_FAILED ? &t->m->failed : &t->m->ended;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (t->queue == TSX_Q_ENDED && !t->next)
		t->m->ended_end = at;
	t->queue = TSX_Q_NONE;
}

void tsx_end_later(struct tsx *t, enum tsx_end why)
{
	tsx_unqueue(t);
	ev_timer_stop(t->m->loop, &t->retransmit);
	ev_timer_stop(t->m->loop, &t->deadline);
	t->is_over = true;
	t->end = (uint8_t)why;
	t->queue = TSX_Q_ENDED;
	t->next = NULL;
	*t->m->ended_end = t;
	t->m->ended_end = &t->next;
	ev_defer(t->m->loop, &t->m->task);
}

static void tell_end(struct tsx *t)
{
	if (is_server(t))
		tsx_server_tell_end(CONTAINER_OF(t, struct tsx_server, t));
	else
		tsx_client_tell_end(CONTAINER_OF(t, struct tsx_client, t));
}

void tsx_end_now(struct tsx *t, enum tsx_end why)
{
	tsx_unqueue(t);
	t->is_over = true;
	t->end = (uint8_t)why;
	t->m->stats.timeouts += why == TSX_END_TIMEOUT;
	tell_end(t);
}

static void on_task(struct ev_task *task)
{
	struct tsx_mgr *m = CONTAINER_OF(task, struct tsx_mgr, task);
	while (m->failed) {
		struct tsx *t = m->failed;
		tsx_unqueue(t);
		m->stats.transport_errors++;
		if (is_server(t))
			tsx_server_timer(t, t->machine == TSX_IST ? IST_TRANSPORT : NIST_TRANSPORT);
		else
			tsx_client_timer(t, t->machine == TSX_ICT ? ICT_TRANSPORT : NICT_TRANSPORT);
	}
	while (m->ended) {
		struct tsx *t = m->ended;
		tsx_unqueue(t);
		tell_end(t);
	}
}

/* --- bytes ------------------------------------------------------------------------------------ */

enum err tsx_keep(struct tsx *t, struct str s)
{
	char *p = block_get(t->m->blocks, s.n, NULL);
	if (!p)
		return ERR_NOMEM;
	memcpy(p, s.p, s.n);
	tsx_drop_bytes(t);
	t->bytes = p;
	t->n_bytes = (uint32_t)s.n;
	return OK;
}

void tsx_drop_bytes(struct tsx *t)
{
	block_put(t->m->blocks, t->bytes);
	t->bytes = NULL;
	t->n_bytes = 0;
}

struct sip_msg *tsx_index(struct tsx_mgr *m, struct str bytes)
{
	size_t got, used, need = sip_msg_block_size(bytes.n);
	void *block = block_get(m->blocks, need, &got);
	if (!block)
		return NULL;
	struct sip_msg *msg = sip_msg_init(block, need);
	memcpy(msg->bytes, bytes.p, bytes.n);
	if (sip_msg_index(msg, bytes.n, false, &used) != OK) {
		block_put(m->blocks, block);
		return NULL;
	}
	return msg;
}

/* --- entry from the transport ----------------------------------------------------------------- */

struct str tsx_refusal_lines(struct tsx_mgr *m, enum tsx_refusal why, const struct sip_diag *diag,
			     struct str lines)
{
	buf_clear(&m->lines);
	buf_str(&m->lines, lines);
	if (m->user.on_refusal)
		m->user.on_refusal(m->user.ctx, why, diag, &m->lines);
	return m->lines.err == OK ? buf_view(&m->lines) : lines;
}

void tsx_set_courtesy(struct tsx_mgr *m,
		      void (*put)(void *ctx, const struct tp_rx *rx, struct buf *lines), void *ctx)
{
	m->put_courtesy = put;
	m->courtesy_ctx = ctx;
}

struct str tsx_courtesy_lines(struct tsx_mgr *m, const struct tp_rx *rx)
{
	buf_clear(&m->lines);
	if (m->put_courtesy)
		m->put_courtesy(m->courtesy_ctx, rx, &m->lines);
	return m->lines.err == OK ? buf_view(&m->lines) : STR_NONE;
}

/* The reason phrase of a refusal names what is wrong: who reads it need not guess. */
static void refuse(struct tsx_mgr *m, struct tp_rx *rx, int status, const struct sip_diag *why)
{
	m->stats.refused++;
	if (status < 0 || rx->msg->method == SIP_ACK)
		return;
	char text[128];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_str(&b, sip_status_reason((unsigned)status));
	if (why)
		buf_fmt(&b, " (%s)", sip_diag_text(why->code));
	struct str reason = b.err == OK ? buf_view(&b) : STR_NONE;
	tsx_answer_stateless(m, rx, (unsigned)status, reason,
			     tsx_refusal_lines(m, TSX_REFUSE_MALFORMED, why, STR_NONE));
}

void tsx_on_message(void *mgr, struct tp_rx *rx)
{
	struct tsx_mgr *m = mgr;
	const struct sip_diag *why = NULL;
	int verdict = rx->msg->worst ? sip_msg_verdict(rx->msg, &why) : 0;
	if (!rx->msg->is_request) {
		if (verdict == 0)
			tsx_client_on_response(m, rx);
		else
			m->stats.refused++;
		return;
	}
	if (verdict == 0)
		tsx_server_on_request(m, rx);
	else
		refuse(m, rx, verdict, why);
}

void tsx_on_error(void *mgr, const struct tp_error *e)
{
	tsx_client_on_error(mgr, e);
}

void tsx_on_flow_down(void *mgr, tp_flow flow)
{
	struct tsx_mgr *m = mgr;
	tsx_client_on_flow_down(m, flow);
	if (m->user.on_flow_down)
		m->user.on_flow_down(m->user.ctx, flow);
}

/* --- answers ---------------------------------------------------------------------------------- */

struct str tsx_to_tag(struct tsx_mgr *m, const struct sip_msg *req, char out[24])
{
	/* The same for an INVITE and its CANCEL, another for each attempt. [RFC3261 9.2, 19.3] */
	buf_clear(&m->keys);
	buf_str(&m->keys, req->call_id);
	buf_chr(&m->keys, '\n');
	buf_str(&m->keys, req->from_tag);
	buf_chr(&m->keys, '\n');
	buf_str(&m->keys, req->via_branch);
	buf_u64(&m->keys, req->cseq);
	static const char hex[] = "0123456789abcdef";
	uint64_t h = siphash(m->check_key, m->keys.p, m->keys.n); /* others see it */
	for (unsigned i = 0; i < 16; i++, h >>= 4)
		out[i] = hex[h & 15];
	out[16] = '\0';
	return str_of(out, 16);
}

enum err tsx_write_reply(struct tsx_mgr *m, const struct tp_rx *rx, unsigned status,
			 struct str reason, struct str extra_lines)
{
	char tag[24];
	struct sip_out o;
	buf_clear(&m->scratch);
	struct str to_tag = status == 100 ? STR_NONE : tsx_to_tag(m, rx->msg, tag);
	sip_out_response(&o, &m->scratch, rx->msg, status,
			 reason.n ? reason : sip_status_reason(status), to_tag, &rx->from);
	buf_str(&m->scratch, extra_lines);
	return sip_out_end(&o, STR_NONE, STR_NONE);
}

void tsx_answer_stateless(struct tsx_mgr *m, struct tp_rx *rx, unsigned status, struct str reason,
			  struct str extra_lines)
{
	struct tp_dst dst = tp_response_dst(rx);
	if (tsx_write_reply(m, rx, status, reason, extra_lines) != OK ||
	    tp_send(m->tp, &dst, buf_view(&m->scratch), 0) != OK)
		m->stats.transport_errors++;
}

void tsx_stats(const struct tsx_mgr *m, struct tsx_stats *out)
{
	*out = m->stats;
	out->live_client = m->clients.n_used;
	out->live_server = m->servers.n_used;
	out->live_records = m->n_records;
}
