/* Conversations and what fields say of them: numbers, times, sequence numbers, what was sent again,
 * requests and responses; a bound on how many are remembered. */
#include "fixture.h"

#include <string.h>

#define A "192.0.2.1:4000"
#define B "192.0.2.2:5060"

/* Values of a field in all frames, "-" where there is none, with a space between. */
static void values(struct str capture, size_t max, const char *field, struct buf *out)
{
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	struct buf why;
	struct flt_val v[FLT_MAX_VALUES];
	const struct flt_field *f = flt_field_find(str_c(field), NULL);
	buf_init(&why);
	enum err e = t && f ? cap_open_mem(capture, &c, &why) : ERR_NOMEM;
	if (!e)
		e = cap_walk_new(c, t, &w);
	if (!e)
		e = cap_walk_conversations(w, max);
	const struct cap_frame *fr;
	while (!e && (fr = cap_walk_next(w))) {
		unsigned n = flt_field_get(f, fr, v);
		if (out->n)
			buf_chr(out, ' ');
		for (unsigned i = 0; i < n; i++) {
			if (i)
				buf_chr(out, ',');
			flt_val_put(out, f, &v[i]);
		}
		if (!n)
			buf_chr(out, '-');
		cap_walk_shown(w, fr);
	}
	if (e)
		buf_str(out, STR("error"));
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	buf_fini(&why);
}

static void check_values(int line, const struct buf *cap, size_t max, const char *field,
			 const char *want)
{
	struct buf b;
	buf_init(&b);
	values(buf_view(cap), max, field, &b);
	if (!str_eq(buf_view(&b), str_c(want)))
		test_fail(__FILE__, line, "%s: " STR_FMT ", not %s", field, STR_ARG(buf_view(&b)),
			  want);
	buf_fini(&b);
}
#define SAYS(cap, field, want)         check_values(__LINE__, &(cap), 0, field, want)
#define SAYS_OF(cap, max, field, want) check_values(__LINE__, &(cap), max, field, want)

enum { SYN = CAP_TCP_SYN, ACK = CAP_TCP_ACK, FIN = CAP_TCP_FIN };

TEST_NO_OOM(numbers_of_conversations)
{
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_udp(&c, 1'000'000, A, B, STR("one"));
	rec_udp(&c, 1'500'000, "192.0.2.1:4001", B, STR("two"));
	rec_udp(&c, 3'000'000, B, A, STR("three"));
	rec_tcp(&c, 3'000'000, A, B, 100, 0, SYN, STR_NONE);
	rec_udp(&c, 3'250'000, A, B, STR("four"));
	SAYS(c, "udp.stream", "0 1 0 - 0");
	SAYS(c, "tcp.stream", "- - - 0 -");
	SAYS(c, "udp.time_relative", "0.000000000 0.000000000 2.000000000 - 2.250000000");
	SAYS(c, "udp.time_delta", "0.000000000 0.000000000 2.000000000 - 0.250000000");
	SAYS(c, "frame.time_delta_displayed",
	     "0.000000000 0.500000000 1.500000000 0.000000000 0.250000000");
	/* with room for one, each other one that comes back is new */
	SAYS_OF(c, 1, "udp.stream", "0 1 2 - 3");
	buf_fini(&c);
}

TEST_NO_OOM(sequence_numbers)
{
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_tcp(&c, 1'000'000, A, B, 0xfffffffe, 0, SYN, STR_NONE);
	rec_tcp(&c, 1'010'000, B, A, 500, 0xffffffff, SYN | ACK, STR_NONE);
	rec_tcp(&c, 1'020'000, A, B, 0xffffffff, 501, ACK, STR_NONE);
	rec_tcp(&c, 1'030'000, A, B, 0xffffffff, 501, ACK, STR("abc"));
	rec_tcp(&c, 2'030'000, A, B, 0xffffffff, 501, ACK, STR("abc")); /* again, a second later */
	rec_tcp(&c, 2'040'000, B, A, 501, 2, ACK, STR_NONE);
	rec_tcp(&c, 2'050'000, A, B, 12, 501, ACK, STR("xyz")); /* ten bytes were not seen */
	rec_tcp(&c, 2'060'000, A, B, 0xffffffff, 501, ACK, STR("abc")); /* for nothing */
	rec_tcp(&c, 3'000'000, A, B, 777, 0, SYN, STR_NONE);            /* the ports once more */
	SAYS(c, "tcp.stream", "0 0 0 0 0 0 0 0 1");
	SAYS(c, "tcp.seq", "0 0 1 1 1 1 14 1 0");
	SAYS(c, "tcp.ack", "0 1 1 1 1 4 1 1 0");
	SAYS(c, "tcp.nxtseq", "1 1 1 4 4 1 17 4 1");
	SAYS(c, "tcp.analysis.retransmission", "- - - - 1 - - 1 -");
	SAYS(c, "tcp.analysis.spurious_retransmission", "- - - - - - - 1 -");
	SAYS(c, "tcp.analysis.lost_segment", "- - - - - - 1 - -");
	SAYS(c, "tcp.analysis.reused_ports", "- - - - - - - - 1");
	SAYS(c, "tcp.analysis.acks_frame", "- 1 2 - - 4 - - -");
	SAYS(c, "tcp.analysis.ack_rtt", "- 0.010000000 0.010000000 - - 1.010000000 - - -");
	SAYS(c, "tcp.analysis.initial_rtt",
	     "- - 0.020000000 0.020000000 0.020000000 0.020000000 0.020000000 0.020000000 -");
	SAYS(c, "tcp.analysis.rto", "- - - - 1.000000000 - - - -");
	buf_fini(&c);
}

TEST_NO_OOM(duplicate_acks)
{
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_tcp(&c, 1'000'000, A, B, 1, 1, ACK, STR("aaaa"));
	rec_tcp(&c, 1'000'100, B, A, 1, 5, ACK, STR_NONE);
	rec_tcp(&c, 1'000'200, A, B, 9, 1, ACK, STR("cccc"));
	rec_tcp(&c, 1'000'300, B, A, 1, 5, ACK, STR_NONE);
	rec_tcp(&c, 1'000'400, A, B, 13, 1, ACK, STR("dddd"));
	rec_tcp(&c, 1'000'500, B, A, 1, 5, ACK, STR_NONE);
	rec_tcp(&c, 1'001'000, A, B, 5, 1, ACK, STR("bbbb"));
	rec_tcp(&c, 31'000'000, A, B, 16, 1, ACK, STR_NONE);
	SAYS(c, "tcp.analysis.duplicate_ack_num", "- - - 1 - 2 - -");
	SAYS(c, "tcp.analysis.duplicate_ack_frame", "- - - 2 - 2 - -");
	SAYS(c, "tcp.analysis.fast_retransmission", "- - - - - - 1 -");
	SAYS(c, "tcp.analysis.keep_alive", "- - - - - - - 1");
	buf_fini(&c);
}

struct said {
	const char *from, *to, *line, *cseq;
};

static void put_said(struct buf *b, const struct said *m, unsigned branch)
{
	buf_fmt(b,
		"%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\nFrom: <sip:a@h>;tag=1\r\n"
		"To: <sip:b@h>\r\nCall-ID: x\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
		m->line, branch, m->cseq);
}

struct bytes_sent { /* of a TCP connection between A and B, that no one saw begin */
	uint32_t a, b;
};

static void rec_segment(struct buf *c, uint64_t at_us, bool is_of_a, struct bytes_sent *n,
			struct str payload)
{
	uint32_t *own = is_of_a ? &n->a : &n->b, other = is_of_a ? n->b : n->a;
	rec_tcp(c, at_us, is_of_a ? A : B, is_of_a ? B : A, 1 + *own, 1 + other, ACK, payload);
	*own += (uint32_t)payload.n;
}

/* A call with requests of both sides with the same CSeq, CANCEL in between: a message a frame. */
static void put_call(struct buf *c, bool is_tcp)
{
	static const struct said m[] = {
		{A, B, "INVITE sip:b@h SIP/2.0",          "1 INVITE"},
		{B, A, "SIP/2.0 180 Ringing",             "1 INVITE"},
		{A, B, "CANCEL sip:b@h SIP/2.0",          "1 CANCEL"},
		{B, A, "SIP/2.0 200 OK",                  "1 CANCEL"},
		{B, A, "SIP/2.0 487 Request Terminated",  "1 INVITE"},
		{A, B, "ACK sip:b@h SIP/2.0",             "1 ACK"   },
		{B, A, "BYE sip:a@h SIP/2.0",             "1 BYE"   },
		{A, B, "SIP/2.0 481 Call Does Not Exist", "1 BYE"   },
	};
	struct bytes_sent sent = {0, 0};
	struct buf b;
	buf_init(&b);
	pcap_begin(c, CAP_LINK_ETHERNET);
	for (unsigned i = 0; i < ARRAY_LEN(m); i++) {
		uint64_t at_us = 1'900'000 + 50'000ull * i;
		buf_clear(&b);
		put_said(&b, &m[i], i);
		if (is_tcp)
			rec_segment(c, at_us, strcmp(m[i].from, A) == 0, &sent, buf_view(&b));
		else
			rec_udp(c, at_us, m[i].from, m[i].to, buf_view(&b));
	}
	if (b.err)
		c->err = ERR_NOMEM;
	buf_fini(&b);
}

/* [RFC3261 17.1.3] */
TEST_NO_OOM(what_a_response_answers)
{
	for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
		struct buf c;
		buf_init(&c);
		put_call(&c, is_tcp);
		SAYS(c, "sip.response-request", "- 1 - 3 1 1 - 7");
		/* Wireshark's way to round: up where a second ends in between */
		SAYS(c, "sip.response-time", "- 50 - 50 200 250 - 50");
		SAYS(c, "sip.release-time", "- - - - - - - 50");
		SAYS(c, "sip.call_id_generated", "x x x x x x x x");
		buf_fini(&c);
	}
}

/* Not part of the conversation's times, as in Wireshark. */
TEST_NO_OOM(empty_datagrams)
{
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_udp(&c, 1'000'000, A, B, STR("one"));
	rec_udp(&c, 1'500'000, A, B, STR_NONE);
	rec_udp(&c, 3'000'000, B, A, STR("three"));
	SAYS(c, "udp.stream", "0 0 0");
	SAYS(c, "udp.time_relative", "0.000000000 - 2.000000000");
	SAYS(c, "udp.time_delta", "0.000000000 - 2.000000000");
	buf_fini(&c);
}

/* The list ends, and what fills the header up is an end again. */
TEST_NO_OOM(options_behind_the_end)
{
	static const uint8_t head[] = {0x0f, 0xa0, 0x13, 0xc4, 0, 0, 0, 1, 0, 0,   0, 0, 0x70, 2,
				       0,    0,    0,    0,    0, 0, 2, 4, 5, 180, 4, 2, 0,    0};
	struct buf c, ip, frame;
	buf_init(&c);
	buf_init(&ip);
	buf_init(&frame);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	pcap_rec(&c, 1'000'000,
		 eth(&frame, 0x0800,
		     ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_TCP, 0, 0,
			  str_of((const char *)head, sizeof(head)))));
	SAYS(c, "tcp.option_kind", "2,4,0,0");
	buf_fini(&frame);
	buf_fini(&ip);
	buf_fini(&c);
}

/* What a request of a call, a response, ... with a body of SDP that names A's port 4000 tells of
 * the RTP that comes to it. */
static void put_sdp(struct buf *c, uint64_t at_us, const struct said *m, bool has_sdp)
{
	static const char sdp[] = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"
				  "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
	struct buf b;
	buf_init(&b);
	buf_fmt(&b,
		"%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
		"To: <sip:b@h>\r\nCall-ID: x\r\nCSeq: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		m->line, m->cseq, has_sdp ? "Content-Type: application/sdp\r\n" : "",
		has_sdp ? sizeof(sdp) - 1 : 0, has_sdp ? sdp : "");
	rec_udp(c, at_us, m->from, m->to, buf_view(&b));
	if (b.err)
		c->err = ERR_NOMEM;
	buf_fini(&b);
}

/* An answer counts from its offer, a late offer from itself. [RFC3264 5] */
TEST_NO_OOM(what_set_a_stream_up)
{
	static const struct said invite = {B, A, "INVITE sip:a@h SIP/2.0", "1 INVITE"};
	static const struct said ok = {A, B, "SIP/2.0 200 OK", "1 INVITE"};
	static const char rtp[] = "\x80\0\0\1\0\0\0\1\0\0\0\1voice";
	for (int is_early = 0; is_early < 2; is_early++) {
		struct buf c;
		buf_init(&c);
		pcap_begin(&c, CAP_LINK_ETHERNET);
		put_sdp(&c, 1'000'000, &invite, is_early);
		put_sdp(&c, 1'100'000, &ok, true);
		rec_udp(&c, 1'200'000, "192.0.2.2:4002", A, str_of(rtp, sizeof(rtp) - 1));
		SAYS(c, "rtp.setup-frame", is_early ? "- - 1" : "- - 2");
		buf_fini(&c);
	}
}

/* Of a request in two segments the second is the one that is answered; two answers are in one; and
 * one in two whose first part came last. [RFC3261 18.3] */
TEST_NO_OOM(what_a_response_in_segments_answers)
{
	static const struct said invite = {A, B, "INVITE sip:b@h SIP/2.0", "1 INVITE"};
	static const struct said trying = {B, A, "SIP/2.0 100 Trying", "1 INVITE"};
	static const struct said busy = {B, A, "SIP/2.0 486 Busy Here", "1 INVITE"};
	static const struct said bye = {A, B, "BYE sip:b@h SIP/2.0", "2 BYE"};
	static const struct said ok = {B, A, "SIP/2.0 200 OK", "2 BYE"};
	struct bytes_sent sent = {0, 0}, later;
	struct buf c, b;
	buf_init(&c);
	buf_init(&b);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	put_said(&b, &invite, 1);
	rec_segment(&c, 1'100'000, true, &sent, str_sub(buf_view(&b), 0, 50));
	rec_segment(&c, 1'200'000, true, &sent, str_skip(buf_view(&b), 50));
	buf_clear(&b);
	put_said(&b, &trying, 1);
	put_said(&b, &busy, 1);
	rec_segment(&c, 1'300'000, false, &sent, buf_view(&b));
	buf_clear(&b);
	put_said(&b, &bye, 2);
	rec_segment(&c, 1'400'000, true, &sent, buf_view(&b));
	buf_clear(&b);
	put_said(&b, &ok, 2);
	later = sent;
	later.b += 50;
	rec_segment(&c, 1'500'000, false, &later, str_skip(buf_view(&b), 50));
	rec_segment(&c, 1'600'000, false, &sent, str_sub(buf_view(&b), 0, 50));
	if (b.err)
		c.err = ERR_NOMEM;
	SAYS(c, "sip.response-request", "- - 2,2 - - 4");
	SAYS(c, "sip.response-time", "- - 100,100 - - 200");
	SAYS(c, "sip.release-time", "- - - - - 200");
	buf_fini(&b);
	buf_fini(&c);
}

/* What the grammar does not know is shown as it stands. [RFC3261 25.1] [RFC8866 9] */
TEST_NO_OOM(parts_as_they_are_spelt)
{
	static const char text[] =
		"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
		"From: \\\"arik\\\" <sip:a@h>;tag=1\r\nTo: \"a <b\" <sip:b@h>\r\nCall-ID: x\r\n"
		"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: 42\r\n\r\n"
		"v=0\r\nm=audio 4000 RTP/AVP 0\r\na=bsoft:  1 t\r\n";
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_udp(&c, 1'000'000, A, B, str_of(text, sizeof(text) - 1));
	SAYS(c, "sip.from.display.info", "\\\"arik\\\" ");
	SAYS(c, "sip.to.display.info", "\"a <b\"");
	SAYS(c, "sdp.media_attribute.value", "1 t");
	buf_fini(&c);
}

/* A live walk forgets, a long connection without acknowledgements does not grow for ever. */
TEST_NO_OOM(bounds)
{
	struct cap_seq *s = cap_seq_new();
	struct cap_seq_seen seen;
	if (!s)
		return;
	for (uint32_t i = 0; i < 30'000; i++) {
		struct cap_seq_in in = {.frame_no = i + 1,
					.at_ns = i,
					.seq = 1 + 10 * i,
					.n = 10,
					.flags = ACK,
					.window = 9};
		memset(&seen, 0, sizeof seen);
		cap_seq_add(s, 0, &in, false, &seen);
	}
	CHECK(cap_seq_n_bytes(s) < 1'000'000);
	CHECK_EQ(seen.seq, 299'991);
	cap_seq_free(s);
}

/* A request, again, what answers it and that again; an indication is no request. [RFC8489 6.3] */
TEST_NO_OOM(transactions_of_stun)
{
	static const uint8_t types[][2] = {
		{0, 1   },
                {0, 1   },
                {1, 1   },
                {1, 1   },
                {0, 1   },
                {0, 0x11}
        };
	uint8_t m[20] = {0, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42};
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
		memcpy(m, types[i], 2);
		bool is_back = types[i][0];
		rec_udp(&c, 1'000'000 + 10'000 * i, is_back ? B : A, is_back ? A : B,
			str_of((const char *)m, sizeof m));
	}
	m[8] = 1;
	rec_udp(&c, 2'000'000, A, B, str_of((const char *)m, sizeof m));
	SAYS(c, "stun.response-in", "- - - - 3 - -");
	SAYS(c, "stun.response-to", "- - 1 1 - - -");
	SAYS(c, "stun.time", "- - 0.020000000 0.030000000 - - -");
	SAYS(c, "stun.reqduplicate", "- 1 - 3 1 3 -");
	/* with room for one, what came between makes it new */
	m[8] = 0;
	memcpy(m, types[0], 2);
	rec_udp(&c, 3'000'000, A, B, str_of((const char *)m, sizeof m));
	SAYS(c, "stun.reqduplicate", "- 1 - 3 1 3 - 1");
	SAYS_OF(c, 1, "stun.reqduplicate", "- 1 - 3 1 3 - -");
	buf_fini(&c);
}

TEST_NO_OOM(completeness)
{
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_tcp(&c, 1'000'000, A, B, 100, 0, SYN, STR_NONE);
	rec_tcp(&c, 1'010'000, B, A, 500, 101, SYN | ACK, STR_NONE);
	rec_tcp(&c, 1'020'000, A, B, 101, 501, ACK, STR_NONE);
	rec_tcp(&c, 1'030'000, A, B, 101, 501, ACK, STR("abc"));
	rec_tcp(&c, 1'040'000, B, A, 501, 104, ACK | FIN, STR_NONE);
	rec_tcp(&c, 1'050'000, A, B, 104, 502, ACK | FIN, STR_NONE);
	rec_tcp(&c, 1'060'000, B, A, 502, 105, CAP_TCP_RST, STR("gone"));
	rec_tcp(&c, 3'000'000, A, B, 777, 0, SYN, STR_NONE); /* the ports once more */
	SAYS(c, "tcp.completeness", "0 1 3 7 15 31 31 1");
	SAYS(c, "tcp.connection.fin_active", "- - - - 1 - - -");
	SAYS(c, "tcp.connection.fin_passive", "- - - - - 1 - -");
	SAYS(c, "tcp.reset_cause", "- - - - - - gone -");
	SAYS(c, "tcp.ack.nonzero", "- - - - - - 1 -");
	buf_fini(&c);
}

TEST_NO_OOM(parts_that_are_rare)
{
	static const char text[] =
		"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.0.1:5060;branch=z9hG4bKx;oc=20;be-route=scscf\r\n"
		"From: <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
		"Session-ID: ab30317f1a784dc48ff824d0d3715d86;"
		"remote=00000000000000000000000000000000;logme\r\n"
		"Origination-Id: 1-2-3\r\nContent-Type: application/sdp\r\n"
		"Content-Length: 177\r\n\r\n"
		"v=0\r\no=a 1 2 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n"
		"z=2882844526 -1h 2898848070 0\r\nk=clear:secret\r\ny=1\r\n"
		"m=audio 5000 RTP/SAVP 0\r\n"
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD|2^20|1:4\r\n\r\n";
	struct buf c;
	buf_init(&c);
	pcap_begin(&c, CAP_LINK_ETHERNET);
	rec_udp(&c, 1'000'000, A, B, str_of(text, sizeof(text) - 1));
	SAYS(c, "sip.Via.oc_val", "20");
	SAYS(c, "sip.Via.be_route", "scscf");
	SAYS(c, "sip.Session-ID.logme", "1");
	SAYS(c, "sip.Session-ID.param", "-");
	SAYS(c, "sip.Origination-Id", "1-2-3");
	SAYS(c, "sdp.timezone.time", "2882844526,2898848070");
	SAYS(c, "sdp.timezone.offset", "-1h,0");
	SAYS(c, "sdp.encryption_key.type", "clear");
	SAYS(c, "sdp.encryption_key.data", "secret");
	SAYS(c, "sdp.unknown", "y=1");
	SAYS(c, "sdp.crypto.mki-valu", "1");
	SAYS(c, "sdp.crypto.mki_length", "4");
	SAYS(c, "sdp.crypto.lifetime", "2^20");
	buf_fini(&c);
}
