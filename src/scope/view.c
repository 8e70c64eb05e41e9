/* Listings of messages.
 *
 * The message list is what a large capture is read with, so its lines are put together by hand, not
 * by printf: columns are padded as they are written. JSON is one object per line, so that a program
 * can begin before the list ends.
 */
#include "scope/view_priv.h"

#include "sip/hdr.h"

#include <string.h>

void view_pad(struct buf *b, size_t from, size_t columns)
{
	if (b->n < from + columns)
		buf_fill(b, ' ', from + columns - b->n);
}

void view_right(struct buf *b, size_t from, size_t columns)
{
	size_t n = b->n - from, more = n < columns ? columns - n : 0;
	buf_fill(b, ' ', more);
	if (b->err)
		return;
	memmove(b->p + from + more, b->p + from, n);
	memset(b->p + from, ' ', more);
}

void view_put_right(struct buf *b, uint64_t v, unsigned columns)
{
	char text[24];
	unsigned n = 0;
	do {
		text[sizeof text - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	if (n < columns)
		buf_fill(b, ' ', columns - n);
	buf_put(b, text + sizeof text - n, n);
}

void view_put_zeros(struct buf *b, uint64_t v, unsigned digits)
{
	char text[20];
	for (unsigned i = digits; i-- > 0; v /= 10)
		text[i] = (char)('0' + v % 10);
	buf_put(b, text, digits);
}

static void put_lead(struct buf *b, const struct cap_frame *fr, const struct addr *from,
		     const struct addr *to, struct str proto, bool is_ascii)
{
	view_put_right(b, fr->rec.no, 6);
	int64_t ns = fr->rec.at_ns - fr->first_ns;
	uint64_t us = (uint64_t)(ns < 0 ? -ns : ns) / 1'000;
	size_t from_at = b->n;
	view_put_right(b, us / 1'000'000, 6);
	buf_chr(b, '.');
	view_put_zeros(b, us % 1'000'000, 6);
	if (ns < 0 &&
	    !b->err) { /* a packet from before the first: the sign goes before the digits */
		size_t digit = from_at;
		while (b->p[digit] == ' ')
			digit++;
		b->p[digit > from_at ? digit - 1 : digit] = '-';
	}
	buf_str(b, STR("  "));
	size_t at = b->n;
	addr_put(b, from);
	view_pad(b, at, 21);
	buf_str(b, is_ascii ? STR(" -> ") : STR(" → "));
	at = b->n;
	addr_put(b, to);
	view_pad(b, at, 21);
	buf_str(b, STR("  "));
	at = b->n;
	buf_str(b, proto);
	view_pad(b, at, 5);
}

static void json_lead(struct buf *b, const struct cap_frame *fr, const struct addr *from,
		      const struct addr *to, struct str proto)
{
	buf_fmt(b, "{\"frame\":%u,\"time\":%lld.%09lld,\"from\":\"", fr->rec.no,
		(long long)(fr->rec.at_ns / 1'000'000'000),
		(long long)(fr->rec.at_ns % 1'000'000'000));
	addr_put(b, from);
	buf_str(b, STR("\",\"to\":\""));
	addr_put(b, to);
	buf_str(b, STR("\",\"transport\":"));
	buf_json(b, proto);
}

static void json_field(struct buf *b, const char *name, struct str s)
{
	buf_fmt(b, ",\"%s\":", name);
	buf_json(b, s);
}

static void json_user(struct buf *b, const char *name, const struct sip_msg *m, enum sip_hdr_id id)
{
	struct sip_addr a;
	if (!sip_addr_parse(sip_value(m, id), &a) && !a.uri_err && a.uri.has_user)
		json_field(b, name, a.uri.user);
}

static void message_json(struct buf *b, const struct cap_frame *fr, size_t i)
{
	const struct trk_packet *p = &fr->msgs[i].pkt;
	const struct sip_msg *m = cap_index(fr, i);
	json_lead(b, fr, &p->from, &p->to, trk_transport_name(p->transport));
	if (m->is_request) {
		json_field(b, "method", m->method_name);
		json_field(b, "request_uri", m->ruri);
	} else {
		buf_fmt(b, ",\"status\":%u", m->status);
		json_field(b, "reason", m->reason);
	}
	if (m->has_cseq) {
		buf_fmt(b, ",\"cseq\":%u", m->cseq);
		json_field(b, "cseq_method", m->method_name);
	}
	if (m->call_id.n)
		json_field(b, "call_id", m->call_id);
	json_user(b, "from_user", m, SIP_HDR_FROM);
	json_user(b, "to_user", m, SIP_HDR_TO);
	buf_str(b, STR("}\n"));
}

static void message_text(struct buf *b, const struct cap_frame *fr, const struct trk_packet *p,
			 bool is_ascii)
{
	struct sip_skim skim;
	const struct sip_skim *m = p->skim;
	if (!m) {
		sip_skim_of(p->msg, &skim);
		m = &skim;
	}
	put_lead(b, fr, &p->from, &p->to, trk_transport_name(p->transport), is_ascii);
	size_t at = b->n;
	if (m->is_request) {
		buf_plain(b, m->method_name);
	} else {
		view_put_right(b, m->status, 3);
		buf_chr(b, ' ');
		buf_plain(b, m->reason);
	}
	view_pad(b, at, 34);
	buf_chr(b, ' ');
	at = b->n;
	if (m->has_cseq) {
		view_put_right(b, m->cseq, 1);
		buf_chr(b, ' ');
		buf_plain(b, m->method_name);
	}
	view_pad(b, at, 18);
	buf_chr(b, ' ');
	buf_plain(b, m->call_id);
	buf_chr(b, '\n');
}

void view_messages(struct buf *b, const struct cap_frame *fr, const struct view_opts *o)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (o->is_json)
			message_json(b, fr, i);
		else
			message_text(b, fr, &fr->msgs[i].pkt, o->is_ascii);
}

static struct str other_proto(const struct cap_frame *fr)
{
	const struct cap_pkt *k = &fr->pkt;
	static const struct str media[] = {
		[RTP_UNKNOWN] = STR_INIT("UDP"), [RTP_STUN] = STR_INIT("STUN"),
		[RTP_ZRTP] = STR_INIT("ZRTP"),   [RTP_DTLS] = STR_INIT("DTLS"),
		[RTP_TURN] = STR_INIT("TURN"),   [RTP_RTP] = STR_INIT("RTP"),
		[RTP_RTCP] = STR_INIT("RTCP"),   [RTP_T38] = STR_INIT("T.38")};
	if (k->has_icmp || k->has_icmp6)
		return k->has_icmp ? STR("ICMP") : STR("ICMP6");
	if (k->is_fragment)
		return STR("IP");
	if (k->proto == CAP_UDP)
		return media[fr->media];
	if (k->proto == CAP_TCP)
		return STR("TCP");
	return k->is_arp ? STR("ARP") : k->n_ips ? STR("IP") : STR("?");
}

static void other_details(struct buf *b, const struct cap_frame *fr)
{
	const struct cap_pkt *k = &fr->pkt;
	if (k->has_icmp || k->has_icmp6) {
		buf_fmt(b, "type %u code %u", k->icmp_type, k->icmp_code);
		if (k->is_quoted && k->n_ips > 1) {
			buf_fmt(b, ", about %s%s from ", fr->n_quoted ? "SIP over " : "",
				k->proto == CAP_UDP   ? "UDP"
				: k->proto == CAP_TCP ? "TCP"
						      : "IP");
			addr_put(b, &k->src);
			buf_str(b, STR(" to "));
			addr_put(b, &k->dst);
		}
	} else if (k->is_fragment) {
		buf_fmt(b, "fragment, offset %u", k->frag.off);
	} else if (fr->media == RTP_RTP) {
		buf_fmt(b, "SSRC 0x%08x, payload type %u, sequence %u, timestamp %u%s",
			fr->rtp.ssrc, fr->rtp.pt, fr->rtp.seq, fr->rtp.ts,
			fr->rtp.has_marker ? ", marker" : "");
	} else if (k->proto == CAP_TCP) {
		buf_fmt(b, "%s%s%s%s%u bytes", k->tcp_flags & CAP_TCP_SYN ? "SYN " : "",
			k->tcp_flags & CAP_TCP_FIN ? "FIN " : "",
			k->tcp_flags & CAP_TCP_RST ? "RST " : "",
			k->tcp_flags & CAP_TCP_ACK ? "ACK " : "", k->n);
	} else {
		buf_fmt(b, "%u bytes", k->proto == CAP_UDP ? k->n : fr->rec.n_wire);
	}
}

void view_other_frame(struct buf *b, const struct cap_frame *fr, const struct view_opts *o)
{
	const struct cap_pkt *k = &fr->pkt;
	/* an ICMP error is from who complains, not from whom it quotes */
	struct addr from = k->n_ips && k->is_quoted ? k->ips[0].src : k->src;
	struct addr to = k->n_ips && k->is_quoted ? k->ips[0].dst : k->dst;
	if (o->is_json) {
		json_lead(b, fr, &from, &to, other_proto(fr));
		buf_str(b, STR(",\"info\":\""));
		other_details(b, fr);
		buf_str(b, STR("\"}\n"));
		return;
	}
	put_lead(b, fr, &from, &to, other_proto(fr), o->is_ascii);
	other_details(b, fr);
	buf_chr(b, '\n');
}
