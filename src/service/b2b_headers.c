/* Which header fields cross from one side of a call to the other.
 *
 * Nothing does by itself: Via, Contact, Record-Route, Call-ID, User-Agent and whatever else tells
 * of the other side's network stays there (topology hiding). The tables name what a person, a phone
 * or a billing system wants to see on the other side; rules of a peer add to them and take away. An
 * identity that somebody asserts is believed from trusted senders only, and told on to trusted
 * receivers, or to all who may know it [RFC3325 5]; `Privacy: user` hides who calls [RFC3323 5.3].
 *
 * [RFC3323] [RFC3325] [RFC3326] [RFC5806] [RFC7044] [RFC7989] */
#include "service/b2b_priv.h"

#include "sip/auth.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t in_requests[] = {
	SIP_HDR_SUBJECT,
	SIP_HDR_ALERT_INFO,
	SIP_HDR_CALL_INFO,
	SIP_HDR_PRIORITY,
	SIP_HDR_DIVERSION,
	SIP_HDR_HISTORY_INFO,
	SIP_HDR_PRIVACY,
	SIP_HDR_SESSION_ID,
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
	SIP_HDR_ALERT_INFO,
	SIP_HDR_CALL_INFO,
	SIP_HDR_SESSION_ID,
	SIP_HDR_REASON,
	SIP_HDR_HISTORY_INFO,
	SIP_HDR_USER_TO_USER,
	SIP_HDR_PRIVACY,
	SIP_HDR_ORGANIZATION,
	SIP_HDR_WARNING,
	SIP_HDR_RETRY_AFTER,
	SIP_HDR_ERROR_INFO,
	SIP_HDR_WWW_AUTHENTICATE,
	SIP_HDR_PROXY_AUTHENTICATE,
	SIP_HDR_P_ASSERTED_IDENTITY,
};
static const uint8_t inside[] = {SIP_HDR_INFO_PACKAGE, SIP_HDR_CONTENT_DISPOSITION,
				 SIP_HDR_SESSION_ID};

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

static bool is_named(const struct str *names, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(names[i], name))
			return true;
	return false;
}

bool b2b_wants(const struct sip_msg *m, struct str privacy)
{
	struct str rest = sip_value(m, SIP_HDR_PRIVACY);
	while (rest.n)
		if (str_ieq(str_trim(str_cut(rest, ';', &rest)), privacy))
			return true;
	return false;
}

bool b2b_lacks_privacy(const struct sip_msg *m)
{
	static const struct str known[] = {STR_INIT("none"), STR_INIT("user"), STR_INIT("header"),
					   STR_INIT("id"), STR_INIT("critical")};
	struct str rest = sip_value(m, SIP_HDR_PRIVACY);
	bool is_critical = b2b_wants(m, STR("critical"));
	while (is_critical && rest.n)
		if (!is_named(known, ARRAY_LEN(known), str_trim(str_cut(rest, ';', &rest))))
			return true;
	return false;
}

/* Those for our own realm are spent. */
static bool is_ours(const struct sip_msg *m, const struct sip_row *r, struct str realm)
{
	struct sip_credentials c;
	return sip_credentials_parse(sip_row_value(m, r), &c) != OK || str_eq(c.realm, realm);
}

static bool may_pass(const struct sip_msg *m, const struct sip_row *r, const struct b2b_way *w)
{
	switch ((enum sip_hdr_id)r->id) {
	case SIP_HDR_P_ASSERTED_IDENTITY:
		return w->is_trusted && (w->is_next_trusted || !b2b_wants(m, STR("id")));
	case SIP_HDR_AUTHORIZATION:
	case SIP_HDR_PROXY_AUTHORIZATION:
		return !is_ours(m, r, w->realm);
	default:
		return !is_in(personal, sizeof(personal), r->id) || w->is_next_trusted ||
		       !b2b_wants(m, STR("user"));
	}
}

static void put_row(struct buf *b, const struct sip_msg *m, const struct sip_row *r)
{
	buf_str(b, r->id == SIP_HDR_OTHER ? sip_row_name(m, r) : sip_hdr_name(r->id));
	buf_str(b, STR(": "));
	buf_str(b, sip_row_value(m, r));
	buf_str(b, STR("\r\n"));
}

static void put_all(struct buf *b, const struct sip_msg *m, const struct b2b_way *w,
		    const uint8_t *ids, size_t n)
{
	const struct b2b_rules *rules = w->rules;
	for (unsigned i = 0; i < m->n_rows; i++) {
		const struct sip_row *r = sip_row(m, i);
		bool passes = is_in(ids, n, r->id) && may_pass(m, r, w);
		if (rules && is_named(rules->pass, rules->n_pass, sip_row_name(m, r)))
			passes = true;
		if (rules && is_named(rules->strip, rules->n_strip, sip_row_name(m, r)))
			passes = false;
		if (passes)
			put_row(b, m, r);
	}
}

void b2b_put_request(struct buf *b, const struct sip_msg *m, const struct b2b_way *w)
{
	put_all(b, m, w, in_requests, sizeof(in_requests));
	if (w->rules)
		buf_str(b, w->rules->add);
}

void b2b_put_response(struct buf *b, const struct sip_msg *m, const struct b2b_way *w)
{
	put_all(b, m, w, in_responses, sizeof(in_responses));
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
	struct sip_iter it = {0};
	struct str v;
	buf_clear(&b->text);
	while (m && sip_each(m, SIP_HDR_REASON, &it, &v)) {
		buf_str(&b->text, b->text.n ? STR(", ") : STR_NONE);
		buf_str(&b->text, v);
	}
	return buf_view(&b->text);
}

/* --- rules of a peer -------------------------------------------------------------------------- */

static size_t size_of(const struct str *names, size_t n)
{
	size_t size = n * sizeof(*names);
	for (size_t i = 0; i < n; i++)
		size += names[i].n;
	return size;
}

static struct str copy_text(char **at, struct str s)
{
	if (s.n)
		memcpy(*at, s.p, s.n);
	struct str r = str_of(*at, s.n);
	*at += s.n;
	return r;
}

enum err b2b_rules_copy(const struct b2b_rules *in, struct b2b_rules **out)
{
	size_t n = in->n_pass + in->n_strip;
	struct b2b_rules *r = malloc(sizeof(*r) + size_of(in->pass, in->n_pass) +
				     size_of(in->strip, in->n_strip) + in->add.n);
	if (!r)
		return ERR_NOMEM;
	struct str *names = (struct str *)(r + 1);
	char *at = (char *)(names + n);
	for (size_t i = 0; i < n; i++)
		names[i] = copy_text(&at, i < in->n_pass ? in->pass[i] : in->strip[i - in->n_pass]);
	*r = (struct b2b_rules){.pass = names,
				.n_pass = in->n_pass,
				.strip = names + in->n_pass,
				.n_strip = in->n_strip,
				.add = copy_text(&at, in->add)};
	*out = r;
	return OK;
}
