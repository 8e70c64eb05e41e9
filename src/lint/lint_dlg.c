/* Dialogs: sequence numbers, route sets, what an answer brings, the event of a subscription.
 *
 * What one end did is kept per sender, tags and purpose (struct lint_side), the last eight of a
 * call. A route set is only known to those who saw it made: the client whose INVITE with a single
 * Via we saw, and the server whose Contact is the address that its answer came from.
 *
 * Packets overtake each other: a lower CSeq is a fault only when the higher one is a second old.
 *
 * [RFC3261 10.2, 12.1, 12.2.1.1, 13.3.1.4] [RFC6665 8.2.1]
 */
#include "base/assert.h"
#include "lint/lint_priv.h"

#include <stdlib.h>
#include <string.h>

#define REORDER_US 1'000'000u

enum purpose { FOR_DIALOG = 1, FOR_REGISTER, FOR_AUTH };

static uint32_t side_key(enum purpose p, uint32_t addr, struct str local, struct str remote)
{
	uint32_t part[4] = {p, addr, lint_hash(local), lint_hash(remote)};
	return lint_hash(str_of((const char *)part, sizeof part));
}

static struct lint_side *side_find(struct lint_call *c, uint32_t key)
{
	for (unsigned i = 0; i < MAX_SIDES; i++)
		if (c->sides[i].key == key)
			return &c->sides[i];
	return NULL;
}

static struct lint_side *side_get(struct lint_call *c, uint32_t key)
{
	struct lint_side *s = side_find(c, key);
	if (!s) {
		s = &c->sides[c->side_at++ % MAX_SIDES];
		*s = (struct lint_side){.key = key};
	}
	return s;
}

/* --- requests
 * ------------------------------------------------------------------------------------- */

static void check_cseq(struct lint_at *a, struct lint_side *s)
{
	const struct sip_msg *m = a->m;
	bool is_late = a->p->at_us > s->at_us + REORDER_US;
	if (s->cseq && m->cseq < s->cseq && is_late)
		lint_hit_fmt(a, LINT_CSEQ_BACK, lint_at_hdr(a, SIP_HDR_CSEQ), "it was %u before",
			     s->cseq);
	if (m->cseq <= s->cseq)
		return;
	s->cseq = m->cseq;
	s->at_us = a->p->at_us;
}

static void check_routes(struct lint_at *a, const struct lint_side *s)
{
	uint32_t uris[MAX_ROUTES];
	unsigned n = lint_uris(a, SIP_HDR_ROUTE, uris, NULL);
	if (!s->has_route || a->n_vias != 1 || !s->n_route)
		return;
	if (!n)
		lint_hit(a, LINT_ROUTE_MISSING, STR_NONE);
	else if (n != s->n_route || memcmp(uris, s->route, n * sizeof uris[0]) != 0)
		lint_hit(a, LINT_ROUTE_ORDER, sip_value(a->m, SIP_HDR_ROUTE));
}

static void check_register(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct lint_side *s = side_get(a->c, side_key(FOR_REGISTER, a->from, STR_NONE, STR_NONE));
	bool is_late = a->p->at_us > s->at_us + REORDER_US;
	if (s->cseq && is_late && m->cseq <= s->cseq)
		lint_hit_fmt(a, LINT_CSEQ_REGISTER, lint_at_hdr(a, SIP_HDR_CSEQ),
			     "it was %u before", s->cseq);
	if (m->cseq > s->cseq)
		s->cseq = m->cseq;
	s->at_us = a->p->at_us;
}

static void check_event(struct lint_at *a)
{
	struct lint_call *c = a->c;
	struct sip_event e;
	struct str v = lint_at_hdr(a, SIP_HDR_EVENT);
	bool is_sub = a->method == SIP_SUBSCRIBE;
	c->has_other_sub |= a->method == SIP_INVITE || a->method == SIP_REFER;
	if ((!is_sub && a->method != SIP_NOTIFY) || !v.n || sip_event_parse(v, &e) != OK)
		return;
	uint32_t package = lint_hash(e.package);
	if (is_sub && !c->package)
		c->package = package;
	else if (is_sub)
		c->has_other_sub |= c->package != package;
	else if (c->package && c->package != package && !c->has_other_sub)
		lint_hit(a, LINT_EVENT_OTHER, v);
}

void lint_check_dialog(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	if (!m->is_request || a->method == SIP_CANCEL)
		return;
	check_event(a);
	if (a->method == SIP_REGISTER)
		check_register(a);
	if (a->method != SIP_ACK &&
	    (sip_has(m, SIP_HDR_AUTHORIZATION) || sip_has(m, SIP_HDR_PROXY_AUTHORIZATION)))
		lint_check_credentials(
			a, side_get(a->c, side_key(FOR_AUTH, a->from, STR_NONE, STR_NONE)));
	if (!m->to_tag.n || !m->from_tag.n)
		return;
	uint32_t key = side_key(FOR_DIALOG, a->from, m->from_tag, m->to_tag);
	struct lint_side *s = side_get(a->c, key);
	if (a->method != SIP_ACK)
		check_cseq(a, s);
	check_routes(a, s);
}

/* --- answers
 * -------------------------------------------------------------------------------------- */

static void check_record_route(struct lint_at *a, const struct lint_tsx *x)
{
	uint32_t uris[MAX_ROUTES];
	bool is_known = x->n_rr <= MAX_ROUTES;
	unsigned n = lint_uris(a, SIP_HDR_RECORD_ROUTE, uris, NULL);
	if (!x->n_rr || !is_known || n > MAX_ROUTES)
		return;
	if (n < x->n_rr)
		lint_hit(a, LINT_RR_LOST, lint_at_hdr(a, SIP_HDR_RECORD_ROUTE));
	else if (memcmp(uris + (n - x->n_rr), x->rr, x->n_rr * sizeof uris[0]) != 0)
		lint_hit(a, LINT_RR_CHANGED, sip_value(a->m, SIP_HDR_RECORD_ROUTE));
}

/* The dialog's route sets, as far as both ends can be told. [RFC3261 12.1] */
static void learn_routes(struct lint_at *a, const struct lint_tsx *x)
{
	const struct sip_msg *m = a->m;
	uint32_t uris[MAX_ROUTES];
	bool is_strict = false;
	unsigned n = lint_uris(a, SIP_HDR_RECORD_ROUTE, uris, &is_strict);
	if (!n || n > MAX_ROUTES || is_strict || !m->to_tag.n)
		return;
	if (x->is_direct) {
		struct lint_side *s =
			side_get(a->c, side_key(FOR_DIALOG, x->from, m->from_tag, m->to_tag));
		for (unsigned i = 0; i < n; i++)
			s->route[i] = uris[n - 1 - i];
		s->n_route = (uint8_t)n;
		s->has_route = true;
	}
	struct sip_addr k;
	struct str v = lint_at_hdr(a, SIP_HDR_CONTACT);
	if (!v.n || sip_addr_parse(v, &k) != OK || k.uri_err != OK || a->is_forwarded ||
	    !lint_is_sender(a, &k.uri) || k.uri.port != a->p->from.port)
		return;
	struct lint_side *s = side_get(a->c, side_key(FOR_DIALOG, a->from, m->to_tag, m->from_tag));
	memcpy(s->route, uris, sizeof uris);
	s->n_route = (uint8_t)n;
	s->has_route = true;
}

static void check_ok_body(struct lint_at *a, const struct lint_tsx *x)
{
	if (a->m->body.n || a->p->is_cut || x->was_reliable || x->status >= 200)
		return;
	if (x->has_offer)
		lint_hit(a, LINT_ANSWER_MISSING, STR_NONE);
	else if (!x->has_sdp)
		lint_hit(a, LINT_OFFER_MISSING, STR_NONE);
}

static void learn_ok(struct lint_at *a, struct lint_tsx *x)
{
	struct sip_addr k;
	struct str v = lint_at_hdr(a, SIP_HDR_CONTACT);
	uint32_t uris[MAX_ROUTES];
	check_ok_body(a, x);
	x->target = 0;
	if (v.n && sip_addr_parse(v, &k) == OK && k.uri_err == OK)
		x->target = lint_uri_hash(k.uri_text);
	(void)lint_uris(a, SIP_HDR_RECORD_ROUTE, uris, &x->is_strict);
	x->has_ok_sdp = a->sdp != NULL;
	if (a->sdp && !x->has_sdp && !x->offer)
		lint_sdp_keep(a, x);
	if (!x->has_to_tag)
		learn_routes(a, x);
}

void lint_learn_answer(struct lint_at *a)
{
	const struct sip_msg *m = a->m;
	struct lint_tsx *x = a->tsx;
	bool is_dialog = (a->method == SIP_INVITE && m->status > 100 && m->status < 300) ||
			 (a->method == SIP_SUBSCRIBE && a->is_2xx);
	if (is_dialog && m->to_tag.n && !x->has_to_tag)
		check_record_route(a, x);
	bool is_answer =
		a->method == SIP_INVITE || a->method == SIP_UPDATE || a->method == SIP_PRACK;
	if (is_answer && m->status < 300 && x->has_offer && x->offer && a->sdp)
		lint_check_answer(a, x->offer);
	if (a->method == SIP_INVITE && a->is_2xx)
		learn_ok(a, x);
	if (m->status >= 200 && x->status < 200)
		x->final_tag = m->to_tag.n ? lint_hash(m->to_tag) : 0;
	if (x->status < 200)
		x->status = m->status;
}
