/* Which header fields cross from one side of a call to the other.
 *
 * Nothing does by itself: Via, Contact, Record-Route, Call-ID, User-Agent and whatever else tells
 * of the other side's network stays there (topology hiding). The tables name what a person, a phone
 * or a billing system wants to see on the other side; rules of a peer add to them and take away. An
 * identity that somebody asserts is believed from trusted senders only, and told on to trusted
 * receivers, or to all who may know it [RFC3325 5]; `Privacy: user` hides who calls [RFC3323 5.3].
 *
 * [RFC3323] [RFC3325] [RFC3326] [RFC5806] [RFC7044] */
#include "service/b2b_priv.h"

#include "sip/auth.h"

static const uint8_t in_requests[] = {
	SIP_HDR_SUBJECT,
	SIP_HDR_ALERT_INFO,
	SIP_HDR_CALL_INFO,
	SIP_HDR_PRIORITY,
	SIP_HDR_DIVERSION,
	SIP_HDR_HISTORY_INFO,
	SIP_HDR_PRIVACY,
	SIP_HDR_REASON,
	SIP_HDR_USER_TO_USER,
	SIP_HDR_REFERRED_BY,
	SIP_HDR_ANSWER_MODE,
	SIP_HDR_ORGANIZATION,
	SIP_HDR_ACCEPT_LANGUAGE,
	SIP_HDR_AUTHORIZATION,
	SIP_HDR_PROXY_AUTHORIZATION,
	SIP_HDR_P_ASSERTED_IDENTITY,
};
static const uint8_t in_responses[] = {
	SIP_HDR_ALERT_INFO,          SIP_HDR_CALL_INFO,        SIP_HDR_REASON,
	SIP_HDR_HISTORY_INFO,        SIP_HDR_USER_TO_USER,     SIP_HDR_PRIVACY,
	SIP_HDR_ORGANIZATION,        SIP_HDR_WARNING,          SIP_HDR_RETRY_AFTER,
	SIP_HDR_ERROR_INFO,          SIP_HDR_WWW_AUTHENTICATE, SIP_HDR_PROXY_AUTHENTICATE,
	SIP_HDR_P_ASSERTED_IDENTITY,
};
static const uint8_t inside[] = {SIP_HDR_INFO_PACKAGE, SIP_HDR_CONTENT_DISPOSITION};

/* What its writer would rather not have told when he hides who he is. [RFC3323 5.3] */
static const uint8_t personal[] = {SIP_HDR_SUBJECT, SIP_HDR_CALL_INFO, SIP_HDR_ORGANIZATION,
				   SIP_HDR_REFERRED_BY};

static bool is_in(const uint8_t *ids, size_t n, uint8_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Names by commas. */
static bool is_named(struct str names, struct str name)
{
	while (names.n)
		if (str_ieq(str_trim(str_cut(names, ',', &names)), name))
			return true;
	return false;
}

bool b2b_lacks_privacy(const struct sip_msg *m, bool knows_history)
{
	static const struct str known = STR_INIT("none, user, header, id, critical");
	struct str rest = sip_value(m, SIP_HDR_PRIVACY);
	bool is_critical = hist_wants_privacy(m, STR("critical"));
	while (is_critical && rest.n) {
		struct str one = str_trim(str_cut(rest, ';', &rest));
		if (!is_named(known, one) && !(knows_history && str_ieq(one, STR("history"))))
			return true;
	}
	return false;
}

/* Those for our own realm are spent. */
static bool is_ours(const struct sip_msg *m, const struct sip_row *r, struct str realm)
{
	struct sip_credentials c;
	return sip_credentials_parse(sip_row_value(m, r), &c) != OK || str_eq(c.realm, realm);
}

/* Nobody else may ask in our name: see service/forward. */
static bool is_forged(const struct sip_msg *m, const struct sip_row *r, struct str realm)
{
	struct sip_challenge ch;
	return sip_challenge_parse(sip_row_value(m, r), &ch) != OK || str_eq(ch.realm, realm);
}

static bool may_pass(const struct sip_msg *m, const struct sip_row *r, const struct b2b_way *w)
{
	switch ((enum sip_hdr_id)r->id) {
	case SIP_HDR_HISTORY_INFO:
		return !w->has_history;
	case SIP_HDR_PRIVACY: /* [RFC7044 10.1.2] */
		return !w->hist || !w->is_outside || !hist_wants_privacy(m, STR("history"));
	case SIP_HDR_P_ASSERTED_IDENTITY:
		return w->is_trusted && (w->is_next_trusted || !hist_wants_privacy(m, STR("id")));
	case SIP_HDR_AUTHORIZATION:
	case SIP_HDR_PROXY_AUTHORIZATION:
		return !is_ours(m, r, w->realm);
	case SIP_HDR_WWW_AUTHENTICATE:
	case SIP_HDR_PROXY_AUTHENTICATE:
		return !is_forged(m, r, w->realm);
	default:
		return !is_in(personal, sizeof(personal), r->id) || w->is_next_trusted ||
		       !hist_wants_privacy(m, STR("user"));
	}
}

static void put_row(struct buf *b, const struct sip_msg *m, const struct sip_row *r)
{
	buf_str(b, r->id == SIP_HDR_OTHER ? sip_row_name(m, r) : sip_hdr_name(r->id));
	buf_str(b, STR(": "));
	buf_str(b, sip_row_value(m, r));
	buf_str(b, STR("\r\n"));
}

static void put_reasons(struct buf *b, const struct sip_msg *m)
{
	buf_str(b, STR("Reason: "));
	sip_reasons_put(m, b);
	buf_str(b, STR("\r\n"));
}

static void put_all(struct buf *b, const struct sip_msg *m, const struct b2b_way *w,
		    const uint8_t *ids, size_t n)
{
	const struct fwd_headers *h = w->headers;
	for (unsigned i = 0; i < m->n_rows; i++) {
		const struct sip_row *r = sip_row(m, i);
		bool passes = is_in(ids, n, r->id) && may_pass(m, r, w);
		if (h && is_named(h->pass, sip_row_name(m, r)))
			passes = true;
		if (h && is_named(h->remove, sip_row_name(m, r)))
			passes = false;
		passes &= r->id != SIP_HDR_SESSION_ID; /* the dialog has its own */
		if (!passes)
			continue;
		if (r->id != SIP_HDR_REASON)
			put_row(b, m, r);
		else if (m->first[SIP_HDR_REASON] == i)
			put_reasons(b, m);
	}
}

/* What is left of it, where it does not cross as it is. */
static void put_privacy(struct buf *b, const struct sip_msg *m, const struct b2b_way *w)
{
	bool is_removed = w->headers && is_named(w->headers->remove, STR("Privacy"));
	if (w->hist && w->is_outside && !is_removed && hist_wants_privacy(m, STR("history")))
		hist_put_privacy(b, m);
}

/* What the exchange asserts stands in place of what the caller did, its Diversion above his. */
void b2b_put_request(struct buf *b, const struct sip_msg *m, const struct b2b_way *w)
{
	struct b2b_way way = *w;
	if (w->headers) {
		way.is_trusted &= !w->headers->asserted.n;
		buf_str(b, w->headers->diversion);
		buf_str(b, w->headers->asserted);
	}
	put_all(b, m, &way, in_requests, sizeof(in_requests));
	bool is_whole = true;
	if (w->hist && !(w->headers && is_named(w->headers->remove, STR("History-Info"))))
		hist_put_request(w->hist, w->row, w->is_outside, b, &is_whole);
	put_privacy(b, m, w);
	if (w->headers)
		buf_str(b, w->headers->lines);
}

void b2b_put_response(struct buf *b, const struct sip_msg *m, const struct b2b_way *w)
{
	put_all(b, m, w, in_responses, sizeof(in_responses));
	if (w->hist)
		hist_put_response(w->hist, m, b);
	put_privacy(b, m, w);
	for (unsigned i = 0; m->status / 100 == 3 && i < m->n_rows; i++)
		if (sip_row(m, i)->id == SIP_HDR_CONTACT) /* it is what a 3xx is about */
			put_row(b, m, sip_row(m, i));
}

void b2b_put_inside(struct buf *b, const struct sip_msg *m)
{
	for (unsigned i = 0; i < m->n_rows; i++)
		if (is_in(inside, sizeof(inside), sip_row(m, i)->id))
			put_row(b, m, sip_row(m, i));
}

struct str b2b_reason(struct b2b *b, const struct sip_msg *m)
{
	buf_clear(&b->text);
	if (m)
		sip_reasons_put(m, &b->text);
	return buf_view(&b->text);
}
