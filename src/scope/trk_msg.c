/* Intake: one message becomes one row of its call, a few facts, and a step of the call's life.
 *
 * Only what must be known at once is worked out here: whose message it is, whether it was seen
 * before, and whether the call rings, is answered, ended. Everything else (who dropped what, and
 * why) is the verdict's, which reads the rows when the call is over. That keeps the cost of a
 * message near that of its index.
 *
 * Hops. The same request passes several hosts under one Call-ID. The first hop seen with a CSeq is
 * the caller's; a response belongs to that hop when its top Via carries the branch of the request
 * there. [RFC3261 17.1.3] What happens on the other hops does not move the call.
 *
 * Seen before? A message with the bytes of an earlier one on the same hop is a retransmission, and
 * if even the IP packet is the same (identification, or without it a few milliseconds), the sniffer
 * saw one packet twice. The hashes of the last 16 different messages stand in the call, one cache
 * line; only a hit looks at the rows.
 *
 * Invariants:
 * 1. Copies change no state and leave no facts.
 * 2. Facts are kept once per call, not once per hop, where every hop says the same.
 * 3. No allocation but pool rows and text pages.
 *
 * [RFC3261 12, 13, 15, 17] [RFC6665] [RFC3515]
 */
#include "base/assert.h"
#include "scope/trk_join_priv.h"
#include "sip/hdr.h"

#include <stdlib.h>
#include <string.h>

#define COPY_WINDOW_US 64'000'000u /* 128*T1: later it is not a retransmission */
#define SAME_PACKET_US 2'000'000u  /* one IP packet, seen twice */
#define MAX_BACK       4'096u      /* rows looked at for an original: only floods have more */
#define MIRROR_US      3'000u      /* without an identification: no timer is that fast */

/* --- hashes: cheap, for telling apart, never for trust ---------------------------------------- */

static uint64_t load(const char *p, size_t n)
{
	uint64_t v = 0;
	memcpy(&v, p, n);
	return v;
}

static uint64_t hash_bytes(struct str s, uint64_t k1, uint64_t h)
{
	const uint64_t k2 = 0xd1b54a32d192ed03u;
	h ^= s.n;
	while (s.n >= 16) {
		h = trk_fold(load(s.p, 8) ^ k1, load(s.p + 8, 8) ^ h);
		s.p += 16;
		s.n -= 16;
	}
	if (s.n >= 8) {
		h = trk_fold(load(s.p, 8) ^ k2, h ^ k1);
		s.p += 8;
		s.n -= 8;
	}
	return trk_fold(load(s.p, s.n) ^ k1, h ^ k2);
}

uint32_t trk_hash32(struct str s)
{
	uint64_t h = s.n ? hash_bytes(s, 0x9e3779b97f4a7c15u, 0) : 0;
	return (uint32_t)(h ^ h >> 32);
}

/* --- the row ---------------------------------------------------------------------------------- */

static uint8_t peer_of(struct trk_call *c, const struct addr *a, enum trk_transport transport)
{
	for (unsigned i = 0; i < c->n_peers; i++)
		if (addr_eq(&c->peers[i].addr, a))
			return (uint8_t)i;
	if (c->n_peers == TRK_MAX_PEERS) {
		c->is_cut = true;
		return TRK_MAX_PEERS - 1;
	}
	if (c->n_peers == c->peers_cap) {
		uint8_t cap = (uint8_t)(c->peers_cap < 8 ? 8 : TRK_MAX_PEERS);
		struct trk_peer *old = c->peers == c->first_peers ? NULL : c->peers;
		struct trk_peer *p = realloc(old, cap * sizeof *p);
		if (!p) {
			c->is_cut = true;
			return (uint8_t)(c->n_peers - 1);
		}
		if (!old)
			memcpy(p, c->first_peers, sizeof c->first_peers);
		c->peers = p;
		c->peers_cap = cap;
	}
	c->peers[c->n_peers] = (struct trk_peer){*a, (uint8_t)transport};
	return c->n_peers++;
}

static uint8_t tag_of(struct trk_call *c, struct str tag)
{
	if (!tag.n)
		return 0;
	uint32_t h = trk_hash32(tag);
	unsigned i = 0;
	while (i < c->n_tags && c->tags[i] != h)
		i++;
	if (i == c->n_tags) {
		if (i == ARRAY_LEN(c->tags))
			return (uint8_t)i;
		c->tags[c->n_tags++] = h;
	}
	return (uint8_t)(i + 1);
}

/* Whether e repeats an earlier row; fills copy_of, n_resent and the flag. */
static bool find_original(struct trk_intake *i)
{
	struct trk_ev *e = i->e;
	unsigned hit = 0, left = MAX_BACK;
	while (hit < ARRAY_LEN(i->c->recent) && i->c->recent[hit] != e->hash)
		hit++;
	if (hit == ARRAY_LEN(i->c->recent))
		return false;
	for (uint32_t id = e->prev; id && left--; id = trk_row(i->t, id)->prev) {
		const struct trk_ev *o = trk_row(i->t, id); /* the latest copy, or the original */
		uint64_t gap = e->at_us > o->at_us ? e->at_us - o->at_us : 0;
		if (gap > COPY_WINDOW_US)
			return false;
		if (o->hash != e->hash || o->from != e->from || o->to != e->to ||
		    o->n_bytes != e->n_bytes || o->cseq != e->cseq)
			continue;
		bool is_dup = !i->t->cfg.is_live &&
			      (e->ip_id && o->ip_id ? e->ip_id == o->ip_id && gap < SAME_PACKET_US
						    : gap < MIRROR_US);
		e->copy_of = o->copy_of ? o->copy_of : o->id;
		e->n_resent = o->n_resent;
		e->flags |= is_dup ? TRK_EV_DUPLICATE : TRK_EV_RETRANS;
		if (is_dup)
			i->t->stats.n_duplicate++;
		else {
			i->t->stats.n_retrans++;
			if (e->n_resent < 255)
				e->n_resent++;
		}
		return true;
	}
	return false;
}

static uint8_t flags_of(const struct trk_intake *i)
{
	const struct sip_msg *m = i->m;
	unsigned f = 0;
	if (m->is_request)
		f |= TRK_EV_REQUEST;
	if (m->to_tag.n)
		f |= TRK_EV_TO_TAG;
	if (sip_has(m, SIP_HDR_RECORD_ROUTE))
		f |= TRK_EV_ROUTED;
	if (sip_has(m, SIP_HDR_AUTHORIZATION) || sip_has(m, SIP_HDR_PROXY_AUTHORIZATION))
		f |= TRK_EV_AUTH;
	if (trk_hash32(m->from_tag) == i->c->from_tag)
		f |= TRK_EV_CALLER;
	return (uint8_t)f;
}

/* Never 0. A client of RFC 2543 may give no branch; then its address has to do. */
static uint32_t branch_of(const struct sip_msg *m)
{
	return (m->via_branch.n ? trk_hash32(m->via_branch)
				: trk_hash32(m->via_host) ^ m->via_port) |
	       1;
}

static bool add_row(struct trk_intake *i)
{
	uint32_t id = trk_row_new(i->t, i->c);
	if (!id)
		return false;
	const struct sip_msg *m = i->m;
	const struct trk_packet *p = i->p;
	struct trk_call *c = i->c;
	struct trk_ev *e = i->e = trk_row(i->t, id);
	e->at_us = p->at_us;
	e->file_off = p->file_off & 0xffff'ffff'ffffu;
	e->ip_id = p->ip_id;
	e->frame_no = p->frame_no;
	e->n_bytes = (uint32_t)p->bytes.n;
	e->cseq = m->cseq;
	e->branch = branch_of(m);
	e->status = m->is_request ? 0 : m->status;
	e->method = m->method;
	e->from = peer_of(c, &p->from, p->transport);
	e->to = peer_of(c, &p->to, p->transport);
	e->flags = flags_of(i);
	e->tag = tag_of(c, m->to_tag);
	uint64_t k =
		load((const char *)i->t->hash_key, sizeof k); /* nobody shall make many alike */
	uint64_t h = hash_bytes(p->bytes, k, (uint64_t)e->from << 8 | e->to);
	e->hash = (uint32_t)(h ^ h >> 32);
	e->prev = c->last_ev;
	if (!find_original(i))
		c->recent[c->recent_at++ % ARRAY_LEN(c->recent)] = e->hash;
	c->last_ev = id;
	trk_weigh(i->t, c, sizeof *e);
	if (!c->n_ev++) {
		c->first_ev = id;
		c->first_us = p->at_us;
	}
	c->last_us = p->at_us;
	return true;
}

/* --- the call's life -------------------------------------------------------------------------- */

static void begin_request(struct trk_call *c, const struct trk_ev *e)
{
	c->cseq = e->cseq;
	c->branch = e->branch;
	c->method = e->method;
	c->phase = TRK_SETUP;
	c->status = 0;
	c->end_us = 0;
	c->callee = TRK_NO_PEER;
	c->is_taken = false;
	c->is_judged = c->is_explained = false;
}

static bool may_be_tried_again(unsigned status)
{
	return status == 401 || status == 407 || status == 423 || status == 422 ||
	       (status >= 300 && status < 400);
}

static enum age_class age_of(const struct trk_call *c)
{
	if (c->phase == TRK_ENDED)
		return may_be_tried_again(c->status) && !c->is_explained ? AGE_RETRY : AGE_SETTLE;
	if (c->kind != TRK_CALL || c->phase == TRK_ENDING)
		return AGE_REQUEST;
	return c->phase == TRK_ANSWERED ? AGE_TALK : AGE_SETUP;
}

static void on_invite_response(struct trk_call *c, const struct trk_ev *e)
{
	if (!(e->flags & TRK_EV_CALLER) || e->cseq != c->cseq)
		return;
	bool is_2xx = e->status >= 200 && e->status < 300;
	if ((e->status >= 200 && c->callee == TRK_NO_PEER) || (is_2xx && !c->is_taken)) {
		c->callee = e->from;
		c->is_taken = is_2xx;
	}
	if (e->branch != c->branch || c->phase >= TRK_ANSWERED)
		return;
	if (e->status < 200) {
		if (e->status > 100 && c->phase == TRK_SETUP) {
			c->phase = TRK_RINGING;
			c->ring_us = e->at_us;
		}
		return;
	}
	c->status = e->status;
	if (e->status < 300) {
		c->phase = TRK_ANSWERED;
		c->answer_us = e->at_us;
	} else {
		c->phase = TRK_ENDED;
		c->end_us = e->at_us;
	}
}

static void on_call(struct trk_call *c, const struct trk_ev *e)
{
	bool is_request = e->flags & TRK_EV_REQUEST;
	if (e->method == SIP_INVITE && is_request) {
		if (!(e->flags & TRK_EV_TO_TAG) && (e->cseq != c->cseq || !c->branch))
			begin_request(c, e);
	} else if (e->method == SIP_INVITE) {
		on_invite_response(c, e);
	} else if (e->method == SIP_BYE && is_request) {
		if (c->ender == TRK_NO_PEER) {
			c->ender = e->from;
			c->end_branch = e->branch;
			c->end_us = e->at_us;
			c->is_ended_by_caller = e->flags & TRK_EV_CALLER;
			c->phase = TRK_ENDING;
		}
	} else if (e->method == SIP_BYE && e->status >= 200 && e->branch == c->end_branch &&
		   c->phase == TRK_ENDING) {
		c->phase = TRK_ENDED;
	}
}

static void on_other(struct trk_call *c, const struct trk_ev *e)
{
	if (c->kind == TRK_SUB && e->method == SIP_NOTIFY) {
		if (e->status >= 200 && c->phase == TRK_ANSWERED)
			c->phase = TRK_ENDED;
		return;
	}
	if (e->flags & TRK_EV_REQUEST) {
		if (e->cseq != c->cseq || !c->branch)
			begin_request(c, e);
		return;
	}
	if (e->status < 200 || e->method != c->method || e->cseq != c->cseq)
		return;
	if (c->callee == TRK_NO_PEER)
		c->callee = e->from;
	if (e->branch != c->branch || c->phase != TRK_SETUP)
		return;
	c->status = e->status;
	c->end_us = e->at_us;
	c->phase = c->kind == TRK_SUB && e->status < 300 ? TRK_ANSWERED : TRK_ENDED;
}

static enum trk_kind kind_of(enum sip_method m)
{
	switch (m) {
	case SIP_REGISTER:
		return TRK_REG;
	case SIP_SUBSCRIBE:
	case SIP_NOTIFY:
		return TRK_SUB;
	case SIP_PUBLISH:
		return TRK_PUB;
	case SIP_MESSAGE:
		return TRK_MSG;
	case SIP_OPTIONS:
		return TRK_OPT;
	case SIP_INVITE:
	case SIP_ACK:
	case SIP_BYE:
	case SIP_CANCEL:
	case SIP_PRACK:
	case SIP_UPDATE:
	case SIP_INFO:
	case SIP_REFER:
		return TRK_CALL;
	default:
		return TRK_OTHER;
	}
}

static void name_party(const struct trk_intake *i, enum sip_hdr_id id, struct str *user,
		       struct str *host)
{
	struct sip_addr a;
	if (sip_addr_parse(sip_value(i->m, id), &a) || a.uri_err == ERR_SYNTAX)
		return;
	*user = trk_text_keep(i->t, i->c, a.uri.user);
	*host = trk_text_keep(i->t, i->c, a.uri.host);
}

static void first_message(struct trk_intake *i)
{
	struct trk_call *c = i->c;
	const struct sip_msg *m = i->m;
	c->kind = kind_of((enum sip_method)m->method);
	bool is_opening =
		m->is_request && !m->to_tag.n && m->method != SIP_CANCEL && m->method != SIP_ACK;
	c->is_mid = !is_opening;
	i->t->stats.n_calls[c->kind]++;
	c->from_tag = trk_hash32(m->from_tag);
	name_party(i, SIP_HDR_FROM, &c->from_user, &c->from_host);
	name_party(i, SIP_HDR_TO, &c->to_user, &c->to_host);
}

/* A dialog may begin with something else than its INVITE: an OPTIONS probe under one Call-ID. */
static void promote(struct trk_intake *i)
{
	struct trk_call *c = i->c;
	if (i->m->method != SIP_INVITE || !i->m->is_request || c->kind == TRK_CALL)
		return;
	i->t->stats.n_calls[c->kind]--;
	c->kind = TRK_CALL;
	i->t->stats.n_calls[c->kind]++;
	c->from_tag = trk_hash32(i->m->from_tag);
	c->branch = 0;
}

static enum err take(struct trk_intake *i)
{
	uint64_t hash = trk_call_hash(i->t, i->m->call_id);
	struct trk_call *c = trk_call_find(i->t, i->m->call_id, hash);
	i->c = c = c ? trk_call_part(i->t, c) : NULL;
	if (!c) {
		c = i->c = trk_call_new(i->t, i->m->call_id, hash);
		if (!c)
			return ERR_NOMEM;
		first_message(i);
	}
	promote(i);
	if (!add_row(i)) {
		trk_age(i->t, c, AGE_REQUEST);
		return ERR_NOMEM;
	}
	struct trk_ev *e = i->e;
	if (c->caller == TRK_NO_PEER)
		c->caller = e->flags & TRK_EV_REQUEST ? e->from : e->to;
	if (!(e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE))) {
		if (c->kind == TRK_CALL)
			on_call(c, e);
		else
			on_other(c, e);
		trk_facts(i);
		if (i->t->joins && c->kind == TRK_CALL)
			trk_join_see(i);
	}
	if (c->age_class != AGE_LINGER || !c->is_judged || list_is_empty(&c->age))
		trk_age(i->t, c, age_of(c));
	return OK;
}

static void count(struct trk *t, const struct sip_msg *m, const struct trk_packet *p)
{
	struct trk_stats *s = &t->stats;
	if (!s->n_messages++)
		s->first_us = p->at_us;
	s->last_us = p->at_us;
	s->n_bytes += p->bytes.n;
	if (m->is_request)
		s->n_requests[m->method]++;
	else if (m->status < ARRAY_LEN(s->n_statuses))
		s->n_statuses[m->status]++;
}

/* Indexes bytes in the tracker's own block. */
static const struct sip_msg *index_bytes(struct trk *t, struct str bytes)
{
	size_t want = sip_msg_block_size(bytes.n);
	if (want > t->block_cap) {
		want += want / 2;
		void *p = malloc(want);
		if (!p)
			return NULL;
		free(t->block);
		t->block = p;
		t->block_cap = want;
	}
	struct sip_msg *m = sip_msg_init(t->block, t->block_cap);
	memcpy(m->bytes, bytes.p, bytes.n);
	size_t used;
	return sip_msg_index(m, bytes.n, false, &used) ? NULL : m;
}

enum err trk_message(struct trk *t, const struct trk_packet *p, struct trk_call **call)
{
	if (call)
		*call = NULL;
	if (t->cfg.is_live)
		trk_tick(t, p->at_us);
	else if (p->at_us > t->now_us)
		t->now_us = p->at_us;
	return t->quick && trk_quick_take(t, p) ? OK : trk_take(t, p, call);
}

enum err trk_take(struct trk *t, const struct trk_packet *p, struct trk_call **call)
{
	struct trk_intake i = {.t = t, .p = p, .m = p->msg ? p->msg : index_bytes(t, p->bytes)};
	if (!i.m) {
		t->stats.n_not_sip++;
		return ERR_SYNTAX;
	}
	count(t, i.m, p);
	if (!i.m->call_id.n) {
		t->stats.n_without_call_id++;
		return OK;
	}
	enum err e = take(&i);
	if (e)
		t->stats.n_lost++;
	else if (call)
		*call = i.c;
	return e;
}
