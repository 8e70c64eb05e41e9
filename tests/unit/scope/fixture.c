/* Captures and calls made for the tests. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put_be16(struct buf *b, unsigned v)
{
	buf_chr(b, (char)(v >> 8));
	buf_chr(b, (char)v);
}

void put_be32(struct buf *b, uint32_t v)
{
	put_be16(b, v >> 16);
	put_be16(b, v & 0xffff);
}

void put_le32(struct buf *b, uint32_t v)
{
	buf_put(b, &v, 4); /* tests run where the exchange runs: little endian */
}

void pcap_begin(struct buf *b, uint32_t link)
{
	put_le32(b, 0xa1b2c3d4);
	put_le32(b, 2 | 4 << 16);
	put_le32(b, 0);
	put_le32(b, 0);
	put_le32(b, 262'144);
	put_le32(b, link);
}

void pcap_rec(struct buf *b, uint64_t at_us, struct str frame)
{
	put_le32(b, (uint32_t)(at_us / 1'000'000));
	put_le32(b, (uint32_t)(at_us % 1'000'000));
	put_le32(b, (uint32_t)frame.n);
	put_le32(b, (uint32_t)frame.n);
	buf_str(b, frame);
}

struct str eth(struct buf *b, uint16_t type, struct str payload)
{
	buf_clear(b);
	buf_put(b, "\0\0\0\0\0\1\0\0\0\0\0\2", 12);
	put_be16(b, type);
	buf_str(b, payload);
	return buf_view(b);
}

static struct addr addr_of(const char *text)
{
	struct addr a = {0};
	if (!addr_parse(str_c(text), 0, &a))
		test_fail(__FILE__, __LINE__, "bad address %s", text);
	return a;
}

struct str ipv4(struct buf *b, const char *src, const char *dst, uint8_t proto, uint16_t id,
		uint16_t frag, struct str payload)
{
	struct addr s = addr_of(src), d = addr_of(dst);
	buf_clear(b);
	put_be16(b, 0x4500);
	put_be16(b, (unsigned)(20 + payload.n));
	put_be16(b, id);
	put_be16(b, frag);
	buf_chr(b, 64);
	buf_chr(b, (char)proto);
	put_be16(b, 0);
	buf_put(b, s.ip, 4);
	buf_put(b, d.ip, 4);
	buf_str(b, payload);
	return buf_view(b);
}

struct str ipv6(struct buf *b, const char *src, const char *dst, uint8_t proto, struct str payload)
{
	struct addr s = addr_of(src), d = addr_of(dst);
	buf_clear(b);
	put_be32(b, 0x60000000);
	put_be16(b, (unsigned)payload.n);
	buf_chr(b, (char)proto);
	buf_chr(b, 64);
	buf_put(b, s.ip, 16);
	buf_put(b, d.ip, 16);
	buf_str(b, payload);
	return buf_view(b);
}

struct str udp(struct buf *b, uint16_t sport, uint16_t dport, struct str payload)
{
	buf_clear(b);
	put_be16(b, sport);
	put_be16(b, dport);
	put_be16(b, (unsigned)(8 + payload.n));
	put_be16(b, 0);
	buf_str(b, payload);
	return buf_view(b);
}

struct str tcp(struct buf *b, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
	       uint8_t flags, struct str payload)
{
	buf_clear(b);
	put_be16(b, sport);
	put_be16(b, dport);
	put_be32(b, seq);
	put_be32(b, ack);
	buf_chr(b, 0x50);
	buf_chr(b, (char)flags);
	put_be16(b, 65'535);
	put_be32(b, 0);
	buf_str(b, payload);
	return buf_view(b);
}

static void rec_ip(struct buf *cap, uint64_t at_us, const struct addr *from, const struct addr *to,
		   uint8_t proto, uint16_t id, struct str payload)
{
	struct buf ip, frame;
	struct addr src = *from, dst = *to;
	char s[ADDR_TEXT_MAX], d[ADDR_TEXT_MAX];
	src.port = dst.port = 0;
	buf_init(&ip);
	buf_init(&frame);
	struct str packet =
		ipv4(&ip, addr_text(&src, s), addr_text(&dst, d), proto, id, 0, payload);
	pcap_rec(cap, at_us, eth(&frame, 0x0800, packet));
	if (ip.err || frame.err)
		cap->err = ERR_NOMEM;
	buf_fini(&ip);
	buf_fini(&frame);
}

void rec_udp(struct buf *cap, uint64_t at_us, const char *from, const char *to, struct str payload)
{
	struct buf b;
	struct addr f = addr_of(from), t = addr_of(to);
	buf_init(&b);
	rec_ip(cap, at_us, &f, &t, CAP_UDP, 0, udp(&b, f.port, t.port, payload));
	buf_fini(&b);
}

void rec_tcp(struct buf *cap, uint64_t at_us, const char *from, const char *to, uint32_t seq,
	     uint32_t ack, uint8_t flags, struct str payload)
{
	struct buf b;
	struct addr f = addr_of(from), t = addr_of(to);
	buf_init(&b);
	rec_ip(cap, at_us, &f, &t, CAP_TCP, 0, tcp(&b, f.port, t.port, seq, ack, flags, payload));
	buf_fini(&b);
}

void digest(struct str capture, struct buf *out, struct buf *problem)
{
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct buf why;
	buf_init(&why);
	enum err e = cap_open_mem(capture, &c, &why);
	if (!e)
		e = cap_walk_new(c, NULL, &w);
	if (e)
		buf_fmt(out, "cannot open: " STR_FMT, STR_ARG(buf_view(&why)));
	const struct cap_frame *fr;
	while (w && (fr = cap_walk_next(w)))
		for (size_t i = 0; i < fr->n_msgs; i++) {
			const struct trk_packet *p = &fr->msgs[i].pkt;
			buf_fmt(out, "%u ", p->frame_no);
			addr_put(out, &p->from);
			buf_str(out, STR(" > "));
			addr_put(out, &p->to);
			if (p->msg->is_request)
				buf_fmt(out, " " STR_FMT, STR_ARG(p->msg->method_name));
			else
				buf_fmt(out, " %u", p->msg->status);
			buf_fmt(out, " %u\n", p->msg->cseq);
		}
	if (problem && c && cap_problem(c))
		buf_str(problem, str_c(cap_problem(c)));
	cap_walk_free(w);
	cap_close(c);
	buf_fini(&why);
}

void check_capture(const char *file, int line, const struct buf *cap, const char *lit)
{
	struct buf out;
	buf_init(&out);
	digest(buf_view(cap), &out, NULL);
	struct str want = str_c(lit);
	bool ok = !cap->err && !out.err && str_eq(buf_view(&out), want);
	char got[600];
	str_copy(got, sizeof got, buf_view(&out));
	buf_fini(&out);
	if (!ok)
		test_fail(file, line, "got:\n%swant:\n%s", got, lit);
}

struct str small_request(struct buf *b, const char *method, unsigned cseq, const char *body)
{
	buf_clear(b);
	buf_fmt(b,
		"%s sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK%u\r\n"
		"From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>\r\nCall-ID: c%u\r\n"
		"CSeq: %u %s\r\nMax-Forwards: 70\r\nContent-Length: %zu\r\n\r\n%s",
		method, cseq, cseq, cseq, method, strlen(body), body);
	return buf_view(b);
}

/* --- calls ------------------------------------------------------------------------------------ */

void play_begin(struct play *p, const struct trk_cfg *cfg)
{
	static const struct trk_cfg in_file = {.has_media = true};
	*p = (struct play){.base_us = 1'700'000'000'000'000,
			   .call_id = "call-1",
			   .from = "1001",
			   .to = "1002",
			   .from_tag = "f",
			   .via = "h"};
	p->t = trk_new(cfg ? cfg : &in_file);
	CHECK(p->t);
	vrd_init(&p->v);
}

void play_end(struct play *p)
{
	vrd_fini(&p->v);
	trk_free(p->t);
	p->t = NULL;
}

/* The packet also into the play's capture. */
static void record(const struct play *p, const struct trk_packet *k)
{
	struct buf b;
	if (!p->cap)
		return;
	buf_init(&b);
	rec_ip(p->cap, k->at_us, &k->from, &k->to, CAP_UDP, k->ip_id,
	       udp(&b, k->from.port, k->to.port, k->bytes));
	buf_fini(&b);
}

struct addr host(char letter)
{
	struct addr a = {
		.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 0}
        };
	a.ip[3] = letter == 'A' ? 21 : letter == 'P' ? 57 : letter == 'B' ? 43 : 65;
	if (letter == 'N')
		a = (struct addr){
			.family = ADDR_V4, .port = 5060, .ip = {203, 0, 113, 9}
                };
	return a;
}

static void compose(struct play *p, struct buf *b, const char *line, const char *more)
{
	char word[6][40] = {{0}};
	int n = sscanf(line, "%39s %39s %39s %39s %39s %39s", word[0], word[1], word[2], word[3],
		       word[4], word[5]);
	bool is_request = word[0][0] >= 'A';
	/* "METHOD cseq branch" or "status Phrase cseq METHOD branch"; a phrase may have _ for
	 * blanks */
	const char *method = is_request ? word[0] : word[3];
	const char *cseq = is_request ? word[1] : word[2];
	const char *branch = is_request ? word[2] : word[4];
	if (n < 3)
		test_fail(__FILE__, __LINE__, "bad line %s", line);
	for (char *c = word[1]; !is_request && *c; c++)
		if (*c == '_')
			*c = ' ';
	if (is_request)
		buf_fmt(b, "%s sip:%s@example.com SIP/2.0\r\n", method, p->to);
	else
		buf_fmt(b, "SIP/2.0 %s %s\r\n", word[0], word[1]);
	struct str tag = STR_NONE, rest = str_c(more);
	if (str_starts(rest, STR("To-tag: "))) {
		tag = str_skip(str_cut(rest, '\n', &rest), 8);
		tag = str_trim(tag);
	}
	buf_fmt(b,
		"Via: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nFrom: <sip:%s@example.com>;tag=%s\r\n"
		"To: <sip:%s@example.com>%s" STR_FMT "\r\nCall-ID: %s\r\nCSeq: %s %s\r\n",
		p->via, branch, p->from, p->from_tag, p->to, tag.n ? ";tag=" : "", STR_ARG(tag),
		p->call_id, cseq, method);
	buf_str(b, rest);
	if (str_find(rest, STR("\r\n\r\n")) == SIZE_MAX)
		buf_str(b, STR("\r\n"));
}

void msg(struct play *p, double at_s, const char *hop, const char *line, const char *more)
{
	struct buf b;
	buf_init(&b);
	compose(p, &b, line, more);
	struct trk_packet k = {.at_us = p->base_us + (uint64_t)(at_s * 1e6 + 0.5),
			       .frame_no = ++p->n,
			       .from = host(hop[0]),
			       .to = host(hop[2]),
			       .ip_id = p->ip_id,
			       .is_cut = p->is_cut,
			       .bytes = buf_view(&b)};
	enum err e = b.err ? b.err : trk_message(p->t, &k, NULL);
	record(p, &k);
	buf_fini(&b);
	CHECK_EQ(e, OK);
}

static void media_at(struct play *p, uint64_t at_us, struct addr from, struct addr to,
		     struct str bytes)
{
	struct trk_packet k = {
		.at_us = at_us, .frame_no = ++p->n, .from = from, .to = to, .bytes = bytes};
	struct trk_datagram d = trk_datagram_of(&k);
	trk_media(p->t, &d, NULL);
	record(p, &k);
}

void media(struct play *p, double at_s, const char *from, const char *to, struct str bytes)
{
	media_at(p, p->base_us + (uint64_t)(at_s * 1e6 + 0.5), addr_of(from), addr_of(to), bytes);
}

void rtp(struct play *p, double at_s, const char *from, const char *to, uint32_t ssrc, unsigned n,
	 unsigned lost_every)
{
	uint8_t bytes[RTP_HDR_MIN + 160] = {0};
	for (unsigned i = 0; i < n; i++) {
		if (lost_every && i % lost_every == lost_every - 1)
			continue;
		rtp_put(bytes, 0, i == 0, (uint16_t)(100 + i), 160 * i, ssrc);
		media_at(p, p->base_us + (uint64_t)(at_s * 1e6) + 20'000ull * i, addr_of(from),
			 addr_of(to), str_of((const char *)bytes, sizeof bytes));
	}
}

void talk(struct play *p, double at_s, unsigned n, struct gap gap)
{
	uint8_t bytes[RTP_HDR_MIN + 160] = {0};
	for (unsigned i = 0; i < 2 * n; i++) {
		unsigned k = i / 2, way = i & 1 ? TALK_TO_CALLER : TALK_TO_CALLEE;
		if (k % 100 >= gap.at && k % 100 < gap.at + gap.n && gap.ways & way)
			continue;
		rtp_put(bytes, 0, k == 0, (uint16_t)(100 + k), 160 * k, way);
		struct addr a = host('A'), b = host('B');
		a.port = 4000;
		b.port = 5000;
		uint64_t at_us =
			p->base_us + (uint64_t)(at_s * 1e6) + 20'000ull * k + (i & 1) * 9'000u;
		media_at(p, at_us, way == TALK_TO_CALLER ? b : a, way == TALK_TO_CALLER ? a : b,
			 str_of((const char *)bytes, sizeof bytes));
	}
}

const struct vrd *judge(struct play *p)
{
	struct trk_call *c = trk_find(p->t, str_c(p->call_id));
	CHECK(c);
	CHECK_EQ(vrd_judge(&p->v, p->t, c), OK);
	CHECK(p->v.n > 0);
	return &p->v;
}

bool has_rule(const struct vrd *v, enum vrd_rule r)
{
	for (unsigned i = 0; i < v->n; i++)
		if (v->f[i].rule == r)
			return true;
	return false;
}

/* --- a call from A through P to B ---------------------------------------------------------------
 */

void check_verdict(int line, struct play *p, enum vrd_rule rule, const char *text)
{
	const struct vrd *v = judge(p);
	char got[300];
	str_copy(got, sizeof got, v->f[0].text);
	if (v->f[0].rule != rule || strstr(got, text) == NULL)
		test_fail(__FILE__, line, "%s: %s", vrd_about((enum vrd_rule)v->f[0].rule)->code,
			  got);
}

void setup(struct play *p)
{
	play_begin(p, NULL);
	dial(p);
}

void dial(struct play *p)
{
	msg(p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(p, 0.01, "P>A", "100 Trying 1 INVITE a", "");
	msg(p, 0.02, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
}

void ring(struct play *p)
{
	msg(p, 0.10, "B>P", "180 Ringing 1 INVITE b", "To-tag: t\r\n");
	msg(p, 0.11, "P>A", "180 Ringing 1 INVITE a", "To-tag: t\r\n");
}

void answer(struct play *p)
{
	msg(p, 2.00, "B>P", "200 OK 1 INVITE b",
	    "To-tag: t\r\nContact: <sip:1002@192.0.2.43>\r\n" SDP("192.0.2.43", "5000"));
	msg(p, 2.01, "P>A", "200 OK 1 INVITE a", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
}

void ack(struct play *p)
{
	msg(p, 2.02, "A>P", "ACK 1 c", "To-tag: t\r\n");
	msg(p, 2.03, "P>B", "ACK 1 d", "To-tag: t\r\n");
}

void bye_from_callee(struct play *p, double at)
{
	const char *tag = p->from_tag;
	p->from_tag = "t"; /* the callee's */
	msg(p, at, "B>P", "BYE 1 x", "To-tag: f\r\n");
	msg(p, at + 0.01, "P>A", "BYE 1 y", "To-tag: f\r\n");
	msg(p, at + 0.02, "A>P", "200 OK 1 BYE y", "To-tag: f\r\n");
	msg(p, at + 0.03, "P>B", "200 OK 1 BYE x", "To-tag: f\r\n");
	p->from_tag = tag;
}

void refuse(struct play *p, const char *status, const char *more)
{
	char line[80];
	strcpy(line, status);
	strcat(line, " 1 INVITE b");
	msg(p, 1, "B>P", line, more);
	msg(p, 1.01, "P>B", "ACK 1 b", "To-tag: t\r\n");
	line[strlen(line) - 1] = 'a';
	msg(p, 1.02, "P>A", line, more);
	msg(p, 1.03, "A>P", "ACK 1 a", "To-tag: t\r\n");
}
