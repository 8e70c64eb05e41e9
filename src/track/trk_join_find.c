/* Legs joined: what an INVITE says about other calls.
 *
 * The first INVITE of a call is read once: Session-ID, X-CID and its likes, icid-value, Replaces,
 * and whether its Call-ID is another one's with an affix. What two INVITEs share joins their calls
 * at once.
 *
 * Where headers say nothing, a B2BUA betrays itself by time: a call arrives at a host, and within
 * 200 ms another one leaves it for the same numbers; or the SDP passes through unchanged. So each
 * INVITE leaves marks of its arrival for two seconds, and the first INVITE of a new call looks
 * among them for those that arrived at the host it comes from. One such leg: the call is its next
 * leg, for whatever comes later cannot have caused it. Several: nothing is decided yet, see
 * trk_join_pick.c. Between two hosts (an SBC with two addresses) the same SDP joins only together
 * with the same numbers, and never two calls from one source or to one destination: test
 * generators use one SDP for all their calls.
 *
 * Cost: nothing but for INVITE and REFER; there some hundred nanoseconds. Hashes stand for texts:
 * they are keyed where the traffic is not trusted, and a join is a hint with its ground beside it.
 *
 * [RFC3515 2.4.4] [RFC3891 3] [RFC5806] [RFC7044] [RFC7315 5.6] [RFC7989 6] [RFC8866 5.2, 5.7]
 */
#include "track/trk_join_priv.h"

#include "sip/hdr.h"

#include <string.h>

#define MAX_SHARED  16u /* calls with one mark: more share it by accident */
#define MIN_BASE    8u  /* of a Call-ID that another one extends */
#define MAX_AFFIX   8u
#define LONG_DIGITS 7u
#define MAX_DIGITS  7u /* of a number: what is before them differs by country and trunk */

/* --- what is compared ------------------------------------------------------------------------- */

/* Long enough that two calls to it at one moment are rare. */
static bool is_long(struct str user)
{
	unsigned n = 0;
	for (size_t i = 0; i < user.n; i++)
		n += user.p[i] >= '0' && user.p[i] <= '9';
	return n >= LONG_DIGITS;
}

/* Visual separators, country and trunk prefixes aside; never 0 but for an empty user. */
static uint32_t number_hash(struct str user)
{
	char digits[32];
	size_t n = 0;
	struct str rest;
	user = str_cut(user, ';', &rest);
	bool is_number = user.n;
	for (size_t i = 0; i < user.n && is_number; i++) {
		char c = user.p[i];
		if (c >= '0' && c <= '9' && n < sizeof digits)
			digits[n++] = c;
		else if (!memchr("+-.() *#", c, 8))
			is_number = false;
	}
	if (!user.n)
		return 0;
	if (!is_number || n < 3)
		return hash_quick32(user) | 1;
	size_t from = n > MAX_DIGITS ? n - MAX_DIGITS : 0;
	return hash_quick32(str_of(digits + from, n - from)) | 1;
}

static uint32_t mix(uint32_t a, uint32_t b)
{
	return (uint32_t)hash_fold(a ^ 0x9e3779b97f4a7c15u, b ^ 0xd1b54a32d192ed03u) | 1;
}

static uint64_t key_of(const struct trk *t, enum trk_mark_kind kind, uint32_t what)
{
	uint64_t k[2];
	memcpy(k, t->hash_key, sizeof k);
	return hash_fold(k[0] ^ what ^ (uint64_t)kind << 40, k[1] ^ 0xa0761d6478bd642fu);
}

/* The o= line, when it can tell sessions apart: "- 0 0" and the like cannot. */
static uint32_t origin_hash(struct str body)
{
	size_t at = str_find(body, STR("\no="));
	if (at == SIZE_MAX || at > 64)
		return 0;
	struct str rest, line = str_trim(str_cut(str_skip(body, at + 3), '\n', &rest));
	struct str word = line;
	str_cut(word, ' ', &word);
	struct str id = str_cut(word, ' ', &rest);
	return id.n < 4 ? 0 : hash_quick32(line) | 1;
}

static uint32_t media_hash(const struct trk_ev *e)
{
	const struct trk_fact *f = trk_fact(e, TRK_F_SDP);
	return f && f->n && f->num ? mix(hash_quick32(trk_fact_text(f)), f->num) : 0;
}

/* Hosts are told by address; on a machine that plays all roles, by address and port. */
static struct addr host_of(const struct trk_packet *p, const struct addr *a)
{
	struct addr h = *a;
	if (!addr_ip_eq(&p->from, &p->to))
		h.port = 0;
	return h;
}

/* --- headers ---------------------------------------------------------------------------------- */

static void join_same(struct trk *t, struct trk_leg *a, struct trk_leg *b, enum trk_ground g,
		      uint32_t ev_a)
{
	struct trk_pair p = {a, b, g, 0, ev_a ? ev_a : a->invite, b->invite};
	trk_join_put(t, &p, TRK_JOIN_MADE);
}

/* A call found by its Call-ID that may still have another leg. */
static void join_call_id(struct trk *t, struct trk_leg *l, struct str id, enum trk_ground g)
{
	struct trk_call *c = trk_find(t, id);
	if (!c || c == l->call || c->kind != TRK_CALL)
		return;
	bool is_over = c->end_us && c->end_us + TRK_ARRIVAL_US < l->at_us;
	struct trk_leg *a = is_over ? NULL : trk_leg_get(t, c);
	if (a)
		join_same(t, a, l, g, c->first_ev);
}

static void join_heads(struct trk *t, struct trk_leg *l, enum trk_ground g, uint64_t hash)
{
	uint32_t cursor = 0, ev;
	struct trk_call *c;
	for (unsigned n = 1; trk_head_next(t, hash, &cursor, &c, &ev); n++) {
		struct trk_leg *a = n == MAX_SHARED ? NULL : trk_leg_get(t, c);
		if (!a)
			return;
		join_same(t, a, l, g, ev);
	}
	trk_head_put(t, hash, l->call, l->invite);
}

static void join_header(struct trk *t, struct trk_leg *l, enum trk_ground g, struct str value)
{
	if (value.n < 4)
		return;
	uint64_t h = htab_hash_nocase(t->hash_key, value.p, value.n) ^ (uint64_t)g << 8;
	unsigned n = 0;
	if (!t->cfg.is_live) {
		join_heads(t, l, g, h);
		return;
	}
	for (struct hnode *k = htab_first(&t->joins->marks, h); k; k = htab_next(k)) {
		struct trk_mark *m = CONTAINER_OF(k, struct trk_mark, node);
		if (m->kind != MARK_HEADER || m->ground != g)
			continue;
		if (++n == MAX_SHARED)
			return;
		join_same(t, m->leg, l, g, m->ev);
	}
	struct trk_mark *m = trk_mark_put(t, l, MARK_HEADER, h);
	if (!m)
		return;
	m->ground = (uint8_t)g;
	m->ev = l->invite;
}

static void read_session_id(struct trk *t, struct trk_leg *l, struct str value)
{
	struct str rest, id = str_trim(str_cut(value, ';', &rest));
	bool is_nil = true; /* "no session yet" [RFC7989 5] */
	for (size_t i = 0; i < id.n; i++)
		is_nil = is_nil && id.p[i] == '0';
	if (!is_nil)
		join_header(t, l, TRK_JOIN_SESSION_ID, id);
}

static void read_icid(struct trk *t, struct trk_leg *l, const struct sip_msg *m)
{
	struct str v;
	if (sip_has(m, SIP_HDR_P_CHARGING_VECTOR) &&
	    sip_param(sip_value(m, SIP_HDR_P_CHARGING_VECTOR), STR("icid-value"), &v))
		join_header(t, l, TRK_JOIN_ICID, v);
}

static void read_xcid(struct trk *t, struct trk_leg *l, struct str value)
{
	join_call_id(t, l, value, TRK_JOIN_XCID);
	join_header(t, l, TRK_JOIN_XCID, value);
}

/* Headers by which PBXs and SBCs mark the legs of a call. Whatever its name, a header whose value
 * is another call's Call-ID says the same. */
static void read_private(struct trk *t, struct trk_leg *l, const struct sip_msg *m)
{
	static const struct str names[] = {
		STR_INIT("X-Call-ID"),          STR_INIT("X-CallID"),
		STR_INIT("X-Original-Call-ID"), STR_INIT("X-Inbound-Call-ID"),
		STR_INIT("X-Orig-CallID"),      STR_INIT("X-BroadWorks-Correlation-Info"),
	};
	if (sip_has(m, SIP_HDR_X_CID))
		read_xcid(t, l, sip_value(m, SIP_HDR_X_CID));
	for (uint16_t r = m->first[SIP_HDR_OTHER]; r != SIP_ROW_NONE; r = sip_row(m, r)->next) {
		const struct sip_row *row = sip_row(m, r);
		struct str name = sip_row_name(m, row), value = str_trim(sip_row_value(m, row));
		bool is_known = false;
		for (unsigned k = 0; k < ARRAY_LEN(names); k++)
			is_known = is_known || str_ieq(name, names[k]);
		if (is_known)
			read_xcid(t, l, value);
		else if (value.n >= MIN_BASE)
			join_call_id(t, l, value, TRK_JOIN_XCID);
	}
}

static bool is_affix(struct str s)
{
	if (!s.n || s.n > MAX_AFFIX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool is_part = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			       c == '-' || c == '_';
		if (!is_part)
			return false;
	}
	return true;
}

/* A base, with the host part of the Call-ID and without. */
static void try_base(struct trk *t, struct trk_leg *l, struct str base, struct str host)
{
	if (base.n < MIN_BASE)
		return;
	join_call_id(t, l, base, TRK_JOIN_CALL_ID);
	if (!host.n)
		return;
	char mem[256];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_str(&b, base);
	buf_str(&b, host);
	if (!b.err)
		join_call_id(t, l, buf_view(&b), TRK_JOIN_CALL_ID);
}

/* "f81d4fae_b2b-1", "B2B.f81d4fae", "f81d4fae-1@host". */
static void read_call_id(struct trk *t, struct trk_leg *l)
{
	struct str id = l->call->call_id;
	size_t at = str_chr(id, '@');
	struct str local = str_sub(id, 0, at), host = at == SIZE_MAX ? STR_NONE : str_skip(id, at);
	for (size_t i = local.n; i > MIN_BASE && local.n - i <= MAX_AFFIX; i--)
		if (memchr("-_.", local.p[i - 1], 3) && is_affix(str_skip(local, i)))
			try_base(t, l, str_sub(local, 0, i - 1), host);
	for (size_t i = 1; i + MIN_BASE < local.n && i <= MAX_AFFIX; i++)
		if (memchr("-_.", local.p[i], 3) && is_affix(str_sub(local, 0, i)))
			try_base(t, l, str_skip(local, i + 1), host);
}

static void read_replaces(struct trk *t, struct trk_leg *l, const struct sip_msg *m)
{
	struct sip_replaces r;
	if (!sip_has(m, SIP_HDR_REPLACES) || sip_replaces_parse(sip_value(m, SIP_HDR_REPLACES), &r))
		return;
	struct trk_call *c = trk_find(t, r.call_id);
	struct trk_leg *a = c && c != l->call ? trk_leg_get(t, c) : NULL;
	if (!a)
		return;
	struct trk_pair p = {a, l, TRK_JOIN_REPLACES, 0, c->last_ev, l->invite};
	trk_join_put(t, &p, TRK_JOIN_MADE);
}

static uint32_t user_hash(struct str value)
{
	struct sip_addr a;
	return sip_addr_parse(value, &a) || a.uri_err ? 0 : number_hash(a.uri.user);
}

/* Whom the caller had asked for, before it was diverted. */
static void read_diversion(struct trk_leg *l, const struct sip_msg *m)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_DIVERSION, SIP_HDR_HISTORY_INFO};
	uint32_t from = number_hash(trk_user(l->call->from));
	for (unsigned k = 0; k < ARRAY_LEN(ids); k++) {
		struct sip_iter it = {0};
		struct str v;
		if (sip_each(m, ids[k], &it, &v) && from && user_hash(v))
			l->diverted[k] = mix(from, user_hash(v));
	}
}

/* --- arrivals --------------------------------------------------------------------------------- */

struct cands { /* legs whose next leg a call may be */
	struct trk_pair v[TRK_MAX_OPEN];
	unsigned n;
};

static void add_cand(struct cands *c, const struct trk_mark *m, struct trk_leg *b,
		     enum trk_ground g, unsigned confidence)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->v[i].a == m->leg) {
			unsigned best = c->v[i].confidence;
			if (confidence > best) {
				c->v[i].ground = g;
				best = confidence;
			}
			c->v[i].confidence = best + 5;
			return;
		}
	if (c->n < TRK_MAX_OPEN)
		c->v[c->n++] = (struct trk_pair){m->leg, b, g, confidence, m->ev, b->invite};
}

static void look(struct trk *t, struct trk_leg *l, enum trk_mark_kind kind, uint32_t what,
		 enum trk_ground g, struct cands *out)
{
	static const uint8_t sure[TRK_JOIN__N] = {[TRK_JOIN_ORIGIN] = 85,
						  [TRK_JOIN_MEDIA] = 80,
						  [TRK_JOIN_NUMBERS] = 70,
						  [TRK_JOIN_DIVERSION] = 65,
						  [TRK_JOIN_CALLED] = 70};
	unsigned n = 0;
	if (!what)
		return;
	for (struct hnode *k = htab_first(&t->joins->marks, key_of(t, kind, what)); k;
	     k = htab_next(k)) {
		struct trk_mark *m = CONTAINER_OF(k, struct trk_mark, node);
		if (m->kind != kind || m->leg == l)
			continue;
		if (++n > MAX_SHARED)
			return;
		uint64_t age = l->at_us > m->at_us ? l->at_us - m->at_us : 0;
		bool is_numbers = kind == MARK_NUMBERS || kind == MARK_CALLED;
		bool is_there = addr_eq(&m->host, &l->source);
		const struct trk_leg *a = m->leg;
		if (a->call->phase == TRK_ENDED || addr_eq(&a->source, &l->source) ||
		    (is_numbers ? !is_there : addr_eq(&a->dest, &l->dest)) ||
		    age > (is_numbers ? TRK_NEAR_US : TRK_ARRIVAL_US) ||
		    (!is_there && a->numbers != l->numbers))
			continue;
		add_cand(out, m, l, g, is_there ? sure[g] : sure[g] - 10u);
	}
}

/* The call's first INVITE has left l->source: after which arrival? */
static void find_inbound(struct trk *t, struct trk_leg *l)
{
	struct cands c = {.n = 0};
	look(t, l, MARK_ORIGIN, l->origin, TRK_JOIN_ORIGIN, &c);
	look(t, l, MARK_MEDIA, l->media, TRK_JOIN_MEDIA, &c);
	look(t, l, MARK_NUMBERS, l->numbers, TRK_JOIN_NUMBERS, &c);
	for (unsigned k = 0; k < ARRAY_LEN(l->diverted); k++)
		look(t, l, MARK_NUMBERS, l->diverted[k], TRK_JOIN_DIVERSION, &c);
	/* the caller's number was changed on the way: what comes later has to agree */
	bool is_weak = !c.n;
	if (is_weak)
		look(t, l, MARK_CALLED, l->called, TRK_JOIN_CALLED, &c);
	unsigned best = 0;
	for (unsigned i = 0; i < c.n; i++) {
		if (trk_is_one_ring(c.v[i].a, l))
			return; /* a header was surer */
		if (c.v[i].confidence > best)
			best = c.v[i].confidence;
	}
	unsigned n_best = 0;
	for (unsigned i = 0; i < c.n; i++)
		n_best += c.v[i].confidence == best;
	bool is_sure = n_best == 1 && !is_weak;
	for (unsigned i = 0; i < c.n; i++)
		if (c.v[i].confidence == best)
			trk_join_put(t, &c.v[i], is_sure ? TRK_JOIN_MADE : TRK_JOIN_OPEN);
	if (c.n && !is_sure)
		list_push(&t->joins->open, &l->open);
}

static void mark_arrival(const struct trk_intake *i, struct trk_leg *l)
{
	const uint32_t what[] = {[MARK_NUMBERS] = l->numbers,
				 [MARK_ORIGIN] = l->origin,
				 [MARK_MEDIA] = l->media,
				 [MARK_CALLED] = l->called};
	struct addr host = host_of(i->p, &i->p->to);
	for (unsigned k = MARK_NUMBERS; k <= MARK_CALLED; k++) {
		struct trk_mark *m =
			what[k] ? trk_mark_put(i->t, l, (enum trk_mark_kind)k,
					       key_of(i->t, (enum trk_mark_kind)k, what[k]))
				: NULL;
		if (!m)
			continue;
		m->host = host;
		m->ev = trk_ev_id(i->e);
	}
}

/* --- transfers -------------------------------------------------------------------------------- */

/* Who is asked to call, and whom. */
static uint32_t refer_what(const struct trk_packet *p, const struct addr *who, uint32_t user)
{
	struct addr h = host_of(p, who);
	return user ? mix(user, hash_quick32(str_of((const char *)h.ip, sizeof h.ip)) ^ h.port) : 0;
}

static void mark_refer(struct trk_intake *i)
{
	if (!trk_need_index(i))
		return;
	uint32_t what = refer_what(i->p, &i->p->to, user_hash(sip_value(i->m, SIP_HDR_REFER_TO)));
	struct trk_leg *l = what ? trk_leg_get(i->t, i->c) : NULL;
	struct trk_mark *m =
		l ? trk_mark_put(i->t, l, MARK_REFER, key_of(i->t, MARK_REFER, what)) : NULL;
	if (m)
		m->ev = trk_ev_id(i->e);
}

static void find_refer(const struct trk_intake *i, struct trk_leg *l)
{
	struct trk *t = i->t;
	uint32_t what = refer_what(i->p, &i->p->from, number_hash(trk_user(i->c->to)));
	struct trk_mark *found = NULL;
	if (!what)
		return;
	for (struct hnode *k = htab_first(&t->joins->marks, key_of(t, MARK_REFER, what)); k;
	     k = htab_next(k)) {
		struct trk_mark *m = CONTAINER_OF(k, struct trk_mark, node);
		if (m->kind == MARK_REFER && m->leg != l && (!found || m->at_us > found->at_us))
			found = m;
	}
	if (!found)
		return;
	bool is_referred = i->k->has_more && sip_has(i->m, SIP_HDR_REFERRED_BY);
	struct trk_pair p = {found->leg,           l,         TRK_JOIN_REFER,
			     is_referred ? 95 : 0, found->ev, l->invite};
	trk_join_put(t, &p, TRK_JOIN_MADE);
}

/* --- intake ----------------------------------------------------------------------------------- */

static void grow_old(struct trk *t, struct link *marks, uint64_t us)
{
	while (!list_is_empty(marks)) {
		struct trk_mark *m = LIST_ENTRY(marks->next, struct trk_mark, age);
		if (m->at_us + us >= t->now_us)
			break;
		trk_mark_del(t, m);
	}
}

static void first_invite(struct trk_intake *i, struct trk_leg *l)
{
	bool has_more = i->k->has_more;
	if (has_more && !trk_need_index(i))
		return;
	const struct trk_call *c = i->c;
	uint32_t from = number_hash(trk_user(c->from)), to = number_hash(trk_user(c->to));
	l->is_read = true;
	l->invite = trk_ev_id(i->e);
	l->at_us = i->p->at_us;
	l->source = host_of(i->p, &i->p->from);
	l->dest = host_of(i->p, &i->p->to);
	l->called = is_long(trk_user(c->to)) ? to : 0;
	l->numbers = from && to ? mix(from, to) : 0;
	l->origin = i->e->flags & TRK_EV_SDP ? origin_hash(i->k->body) : 0;
	l->media = media_hash(i->e);
	if (has_more) {
		read_diversion(l, i->m);
		read_replaces(i->t, l, i->m);
	}
	find_refer(i, l);
	read_session_id(i->t, l, has_more ? sip_value(i->m, SIP_HDR_SESSION_ID) : i->k->session_id);
	if (has_more) {
		read_icid(i->t, l, i->m);
		read_private(i->t, l, i->m);
	}
	read_call_id(i->t, l);
	find_inbound(i->t, l);
}

void trk_join_see(struct trk_intake *i)
{
	struct trk *t = i->t;
	if (!i->k->is_request || (i->k->method != SIP_INVITE && i->k->method != SIP_REFER))
		return;
	grow_old(t, &t->joins->arrivals, TRK_ARRIVAL_US);
	grow_old(t, &t->joins->refers, TRK_REFER_US);
	if (i->k->method == SIP_REFER) {
		mark_refer(i);
		return;
	}
	if (i->k->to_tag.n)
		return;
	/* a leg that went idle was read: only another try makes it one again */
	struct trk_leg *l = trk_leg_get(t, i->c);
	if (!l)
		return;
	if (!l->is_read)
		first_invite(i, l);
	mark_arrival(i, l);
	if (list_is_empty(&l->marks) && list_is_empty(&l->as_a) && list_is_empty(&l->as_b))
		trk_join_forget(t, i->c);
}
