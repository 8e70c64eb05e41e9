/* The request that a proxy sends on.
 *
 * Everything is an edit on the bytes as received; what is not named here passes through untouched,
 * unknown headers and bodies included. Inserted lines are built in one scratch buffer on the stack,
 * whose pieces the edits borrow until the splice: SCRATCH bounds what a forward can add (two
 * Record-Routes, Via, Max-Breadth, Content-Length: under 1 kB; a Path goes in as its own piece).
 *
 * Order on the wire: our Via is put before the first Via; Record-Routes before the first
 * Record-Route. With two different sides (transport, family or local address) there are two
 * Record-Routes, the one that faces the callee on top [RFC5658 3.3]. */
#include "service/forward.h"

#include "base/hash.h"
#include "sip/auth.h"

#include <string.h>

#define SCRATCH    1536
#define LOOP_PARAM "lp"

/* A piece of text being written into the scratch buffer. */
static struct str piece(const struct buf *b, size_t from)
{
	return str_of(b->p + from, b->n - from);
}

uint64_t fwd_loop_hash(const struct rt_self *self, const struct sip_msg *m)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_PROXY_REQUIRE, SIP_HDR_ROUTE};
	const struct str parts[] = {m->ruri, m->from_tag, m->to_tag, m->call_id};
	uint64_t in[ARRAY_LEN(parts) + 2] = {m->cseq};
	size_t n = 1;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		in[n++] = siphash(self->key, parts[i].p, parts[i].n);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		for (unsigned r = m->first[ids[i]]; r != SIP_ROW_NONE; r = sip_row(m, r)->next) {
			struct str v = sip_row_value(m, sip_row(m, r));
			in[n] = siphash(self->key, v.p, v.n);
			in[0] = siphash(self->key, in, sizeof(in));
		}
	return siphash(self->key, in, sizeof(in));
}

static struct str loop_text(const struct rt_self *self, const struct sip_msg *m, char out[16])
{
	struct buf b;
	buf_init_fixed(&b, out, 16);
	uint64_t h = fwd_loop_hash(self, m);
	buf_hex(&b, &h, 8);
	return buf_view(&b);
}

bool fwd_is_loop(const struct rt_self *self, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v, seen;
	char text[16];
	struct str own = STR_NONE;
	obj_id id;
	if (!sip_has(m, SIP_HDR_VIA))
		return false;
	const struct sip_row *top = sip_row(m, m->first[SIP_HDR_VIA]);
	/* from the phone itself, as nearly always: the only Via is none of ours */
	if (top->next == SIP_ROW_NONE && top->val_len == m->via.n &&
	    !tp_branch_read(self->tp, m->via_branch, &id))
		return false;
	while (sip_each(m, SIP_HDR_VIA, &it, &v)) {
		struct sip_via via;
		if (str_find(v, STR(";" LOOP_PARAM "=")) == SIZE_MAX)
			continue;
		if (sip_via_parse(v, &via) != OK || !sip_param(via.params, STR(LOOP_PARAM), &seen))
			continue;
		if (!own.n)
			own = loop_text(self, m, text);
		if (str_eq(own, seen))
			return true;
	}
	return false;
}

static bool asks_for_method(struct str uri)
{
	while (uri.n) {
		(void)str_cut(uri, ';', &uri);
		if (str_istarts(uri, STR("method=")))
			return true;
	}
	return false;
}

struct str fwd_copy_ruri(struct str text, bool is_sips, char *out)
{
	struct sip_uri uri;
	struct buf b;
	size_t n = text.n;
	if (asks_for_method(text) && sip_uri_parse(text, &uri) == OK) {
		buf_init_fixed(&b, out, text.n);
		sip_uri_put_request(&b, &uri);
		n = b.n;
	} else if (n) {
		memcpy(out, text.p, n);
	}
	if (is_sips || !rt_is_sips(text))
		return str_of(out, n);
	memcpy(out + 1, "sip:", 4); /* over "ips:" */
	return str_of(out + 1, n - 1);
}

/* Removes received and rport from the top Via, with their semicolons, wherever they stand. */
static void remove_source(struct sip_edits *ed)
{
	const struct sip_msg *m = ed->msg;
	struct str rest = m->via_params, name, value;
	while (sip_param_next(&rest, &name, &value)) {
		const char *at = name.p, *end = rest.p ? rest.p : m->via.p + m->via.n;
		if (!str_ieq(name, STR("received")) && !str_ieq(name, STR("rport")))
			continue;
		while (at > m->via.p && *at != ';')
			at--;
		sip_edit(ed, (uint32_t)(at - m->bytes), (uint32_t)(end - at), STR_NONE);
	}
}

/* Where the request came from is ours to say, whatever its sender wrote there: answers without a
 * transaction go by it [RFC3261 18.2.1] [RFC3581 4]. */
static void edit_source(struct sip_edits *ed, const struct fwd_plan *p, struct buf *b)
{
	const struct sip_msg *m = p->rx->msg;
	struct addr host;
	if (!m->via_host.n)
		return;
	bool is_true = addr_parse(m->via_host, 0, &host) && addr_ip_eq(&host, &p->rx->from);
	remove_source(ed);
	if (is_true && !m->via_has_rport)
		return;
	size_t at = b->n;
	buf_str(b, STR(";received="));
	addr_put_ip(b, &p->rx->from);
	if (m->via_has_rport) {
		buf_str(b, STR(";rport="));
		buf_u64(b, p->rx->from.port);
	}
	sip_edit(ed, (uint32_t)(m->via.p + m->via.n - m->bytes), 0, piece(b, at));
}

static void edit_via(struct sip_edits *ed, const struct fwd_plan *p, struct str via, struct buf *b)
{
	char text[16];
	size_t at = b->n;
	buf_str(b, str_sub(via, 0, via.n - 2));
	buf_str(b, STR(";" LOOP_PARAM "="));
	buf_str(b, loop_text(p->self, p->rx->msg, text));
	buf_str(b, STR("\r\n"));
	sip_edit_insert_before(ed, SIP_HDR_VIA, piece(b, at));
	edit_source(ed, p, b);
}

struct hop { /* one side of us, as a URI names it */
	bool is_sips;
	struct addr local;
	enum tp_proto proto;
	struct str name; /* instead of the address */
};

/* Over TLS by what a certificate of ours names. */
static void name_hop(struct tp *tp, struct hop *h)
{
	if (h->is_sips || tp_is_secure(h->proto))
		h->name = tp_secure_name(tp, &h->local);
}

/* With the usual port a name is looked up as domains are: by SRV, too [RFC3263 4.2]. */
static void put_host(struct buf *b, const struct hop *h)
{
	if (!h->name.n) {
		addr_put(b, &h->local);
		return;
	}
	buf_str(b, h->name);
	if (h->local.port != 5061 || h->proto == TP_WSS) {
		buf_chr(b, ':');
		buf_u64(b, h->local.port);
	}
}

/* `name` of the header, `end`: the parameters behind the transport, and what closes the line. sips
 * says TLS by itself, and ws then means wss [RFC5630 3.1.4] [RFC7118 5.2]. */
static void put_route(struct buf *b, struct str name, struct str token, const struct hop *h,
		      struct str end)
{
	buf_str(b, name);
	buf_str(b, h->is_sips ? STR(": <sips:") : STR(": <sip:"));
	buf_str(b, token);
	buf_chr(b, '@');
	put_host(b, h);
	if (h->is_sips && h->proto == TP_WSS) {
		buf_str(b, STR(";transport=ws"));
	} else if (!h->is_sips && h->proto != TP_UDP) {
		buf_str(b, STR(";transport="));
		buf_str(b, tp_proto_param(h->proto));
	}
	buf_str(b, end);
}

static enum err edit_path(struct sip_edits *ed, const struct fwd_plan *p, const struct tp_dst *dst,
			  struct buf *b)
{
	struct hop out = {.is_sips = rt_is_sips(p->route->ruri), .proto = dst->proto};
	char text[RT_TOKEN_MAX];
	struct rt_token tok = {
		.caller = {.is_set = true, .dst = tp_dst_back(p->rx)}
        };
	enum err e = tp_local_for(p->self->tp, dst, &out.local);
	if (e)
		return e;
	name_hop(p->self->tp, &out);
	size_t at = b->n;
	put_route(b, STR("Path"), rt_token_put(p->self, RT_PATH, &tok, text), &out,
		  STR(";lr;ob>\r\n"));
	sip_edit_insert_before(ed, SIP_HDR_PATH, piece(b, at));
	return OK;
}

/* Is the first Route that the request goes out with a sips URI? */
static bool is_next_sips(const struct fwd_plan *p, const struct fwd_target *t)
{
	return rt_is_sips(t->path.n ? str_skip(t->path, 1) : p->route->next);
}

/* A sips URI on both sides of a sips request; on the far side also where the next hop is one.
 * [RFC3261 16.6 step 4] [RFC5630 5.3] */
static enum err edit_record_route(struct sip_edits *ed, const struct fwd_plan *p,
				  const struct fwd_target *t, const struct tp_dst *dst,
				  struct buf *b)
{
	const struct sip_msg *m = p->rx->msg;
	struct tp_dst back = tp_dst_back(p->rx);
	struct hop in = {.is_sips = rt_is_sips(p->route->ruri), .proto = p->rx->proto};
	struct hop out = {.is_sips = in.is_sips || is_next_sips(p, t), .proto = dst->proto};
	enum err e = tp_local_for(p->self->tp, dst, &out.local);
	if (e)
		return e;
	/* not rx->to: on a connection of ours that is no port that anybody could call */
	if (tp_local_for(p->self->tp, &back, &in.local))
		in.local = p->rx->to;
	name_hop(p->self->tp, &in);
	name_hop(p->self->tp, &out);
	struct rt_token tok = {.caller_hash = rt_tag_hash(p->self, m->from_tag),
			       .caller = p->caller,
			       .callee = t->callee};
	if (m->to_tag.n) /* inside the dialog: the same for both directions */
		tok = p->route->token;
	char text[RT_TOKEN_MAX];
	struct str token = rt_token_put(p->self, m->call_id, &tok, text);
	size_t at = b->n;
	put_route(b, STR("Record-Route"), token, &out, STR(";lr>\r\n"));
	if (!addr_eq(&out.local, &in.local) || out.proto != in.proto || out.is_sips != in.is_sips)
		put_route(b, STR("Record-Route"), token, &in, STR(";lr>\r\n"));
	sip_edit_insert_before(ed, SIP_HDR_RECORD_ROUTE, piece(b, at));
	return OK;
}

static void edit_routes(struct sip_edits *ed, const struct fwd_plan *p, const struct fwd_target *t,
			struct buf *b)
{
	const struct sip_msg *m = p->rx->msg;
	const struct rt_plan *rt = p->route;
	struct str ruri = t->ruri.n ? t->ruri : rt->ruri;
	struct sip_iter it = {0};
	struct str v;
	for (unsigned i = 0; i < rt->n_own && sip_each(m, SIP_HDR_ROUTE, &it, &v); i++)
		sip_edit_remove_value(ed, SIP_HDR_ROUTE, v);
	if (rt->is_strict_ruri)
		sip_edit_remove_value(ed, SIP_HDR_ROUTE, rt->last_route);
	if (t->path.n) {
		size_t at = b->n;
		buf_fmt(b, "Route: " STR_FMT "\r\n", STR_ARG(t->path));
		sip_edit_insert_before(ed, SIP_HDR_ROUTE, piece(b, at));
	}
	if (rt->is_next_strict) { /* [RFC3261 16.6 step 6]: a strict router wants itself in the
				     request-URI */
		if (sip_each(m, SIP_HDR_ROUTE, &it, &v))
			sip_edit_remove_value(ed, SIP_HDR_ROUTE, v);
		size_t at = b->n;
		buf_fmt(b, "Route: <" STR_FMT ">\r\n", STR_ARG(ruri));
		sip_edit_append(ed, piece(b, at));
		ruri = rt->next;
	}
	if (!str_eq(ruri, m->ruri))
		sip_edit_ruri(ed, ruri);
}

/* Our own credentials, an identity that only a trusted sender may assert, and what a phone would
 * like to be called [RFC3261 22.3] [RFC3325 5, 6]. */
static void edit_secrets(struct sip_edits *ed, const struct fwd_plan *p, bool is_asserted)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_PROXY_AUTHORIZATION, SIP_HDR_AUTHORIZATION};
	const struct sip_msg *m = p->rx->msg;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		for (unsigned r = m->first[ids[i]]; r != SIP_ROW_NONE; r = sip_row(m, r)->next) {
			struct sip_credentials c;
			if (sip_credentials_parse(sip_row_value(m, sip_row(m, r)), &c) == OK &&
			    str_eq(c.realm, p->realm))
				sip_edit_remove_row(ed, r);
		}
	bool may_tell = !is_asserted && p->is_trusted &&
			(p->is_next_trusted || !hist_wants_privacy(m, STR("id")));
	if (!may_tell && sip_has(m, SIP_HDR_P_ASSERTED_IDENTITY))
		sip_edit_remove(ed, SIP_HDR_P_ASSERTED_IDENTITY);
	if (sip_has(m, SIP_HDR_P_PREFERRED_IDENTITY))
		sip_edit_remove(ed, SIP_HDR_P_PREFERRED_IDENTITY);
}

static bool is_listed(struct str names, enum sip_hdr_id id, struct str name)
{
	while (names.n) {
		struct str n = str_cut(names, ',', &names);
		if (id == SIP_HDR_OTHER ? str_ieq(n, name) : sip_hdr_find(n) == id)
			return true;
	}
	return false;
}

/* What the routing policy wants; it never names a header that another edit is about. */
static void edit_headers(struct sip_edits *ed, const struct fwd_headers *h)
{
	const struct sip_msg *m = ed->msg;
	for (unsigned r = 0; h->remove.n && r < m->n_rows; r++) {
		const struct sip_row *row = sip_row(m, r);
		if (row->id != SIP_HDR_P_ASSERTED_IDENTITY &&
		    is_listed(h->remove, row->id, sip_row_name(m, row)))
			sip_edit_remove_row(ed, r);
	}
	if (h->diversion.n && sip_has(m, SIP_HDR_DIVERSION))
		sip_edit_insert_before(ed, SIP_HDR_DIVERSION, h->diversion);
	else if (h->diversion.n)
		sip_edit_append(ed, h->diversion);
	if (h->asserted.n)
		sip_edit_append(ed, h->asserted);
	if (h->lines.n)
		sip_edit_append(ed, h->lines);
}

/* Names that the policy removes are gone already. */
static void edit_history(struct sip_edits *ed, const struct fwd_history *h, struct str removed,
			 struct buf *b)
{
	const struct sip_msg *m = ed->msg;
	if (!is_listed(removed, SIP_HDR_HISTORY_INFO, STR_NONE)) {
		if (h->is_whole)
			sip_edit_remove(ed, SIP_HDR_HISTORY_INFO);
		if (h->lines.n)
			sip_edit_append(ed, h->lines);
	}
	if (h->is_outside && hist_wants_privacy(m, STR("history")) &&
	    !is_listed(removed, SIP_HDR_PRIVACY, STR_NONE)) {
		size_t at = b->n;
		hist_put_privacy(b, m);
		sip_edit_remove(ed, SIP_HDR_PRIVACY);
		if (b->n > at)
			sip_edit_append(ed, piece(b, at));
	}
}

static void edit_number(struct sip_edits *ed, enum sip_hdr_id id, uint32_t n, struct buf *b)
{
	const struct sip_msg *m = ed->msg;
	size_t at = b->n;
	if (sip_has(m, id)) {
		buf_u64(b, n);
		sip_edit_replace(ed, sip_value(m, id), piece(b, at));
		return;
	}
	buf_str(b, sip_hdr_name(id));
	buf_str(b, STR(": "));
	buf_u64(b, n);
	buf_str(b, STR("\r\n"));
	sip_edit_append(ed, piece(b, at));
}

enum err fwd_compose(const struct fwd_plan *p, const struct fwd_target *t, struct str via,
		     const struct tp_dst *dst, struct buf *out)
{
	const struct sip_msg *m = p->rx->msg;
	char scratch[SCRATCH];
	struct buf b;
	struct sip_edits ed;
	buf_init_fixed(&b, scratch, sizeof(scratch));
	sip_edits_init(&ed, m);
	edit_via(&ed, p, via, &b);
	if (p->record_route) {
		enum err e = edit_record_route(&ed, p, t, dst, &b);
		if (e)
			return e;
	}
	if (p->add_path) {
		enum err e = edit_path(&ed, p, dst, &b);
		if (e)
			return e;
	}
	edit_routes(&ed, p, t, &b);
	edit_number(&ed, SIP_HDR_MAX_FORWARDS, m->has_max_forwards ? m->max_forwards - 1u : 70, &b);
	if (p->breadth)
		edit_number(&ed, SIP_HDR_MAX_BREADTH, p->breadth, &b);
	edit_secrets(&ed, p,
		     t->headers.asserted.n ||
			     is_listed(t->headers.remove, SIP_HDR_P_ASSERTED_IDENTITY, STR_NONE));
	edit_headers(&ed, &t->headers);
	edit_history(&ed, &t->history, t->headers.remove, &b);
	if (!m->has_content_length)
		edit_number(&ed, SIP_HDR_CONTENT_LENGTH, (uint32_t)m->body.n, &b);
	if (b.err)
		return b.err;
	return sip_splice(&ed, out);
}

/* A challenge that claims to be the exchange's: whoever sends it wants a digest of the password
 * that our user has here, over a nonce of his own. */
static bool is_forged(struct str challenge, struct str realm)
{
	struct sip_challenge ch;
	return realm.n && sip_challenge_parse(challenge, &ch) == OK && str_eq(ch.realm, realm);
}

enum err fwd_response(const struct sip_msg *resp, struct tp_rx *const *more, size_t n_more,
		      struct str realm, const struct fwd_history *h, struct buf *out)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_WWW_AUTHENTICATE, SIP_HDR_PROXY_AUTHENTICATE};
	struct sip_edits ed;
	char scratch[4096];
	struct buf b;
	buf_init_fixed(&b, scratch, sizeof(scratch));
	sip_edits_init(&ed, resp);
	sip_edit_remove_value(&ed, SIP_HDR_VIA, resp->via);
	for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
		struct sip_iter it = {0};
		struct str v;
		while (sip_each(resp, ids[k], &it, &v))
			if (is_forged(v, realm))
				sip_edit_remove_value(&ed, ids[k], v);
	}
	for (size_t i = 0; i < n_more; i++) {
		const struct sip_msg *o = more[i]->msg;
		for (size_t k = 0; o != resp && k < ARRAY_LEN(ids); k++)
			for (unsigned r = o->first[ids[k]]; r != SIP_ROW_NONE;
			     r = sip_row(o, r)->next) {
				struct str name = sip_hdr_name(ids[k]),
					   v = sip_row_value(o, sip_row(o, r));
				if (is_forged(v, realm))
					continue;
				buf_fmt(&b, STR_FMT ": " STR_FMT "\r\n", STR_ARG(name), STR_ARG(v));
			}
	}
	if (b.n && !b.err)
		sip_edit_append(&ed, buf_view(&b));
	if (h)
		edit_history(&ed, h, STR_NONE, &b);
	return sip_splice(&ed, out);
}
