/* Records: finished non-INVITE server transactions over UDP.
 *
 * For 32 s (Timer J) a repeated request must be answered with the same response. That is the most
 * numerous object of an exchange (every REGISTER, OPTIONS, BYE leaves one), so it is nothing but
 * the key's hashes, the time and the response, in one piece of memory of a fitting size. Of a
 * response of our own (tsx_reply) only what the repeated request does not tell is kept: status and
 * extra lines. Where the answer goes is not kept: it goes back where the repeated request comes
 * from.
 * Since all records live equally long, they are in a list in order of time with a single timer at
 * its head.
 *
 * Invariants: 1. a record is in by_key, in record_list, and in by_merge when merge.hash is not
 * 0. 2. record_timer runs exactly when the list is not empty. 3. There are at most max_records: a
 * new one drives the oldest out, whose client then sees a repeated request treated as new.
 *
 * [RFC3261 17.2.2]
 */
#include "base/limits.h"
#include "transaction/priv.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_BLOCK 0xff /* larger than the classes: a block of the cache */

static void *get(struct tsx_mgr *m, size_t n, uint8_t *klass)
{
	for (unsigned k = 0; k < TSX_RECORD_CLASSES; k++)
		if (n <= m->records[k].size) {
			*klass = (uint8_t)k;
			return pool_get(&m->records[k]);
		}
	*klass = CLASS_BLOCK;
	return block_get(m->blocks, n, NULL);
}

static void put(struct tsx_mgr *m, struct tsx_record *r)
{
	if (r->klass == CLASS_BLOCK)
		block_put(m->blocks, r);
	else
		pool_put(&m->records[r->klass], r);
}

#define FETCH_AHEAD  6
#define DUE_ROOM_MIN 64u /* a power of two */

static struct tsx_due *due_at(struct tsx_mgr *m, uint32_t i)
{
	return &m->due[(m->due_head + i) & (m->due_room - 1)];
}

/* Makes room for one more. */
static bool due_reserve(struct tsx_mgr *m)
{
	if (m->n_records < m->due_room)
		return true;
	uint32_t room = m->due_room ? 2 * m->due_room : DUE_ROOM_MIN;
	struct tsx_due *due = malloc(room * sizeof(*due));
	if (!due)
		return false;
	for (uint32_t i = 0; i < m->n_records; i++)
		due[i] = *due_at(m, i);
	free(m->due);
	m->due = due;
	m->due_room = room;
	m->due_head = 0;
	return true;
}

static void start_timer(struct tsx_mgr *m)
{
	if (!m->n_records) {
		ev_timer_stop(m->loop, &m->record_timer);
		return;
	}
	uint64_t now = ev_now_us(m->loop), at = due_at(m, 0)->at_us;
	ev_timer_lazy(m->loop, &m->record_timer, at > now ? at - now : 0, m->slack_us,
		      tsx_record_timer);
}

void tsx_record_free_oldest(struct tsx_mgr *m)
{
	struct tsx_record *r = due_at(m, 0)->r;
	if (m->n_records > FETCH_AHEAD) {
		const struct tsx_due *later = due_at(m, FETCH_AHEAD);
		__builtin_prefetch(later->r);
		keytab_prefetch(&m->by_key, later->hash);
	}
	keytab_del(&m->by_key, &r->key);
	if (r->merge.hash)
		htab_del(&m->by_merge, &r->merge);
	m->due_head++;
	m->n_records--;
	put(m, r);
}

void tsx_record_add(struct tsx_server *s, struct str response, uint64_t merge)
{
	struct tsx_mgr *m = s->t.m;
	uint64_t hash = s->key.hash;
	uint64_t check = tsx_key_check(m, s->rx->msg, s->rx->msg->method);
	unsigned status = response.n ? m->reply.status : 0;
	struct str kept = status ? m->reply.lines : response;
	if (!hash || !check || m->max_records == 0)
		return;
	while (m->n_records >= m->max_records)
		tsx_record_free_oldest(m);
	uint8_t klass;
	struct tsx_record *r = due_reserve(m) ? get(m, sizeof(*r) + kept.n, &klass) : NULL;
	if (!r)
		return;
	*r = (struct tsx_record){.key = {.is_record = true}};
	r->klass = klass;
	r->check = check;
	r->state = NIST_COMPLETED;
	r->status = (uint16_t)status;
	r->n_bytes = (uint32_t)kept.n;
	if (kept.n)
		memcpy(r->bytes, kept.p, kept.n);
	keytab_add(&m->by_key, &r->key, hash);
	if (merge)
		htab_add(&m->by_merge, &r->merge, merge);
	*due_at(m, m->n_records++) =
		(struct tsx_due){.r = r, .hash = hash, .at_us = ev_now_us(m->loop) + TSX_64T1_US};
	if (m->n_records == 1)
		start_timer(m);
}

void tsx_record_on_request(struct tsx_mgr *m, struct tsx_record *r, struct tp_rx *rx)
{
	fsm_step(&tsx_machines[TSX_NIST], &m->fsm[TSX_NIST], &r->state, NIST_REQUEST);
	struct str kept = str_of(r->bytes, r->n_bytes);
	struct tp_dst dst = tp_response_dst(rx);
	m->stats.retransmits_absorbed++;
	if (!r->status && !kept.n)
		return;
	m->stats.retransmits_sent++;
	if (r->status)
		tsx_answer_stateless(m, rx, r->status, STR_NONE, kept);
	else if (tp_send(m->tp, &dst, kept, 0) != OK)
		m->stats.transport_errors++;
}

void tsx_record_timer(struct tmr *t)
{
	struct tsx_mgr *m = CONTAINER_OF(t, struct tsx_mgr, record_timer);
	uint64_t now = ev_now_us(m->loop);
	while (m->n_records && due_at(m, 0)->at_us <= now) {
		fsm_step(&tsx_machines[TSX_NIST], &m->fsm[TSX_NIST], &due_at(m, 0)->r->state,
			 NIST_TIMER_J);
		tsx_record_free_oldest(m);
	}
	start_timer(m);
}
