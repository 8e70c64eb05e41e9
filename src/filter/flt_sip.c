/* Fields of SIP messages: start line, header lines, and the parts of the headers that hold
 * addresses or a Via.
 *
 * Nothing is computed before it is asked for. A frame may hold several messages (TCP): their values
 * follow each other (flt_msg_layer says what `#2` asks for). A header line is one value even where
 * it holds a list, as in Wireshark; what is inside a list (`sip.Via.branch`) is one value per item.
 * Parts keep their spelling: a display name its quotes, a port its digits. What cannot be read is
 * left out.
 *
 * Strings borrow the message. [RFC3261 7, 20, 25]
 */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "sip/hdr.h"

static const struct str other_names[OT__N] = {
	[OT_ADDITIONAL_IDENTITY] = STR_INIT("Additional-Identity"),
	[OT_ATTESTATION_INFO] = STR_INIT("Attestation-Info"),
	[OT_CELLULAR_NETWORK_INFO] = STR_INIT("Cellular-Network-Info"),
	[OT_ORIGINATION_ID] = STR_INIT("Origination-Id"),
	[OT_PRIORITY_SHARE] = STR_INIT("Priority-Share"),
	[OT_RELAYED_CHARGE] = STR_INIT("Relayed-Charge"),
	[OT_RESOURCE_SHARE] = STR_INIT("Resource-Share"),
	[OT_RESPONSE_SOURCE] = STR_INIT("Response-Source"),
	[OT_RESTORATION_INFO] = STR_INIT("Restoration-Info"),
	[OT_SERVICE_INTERACT_INFO] = STR_INIT("Service-Interact-Info"),
};
static const struct sip_msg *message(const struct cap_frame *fr, size_t i, struct outlet *o)
{
	o->layer = flt_msg_layer(fr, i);
	return cap_index(fr, i);
}

static struct str start_line(const struct sip_msg *m)
{
	struct str s = str_of(m->bytes, m->head_n);
	while (s.n && (*s.p == '\r' || *s.p == '\n'))
		s = str_skip(s, 1);
	return str_trim(str_cut(s, '\n', &(struct str){0}));
}

/* The header lines and the empty one. */
static struct str header_block(const struct sip_msg *m)
{
	struct str s = str_of(m->bytes, m->head_n), line = start_line(m);
	s = str_skip(s, (size_t)(line.p - s.p) + line.n);
	size_t end = str_chr(s, '\n');
	return str_skip(s, end == SIZE_MAX ? s.n : end + 1);
}

static void rack(const struct flt_field *f, const struct sip_msg *m, struct outlet *o)
{
	struct sip_rack r;
	if (!sip_has(m, SIP_HDR_RACK) || sip_rack_parse(sip_value(m, SIP_HDR_RACK), &r))
		return;
	if (f->arg == SP_RACK_METHOD)
		put_s(o, r.method);
	else
		put_u(o, f->arg == SP_RACK_RSEQ ? r.rseq : r.cseq);
}

static bool is_other(struct str name)
{
	for (unsigned i = 0; i < OT__N; i++)
		if (str_ieq(name, other_names[i]))
			return true;
	return false;
}

static void unknown_headers(const struct sip_msg *m, struct outlet *o)
{
	for (unsigned row = m->first[SIP_HDR_OTHER]; row != SIP_ROW_NONE;
	     row = sip_row(m, row)->next)
		if (!is_other(sip_row_name(m, sip_row(m, row))))
			put_u(o, 1);
}

static void sip_value_of(const struct flt_field *f, const struct sip_msg *m, struct outlet *o)
{
	switch (f->arg) {
	case SP_BYTES:
		put_proto(o, m->bytes, m->n_bytes, m->n_bytes);
		break;
	case SP_REQUEST_LINE:
		if (m->is_request)
			put_s(o, start_line(m));
		break;
	case SP_STATUS_LINE:
		if (!m->is_request)
			put_s(o, start_line(m));
		break;
	case SP_METHOD:
		if (m->is_request)
			put_s(o, m->method_name);
		break;
	case SP_STATUS:
		if (!m->is_request)
			put_u(o, m->status);
		break;
	case SP_RURI:
		if (m->is_request)
			put_s(o, m->ruri);
		break;
	case SP_CSEQ_SEQ:
		if (m->has_cseq)
			put_u(o, m->cseq);
		break;
	case SP_CSEQ_METHOD: {
		struct sip_cseq c;
		if (sip_has(m, SIP_HDR_CSEQ) && !sip_cseq_parse(sip_value(m, SIP_HDR_CSEQ), &c))
			put_s(o, c.method);
		break;
	}
	case SP_BODY:
		if (m->body.n)
			put_s(o, m->body);
		break;
	case SP_HEAD:
		put_s(o, header_block(m));
		break;
	case SP_RACK_RSEQ:
	case SP_RACK_CSEQ:
	case SP_RACK_METHOD:
		rack(f, m, o);
		break;
	case SP_UNKNOWN:
		unknown_headers(m, o);
		break;
	}
}

/* What needs no index; false: it is needed. */
static bool skim_value_of(const struct flt_field *f, const struct trk_packet *p, struct outlet *o)
{
	const struct sip_skim *k = p->skim;
	switch (f->arg) {
	case SP_BYTES:
		put_proto(o, p->bytes.p, p->bytes.n, p->bytes.n);
		return true;
	case SP_METHOD:
		if (k->is_request)
			put_s(o, k->method_name);
		return true;
	case SP_STATUS:
		if (!k->is_request)
			put_u(o, k->status);
		return true;
	case SP_RURI:
		if (k->is_request)
			put_s(o, k->ruri);
		return true;
	case SP_CSEQ_SEQ:
		put_u(o, k->cseq);
		return true;
	case SP_CSEQ_METHOD:
		put_s(o, k->method_name);
		return true;
	default:
		return false;
	}
}

unsigned flt_get_sip(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		o.layer = flt_msg_layer(fr, i);
		if (!fr->msgs[i].pkt.skim || !skim_value_of(f, &fr->msgs[i].pkt, &o))
			sip_value_of(f, message(fr, i, &o), &o);
	}
	return o.n;
}

/* --- header lines ----------------------------------------------------------------------------- */

unsigned flt_get_header(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = message(fr, i, &o);
		for (unsigned row = m->first[f->arg]; row != SIP_ROW_NONE;
		     row = sip_row(m, row)->next)
			put_s(&o, sip_row_value(m, sip_row(m, row)));
	}
	return o.n;
}

unsigned flt_get_other(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{

	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = message(fr, i, &o);
		for (unsigned row = m->first[SIP_HDR_OTHER]; row != SIP_ROW_NONE;
		     row = sip_row(m, row)->next)
			if (str_ieq(sip_row_name(m, sip_row(m, row)), other_names[f->arg]))
				put_s(&o, sip_row_value(m, sip_row(m, row)));
	}
	return o.n;
}

/* A header that is a number, perhaps with more behind it ("120;x", "5 (busy)"). */
unsigned flt_get_hdr_num(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = message(fr, i, &o);
		struct str v = sip_value(m, (enum sip_hdr_id)f->arg);
		size_t n = 0;
		while (n < v.n && v.p[n] >= '0' && v.p[n] <= '9')
			n++;
		uint64_t u;
		if (str_u64(str_sub(v, 0, n), &u))
			put_u(&o, u);
	}
	return o.n;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* A string in Wireshark, as it stands behind the host. */
static struct str port_text(const struct sip_uri *u)
{
	const char *end = u->all.p + u->all.n, *p = u->host.p + u->host.n;
	while (p < end && (*p == ']' || *p == ':'))
		p++;
	size_t n = 0;
	while (p + n < end && p[n] >= '0' && p[n] <= '9')
		n++;
	return str_of(p, n);
}

/* Up to the next semicolon that is not inside quotes. [RFC3261 25.1] */
static struct str cut_param(struct str params, struct str *rest)
{
	bool is_quoted = false;
	for (size_t i = 0; i < params.n; i++) {
		char c = params.p[i];
		if (c == '\\' && is_quoted)
			i++;
		else if (c == '"')
			is_quoted = !is_quoted;
		else if (c == ';' && !is_quoted) {
			*rest = str_skip(params, i + 1);
			return str_sub(params, 0, i);
		}
	}
	*rest = STR_NONE;
	return params;
}

static void put_params(struct str params, struct outlet *o)
{
	while (params.n) {
		struct str one = str_trim(cut_param(params, &params));
		if (one.n)
			put_s(o, one);
	}
}

static void uri_part(unsigned part, const struct sip_uri *u, struct outlet *o)
{
	struct str host = u->host;
	if (host.n && host.p > u->all.p && host.p[-1] == '[') { /* with its brackets */
		host.p--;
		host.n += 2;
	}
	if (part == UR_USER && u->has_user)
		put_s(o, u->user);
	else if (part == UR_HOST && host.n)
		put_s(o, host);
	else if (part == UR_PORT && u->has_port)
		put_s(o, port_text(u));
	else if (part == UR_PARAM)
		put_params(u->params, o);
}

/* What stands before <...>: a quoted string with its quotes, or tokens with the space behind them,
 * which the grammar counts among them; a quote amid tokens, which it forbids, is one more
 * character. [RFC3261 25.1] */
static struct str display(struct str value)
{
	bool is_quoted = value.n && *value.p == '"';
	for (size_t i = is_quoted; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\\' && is_quoted)
			i++;
		else if (c == '"' && is_quoted)
			return str_sub(value, 0, i + 1);
		else if (c == '<' && !is_quoted)
			return str_sub(value, 0, i);
	}
	return STR_NONE;
}

static void addr_part(unsigned part, struct str value, struct outlet *o)
{
	struct sip_addr a;
	struct str s;
	if (sip_addr_parse(value, &a) || a.is_star)
		return;
	switch (part) {
	case UR_URI:
		put_s(o, a.uri_text);
		break;
	case UR_DISPLAY:
		s = display(value);
		if (s.n)
			put_s(o, s);
		break;
	case UR_TAG:
		if (sip_param(a.params, STR("tag"), &s))
			put_s(o, s);
		break;
	case UR_HDR_PARAM:
		put_params(a.params, o);
		break;
	default:
		if (!a.uri_err)
			uri_part(part, &a.uri, o);
		break;
	}
}

static void each_addr(const struct sip_msg *m, enum sip_hdr_id id, unsigned part, struct outlet *o)
{
	struct sip_iter it = {0};
	struct str v;
	while (sip_each(m, id, &it, &v))
		addr_part(part, v, o);
}

/* sip.tag, sip.display.info: in the order of the lines. */
static void both(const struct sip_msg *m, unsigned part, struct outlet *o)
{
	for (unsigned i = 0; i < m->n_rows; i++) {
		const struct sip_row *r = sip_row(m, i);
		bool is_one = r->id == SIP_HDR_FROM || r->id == SIP_HDR_TO;
		if (is_one ||
		    (part == UR_DISPLAY && sip_hdr_flags((enum sip_hdr_id)r->id) & SIP_HF_ADDR))
			addr_part(part, sip_row_value(m, r), o);
	}
}

unsigned flt_get_uri(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	unsigned id = f->arg & 0xff, part = f->arg >> 8;
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = message(fr, i, &o);
		struct sip_uri u;
		if (id == (FLT_BOTH(TAG) & 0xff))
			both(m, part, &o);
		else if (id != SIP_HDR_OTHER)
			each_addr(m, (enum sip_hdr_id)id, part, &o);
		else if (m->is_request && !sip_uri_parse(m->ruri, &u))
			uri_part(part, &u, &o);
	}
	return o.n;
}

/* --- Via -------------------------------------------------------------------------------------- */

static const struct str via_names[] = {
	[VI_MADDR] = STR_INIT("maddr"),
	[VI_RPORT] = STR_INIT("rport"),
	[VI_TTL] = STR_INIT("ttl"),
	[VI_COMP] = STR_INIT("comp"),
	[VI_SIGCOMP] = STR_INIT("sigcomp-id"),
	[VI_OC] = STR_INIT("oc"),
	[VI_OC_VALIDITY] = STR_INIT("oc-validity"),
	[VI_OC_SEQ] = STR_INIT("oc-seq"),
	[VI_OC_ALGO] = STR_INIT("oc-algo"),
	[VI_BE_ROUTE] = STR_INIT("be-route"),
	[VI_OC_VAL] = STR_INIT("oc"),
};

static void via_part(const struct flt_field *f, const struct sip_via *via, struct outlet *o)
{
	struct str v, name, rest = via->params;
	uint64_t u;
	switch (f->arg) {
	case VI_TRANSPORT:
		put_s(o, via->transport);
		break;
	case VI_HOST:
		put_s(o, via->host);
		break;
	case VI_PORT:
		if (via->port)
			put_u(o, via->port);
		break;
	case VI_BRANCH:
		if (via->branch.n)
			put_s(o, via->branch);
		break;
	case VI_RECEIVED:
		if (via->received.n)
			put_s(o, via->received);
		break;
	default:
		while (sip_param_next(&rest, &name, &v))
			if (!str_ieq(name, via_names[f->arg]))
				continue;
			else if (f->arg != VI_OC_VAL)
				put_s(o, v.n ? v : name); /* "rport" alone is its own value */
			else if (v.n && str_u64(v, &u) && u <= UINT32_MAX)
				put_u(o, u);
		break;
	}
}

unsigned flt_get_via(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = message(fr, i, &o);
		struct sip_iter it = {0};
		struct str v;
		struct sip_via via;
		while (sip_each(m, SIP_HDR_VIA, &it, &v))
			if (!sip_via_parse(v, &via))
				via_part(f, &via, &o);
	}
	return o.n;
}
