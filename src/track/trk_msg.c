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
 * saw one packet twice. The call has a bit for each hash that it has seen, so that most messages
 * are known to be new without a look at the rows before.
 *
 * Invariants:
 * 1. Copies change no state and leave no facts.
 * 2. Facts are kept once per call, not once per hop, where every hop says the same.
 * 3. No allocation but pool rows and text pages.
 *
 * [RFC3261 12, 13, 15, 17] [RFC6665] [RFC3515]
 */
#include "base/assert.h"
#include "sip/hdr.h"
#include "track/trk_join_priv.h"

#include <stdlib.h>
#include <string.h>

#define FLOOD          100u        /* calls of one caller in a second */
#define COPY_ROWS      64u         /* so many messages back it is looked for */
#define COPY_WINDOW_US 64'000'000u /* 128*T1: later it is not a retransmission */
#define MAX_BYTES      0x7f'ffffu  /* of a message; what is longer is cut */
#define SAME_PACKET_US 2'000'000u  /* one IP packet, seen twice */
#define MIRROR_US      3'000u      /* without an identification: no timer is that fast */

/* --- the row ---------------------------------------------------------------------------------- */

/* Whether e repeats an earlier row; fills the original and the flag. */
static void find_original(struct trk_intake *i)
{
	struct trk_ev *e = i->e;
	uint64_t bits = 1ull << (e->hash_copy & 63) | 1ull << (e->hash_copy >> 6 & 63);
	unsigned n_left = COPY_ROWS;
	if ((i->c->seen & bits) != bits) {
		i->c->seen |= bits;
		return;
	}
	for (uint32_t id = e->prev; id && n_left--; id = trk_row(i->t, id)->prev) {
		const struct trk_ev *o = trk_row(i->t, id); /* the latest copy, or the original */
		uint64_t gap = e->at_us > o->at_us ? e->at_us - o->at_us : 0;
		if (gap > COPY_WINDOW_US)
			return;
		uint32_t copy_of = trk_copy_of(o);
		uint32_t hash = copy_of ? trk_row(i->t, copy_of)->hash_copy : o->hash_copy;
		if (hash != e->hash_copy || o->from != e->from || o->to != e->to ||
		    o->n_bytes != e->n_bytes || o->cseq != e->cseq)
			continue;
		bool is_dup = !i->t->cfg.is_live &&
			      (e->ip_id && o->ip_id ? e->ip_id == o->ip_id && gap < SAME_PACKET_US
						    : gap < MIRROR_US);
		e->hash_copy = copy_of ? copy_of : id;
		e->flags |= is_dup ? TRK_EV_DUPLICATE : TRK_EV_RETRANS;
		if (is_dup)
			i->t->stats.n_duplicate++;
		else
			i->t->stats.n_retrans++;
		return;
	}
}

static uint8_t flags_of(const struct trk_intake *i)
{
	const struct sip_skim *k = i->k;
	unsigned f = 0;
	if (k->is_request)
		f |= TRK_EV_REQUEST;
	if (k->to_tag.n)
		f |= TRK_EV_TO_TAG;
	if (k->is_routed)
		f |= TRK_EV_ROUTED;
	if (k->has_auth)
		f |= TRK_EV_AUTH;
	if (i->from_tag == i->c->from_tag)
		f |= TRK_EV_CALLER;
	return (uint8_t)f;
}

/* Never 0. A client of RFC 2543 may give no branch; then its address has to do. */
static uint32_t branch_of(const struct trk_intake *i)
{
	return (i->k->via_branch.n ? hash_quick32(i->k->via_branch)
				   : hash_quick32(i->m->via_host) ^ i->m->via_port) |
	       1;
}

static bool add_row(struct trk_intake *i)
{
	const struct sip_skim *m = i->k;
	const struct trk_packet *p = i->p;
	struct trk_call *c = i->c;
	uint8_t from = trk_peer_of(i->t, c, &p->from, p->transport);
	uint8_t to = trk_peer_of(i->t, c, &p->to, p->transport);
	uint32_t id = c->n_peers ? trk_row_new(i->t, c) : 0;
	if (!id)
		return false;
	struct trk_ev *e = i->e = trk_row(i->t, id);
	e->at_us = p->at_us;
	e->file_off = p->file_off & 0xffff'ffff'ffffu;
	e->ip_id = p->ip_id;
	e->frame_no = p->frame_no;
	e->n_bytes = p->bytes.n < MAX_BYTES ? p->bytes.n : MAX_BYTES;
	e->cseq = m->cseq;
	e->branch = i->branch;
	e->status = m->is_request ? 0 : m->status & 1023u;
	e->method = m->method;
	e->from = from & 63u;
	e->to = to & 63u;
	e->flags = flags_of(i);
	e->tag = trk_tag_of(c, i->to_tag);
	e->hash_copy = i->hash;
	e->prev = c->last_ev;
	e->is_plain = p->is_plain && p->skim;
	find_original(i);
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
	c->forks_up = c->forks_over = 0;
	c->is_judged = c->is_explained = false;
}

static bool may_be_tried_again(unsigned status)
{
	return status == 401 || status == 407 || status == 423 || status == 422 ||
	       (status >= 300 && status < 400);
}

static enum age_class age_of(const struct trk *t, const struct trk_call *c)
{
	if (c->phase == TRK_ENDED)
		return may_be_tried_again(c->status) && !c->is_explained ? AGE_RETRY : AGE_SETTLE;
	if (c->kind != TRK_CALL || c->phase == TRK_ENDING)
		return AGE_REQUEST;
	if (c->phase != TRK_ANSWERED)
		return AGE_SETUP;
	return t->cfg.packs ? AGE_FRESH : AGE_TALK;
}

static void on_invite_response(struct trk_call *c, const struct trk_ev *e)
{
	if (!(e->flags & TRK_EV_CALLER) || e->cseq != c->cseq)
		return;
	bool is_2xx = e->status >= 200 && e->status < 300;
	if (is_2xx)
		c->forks_up |= (uint8_t)(1u << e->tag);
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

/* Of several phones that have answered one hangs up, and another talks on. */
static bool ends_call(const struct trk_intake *i)
{
	struct trk_call *c = i->c;
	unsigned tag = i->e->tag;
	for (unsigned k = 0; !(i->e->flags & TRK_EV_CALLER) && k < c->n_tags; k++)
		if (c->tags[k] == (uint16_t)i->from_tag)
			tag = k + 1;
	uint8_t is_his = (uint8_t)(1u << tag);
	c->forks_over |= is_his;
	return !(c->forks_up & is_his) || !(c->forks_up & ~c->forks_over);
}

static void on_call(const struct trk_intake *i)
{
	struct trk_call *c = i->c;
	const struct trk_ev *e = i->e;
	bool is_request = e->flags & TRK_EV_REQUEST;
	if (e->method == SIP_INVITE && is_request) {
		if (!(e->flags & TRK_EV_TO_TAG) && (e->cseq != c->cseq || !c->branch))
			begin_request(c, e);
	} else if (e->method == SIP_INVITE) {
		on_invite_response(c, e);
	} else if (e->method == SIP_BYE && is_request) {
		if (ends_call(i) && c->ender == TRK_NO_PEER) {
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

static bool wish_party(const struct trk_intake *i, struct str value, struct trk_wish *w)
{
	struct sip_addr a;
	if (trk_skips(i) || sip_addr_parse(value, &a) || a.uri_err == ERR_SYNTAX)
		return false;
	trk_name_wish(i->t, w, a.uri.user, a.uri.host);
	return true;
}

/* Whom a call's first message names, and in a file both its ends. */
static void first_names(const struct trk_intake *i)
{
	struct trk *t = i->t;
	struct trk_call *c = i->c;
	const struct trk_packet *p = i->p;
	struct trk_peer pair[2] = {trk_peer(&p->from, p->transport),
				   trk_peer(&p->to, p->transport)};
	struct trk_wish from, to, ends;
	bool has_ends = !t->cfg.is_live && !addr_eq(&p->from, &p->to);
	if (has_ends)
		trk_name_wish(t, &ends, str_of((const char *)pair, sizeof pair), STR_NONE);
	bool has_from = wish_party(i, i->k->from, &from), has_to = wish_party(i, i->k->to, &to);
	if (has_ends)
		trk_name_expect(t, &ends);
	if (has_from)
		trk_name_expect(t, &from);
	if (has_to)
		trk_name_expect(t, &to);
	if (has_from)
		c->from = trk_name_grant(t, c, &from);
	if (has_to)
		c->to = trk_name_grant(t, c, &to);
	const struct trk_name *x = has_ends ? trk_name_grant(t, c, &ends) : NULL;
	if (x) {
		c->peers = (const struct trk_peer *)(const void *)x->text;
		c->n_peers = 2;
	}
}

static void first_message(struct trk_intake *i)
{
	struct trk_call *c = i->c;
	const struct sip_skim *m = i->k;
	bool is_opening =
		m->is_request && !m->to_tag.n && m->method != SIP_CANCEL && m->method != SIP_ACK;
	/* a REFER that no call is the frame of asks for one, which is another [RFC3515 2.4.4] */
	bool is_lone_refer = is_opening && m->method == SIP_REFER;
	c->kind = is_lone_refer ? TRK_OTHER : kind_of((enum sip_method)m->method);
	c->is_mid = !is_opening;
	i->t->stats.n_calls[c->kind]++;
	c->from_tag = i->from_tag;
	first_names(i);
}

/* A dialog may begin with something else than its INVITE: an OPTIONS probe under one Call-ID. */
static void promote(struct trk_intake *i)
{
	struct trk_call *c = i->c;
	if (i->k->method != SIP_INVITE || !i->k->is_request || c->kind == TRK_CALL)
		return;
	i->t->stats.n_calls[c->kind]--;
	c->kind = TRK_CALL;
	i->t->stats.n_calls[c->kind]++;
	c->from_tag = i->from_tag;
	c->branch = 0;
}

/* How many calls a host begins in a second with one From: a flood, a phone gone wild, a load test.
 * Sources that share a place forget each other; a flood finds its place again at once. */
static bool is_flood(struct trk *t, const struct trk_packet *p, const struct trk_call *c)
{
	uint32_t who = hash_quick32(str_of((const char *)p->from.ip, sizeof p->from.ip)) * 31u +
		       hash_quick32(trk_user(c->from));
	uint32_t second = (uint32_t)(p->at_us / 1'000'000);
	struct trk_source *s = &t->sources[(who ^ who >> 16) % TRK_SOURCES];
	if (s->who != who || s->second != second)
		*s = (struct trk_source){.who = who, .second = second};
	return ++s->n == FLOOD;
}

/* Answered, and the answer repeated often enough that the ACK is not merely late. */
static bool is_awaiting_ack(const struct trk_call *c, const struct trk_ev *e)
{
	return e->flags & TRK_EV_RETRANS && c->kind == TRK_CALL && c->phase == TRK_ANSWERED &&
	       e->method == SIP_INVITE && e->status >= 200 && e->cseq == c->cseq &&
	       trk_n_resent(e) >= 2;
}

static bool is_afterwards(const struct sip_skim *m)
{
	bool is_of_call = m->method != SIP_SUBSCRIBE && m->method != SIP_NOTIFY;
	return !m->is_request || m->method == SIP_ACK || m->method == SIP_CANCEL ||
	       (m->to_tag.n && is_of_call);
}

static enum err take(struct trk_intake *i)
{
	uint64_t hash = trk_call_hash(i->t, i->k->call_id);
	bool is_file = !i->t->cfg.is_live; /* of many calls: their memory is asked for early */
	if (is_file)
		trk_place_expect(i->t, hash);
	/* keyed, so that nobody makes many alike */
	uint64_t bytes = hash_quick(i->t->hash_key, i->p->bytes);
	i->hash = (uint32_t)(bytes ^ bytes >> 32);
	if (is_file)
		trk_call_expect(i->t, hash);
	i->branch = branch_of(i);
	i->from_tag = hash_quick32(i->k->from_tag);
	i->to_tag = hash_quick32(i->k->to_tag);
	struct trk_call *c = trk_call_find(i->t, i->k->call_id, hash);
	if (!c && i->t->cfg.sees_all && is_afterwards(i->k))
		return OK;
	i->c = c = c ? trk_call_part(i->t, c, i->k) : NULL;
	bool is_new = !c;
	if (!c) {
		c = i->c = trk_call_new(i->t, i->k->call_id, hash);
		if (!c)
			return ERR_NOMEM;
		first_message(i);
	}
	if (!trk_unpack(i->t, c))
		return ERR_NOMEM;
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
			on_call(i);
		else
			on_other(c, e);
		if (c->phase == TRK_ANSWERED)
			trk_offer_drop(i->t, c);
		trk_facts(i);
		struct trk_fact *f = is_new && i->k->is_request && is_flood(i->t, i->p, c)
					     ? trk_fact_add(i->t, c, e, TRK_F_FLOOD, STR_NONE)
					     : NULL;
		if (f)
			f->num = FLOOD;
		if (i->t->joins && c->kind == TRK_CALL)
			trk_join_see(i);
	}
	if (i->t->cfg.on_alarm && is_awaiting_ack(c, e))
		trk_alarm(i->t, c);
	if (i->t->cfg.is_live &&
	    (c->age_class != AGE_LINGER || !c->is_judged || list_is_empty(&c->age)))
		trk_age(i->t, c, age_of(i->t, c));
	return OK;
}

static void count(struct trk *t, const struct sip_skim *m, const struct trk_packet *p)
{
	struct trk_stats *s = &t->stats;
	if (!s->n_messages++)
		s->first_us = p->at_us;
	if (p->at_us > s->last_us) /* pieces are told late */
		s->last_us = p->at_us;
	s->n_bytes += p->bytes.n;
	s->n_whole += p->is_whole;
	if (m->is_request)
		s->n_requests[m->method]++;
	else if (m->status < ARRAY_LEN(s->n_statuses))
		s->n_statuses[m->status]++;
}

const struct sip_msg *trk_index(struct trk *t, struct str bytes)
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

bool trk_need_index(struct trk_intake *i)
{
	if (!i->m)
		i->m = trk_index(i->t, i->p->bytes);
	return i->m;
}

enum err trk_take(struct trk *t, const struct trk_packet *p, struct trk_call **call)
{
	struct trk_intake i = {.t = t, .p = p, .m = p->msg, .k = p->skim};
	struct sip_skim skim;
	if (!i.k && !i.m && sip_skim(p->bytes, &skim))
		i.k = &skim;
	if (!i.k && !trk_need_index(&i)) {
		t->stats.n_not_sip++;
		return ERR_SYNTAX;
	}
	if (!i.k) {
		sip_skim_of(i.m, &skim);
		i.k = &skim;
	}
	count(t, i.k, p);
	if (!i.k->call_id.n) {
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
