/* The fields: what a name of the filter language means in a frame.
 *
 * Each field has a getter that writes its values, in the order in which they stand in the frame,
 * into an array of FLT_MAX_VALUES. Nothing is computed before it is asked for; strings borrow the
 * message. The table is fields.def plus a row "sip.<Name>" for each header of sip/headers.def whose
 * value is then the whole header line, one value per line, as in Wireshark.
 *
 * A frame may hold several SIP messages (TCP) and several IP headers (tunnels, ICMP errors): all
 * are values of the same field, as in Wireshark.
 */
#include "base/assert.h"
#include "scope/flt.h"
#include "sdp/sdp.h"
#include "sip/hdr.h"

#include <string.h>

/* Values of flt_field.arg, by getter. */
enum { FR_BYTES, FR_NUMBER, FR_LEN, FR_CAP_LEN, FR_EPOCH, FR_RELATIVE };
enum { LK_ETH, LK_SLL, LK_ARP, LK_HEP, LK_VLAN, LK_VLAN_ID };
enum { IP_PROTO, IP_ADDR, IP_SRC, IP_DST, IP_NEXT, IP_ID, IP_LEN, IP_TTL, IP_V6 = 0x100 };
enum { IC_PROTO, IC_TYPE, IC_CODE, IC_V6 = 0x100 };
enum { PT_PROTO, PT_ANY, PT_SRC, PT_DST, PT_LEN, PT_UDP = 0x100 };
enum {
	SP_WEBSOCKET,
	SP_BYTES,
	SP_REQUEST_LINE,
	SP_STATUS_LINE,
	SP_METHOD,
	SP_STATUS,
	SP_RURI,
	SP_CSEQ_SEQ,
	SP_CSEQ_METHOD,
	SP_BODY
};
enum { UR_URI = 0x000, UR_USER = 0x100, UR_HOST = 0x200, UR_PORT = 0x300, UR_TAG = 0x400 };
enum { VI_TRANSPORT, VI_HOST, VI_PORT, VI_BRANCH, VI_RECEIVED };
enum { AU_SCHEME, AU_USERNAME, AU_REALM, AU_NONCE };
enum { SD_BYTES, SD_CONN, SD_TYPE, SD_PORT, SD_PROTO, SD_MEDIA_ATTR, SD_LINE = 0x100 };
enum { RT_PROTO, RT_SSRC, RT_PT, RT_SEQ, RT_TS, RT_MARKER };

struct outlet { /* an array being filled */
	struct flt_val *v;
	unsigned n;
};

static void put_u(struct outlet *o, uint64_t u)
{
	if (o->n < FLT_MAX_VALUES)
		o->v[o->n++] = (struct flt_val){.u = u};
}

static void put_s(struct outlet *o, struct str s)
{
	if (o->n < FLT_MAX_VALUES)
		o->v[o->n++] = (struct flt_val){.s = s};
}

static void put_addr(struct outlet *o, const struct addr *a)
{
	if (o->n < FLT_MAX_VALUES)
		o->v[o->n++] = (struct flt_val){.addr = *a};
}

static struct str bytes_of(const void *p, size_t n)
{
	return str_of(p, n);
}

#define GETTER(name)                                                                               \
	static unsigned get_##name(const struct flt_field *f, const struct cap_frame *fr,          \
				   struct flt_val *out)

GETTER(frame)
{
	struct outlet o = {out, 0};
	switch (f->arg) {
	case FR_BYTES:
		put_s(&o, bytes_of(fr->rec.p, fr->rec.n));
		break;
	case FR_NUMBER:
		put_u(&o, fr->rec.no);
		break;
	case FR_LEN:
		put_u(&o, fr->rec.n_wire);
		break;
	case FR_CAP_LEN:
		put_u(&o, fr->rec.n);
		break;
	case FR_EPOCH:
		put_u(&o, (uint64_t)fr->rec.at_ns);
		break;
	case FR_RELATIVE:
		put_u(&o, (uint64_t)(fr->rec.at_ns - fr->first_ns));
		break;
	}
	return o.n;
}

GETTER(link)
{
	struct outlet o = {out, 0};
	const struct cap_pkt *k = &fr->pkt;
	bool is_there = f->arg == LK_ETH   ? k->is_eth
			: f->arg == LK_SLL ? k->is_sll
			: f->arg == LK_ARP ? k->is_arp
			: f->arg == LK_HEP ? k->is_hep
					   : k->n_vlans > 0;
	if (!is_there)
		return 0;
	if (f->arg != LK_VLAN_ID)
		put_s(&o, bytes_of(fr->rec.p, fr->rec.n));
	else
		for (unsigned i = 0; i < k->n_vlans; i++)
			put_u(&o, k->vlans[i]);
	return o.n;
}

GETTER(ip)
{
	struct outlet o = {out, 0};
	enum addr_family family = f->arg & IP_V6 ? ADDR_V6 : ADDR_V4;
	for (unsigned i = 0; i < fr->pkt.n_ips; i++) {
		const struct cap_ip *ip = &fr->pkt.ips[i];
		if (ip->src.family != family)
			continue;
		switch (f->arg & 0xff) {
		case IP_PROTO:
			put_s(&o, bytes_of(fr->rec.p, fr->rec.n));
			break;
		case IP_ADDR:
			put_addr(&o, &ip->src);
			put_addr(&o, &ip->dst);
			break;
		case IP_SRC:
			put_addr(&o, &ip->src);
			break;
		case IP_DST:
			put_addr(&o, &ip->dst);
			break;
		case IP_NEXT:
			put_u(&o, ip->proto);
			break;
		case IP_ID:
			put_u(&o, ip->id);
			break;
		case IP_LEN:
			put_u(&o, ip->n);
			break;
		case IP_TTL:
			put_u(&o, ip->ttl);
			break;
		}
	}
	return o.n;
}

GETTER(icmp)
{
	struct outlet o = {out, 0};
	const struct cap_pkt *k = &fr->pkt;
	if (!(f->arg & IC_V6 ? k->has_icmp6 : k->has_icmp))
		return 0;
	switch (f->arg & 0xff) {
	case IC_PROTO:
		put_s(&o, bytes_of(fr->rec.p, fr->rec.n));
		break;
	case IC_TYPE:
		put_u(&o, k->icmp_type);
		break;
	case IC_CODE:
		put_u(&o, k->icmp_code);
		break;
	}
	return o.n;
}

GETTER(port)
{
	struct outlet o = {out, 0};
	const struct cap_pkt *k = &fr->pkt;
	uint8_t proto = f->arg & PT_UDP ? CAP_UDP : CAP_TCP;
	for (unsigned i = 0; i < k->n_ports; i++) {
		const struct cap_ports *p = &k->ports[i];
		if (p->proto != proto)
			continue;
		switch (f->arg & 0xff) {
		case PT_PROTO:
			put_s(&o,
			      k->l4 ? bytes_of(k->l4, (size_t)(k->p - k->l4) + k->n) : STR_NONE);
			break;
		case PT_ANY:
			put_u(&o, p->src);
			put_u(&o, p->dst);
			break;
		case PT_SRC:
			put_u(&o, p->src);
			break;
		case PT_DST:
			put_u(&o, p->dst);
			break;
		case PT_LEN:
			put_u(&o, proto == CAP_UDP ? p->n : k->n);
			break;
		}
	}
	return o.n;
}

GETTER(tcp_flag)
{
	struct outlet o = {out, 0};
	if (fr->pkt.proto == CAP_TCP)
		put_u(&o, (fr->pkt.tcp_flags & f->arg) != 0);
	return o.n;
}

static struct str start_line(const struct sip_msg *m)
{
	struct str s = str_of(m->bytes, m->head_n);
	while (s.n && (*s.p == '\r' || *s.p == '\n'))
		s = str_skip(s, 1);
	return str_trim(str_cut(s, '\n', &(struct str){0}));
}

static void sip_value_of(const struct flt_field *f, const struct sip_msg *m, struct outlet *o)
{
	switch (f->arg) {
	case SP_BYTES:
		put_s(o, str_of(m->bytes, m->n_bytes));
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
	}
}

GETTER(sip)
{
	struct outlet o = {out, 0};
	if (f->arg == SP_WEBSOCKET) {
		if (fr->is_ws)
			put_s(&o, bytes_of(fr->pkt.p, fr->pkt.n));
		return o.n;
	}
	for (size_t i = 0; i < fr->n_msgs; i++)
		sip_value_of(f, fr->msgs[i].pkt.msg, &o);
	return o.n;
}

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

static void uri_part(const struct flt_field *f, const struct sip_uri *u, struct outlet *o)
{
	if ((f->arg & 0xff00) == UR_USER && u->has_user)
		put_s(o, u->user);
	else if ((f->arg & 0xff00) == UR_HOST && u->host.n)
		put_s(o, u->host);
	else if ((f->arg & 0xff00) == UR_PORT && u->has_port)
		put_s(o, port_text(u));
}

static void addr_part(const struct flt_field *f, struct str value, struct outlet *o)
{
	struct sip_addr a;
	if (sip_addr_parse(value, &a) || a.is_star)
		return;
	struct str tag;
	if ((f->arg & 0xff00) == UR_URI)
		put_s(o, a.uri_text);
	else if ((f->arg & 0xff00) == UR_TAG) {
		if (sip_param(a.params, STR("tag"), &tag))
			put_s(o, tag);
	} else if (!a.uri_err)
		uri_part(f, &a.uri, o);
}

GETTER(uri)
{
	struct outlet o = {out, 0};
	enum sip_hdr_id id = (enum sip_hdr_id)(f->arg & 0xff);
	for (size_t i = 0; i < fr->n_msgs; i++) {
		const struct sip_msg *m = fr->msgs[i].pkt.msg;
		if (id == SIP_HDR_OTHER) {
			struct sip_uri u;
			if (m->is_request && !sip_uri_parse(m->ruri, &u))
				uri_part(f, &u, &o);
			continue;
		}
		struct sip_iter it = {0};
		struct str v;
		while (sip_each(m, id, &it, &v))
			addr_part(f, v, &o);
	}
	return o.n;
}

GETTER(num_hdr)
{
	struct outlet o = {out, 0};
	for (size_t i = 0; i < fr->n_msgs; i++) {
		const struct sip_msg *m = fr->msgs[i].pkt.msg;
		struct str v = sip_value(m, (enum sip_hdr_id)f->arg);
		uint64_t u;
		if (str_u64(v, &u))
			put_u(&o, u);
	}
	return o.n;
}

GETTER(header)
{
	struct outlet o = {out, 0};
	for (size_t i = 0; i < fr->n_msgs; i++) {
		const struct sip_msg *m = fr->msgs[i].pkt.msg;
		for (unsigned row = m->first[f->arg]; row != SIP_ROW_NONE;
		     row = sip_row(m, row)->next)
			put_s(&o, sip_row_value(m, sip_row(m, row)));
	}
	return o.n;
}

GETTER(via)
{
	struct outlet o = {out, 0};
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct sip_iter it = {0};
		struct str v;
		while (sip_each(fr->msgs[i].pkt.msg, SIP_HDR_VIA, &it, &v)) {
			struct sip_via via;
			if (sip_via_parse(v, &via))
				continue;
			if (f->arg == VI_TRANSPORT)
				put_s(&o, via.transport);
			else if (f->arg == VI_HOST)
				put_s(&o, via.host);
			else if (f->arg == VI_PORT && via.port)
				put_u(&o, via.port);
			else if (f->arg == VI_BRANCH && via.branch.n)
				put_s(&o, via.branch);
			else if (f->arg == VI_RECEIVED && via.received.n)
				put_s(&o, via.received);
		}
	}
	return o.n;
}

/* A parameter of a challenge or of credentials as it is written, quotes included, as in Wireshark.
 */
static bool auth_param(struct str v, struct str name, struct str *out)
{
	size_t at = str_chr(v, ' ');
	v = str_skip(v, at == SIZE_MAX ? v.n : at);
	while (v.n) {
		size_t n = 0;
		bool is_quoted = false;
		for (; n < v.n && (is_quoted || v.p[n] != ','); n++) {
			if (v.p[n] == '\\' && is_quoted && n + 1 < v.n)
				n++;
			else if (v.p[n] == '"')
				is_quoted = !is_quoted;
		}
		struct str value, one = str_trim(str_sub(v, 0, n));
		v = str_skip(v, n + 1);
		if (str_ieq(str_trim(str_cut(one, '=', &value)), name)) {
			*out = str_trim(value);
			return true;
		}
	}
	return false;
}

GETTER(auth)
{
	static const enum sip_hdr_id ids[] = {SIP_HDR_AUTHORIZATION, SIP_HDR_PROXY_AUTHORIZATION,
					      SIP_HDR_WWW_AUTHENTICATE, SIP_HDR_PROXY_AUTHENTICATE};
	static const struct str names[] = {[AU_USERNAME] = STR_INIT("username"),
					   [AU_REALM] = STR_INIT("realm"),
					   [AU_NONCE] = STR_INIT("nonce")};
	struct outlet o = {out, 0};
	for (size_t i = 0; i < fr->n_msgs; i++)
		for (unsigned k = 0; k < ARRAY_LEN(ids); k++) {
			const struct sip_msg *m = fr->msgs[i].pkt.msg;
			for (unsigned row = m->first[ids[k]]; row != SIP_ROW_NONE;
			     row = sip_row(m, row)->next) {
				struct str v = sip_row_value(m, sip_row(m, row)), s;
				if (f->arg == AU_SCHEME)
					put_s(&o, str_cut(v, ' ', &s));
				else if (auth_param(v, names[f->arg], &s))
					put_s(&o, s);
			}
		}
	return o.n;
}

static void sdp_values(const struct flt_field *f, const struct sdp *s, struct outlet *o)
{
	if (f->arg & SD_LINE) {
		for (unsigned i = 0; i < s->n_lines; i++)
			if (s->lines[i].type == (char)(f->arg & 0x7f))
				put_s(o, sdp_line_value(s, &s->lines[i]));
		return;
	}
	if (f->arg == SD_CONN) {
		struct str rest, host;
		for (unsigned i = 0; i < s->n_lines; i++) {
			if (s->lines[i].type != 'c')
				continue;
			rest = sdp_line_value(s, &s->lines[i]);
			str_cut(rest, ' ', &rest);
			str_cut(rest, ' ', &rest);
			host = str_cut(rest, '/', &rest);
			if (host.n)
				put_s(o, host);
		}
		return;
	}
	for (unsigned i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		if (f->arg == SD_TYPE)
			put_s(o, m->type_text);
		else if (f->arg == SD_PORT)
			put_u(o, m->port);
		else if (f->arg == SD_PROTO)
			put_s(o, m->proto_text);
		else if (f->arg == SD_MEDIA_ATTR)
			for (unsigned l = m->line; l < m->line + m->n_lines && l < s->n_lines; l++)
				if (s->lines[l].type == 'a')
					put_s(o, sdp_line_value(s, &s->lines[l]));
	}
}

GETTER(sdp)
{
	struct outlet o = {out, 0};
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct str body;
		if (!fr->msgs[i].pkt.msg->body.n ||
		    !sip_body_find(fr->msgs[i].pkt.msg, STR("application"), STR("sdp"), &body))
			continue;
		if (f->arg == SD_BYTES) {
			put_s(&o, body);
			continue;
		}
		struct sdp s;
		if (!sdp_parse(body, &s))
			sdp_values(f, &s, &o);
	}
	return o.n;
}

GETTER(rtp)
{
	struct outlet o = {out, 0};
	if (fr->media != RTP_RTP)
		return 0;
	switch (f->arg) {
	case RT_PROTO:
		put_s(&o, bytes_of(fr->pkt.p, fr->pkt.n));
		break;
	case RT_SSRC:
		put_u(&o, fr->rtp.ssrc);
		break;
	case RT_PT:
		put_u(&o, fr->rtp.pt);
		break;
	case RT_SEQ:
		put_u(&o, fr->rtp.seq);
		break;
	case RT_TS:
		put_u(&o, fr->rtp.ts);
		break;
	case RT_MARKER:
		put_u(&o, fr->rtp.has_marker);
		break;
	}
	return o.n;
}

GETTER(media)
{
	struct outlet o = {out, 0};
	if (fr->media == (enum rtp_kind)f->arg)
		put_s(&o, bytes_of(fr->pkt.p, fr->pkt.n));
	return o.n;
}

static const struct flt_field fields[] = {
#define FIELD(name, type, hex, getter, arg, media)                                                 \
	{STR_INIT(name), FLT_##type, hex, arg, get_##getter, media},
#include "scope/fields.def"
#undef FIELD
#define HEADER(id, name, compact, flags, rfc)                                                      \
	{STR_INIT("sip." name), FLT_STR, false, SIP_HDR_##id, get_header, false},
#include "sip/headers.def"
#undef HEADER
};

/* Names that differ from it in length by little: only those may be a slip of the pen. */
static struct str nearest(struct str name)
{
	struct str near[ARRAY_LEN(fields)];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str f = fields[i].name;
		if (str_ieq(f, name))
			return f;
		if (f.n <= name.n + 3 && name.n <= f.n + 3)
			near[n++] = f;
	}
	return str_nearest(name, near, n);
}

const struct flt_field *flt_field_find(struct str name, struct str *near)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eq(fields[i].name, name))
			return &fields[i];
	if (near)
		*near = nearest(name);
	return NULL;
}

void flt_val_put(struct buf *b, const struct flt_field *f, const struct flt_val *v)
{
	switch ((enum flt_type)f->type) {
	case FLT_PROTO:
		buf_str(b, str_cut(f->name, '.', &(struct str){0}));
		break;
	case FLT_UINT:
		if (f->is_hex)
			buf_fmt(b, f->needs_media ? "0x%08llx" : "0x%04llx",
				(unsigned long long)v->u);
		else
			buf_u64(b, v->u);
		break;
	case FLT_BOOL:
		buf_chr(b, v->u ? '1' : '0');
		break;
	case FLT_ADDR:
		addr_put_ip(b, &v->addr);
		break;
	case FLT_STR:
		buf_str(b, v->s);
		break;
	case FLT_TIME: {
		int64_t ns = (int64_t)v->u;
		uint64_t abs = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
		buf_fmt(b, "%s%llu.%09llu", ns < 0 ? "-" : "",
			(unsigned long long)(abs / 1'000'000'000),
			(unsigned long long)(abs % 1'000'000'000));
		break;
	}
	}
}

void flt_fields_put(struct buf *b)
{
	static const char *const types[] = {"protocol", "number", "boolean",
					    "address",  "string", "seconds"};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (flt_field_find(fields[i].name, NULL) == &fields[i])
			buf_fmt(b, "%-36.*s %s\n", STR_ARG(fields[i].name), types[fields[i].type]);
}
