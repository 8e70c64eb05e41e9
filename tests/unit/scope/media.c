/* Streams: found by SDP, behind NAT, by their looks; what their packets add up to, what RTCP says
 * of them, and when they are not graded. */

#include "fixture.h"

#include "rtp/rtcp.h"
#include "track/trk_media_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct flow_of { /* packets between two addresses */
	struct play *p;
	const char *from, *to;
	uint32_t ssrc;
	uint8_t pt, fill;
};

static enum rtp_kind send_bytes(struct play *p, double at_s, const char *from, const char *to,
				const void *bytes, size_t n)
{
	struct trk_packet k = {.at_us = p->base_us + (uint64_t)(at_s * 1e6 + 0.5),
			       .frame_no = ++p->n,
			       .bytes = str_of(bytes, n)};
	CHECK(addr_parse(str_c(from), 0, &k.from) && addr_parse(str_c(to), 0, &k.to));
	struct trk_datagram d = trk_datagram_of(&k);
	return trk_media(p->t, &d, NULL);
}

static enum rtp_kind send_seq(const struct flow_of *f, double at_s, uint16_t seq, uint32_t ts)
{
	uint8_t bytes[RTP_HDR_MIN + 160];
	memset(bytes, f->fill, sizeof bytes);
	rtp_put(bytes, f->pt, false, seq, ts, f->ssrc);
	return send_bytes(f->p, at_s, f->from, f->to, bytes, sizeof bytes);
}

static void send_row(const struct flow_of *f, double at_s, uint16_t seq, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		send_seq(f, at_s + i * 0.02, (uint16_t)(seq + i), (seq + i) * 160u);
}

static void answered(struct play *p, const char *a_sdp, const char *b_sdp)
{
	char more[900];
	snprintf(more, sizeof more, "%s", a_sdp);
	msg(p, 0, "A>P", "INVITE 1 a", more);
	snprintf(more, sizeof more, "To-tag: t\r\n%s", b_sdp);
	msg(p, 1, "P>A", "200 OK 1 INVITE a", more);
}

static const struct trk_cfg finding = {.has_media = true, .finds_media = true};

static struct trk_call *call_of(struct play *p)
{
	return trk_find(p->t, str_c(p->call_id));
}

TEST(found_by_looks)
{
	struct play p;
	play_begin(&p, &finding);
	struct flow_of f = {&p, "198.51.100.1:4000", "198.51.100.2:5000", 7, 0, 0x55};
	CHECK_EQ(send_seq(&f, 0, 1, 160), RTP_UNKNOWN);
	send_row(&f, 0.02, 2, 3);
	CHECK_EQ(send_seq(&f, 0.08, 5, 800), RTP_RTP);
	send_row(&f, 0.1, 6, 20);
	const struct trk_stream *s = trk_orphan_first(p.t);
	if (s) {                                 /* not without memory for it */
		CHECK_EQ(s->stats.received, 25); /* those before it was believed count, too */
		CHECK_EQ(s->first_frame, 1);
		CHECK_EQ(s->stats.bytes, 25 * 160);
		CHECK(s->found == TRK_BY_CONTENT && !s->call && !trk_orphan_next(p.t, s));
		CHECK(strcmp(s->codec, "PCMU") == 0);
	}
	play_end(&p);
}

TEST_NO_OOM(what_only_looks_like_it)
{
	struct play p;
	play_begin(&p, &finding);
	struct flow_of f = {&p, "198.51.100.1:4000", "198.51.100.2:5000", 7, 0, 0};
	for (unsigned i = 0; i < 60; i++) /* numbers that jump about */
		send_seq(&f, i * 0.02, (uint16_t)(i * 77), i * 160);
	f.to = "198.51.100.2:5002";
	for (unsigned i = 0; i < 60; i++) /* the same number */
		send_seq(&f, i * 0.02, 9, i * 160);
	f.to = "198.51.100.2:5004";
	for (unsigned i = 0; i < 60; i++) /* timestamps at random */
		send_seq(&f, i * 0.02, (uint16_t)i, i * 0x9e3779b9u);
	f.to = "198.51.100.2:5006", f.pt = 50; /* a payload type nobody has */
	send_row(&f, 0, 1, 60);
	f.to = "198.51.100.2:4500", f.pt = 0; /* IPsec's port */
	send_row(&f, 0, 1, 60);
	f.to = "198.51.100.2:5007"; /* an odd port: more is asked */
	send_row(&f, 0, 1, 7);
	CHECK(!trk_orphan_first(p.t));
	send_row(&f, 0.14, 8, 1);
	CHECK(trk_orphan_first(p.t));
	play_end(&p);
	play_begin(&p, NULL); /* not asked for */
	f.p = &p;
	send_row(&f, 0, 1, 60);
	CHECK(!trk_orphan_first(p.t));
	play_end(&p);
}

TEST_NO_OOM(adopted_when_sdp_comes)
{
	struct play p;
	play_begin(&p, &finding);
	struct flow_of f = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 7, 0, 0};
	send_row(&f, 0, 1, 30);
	CHECK(trk_orphan_first(p.t));
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	send_row(&f, 1.1, 31, 30);
	CHECK(!trk_orphan_first(p.t));
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	CHECK(s && !s->next && s->side == TRK_SIDE_CALLER && s->call == call_of(&p));
	CHECK_EQ(s->stats.received, 60);
	play_end(&p);
}

#define ILBC(ip, port)                                                                             \
	"v=0\r\no=- 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip "\r\nt=0 0\r\nm=audio " port         \
	" RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\na=ptime:30\r\n"

struct kept { /* messages as a file would have them */
	char text[4][700];
	unsigned n;
};

static bool read_again(void *arg, const struct trk_ev *e, struct str *bytes)
{
	*bytes = str_c(((struct kept *)arg)->text[e->file_off - 1]);
	return true;
}

static void say(struct play *p, struct kept *k, const char *line, const char *call, const char *sdp)
{
	char *text = k->text[k->n++];
	bool is_answer = line[0] == 'S';
	snprintf(text, sizeof k->text[0],
		 "%s\r\nVia: SIP/2.0/UDP 192.0.2.21;branch=z9hG4bK%s\r\nFrom: <sip:a@x>;tag=f\r\n"
		 "To: <sip:b@x>%s\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n"
		 "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
		 line, call, is_answer ? ";tag=t" : "", call, strlen(sdp), sdp);
	struct trk_packet m = {.at_us = p->base_us + k->n,
			       .frame_no = ++p->n,
			       .bytes = str_c(text),
			       .file_off = k->n};
	CHECK(addr_parse(STR("192.0.2.21:5060"), 0, is_answer ? &m.to : &m.from));
	CHECK(addr_parse(STR("192.0.2.43:5060"), 0, is_answer ? &m.from : &m.to));
	CHECK_EQ(trk_message(p->t, &m, NULL), OK);
}

static void check_alike(struct play *p, const char *id, const char *caller, const char *callee)
{
	struct trk_call *c = trk_find(p->t, str_c(id));
	const struct trk_fact *codecs = c ? trk_fact(trk_ev(p->t, c->last_ev), TRK_F_CODECS) : NULL;
	CHECK(codecs && codecs->num == 30);
	struct flow_of there = {p, caller, callee, 7, 97, 0}, back = {p, callee, caller, 8, 97, 0};
	send_row(&there, 1, 1, 10);
	send_row(&back, 1, 1, 10);
	unsigned n = 0;
	for (const struct trk_stream *s = c ? trk_av(c)->streams : NULL; s; s = s->next, n++) {
		CHECK(s->found == TRK_BY_SDP && strcmp(s->codec, "iLBC") == 0);
		CHECK_EQ(s->side, s->ssrc == 7 ? TRK_SIDE_CALLEE : TRK_SIDE_CALLER);
	}
	CHECK_EQ(n, 2);
}

TEST_NO_OOM(bodies_of_one_shape_late_and_at_once)
{
	struct play p;
	struct kept k = {0};
	play_begin(&p, NULL);
	trk_reader(p.t, read_again, &k);
	say(&p, &k, "INVITE sip:b@x SIP/2.0", "late", ILBC("192.0.2.21", "4000"));
	say(&p, &k, "SIP/2.0 200 OK", "late", ILBC("192.0.2.43", "5000"));
	check_alike(&p, "late", "192.0.2.21:4000", "192.0.2.43:5000");
	say(&p, &k, "INVITE sip:b@x SIP/2.0", "soon", ILBC("192.0.2.21", "4002"));
	say(&p, &k, "SIP/2.0 200 OK", "soon", ILBC("192.0.2.43", "5002"));
	check_alike(&p, "soon", "192.0.2.21:4002", "192.0.2.43:5002");
	trk_reader(p.t, NULL, NULL);
	play_end(&p);
}

TEST(behind_nat)
{
	struct play p;
	play_begin(&p, NULL);
	/* A is 192.0.2.21 from outside, 10.0.0.5 for itself; its NAT keeps ports */
	answered(&p, SDP("10.0.0.5", "4000"), SDP("10.9.9.9", "6000"));
	struct flow_of f = {&p, "203.0.113.7:7000", "192.0.2.21:4000", 7, 0, 0};
	send_row(&f, 1.1, 1, 10);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	if (s)
		CHECK(s->found == TRK_BY_NAT && s->side == TRK_SIDE_CALLER);
	play_end(&p);
}

TEST_NO_OOM(one_stream_over_two_paths)
{
	struct play p;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of f = {&p, "192.0.2.21:4000", "192.0.2.43:5000", 7, 0, 0};
	send_row(&f, 1.1, 65'530, 10);
	f.from = "198.51.100.1:999"; /* behind NAT, mapped anew: the numbers go on */
	send_row(&f, 1.3, 4, 5);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	CHECK(s && !s->next);
	CHECK_EQ(s->n_paths, 2);
	CHECK_EQ(s->stats.received, 15);
	CHECK_EQ(trk_stream_ext_seq(s, 4), 65'540);
	CHECK_EQ(trk_stream_ext_seq(s, 65'531), 65'531);
	play_end(&p);
}

TEST_NO_OOM(a_relay_makes_two_streams_of_one_source)
{
	struct play p;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.57", "5000"));
	msg(&p, 1, "B>P", "200 OK 1 INVITE b", "To-tag: t\r\n" SDP("192.0.2.43", "6000"));
	struct flow_of in = {&p, "192.0.2.21:4000", "192.0.2.57:5000", 7, 0, 0};
	struct flow_of out = {&p, "192.0.2.57:5002", "192.0.2.43:6000", 7, 0, 0};
	for (unsigned i = 0; i < 50; i++) {
		send_seq(&in, 1.1 + i * 0.02, (uint16_t)i, i * 160);
		send_seq(&out, 1.101 + i * 0.02, (uint16_t)i, i * 160);
	}
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	CHECK(s && s->next && !s->next->next);
	CHECK(s->stats.received == 50 && s->next->stats.received == 50);
	CHECK(s->stats.dup == 0 && s->n_paths == 1 && s->next->n_paths == 1);
	play_end(&p);
}

TEST_NO_OOM(many_sources_are_bounded)
{
	struct play p;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of f = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 0, 0, 0};
	for (unsigned i = 0; i < 5'000; i++) {
		f.ssrc = i + 1;
		send_seq(&f, 1.1, 1, 1);
	}
	CHECK_EQ(trk_av(call_of(&p))->n_streams, 256);
	CHECK_EQ(trk_stats(p.t)->n_rtp, 5'000);
	/* four sources take turns on one path: no search */
	for (unsigned i = 0; i < 400; i++) {
		f.ssrc = i % 4 + 1;
		send_seq(&f, 1.2 + i * 0.001, (uint16_t)(2 + i / 4), 1);
	}
	CHECK_EQ(trk_av(call_of(&p))->n_streams, 256);
	play_end(&p);
}

/* More pairs of addresses than are kept, in an order that repeats and then does not. */
TEST_NO_OOM(many_flows_are_bounded)
{
	struct play p;
	play_begin(&p, &finding);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of f = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 9, 0, 0};
	struct flow_of found = {&p, "198.51.100.1:4000", "198.51.100.2:4000", 9, 0, 0};
	send_row(&found, 1, 1, 6); /* the first whose memory another one gets */
	enum { MANY = 65'536 };
	unsigned n = 0;
	for (unsigned i = 0; i < 2 * MANY; i++) {
		char from[40];
		unsigned k = i < MANY ? i : (i * 7) % MANY;
		snprintf(from, sizeof from, "10.%u.%u.1:4000", k / 256, k % 256);
		struct flow_of other = {&p, from, "198.51.100.2:5000", 9, 0, 0};
		CHECK_EQ(send_seq(&other, 1 + i * 1e-5, 1, 1), RTP_UNKNOWN);
		if (i % 1'000 == 0)
			CHECK_EQ(send_seq(&f, 1 + i * 1e-5, (uint16_t)++n, 1), RTP_RTP);
	}
	CHECK_EQ(p.t->flows.n, 65'536);
	CHECK_EQ(trk_av(call_of(&p))->n_streams, 1);
	CHECK_EQ(trk_av(call_of(&p))->streams->stats.received, n);
	play_end(&p);
}

TEST_NO_OOM(live_forgets_the_oldest_of_nobody)
{
	struct play p;
	struct trk_cfg cfg = finding;
	cfg.is_live = true;
	play_begin(&p, &cfg);
	unsigned n = 0;
	for (unsigned i = 0; i < 5'000; i++) {
		char from[40];
		snprintf(from, sizeof from, "198.51.%u.%u:4000", i / 250, i % 250 + 1);
		struct flow_of f = {&p, from, "198.51.100.2:5000", i + 1, 0, 0};
		send_row(&f, i * 0.01, 1, 6);
	}
	for (const struct trk_stream *s = trk_orphan_first(p.t); s;
	     s = trk_orphan_next(p.t, s), n++)
		CHECK(s->ssrc > 5'000 - 4'096);
	CHECK_EQ(n, 4'096);
	/* one that was forgotten speaks again */
	struct flow_of f = {&p, "198.51.0.1:4000", "198.51.100.2:5000", 1, 0, 0};
	send_row(&f, 60, 7, 3);
	const struct trk_stream *s = trk_orphan_first(p.t);
	CHECK(s && s->ssrc == 5'000 - 4'096 + 2);
	play_end(&p);
}

TEST(silence_and_payload_types)
{
	struct play p;
	struct trk_figures f;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of x = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 7, 0, 0xfe};
	send_row(&x, 1.1, 1, 75);
	x.fill = 0x20;
	send_row(&x, 2.6, 76, 20);
	x.pt = 13;
	send_row(&x, 3.0, 96, 5);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	if (s) {
		trk_figures(p.t, s, &f);
		CHECK(f.has_silence && f.silence > 0.799 && f.silence < 0.801);
		CHECK_EQ(s->pts[0], 1 | 1 << 13);
		CHECK_EQ(s->pts[1], 0);
		CHECK(s->n_cn == 5 && s->pt == 0);
		CHECK_EQ(f.packet_ms, 20);
		CHECK(f.ungraded == TRK_GRADED && f.out.mos > 4.3 && !f.is_delay_known);
	}
	play_end(&p);
}

TEST(digits_of_events_and_of_info)
{
	struct play p;
	play_begin(&p, NULL);
	answered(&p,
		 "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\n"
		 "c=IN IP4 192.0.2.21\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 96\r\n"
		 "a=rtpmap:96 telephone-event/8000\r\n",
		 SDP("192.0.2.43", "5000"));
	struct flow_of x = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 7, 0, 0};
	send_row(&x, 1.1, 1, 10);
	uint8_t bytes[RTP_HDR_MIN + RTP_EVENT_SIZE];
	for (unsigned d = 0; d < 3; d++)
		for (unsigned i = 0; i < 5; i++) {
			struct rtp_event ev = {.event = (uint8_t)(d + 9),
					       .duration = (uint16_t)(160 * (i + 1))};
			rtp_put(bytes, 96, i == 0, (uint16_t)(11 + d * 5 + i), 5'000 + d * 1'000,
				7);
			rtp_event_put(bytes + RTP_HDR_MIN, &ev);
			send_bytes(&p, 2 + d * 0.2 + i * 0.02, x.from, x.to, bytes, sizeof bytes);
		}
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	if (s) {
		CHECK(strcmp(s->digits, "9*#") == 0);
		CHECK(s->digit_ms[0] == 100 && s->digit_ms[2] == 100 && s->n_events == 3);
	}
	const char *five =
		"Content-Type: application/dtmf-relay\r\n\r\nSignal= 5\r\nDuration=160\r\n";
	msg(&p, 3, "A>P", "INFO 2 i", five);
	msg(&p, 3.01, "P>B", "INFO 2 j", five); /* the proxy's copy */
	msg(&p, 3.5, "A>P", "INFO 3 k", "Content-Type: application/dtmf\r\n\r\n#");
	msg(&p, 3.6, "A>P", "INFO 4 l", "Content-Type: text/plain\r\n\r\n7");
	CHECK(strcmp(trk_av(call_of(&p))->info_digits, "5#") == 0);
	play_end(&p);
}

TEST(t38_is_seen_as_such)
{
	static const char t38[] =
		"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\n"
		"c=IN IP4 192.0.2.21\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";
	struct play p;
	play_begin(&p, NULL);
	answered(&p, t38, SDP("192.0.2.43", "5000"));
	uint8_t bytes[] = {0, 0, 2, 0xc0, 1, 0, 0};
	enum rtp_kind kind = RTP_UNKNOWN;
	for (uint8_t i = 0; i < 20; i++) {
		bytes[1] = (uint8_t)(i + (i >= 10)); /* one is missing */
		kind = send_bytes(&p, 2 + i * 0.04, "192.0.2.43:5000", "192.0.2.21:4000", bytes,
				  sizeof bytes);
	}
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	if (s) {
		struct trk_figures f;
		CHECK_EQ(kind, RTP_T38);
		trk_figures(p.t, s, &f);
		CHECK(s->is_t38 && f.packets == 20 && f.lost == 1 && f.ungraded == TRK_NOT_AUDIO);
	}
	bytes[2] = 100; /* a length beyond the end */
	CHECK(send_bytes(&p, 3, "192.0.2.43:5000", "192.0.2.21:4000", bytes, sizeof bytes) !=
	      RTP_T38);
	play_end(&p);
}

TEST_NO_OOM(icmp_counts_against_the_receiver)
{
	struct play p;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of x = {&p, "192.0.2.43:5000", "192.0.2.21:4000", 7, 0, 0};
	struct addr from, to;
	CHECK(addr_parse(str_c(x.from), 0, &from) && addr_parse(str_c(x.to), 0, &to));
	trk_unreachable(p.t, &from, &to); /* of nothing that was seen */
	send_row(&x, 1.1, 1, 10);
	trk_unreachable(p.t, &from, &to);
	trk_unreachable(p.t, &from, &to);
	CHECK_EQ(trk_av(call_of(&p))->n_unreachable[TRK_SIDE_CALLER], 2);
	CHECK_EQ(trk_av(call_of(&p))->n_unreachable[TRK_SIDE_CALLEE], 0);
	CHECK_EQ(trk_av(call_of(&p))->streams->n_unreachable, 2);
	play_end(&p);
}

/* --- RTCP ------------------------------------------------------------------------------------- */

static void report(struct play *p, double at_s, const char *from, const char *to,
		   const struct rtcp_sr *sr, const struct rtcp_block *about,
		   const struct xr_voip *v)
{
	char mem[300];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	if (sr)
		rtcp_put_sr(&b, sr, about, about ? 1 : 0);
	else
		rtcp_put_rr(&b, 99, about, about ? 1 : 0);
	if (v)
		xr_put_voip(&b, 99, v);
	CHECK_EQ(send_bytes(p, at_s, from, to, b.p, b.n), RTP_RTCP);
}

TEST_NO_OOM(what_rtcp_says)
{
	struct play p;
	struct trk_figures f;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of x = {&p, "192.0.2.21:4000", "192.0.2.43:5000", 7, 0, 0};
	send_row(&x, 1.1, 1, 100);
	/* the caller's SR passes at 3.2 s; the callee answers 0.5 s after it got it, 40 ms later */
	struct rtcp_sr sr = {
		.ssrc = 7, .ntp = 0x1234567812345678, .packets = 100, .octets = 16'000};
	report(&p, 3.2, "192.0.2.21:4001", "192.0.2.43:5001", &sr, NULL, NULL);
	struct rtcp_block about = {.ssrc = 7,
				   .fraction = 64,
				   .lost = 3,
				   .ext_seq = 100,
				   .jitter = 80,
				   .lsr = rtcp_ntp_mid(sr.ntp),
				   .dlsr = 1 << 15};
	struct xr_voip v = {.ssrc = 7, .mos_lq = 41, .r = 80, .loss = 5};
	report(&p, 3.74, "192.0.2.43:5001", "192.0.2.21:4001", NULL, &about, &v);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	CHECK(s && !s->next && s->rtcp);
	const struct trk_rtcp *r = s->rtcp;
	CHECK(r->n_sr == 1 && r->sr_packets == 100 && r->n_reports == 1 && r->lost == 3);
	CHECK(r->jitter == 80 && r->max_fraction == 64 && r->has_voip && r->voip.mos_lq == 41);
	CHECK(r->round_trip_us > 39'900 && r->round_trip_us < 40'100);
	CHECK(!trk_av(call_of(&p))->unseen_sent[TRK_SIDE_CALLEE]);
	sr = (struct rtcp_sr){.ssrc = 55, .packets = 777}; /* of a stream that did not pass here */
	report(&p, 3.8, "192.0.2.43:5001", "192.0.2.21:4001", &sr, NULL, NULL);
	CHECK_EQ(trk_av(call_of(&p))->unseen_sent[TRK_SIDE_CALLER], 777);
	trk_figures(p.t, s, &f);
	CHECK(f.is_delay_known && fabs(f.one_way_ms - 20) < 0.1);
	CHECK(fabs(f.in.delay_ms - (20 + 60 + 40)) < 0.1);
	play_end(&p);
}

TEST_NO_OOM(the_receiver_had_what_the_capture_has_not)
{
	struct play p;
	struct trk_figures f;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	struct flow_of x = {&p, "192.0.2.21:4000", "192.0.2.43:5000", 7, 0, 0};
	send_row(&x, 1.1, 1, 100);
	send_row(&x, 3.5, 121, 100); /* 20 are missing here */
	struct rtcp_block about = {.ssrc = 7, .lost = 20, .ext_seq = 220};
	report(&p, 6, "192.0.2.43:5001", "192.0.2.21:4001", NULL, &about, NULL);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	trk_figures(p.t, s, &f);
	CHECK(f.ungraded == TRK_GRADED && f.lost == 20 && f.out.mos < 4);
	about.lost = 0; /* and were there */
	report(&p, 6.5, "192.0.2.43:5001", "192.0.2.21:4001", NULL, &about, NULL);
	trk_figures(p.t, s, &f);
	CHECK(f.ungraded == TRK_SNIFFER_LOST && f.is_sniffer_lost);
	about.lost = 20;
	report(&p, 7, "192.0.2.43:5001", "192.0.2.21:4001", NULL, &about, NULL);
	trk_figures(p.t, s, &f);
	CHECK(f.ungraded == TRK_GRADED);
	trk_capture_lost(p.t, 1);
	trk_figures(p.t, s, &f);
	CHECK(f.ungraded == TRK_SNIFFER_LOST);
	play_end(&p);
}

/* Streams of four, 50 packets a second; `hole`: which of them miss 10 packets from 2 s on. */
static uint64_t sniffer_lost(unsigned hole)
{
	struct play p;
	struct trk_figures f;
	uint64_t sum = 0;
	play_begin(&p, &finding);
	for (unsigned i = 0; i < 250; i++)
		for (unsigned k = 0; k < 4; k++) {
			char from[40];
			snprintf(from, sizeof from, "198.51.100.%u:4000", k + 1);
			struct flow_of x = {&p, from, "198.51.100.9:5000", k + 1, 0, 0};
			if (i < 100 || i >= 110 || !(hole >> k & 1))
				send_seq(&x, i * 0.02 + k * 0.003, (uint16_t)i, i * 160);
		}
	for (const struct trk_stream *s = trk_orphan_first(p.t); s; s = trk_orphan_next(p.t, s)) {
		trk_figures(p.t, s, &f);
		CHECK(f.is_sniffer_lost == (f.sniffer_lost > 0));
		CHECK((f.ungraded == TRK_SNIFFER_LOST) == f.is_sniffer_lost);
		sum += f.sniffer_lost;
	}
	play_end(&p);
	return sum;
}

TEST_NO_OOM(a_hole_in_all_streams_is_the_sniffers)
{
	CHECK_EQ(sniffer_lost(15), 40);
	CHECK_EQ(sniffer_lost(3), 0); /* two of four: on their way */
	CHECK_EQ(sniffer_lost(0), 0);
}

/* --- views ------------------------------------------------------------------------------------ */

TEST(listed_as_text_and_json)
{
	struct play p;
	struct buf b;
	play_begin(&p, NULL);
	answered(&p, SDP("192.0.2.21", "4000"), SDP("192.0.2.43", "5000"));
	rtp(&p, 1.1, "192.0.2.43:5000", "192.0.2.21:4000", 8, 100, 10);
	const struct trk_stream *s = trk_av(call_of(&p))->streams;
	buf_init(&b);
	for (unsigned i = 0; s && i < 4; i++) {
		struct view_opts o = {.is_json = i == 1, .is_ascii = true, .is_detailed = i == 2};
		buf_clear(&b);
		view_stream_head(&b, &o);
		view_stream(&b, p.t, s, &o);
		if (b.err)
			break;
		struct str rest = buf_view(&b);
		static const char *const has[] = {"PCMU", "\"mean_jitter_ms\":0.0000",
						  "Ie-eff of Ie 0", "9.09 %"};
		CHECK(str_find(rest, str_c(has[i == 3 ? 3 : i])) != SIZE_MAX);
		while (i != 1 && rest.n)
			CHECK(str_cut(rest, '\n', &rest).n <= 120);
	}
	buf_fini(&b);
	play_end(&p);
}
