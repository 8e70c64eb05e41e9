/* Transactions on one hop: what a response copies from its request, what ACK and CANCEL copy from
 * the INVITE, branches, resending.
 *
 * The last requests of a call are remembered (struct lint_tsx), texts as hashes. A response finds
 * its request by branch and method: a branch names one hop, so the comparison is between two
 * messages that passed the same wire. Where a client used a branch twice nothing is compared any
 * more.
 *
 * Lost packets make intervals longer, never shorter or equal: only too short or even ones are
 * faults.
 *
 * [RFC3261 8.1.1.7, 8.2.6, 9.1, 16.6, 17.1.1, 18.2.1] [RFC3262 3] [RFC3581 4]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"

#include <stdlib.h>
#include <string.h>

#define EARLY_US 400'000u   /* T1 is 500 ms; leave room for a clock that is off */
#define T2_NEAR  3'500'000u /* at T2, 4 s, intervals of other requests stay even */

static const struct str cookie = STR_INIT("z9hG4bK");

/* --- hashes -------------------------------------------------------------------------------------
 */

static void put_lower(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_chr(b, (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 32 : s.p[i]));
}

uint32_t lint_uri_hash(struct str text)
{
	struct sip_uri u;
	char mem[300];
	struct buf b;
	if (sip_uri_parse(text, &u) != OK)
		return 0;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_str(&b, u.user);
	buf_chr(&b, '@');
	put_lower(&b, u.host);
	unsigned port = u.port ? u.port : u.scheme == SIP_URI_SIPS ? 5061 : 5060;
	uint32_t h = b.err ? lint_hash(text) : lint_hash(buf_view(&b)) ^ port;
	return h ? h : 1;
}

bool lint_is_sender(const struct lint_at *a, const struct sip_uri *u)
{
	return u->is_ip && addr_ip_eq(&u->ip, &a->p->from);
}

unsigned lint_uris(const struct lint_at *a, enum sip_hdr_id id, uint32_t out[MAX_ROUTES],
		   bool *is_strict)
{
	struct sip_iter it = {0, 0};
	struct sip_addr k;
	struct str v;
	unsigned n = 0;
	while (sip_has(a->m, id) && sip_each(a->m, id, &it, &v)) {
		bool is_good = sip_addr_parse(v, &k) == OK;
		if (n < MAX_ROUTES)
			out[n] = lint_hash(is_good ? k.uri_text : v);
		if (is_strict && (!is_good || !sip_param(k.uri.params, STR("lr"), NULL)))
			*is_strict = true;
		n++;
	}
	return n;
}

/* Of all Vias what must not change on the way back: parameters are added by others. */
static uint32_t via_hash(const struct lint_at *a, struct sip_via *top, struct sip_via *second)
{
	struct sip_iter it = {0, 0};
	struct str v;
	uint32_t h = 1;
	unsigned n = 0;
	top->branch = second->branch = STR_NONE;
	while (sip_each(a->m, SIP_HDR_VIA, &it, &v)) {
		struct sip_via via;
		if (sip_via_parse(v, &via) != OK)
			return 0;
		if (n < 2)
			*(n ? second : top) = via;
		n++;
		uint32_t part[4] = {h, lint_hash(via.host) ^ via.port, lint_hash(via.branch),
				    lint_hash(via.transport)};
		h = lint_hash(str_of((const char *)part, sizeof part));
	}
	return h;
}

static uint32_t uri_of(const struct lint_at *a, enum sip_hdr_id id)
{
	struct sip_addr k;
	if (!sip_has(a->m, id) || sip_addr_parse(sip_value(a->m, id), &k) != OK)
		return 0;
	return lint_hash(k.uri_text);
}

static uint32_t tag_hash(struct str tag)
{
	return tag.n ? lint_hash(tag) : 0;
}

/* --- finding
 * -------------------------------------------------------------------------------------- */

struct lint_tsx *lint_tsx_find(struct lint_at *a, uint8_t method, uint32_t branch, bool is_reply)
{
	for (unsigned i = 1; i <= MAX_TSX; i++) {
		struct lint_tsx *x = &a->c->tsx[(uint8_t)(a->c->tsx_at - i) % MAX_TSX];
		if (x->is_used && x->method == method && x->branch == branch &&
		    (is_reply || x->from == a->from))
			return x;
	}
	return NULL;
}

struct lint_tsx *lint_invite_of(struct lint_at *a)
{
	struct lint_tsx *found = NULL;
	for (unsigned i = 0; i < MAX_TSX; i++) {
		struct lint_tsx *x = &a->c->tsx[i];
		if (!x->is_used || x->method != SIP_INVITE || x->from != a->from ||
		    x->cseq != a->m->cseq || x->from_tag != tag_hash(a->m->from_tag))
			continue;
		if (found)
			return NULL;
		found = x;
	}
	return found;
}

/* --- requests
 * ------------------------------------------------------------------------------------- */

static void keep_tags(struct lint_at *a, struct lint_tsx *x)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_SUPPORTED, SIP_HDR_REQUIRE};
	for (unsigned i = 0; i < 2; i++) {
		struct sip_iter it = {0, 0};
		struct str v;
		while (sip_has(a->m, ids[i]) && sip_each(a->m, ids[i], &it, &v)) {
			if (x->n_tags < MAX_TAGS)
				x->tags[x->n_tags] = lint_hash(v);
			x->n_tags = (uint8_t)(x->n_tags < MAX_TAGS ? x->n_tags + 1 : MAX_TAGS);
		}
	}
	x->needs_100rel = sip_has_token(a->m, SIP_HDR_REQUIRE, STR("100rel"));
}

static void keep_numbers(struct lint_at *a, struct lint_tsx *x)
{
	struct sip_session_expires se;
	uint32_t n;
	struct str v = lint_at_hdr(a, SIP_HDR_SESSION_EXPIRES);
	if (v.n && sip_session_expires_parse(v, &se) == OK)
		x->session_expires = se.seconds;
	x->expires = UINT32_MAX;
	v = lint_at_hdr(a, SIP_HDR_EXPIRES);
	if (v.n && sip_seconds_parse(v, &n) == OK)
		x->expires = n;
	struct sip_addr k;
	struct str c = lint_at_hdr(a, SIP_HDR_CONTACT), e;
	if (a->method == SIP_REGISTER && c.n && sip_addr_parse(c, &k) == OK && !k.is_star) {
		n = x->expires;
		bool is_set =
			sip_param(k.params, STR("expires"), &e) && sip_seconds_parse(e, &n) == OK;
		x->has_contact_expiry = (is_set || x->expires != UINT32_MAX) && n > 0;
	}
}

/* A name, or another address than the source. But behind a NAT the server sees another source than
 * we do, perhaps just the one that a clever client has put into its Via. [RFC3261 18.2.1] */
static bool needs_received(const struct lint_at *a, struct str host)
{
	const struct addr *from = &a->p->from;
	struct addr sent_by = {0};
	if (!addr_parse(host, 0, &sent_by))
		return true;
	bool is_shared =
		from->family == ADDR_V4 && from->ip[0] == 100 && (from->ip[1] & 0xc0) == 64;
	return !addr_ip_eq(&sent_by, from) && !addr_is_private(from) && !is_shared;
}

static struct lint_tsx *tsx_new(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct sip_via top, second;
	struct lint_tsx *x = &a->c->tsx[a->c->tsx_at++ % MAX_TSX];
	free(x->offer);
	*x = (struct lint_tsx){.is_used = true,
			       .is_direct = a->n_vias == 1,
			       .has_to_tag = m->to_tag.n > 0,
			       .has_timestamp = sip_has(m, SIP_HDR_TIMESTAMP),
			       .has_rport = m->via_has_rport,
			       .has_sdp = m->body.n > 0,
			       .has_credentials = sip_has(m, SIP_HDR_AUTHORIZATION) ||
						  sip_has(m, SIP_HDR_PROXY_AUTHORIZATION),
			       .method = a->method,
			       .max_forwards = m->max_forwards,
			       .has_max_forwards = m->has_max_forwards,
			       .cseq = m->cseq,
			       .branch = lint_hash(m->via_branch),
			       .from = a->from,
			       .to = a->to,
			       .from_tag = tag_hash(m->from_tag),
			       .to_tag = tag_hash(m->to_tag),
			       .from_uri = uri_of(a, SIP_HDR_FROM),
			       .to_uri = uri_of(a, SIP_HDR_TO),
			       .ruri = lint_hash(m->ruri),
			       .first_us = a->p->at_us};
	x->vias = via_hash(a, &top, &second);
	x->needs_received = top.branch.p && needs_received(a, top.host);
	uint32_t uris[MAX_ROUTES];
	unsigned n = lint_uris(a, SIP_HDR_ROUTE, uris, NULL);
	x->n_routes = (uint8_t)(n < 255 ? n : 255);
	x->routes = n ? lint_hash(sip_value(m, SIP_HDR_ROUTE)) : 0;
	n = lint_uris(a, SIP_HDR_RECORD_ROUTE, x->rr, NULL);
	x->n_rr = (uint8_t)(n < 255 ? n : 255);
	keep_tags(a, x);
	keep_numbers(a, x);
	if (a->sdp) {
		x->has_offer = true;
		lint_sdp_keep(a, x);
	}
	return x;
}

static void check_cancel(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	uint32_t branch = lint_hash(m->via_branch);
	struct lint_tsx *x = lint_tsx_find(a, SIP_INVITE, branch, false);
	if (!x) {
		for (unsigned i = 0; i < MAX_TSX; i++) {
			struct lint_tsx *o = &a->c->tsx[i];
			if (o->is_used && o->branch == branch && o->from == a->from &&
			    o->method != SIP_CANCEL)
				lint_hit(a, LINT_CANCEL_OTHER, STR_NONE);
		}
		x = lint_invite_of(a);
		if (x && x->to == a->to && !x->is_reused)
			lint_hit(a, LINT_CANCEL_BRANCH, m->via_branch);
		return;
	}
	if (x->cseq != m->cseq)
		lint_hit_fmt(a, LINT_CANCEL_CSEQ, sip_value(m, SIP_HDR_CSEQ), "the INVITE has %u",
			     x->cseq);
	uint32_t routes = sip_has(m, SIP_HDR_ROUTE) ? lint_hash(sip_value(m, SIP_HDR_ROUTE)) : 0;
	struct str where = x->ruri != lint_hash(m->ruri) ? m->ruri
			   : x->to_uri != uri_of(a, SIP_HDR_TO) || x->to_tag != tag_hash(m->to_tag)
				   ? lint_at_hdr(a, SIP_HDR_TO)
			   : x->from_tag != tag_hash(m->from_tag) ? lint_at_hdr(a, SIP_HDR_FROM)
			   : x->routes != routes && x->n_routes
				   ? (routes ? sip_value(m, SIP_HDR_ROUTE) : m->ruri)
				   : STR_NONE;
	if (where.p)
		lint_hit(a, LINT_CANCEL_PARTS, where);
}

/* A proxy's request against the one that it got: that has the second Via on top. */
static void check_forwarding(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct sip_via top, second;
	struct sip_addr rr;
	struct str v = lint_at_hdr(a, SIP_HDR_RECORD_ROUTE);
	struct sip_iter it = {0, 0};
	if (v.n && sip_each(m, SIP_HDR_RECORD_ROUTE, &it, &v) && sip_addr_parse(v, &rr) == OK &&
	    rr.uri_err == OK && lint_is_sender(a, &rr.uri) &&
	    !sip_param(rr.uri.params, STR("lr"), NULL))
		lint_hit(a, LINT_RR_LR, v);
	if (!via_hash(a, &top, &second) || !second.branch.n || !m->has_max_forwards)
		return;
	struct lint_tsx *x = lint_tsx_find(a, a->method, lint_hash(second.branch), true);
	if (x && x->cseq == m->cseq && x->has_max_forwards && x->to != a->to &&
	    m->max_forwards >= x->max_forwards)
		lint_hit_fmt(a, LINT_MF_KEPT, sip_value(m, SIP_HDR_MAX_FORWARDS), "it came with %u",
			     x->max_forwards);
}

static void check_reuse(struct lint_at *a, struct lint_tsx *now)
{
	bool is_refused = false;
	for (unsigned i = 0; i < MAX_TSX; i++) {
		struct lint_tsx *x = &a->c->tsx[i];
		if (x == now || !x->is_used || x->from != a->from || x->method == SIP_CANCEL)
			continue;
		if (x->branch == now->branch && (x->cseq != now->cseq || x->method != a->method) &&
		    str_starts(a->m->via_branch, cookie)) {
			x->is_reused = now->is_reused = true;
			lint_hit(a, LINT_BRANCH_REUSED, a->m->via_branch);
		}
		is_refused |= x->method == a->method && x->cseq == now->cseq && x->to == a->to &&
			      !x->has_credentials && (x->status == 401 || x->status == 407);
	}
	if (is_refused && now->has_credentials && now->is_direct)
		lint_hit(a, LINT_AUTH_CSEQ, sip_value(a->m, SIP_HDR_CSEQ));
}

void lint_check_request(struct lint_at *a)
{
	if (a->method == SIP_CANCEL)
		check_cancel(a);
	if (a->n_vias > 1)
		check_forwarding(a);
	struct lint_tsx *x = tsx_new(a);
	a->tsx = x;
	if (a->method != SIP_CANCEL)
		check_reuse(a, x);
}

/* --- responses
 * -------------------------------------------------------------------------------------- */

static void check_copies(struct lint_at *a, const struct lint_tsx *x)
{
	const struct sip_msg *m = a->m;
	struct sip_via top, second;
	uint32_t vias = via_hash(a, &top, &second);
	if (vias && x->vias && vias != x->vias)
		lint_hit(a, LINT_RESP_VIA, m->via);
	if (m->cseq != x->cseq)
		lint_hit_fmt(a, LINT_RESP_CSEQ, sip_value(m, SIP_HDR_CSEQ), "the request has %u",
			     x->cseq);
	if (tag_hash(m->from_tag) != x->from_tag || uri_of(a, SIP_HDR_FROM) != x->from_uri)
		lint_hit(a, LINT_RESP_FROM, lint_at_hdr(a, SIP_HDR_FROM));
	if (uri_of(a, SIP_HDR_TO) != x->to_uri || (x->to_tag && tag_hash(m->to_tag) != x->to_tag))
		lint_hit(a, LINT_RESP_TO, lint_at_hdr(a, SIP_HDR_TO));
	if (m->status == 100 && x->has_timestamp && !sip_has(m, SIP_HDR_TIMESTAMP))
		lint_hit(a, LINT_RESP_TIMESTAMP, STR_NONE);
	if (!top.branch.p)
		return;
	if (x->needs_received && !top.received.n)
		lint_hit(a, LINT_RESP_RECEIVED, m->via);
	if (x->has_rport && !top.rport && a->p->transport == TRK_UDP)
		lint_hit(a, LINT_RESP_RPORT, m->via);
}

static void check_extensions(struct lint_at *a, struct lint_tsx *x)
{
	struct sip_iter it = {0, 0};
	struct str v;
	if (a->m->status >= 300 || x->n_tags >= MAX_TAGS || !sip_has(a->m, SIP_HDR_REQUIRE))
		return;
	while (sip_each(a->m, SIP_HDR_REQUIRE, &it, &v)) {
		unsigned i = 0;
		while (i < x->n_tags && x->tags[i] != lint_hash(v))
			i++;
		if (i == x->n_tags)
			lint_hit_fmt(a, LINT_EXT_UNASKED, v, STR_FMT, STR_ARG(v));
	}
}

static void check_provisional(struct lint_at *a, struct lint_tsx *x)
{
	const struct sip_msg *m = a->m;
	uint32_t rseq, tag = tag_hash(m->to_tag);
	bool is_reliable = sip_has(m, SIP_HDR_RSEQ);
	x->has_provisional = true;
	if (m->status == 100)
		return;
	if (x->needs_100rel && !is_reliable && m->to_tag.n)
		lint_hit(a, LINT_REL_IGNORED, STR_NONE);
	if (!is_reliable || !str_u32(sip_value(m, SIP_HDR_RSEQ), &rseq))
		return;
	x->was_reliable = true;
	if (x->rseq && x->rseq_tag == tag && rseq <= x->rseq)
		lint_hit_fmt(a, LINT_RSEQ_ORDER, sip_value(m, SIP_HDR_RSEQ), "it was %u before",
			     x->rseq);
	x->rseq = rseq;
	x->rseq_tag = tag;
}

/* One user agent, known by a Contact that is the packet's source, has one tag. */
static void check_tag(struct lint_at *a, struct lint_tsx *x)
{
	struct sip_addr k;
	struct str v = lint_at_hdr(a, SIP_HDR_CONTACT);
	if (!v.n || a->m->status >= 300 || !a->m->to_tag.n || sip_addr_parse(v, &k) != OK ||
	    k.uri_err != OK || !lint_is_sender(a, &k.uri) || k.uri.port != a->p->from.port)
		return;
	uint32_t tag = tag_hash(a->m->to_tag), contact = lint_hash(k.uri_text);
	if (x->direct_tag && x->direct_contact == contact && x->direct_tag != tag)
		lint_hit(a, LINT_RESP_TAG, sip_value(a->m, SIP_HDR_TO));
	x->direct_tag = tag;
	x->direct_contact = contact;
}

void lint_check_reply(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct lint_tsx *x = m->via_branch.n
				     ? lint_tsx_find(a, a->method, lint_hash(m->via_branch), true)
				     : NULL;
	if (!x || x->is_reused)
		return;
	a->tsx = x;
	check_copies(a, x);
	check_extensions(a, x);
	if (a->method == SIP_INVITE) {
		check_tag(a, x);
		if (a->is_1xx)
			check_provisional(a, x);
	}
	if (a->method == SIP_SUBSCRIBE && a->is_2xx && sip_has(m, SIP_HDR_EXPIRES)) {
		uint32_t n;
		if (sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &n) == OK && n > x->expires)
			lint_hit_fmt(a, LINT_SUB_LONGER, sip_value(m, SIP_HDR_EXPIRES),
				     "%u s were asked for", x->expires);
	}
}

/* --- ACK
 * ---------------------------------------------------------------------------------------------- */

static void check_failure_ack(struct lint_at *a, const struct lint_tsx *x)
{
	const struct sip_msg *m = a->m;
	uint32_t routes = sip_has(m, SIP_HDR_ROUTE) ? lint_hash(sip_value(m, SIP_HDR_ROUTE)) : 0;
	if (x->to != a->to)
		return;
	if (x->branch != lint_hash(m->via_branch))
		lint_hit(a, LINT_ACK_BRANCH, m->via_branch.n ? m->via_branch : m->via);
	if (x->final_tag && x->final_tag != tag_hash(m->to_tag))
		lint_hit(a, LINT_ACK_TO, lint_at_hdr(a, SIP_HDR_TO));
	if (x->ruri != lint_hash(m->ruri) || x->routes != routes)
		lint_hit(a, LINT_ACK_URI, m->ruri);
}

static void check_ok_ack(struct lint_at *a, const struct lint_tsx *x)
{
	const struct sip_msg *m = a->m;
	if (x->branch == lint_hash(m->via_branch) && str_starts(m->via_branch, cookie))
		lint_hit(a, LINT_ACK_2XX_BRANCH, m->via_branch);
	bool is_same = x->final_tag && x->final_tag == tag_hash(m->to_tag);
	if (!is_same)
		return;
	uint32_t to = lint_uri_hash(m->ruri);
	if (x->target && to && !x->is_strict && x->is_direct && a->n_vias == 1 && to != x->target)
		lint_hit(a, LINT_ACK_TARGET, m->ruri);
	if (x->has_sdp || x->was_reliable || !x->has_ok_sdp)
		return;
	if (!m->body.n && !a->p->is_cut)
		lint_hit(a, LINT_ACK_ANSWER, STR_NONE);
	else if (a->sdp && x->offer)
		lint_check_answer(a, x->offer);
}

void lint_check_ack(struct lint_at *a)
{
	struct lint_tsx *x = lint_invite_of(a);
	if (!x || x->is_reused)
		return;
	if (x->status >= 300)
		check_failure_ack(a, x);
	else if (x->status >= 200)
		check_ok_ack(a, x);
}

void lint_resent(struct lint_at *a, struct lint_seen *s, bool is_first)
{
	if (a->method == SIP_ACK) /* is sent for each copy of the response */
		return;
	if (a->p->transport != TRK_UDP)
		lint_hit_fmt(a, LINT_RESENT_STREAM, STR_NONE, "after %.3f s",
			     (double)s->gap_us / 1e6);
	else if (is_first && s->gap_us < EARLY_US)
		lint_hit_fmt(a, LINT_RESENT_FAST, STR_NONE, "after %.3f s",
			     (double)s->gap_us / 1e6);
	else if (s->n_even >= 2 && s->gap_us < T2_NEAR)
		lint_hit_fmt(a, LINT_RESENT_EVEN, STR_NONE, "every %.3f s",
			     (double)s->gap_us / 1e6);
}
