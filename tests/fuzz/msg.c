/* Fuzz target: a received message, from the first byte to the forwarded one. The input is indexed
 * as datagram and as stream; every value is parsed by every parser that could be asked to; a
 * response and an edited copy are made, and must be messages again. What must hold is asserted, so
 * that nonsense is found as well as overruns:
 *
 *  1. every string of the message points into it;
 *  2. the peek and the index agree about the Call-ID;
 *  3. a splice without edits gives the bytes of the message;
 *  4. a response to a request that would be accepted is a response that would be accepted, with the
 *     same Call-ID, CSeq and top branch;
 *  5. removing the values of a list one by one leaves none;
 *  6. the skim and the index agree. */

#include "base/assert.h"
#include "sip/auth.h"
#include "sip/edit.h"
#include "sip/out.h"
#include "sip/skim.h"
#include "usual_headers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const struct sip_msg *m, struct str s)
{
	ASSERT(!s.n || (s.p >= m->bytes && s.p + s.n <= m->bytes + m->n_bytes));
}

static bool has_ruri_diag(const struct sip_msg *m)
{
	for (unsigned i = 0; i < m->n_diags; i++)
		if (m->diags[i].code == SIP_DIAG_RURI_BAD ||
		    m->diags[i].code == SIP_DIAG_RURI_SCHEME ||
		    m->diags[i].code == SIP_DIAG_RURI_HEADERS ||
		    m->diags[i].code == SIP_DIAG_RURI_SPACE ||
		    m->diags[i].code == SIP_DIAG_RURI_BRACKETS)
			return true;
	return m->n_diags == SIP_MAX_DIAGS; /* it may have had no place */
}

static void check_strings(const struct sip_msg *m)
{
	const struct str all[] = {m->method_name, m->ruri,       m->reason,   m->version,
				  m->via,         m->via_branch, m->via_host, m->via_params,
				  m->call_id,     m->from_tag,   m->to_tag,   m->body};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_inside(m, all[i]);
	ASSERT(m->n_rows <= SIP_MAX_ROWS && m->n_diags <= SIP_MAX_DIAGS);
	ASSERT(m->head_n <= m->n_bytes && m->head_n + m->body.n == m->n_bytes);
	unsigned n = 0;
	for (unsigned id = 0; id < SIP_HDR__N; id++)
		for (unsigned i = m->first[id]; i != SIP_ROW_NONE; i = sip_row(m, i)->next, n++)
			ASSERT(i < m->n_rows && sip_row(m, i)->id == id);
	ASSERT(n == m->n_rows);
	for (unsigned i = 0; i < m->n_rows; i++) {
		struct str v = sip_row_value(m, sip_row(m, i));
		check_inside(m, sip_row_name(m, sip_row(m, i)));
		check_inside(m, v);
		ASSERT(str_trim(v).n == v.n);
	}
	for (unsigned i = 0; i < m->n_diags; i++)
		ASSERT(m->diags[i].off <= m->n_bytes && m->diags[i].code < SIP_DIAG__N);
}

static void parse_value(const struct sip_msg *m, struct str v)
{
	union {
		struct sip_addr addr;
		struct sip_via via;
		struct sip_cseq cseq;
		struct sip_media_type type;
		struct sip_event event;
		struct sip_sub_state state;
		struct sip_reason reason;
		struct sip_warning warning;
		struct sip_challenge challenge;
		struct sip_credentials credentials;
		struct sip_rack rack;
		struct sip_session_expires session;
		struct sip_replaces replaces;
		struct sip_retry_after retry;
		struct sip_session_id id;
	} u;
	struct str name, value;
	uint16_t q;
	uint32_t s;
	check_inside(m, v);
	if (sip_addr_parse(v, &u.addr) == OK) {
		check_inside(m, u.addr.display);
		check_inside(m, u.addr.uri_text);
		check_inside(m, u.addr.params);
		struct str rest = u.addr.params;
		while (sip_param_next(&rest, &name, &value)) {
			check_inside(m, name);
			check_inside(m, value);
		}
	}
	if (sip_via_parse(v, &u.via) == OK) {
		check_inside(m, u.via.params);
		check_inside(m, u.via.branch);
		ASSERT(u.via.host.n > 0);
	}
	if (sip_cseq_parse(v, &u.cseq) == OK)
		check_inside(m, u.cseq.method);
	if (sip_media_type_parse(v, &u.type) == OK)
		check_inside(m, u.type.params);
	if (sip_event_parse(v, &u.event) == OK)
		check_inside(m, u.event.id);
	if (sip_sub_state_parse(v, &u.state) == OK)
		check_inside(m, u.state.reason);
	if (sip_reason_parse(v, &u.reason) == OK)
		check_inside(m, u.reason.text);
	if (sip_warning_parse(v, &u.warning) == OK)
		check_inside(m, u.warning.text);
	if (sip_challenge_parse(v, &u.challenge) == OK)
		check_inside(m, u.challenge.nonce);
	if (sip_credentials_parse(v, &u.credentials) == OK)
		check_inside(m, u.credentials.response);
	if (sip_rack_parse(v, &u.rack) == OK)
		check_inside(m, u.rack.method);
	if (sip_replaces_parse(v, &u.replaces) == OK)
		check_inside(m, u.replaces.to_tag);
	if (sip_retry_after_parse(v, &u.retry) == OK)
		check_inside(m, u.retry.comment);
	if (sip_session_id_parse(v, &u.id) == OK) {
		check_inside(m, u.id.local);
		ASSERT(u.id.local.n == SIP_UUID && (!u.id.has_remote || u.id.remote.n == SIP_UUID));
	}
	(void)(sip_session_expires_parse(v, &u.session) == OK);
	ASSERT(!sip_q_parse(v, &q) || q <= 1000);
	(void)(sip_seconds_parse(v, &s) == OK);
}

static void parse_values(const struct sip_msg *m)
{
	for (unsigned id = 0; id < SIP_HDR__N; id++) {
		struct sip_iter it = {0, 0};
		struct str v;
		unsigned n = 0;
		for (; sip_each(m, id, &it, &v); n++)
			parse_value(m, v);
		ASSERT(n == sip_count(m, id));
	}
	struct str part;
	if (sip_body_find(m, STR("application"), STR("sdp"), &part))
		check_inside(m, part);
	if (sip_msg_sdp(m, &part))
		check_inside(m, part);
	(void)sip_body_is_known(m);
}

static void check_splice(const struct sip_msg *m)
{
	struct sip_edits ed;
	struct buf b;
	buf_init(&b);
	sip_edits_init(&ed, m);
	if (sip_splice(&ed, &b) == OK)
		ASSERT(b.n == m->n_bytes && memcmp(b.p, m->bytes, b.n) == 0);
	buf_clear(&b);
	if (m->is_request)
		sip_edit_ruri(&ed, STR("sip:x"));
	sip_edit_insert_before(&ed, SIP_HDR_VIA, STR("Via: SIP/2.0/UDP y;branch=z9hG4bKz\r\n"));
	sip_edit_remove(&ed, SIP_HDR_PROXY_AUTHORIZATION);
	sip_edit_body(&ed, STR("v=0\r\n"), STR("application/sdp"));
	struct sip_iter it = {0, 0};
	struct str v;
	while (sip_each(m, SIP_HDR_ROUTE, &it, &v))
		sip_edit_remove_value(&ed, SIP_HDR_ROUTE, v);
	enum err e = sip_splice(&ed, &b), again;
	if (e == OK && sip_msg_verdict(m, NULL) == 0) {
		struct sip_msg *w = sip_msg_from(buf_view(&b), &again);
		if (w && again == OK) {
			ASSERT(!sip_has(w, SIP_HDR_ROUTE) || sip_count(w, SIP_HDR_ROUTE) == 0);
			ASSERT(str_eq(w->via_host, STR("y")));
			ASSERT(str_eq(w->body, STR("v=0\r\n")));
			ASSERT(str_eq(w->call_id, m->call_id) && w->cseq == m->cseq);
		}
		ASSERT(!w || again == OK || again == ERR_LIMIT);
		sip_msg_free(w);
	}
	buf_fini(&b);
}

static void check_response(const struct sip_msg *m)
{
	struct sip_out o;
	struct buf b;
	struct addr from;
	enum err e;
	if (!addr_parse(STR("198.51.100.7:5099"), 0, &from))
		abort();
	buf_init(&b);
	sip_out_response(&o, &b, m, 404, STR_NONE, STR("our-tag"), &from);
	sip_out_copy(&o, m, SIP_HDR_RECORD_ROUTE);
	if (sip_out_end(&o, STR_NONE, STR_NONE) == OK && sip_msg_verdict(m, NULL) == 0) {
		struct sip_msg *r = sip_msg_from(buf_view(&b), &e);
		ASSERT(!r || e == OK || e == ERR_LIMIT);
		if (r && e == OK) {
			ASSERT(!r->is_request && r->status == 404);
			ASSERT(sip_msg_verdict(r, NULL) == 0);
			ASSERT(str_eq(r->call_id, m->call_id) && r->cseq == m->cseq);
			ASSERT(str_eq(r->via_branch, m->via_branch));
			ASSERT(r->to_tag.n > 0);
		}
		sip_msg_free(r);
	}
	buf_clear(&b);
	(void)(sip_out_cancel(&b, m) == OK);
	buf_clear(&b);
	(void)(sip_out_ack_non2xx(&b, m, m) == OK);
	buf_fini(&b);
}

static void try_message(const uint8_t *data, size_t size, bool is_stream)
{
	size_t block_size = sip_msg_block_size(size), used;
	void *block = malloc(block_size);
	if (!block)
		return;
	struct sip_msg *m = sip_msg_init(block, block_size);
	memcpy(m->bytes, data, size);
	enum err e = sip_msg_index(m, size, is_stream, &used);
	ASSERT(used <= size);
	ASSERT(e == OK || e == ERR_SYNTAX || e == ERR_LIMIT || (e == ERR_MORE && is_stream));
	if (e == OK || e == ERR_LIMIT)
		check_strings(m);
	if (e == OK && m->is_request && !has_ruri_diag(m)) {
		struct sip_uri u;
		ASSERT(sip_uri_parse(m->ruri, &u) == OK && !u.headers.p);
	}
	if (e == OK && !is_stream) { /* once is enough for what does not depend on framing */
		struct str id;
		const struct sip_diag *why;
		int verdict = sip_msg_verdict(m, &why);
		ASSERT(!why == (verdict == 0));
		sip_peek_call_id(str_of(m->bytes, size), &id);
		ASSERT(str_eq(id, m->call_id) ||
		       !m->call_id.n); /* the index takes no white space */
		parse_values(m);
		check_splice(m);
		if (m->is_request)
			check_response(m);
	}
	free(block);
}

/* What is skimmed is a message, and the index says the same of it. */
static void try_skim(const uint8_t *data, size_t size)
{
	struct sip_skim a, b;
	enum err e;
	struct str bytes = str_of((const char *)data, size);
	if (!sip_skim(bytes, &a))
		return;
	struct sip_msg *m = sip_msg_from(bytes, &e);
	if (!m)
		return;
	ASSERT(e == OK && m->n_bytes == size);
	sip_skim_of(m, &b);
	ASSERT(a.is_request == b.is_request && a.is_routed == b.is_routed &&
	       a.has_auth == b.has_auth && (a.has_reason || !b.has_reason) &&
	       (a.has_rseq || !b.has_rseq) && (a.has_session || !b.has_session) &&
	       a.method == b.method && a.status == b.status && a.cseq == b.cseq && b.has_cseq);
	ASSERT(str_eq(a.method_name, b.method_name) && str_eq(a.ruri, b.ruri) &&
	       str_eq(a.reason, b.reason) && str_eq(a.via_branch, b.via_branch) &&
	       str_eq(a.from_tag, b.from_tag) && str_eq(a.to_tag, b.to_tag) &&
	       str_eq(a.call_id, b.call_id) && str_eq(a.from, b.from) && str_eq(a.to, b.to) &&
	       str_eq(a.body, b.body) && str_eq(a.user_agent, b.user_agent) &&
	       (!a.contact.p || str_eq(a.contact, sip_value(m, SIP_HDR_CONTACT))));
	ASSERT(str_eq(a.via_host, b.via_host) && a.via_has_rport == b.via_has_rport &&
	       (a.has_more || (is_of_usual_headers(m) && str_eq(a.session_id, b.session_id))));
	sip_msg_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_skim(data, size);
	try_message(data, size, false);
	try_message(data, size, true);
	return 0;
}
