/* Captures that were made, not recorded: tests/data/captures/made-*.pcap, for causes that no
 * recording shows. What they hold is played here; with RUNG_GOLDEN_WRITE set they are written,
 * otherwise compared byte for byte. What must be found in them stands in findings.tsv. */
#include "fixture.h"
#include "rtp/rtcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_GAP    ((struct gap){0, 0, 0})
#define CONTACT_B "Contact: <sip:1002@192.0.2.43>\r\n"

static void up(struct play *p)
{
	dial(p);
	ring(p);
	answer(p);
	ack(p);
}

/* The proxy does not pass the ACK on; after 32 s the callee gives up. */
static void lost_ack(struct play *p)
{
	dial(p);
	ring(p);
	answer(p);
	double at = 2.02, step = 0.5;
	msg(p, at, "A>P", "ACK 1 c", "To-tag: t\r\n");
	for (int i = 0; i < 10; i++) {
		at += step;
		msg(p, at, "B>P", "200 OK 1 INVITE b",
		    "To-tag: t\r\n" CONTACT_B SDP("192.0.2.43", "5000"));
		step = step < 4 ? 2 * step : 4;
	}
	bye_from_callee(p, 34);
}

static void dead_next_hop(struct play *p)
{
	dial(p);
	double at = 0.02, step = 0.5;
	for (int i = 0; i < 6; i++, step *= 2)
		msg(p, at += step, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 32.1, "P>A", "408 Request_Timeout 1 INVITE a", "To-tag: p\r\n");
	msg(p, 32.11, "A>P", "ACK 1 a", "To-tag: p\r\n");
}

static void cancel_race(struct play *p)
{
	dial(p);
	ring(p);
	msg(p, 1.999, "A>P", "CANCEL 1 a", "");
	answer(p);
	msg(p, 2.012, "P>A", "481 Gone 1 CANCEL a", "To-tag: p\r\n");
	ack(p);
	msg(p, 2.1, "A>P", "BYE 2 e", "To-tag: t\r\n");
	msg(p, 2.11, "P>B", "BYE 2 g", "To-tag: t\r\n");
	msg(p, 2.2, "B>P", "200 OK 2 BYE g", "To-tag: t\r\n");
	msg(p, 2.21, "P>A", "200 OK 2 BYE e", "To-tag: t\r\n");
}

static void forked(struct play *p)
{
	dial(p);
	msg(p, 0.021, "P>C", "INVITE 1 c", SDP("192.0.2.21", "4000"));
	ring(p);
	msg(p, 0.2, "C>P", "180 Ringing 1 INVITE c", "To-tag: c\r\n");
	msg(p, 0.21, "P>A", "180 Ringing 1 INVITE a", "To-tag: c\r\n");
	answer(p);
	msg(p, 2.015, "P>C", "CANCEL 1 c", "");
	msg(p, 2.016, "C>P", "200 OK 1 CANCEL c", "To-tag: c\r\n");
	msg(p, 2.017, "C>P", "487 Request_Terminated 1 INVITE c", "To-tag: c\r\n");
	msg(p, 2.018, "P>C", "ACK 1 c", "To-tag: c\r\n");
	ack(p);
	bye_from_callee(p, 7);
}

static void session_timer(struct play *p)
{
	static const char timer[] =
		"To-tag: t\r\nSession-Expires: 90;refresher=uac\r\n" CONTACT_B SDP("192.0.2.43",
										   "5000");
	dial(p);
	ring(p);
	msg(p, 2.00, "B>P", "200 OK 1 INVITE b", timer);
	msg(p, 2.01, "P>A", "200 OK 1 INVITE a", timer);
	ack(p);
	bye_from_callee(p, 62);
}

static void codec_mismatch(struct play *p)
{
	dial(p);
	ring(p);
	static const char g722[] =
		"To-tag: t\r\n" CONTACT_B "Content-Type: application/sdp\r\n\r\nv=0\r\n"
		"o=- 1 1 IN IP4 192.0.2.43\r\ns=-\r\nc=IN IP4 192.0.2.43\r\nt=0 0\r\n"
		"m=audio 5000 RTP/AVP 9\r\n";
	msg(p, 2.00, "B>P", "200 OK 1 INVITE b", g722);
	msg(p, 2.01, "P>A", "200 OK 1 INVITE a", g722);
	ack(p);
	bye_from_callee(p, 7);
}

static void no_common_codec(struct play *p)
{
	dial(p);
	refuse(p, "488 Not_Acceptable_Here",
	       "To-tag: t\r\nWarning: 305 h \"incompatible media format\"\r\n");
}

/* A phone behind NAT says what it knows of itself. */
static void nat(struct play *p)
{
	p->via = "10.1.2.3";
	msg(p, 0, "N>P", "INVITE 1 a", "Contact: <sip:1001@10.1.2.3>\r\n" SDP("10.1.2.3", "4000"));
	p->via = "h";
	msg(p, 0.01, "P>N", "100 Trying 1 INVITE a", "");
	msg(p, 2, "P>N", "200 OK 1 INVITE a",
	    "To-tag: t\r\nContact: <sip:1002@192.0.2.57>\r\n" SDP("192.0.2.57", "5000"));
	msg(p, 2.1, "N>P", "ACK 1 c", "To-tag: t\r\n");
	rtp(p, 2.2, "203.0.113.9:61000", "192.0.2.57:5000", 1, 100, 0);
	msg(p, 5, "N>P", "BYE 2 d", "To-tag: t\r\n");
	msg(p, 5.1, "P>N", "200 OK 2 BYE d", "To-tag: t\r\n");
}

static void mirror(struct play *p)
{
	for (int i = 0; i < 6; i++) {
		double at = (i / 2) * 0.5 + (i & 1) * 0.00002;
		p->ip_id = (uint16_t)(1 + i / 2);
		if (i < 2)
			msg(p, at, "A>P", "INVITE 1 a", "");
		else if (i < 4)
			msg(p, at, "P>A", "486 Busy_Here 1 INVITE a", "To-tag: t\r\n");
		else
			msg(p, at, "A>P", "ACK 1 a", "To-tag: t\r\n");
	}
}

static void sniffer_loss(struct play *p)
{
	up(p);
	talk(p, 2.1, 100, (struct gap){60, 12, TALK_BOTH});
	bye_from_callee(p, 4.2);
}

static void one_way(struct play *p)
{
	up(p);
	talk(p, 2.1, 100, (struct gap){0, 100, TALK_TO_CALLER});
	bye_from_callee(p, 4.2);
}

static void late_audio(struct play *p)
{
	up(p);
	talk(p, 2.1, 100, (struct gap){0, 50, TALK_TO_CALLER});
	bye_from_callee(p, 4.2);
}

static void no_answer(struct play *p)
{
	dial(p);
	ring(p);
	msg(p, 30.1, "B>P", "480 Temporarily_Unavailable 1 INVITE b", "To-tag: t\r\n");
	msg(p, 30.11, "P>B", "ACK 1 b", "To-tag: t\r\n");
	msg(p, 30.12, "P>A", "480 Temporarily_Unavailable 1 INVITE a", "To-tag: t\r\n");
	msg(p, 30.13, "A>P", "ACK 1 a", "To-tag: t\r\n");
}

struct leg {
	const char *id, *hop, *from, *to, *more;
};

static void legs_step(struct play *p, const struct leg *l, double at, const char *line,
		      bool is_back)
{
	char back[4] = {l->hop[2], '>', l->hop[0], 0};
	p->call_id = l->id;
	p->from = l->from;
	p->to = l->to;
	msg(p, at, is_back ? back : l->hop, line, line[0] == 'I' ? l->more : "To-tag: t\r\n");
}

static void through_b2bua(struct play *p, const struct leg *in, const struct leg *out, double at)
{
	legs_step(p, in, at, "INVITE 1 a", false);
	legs_step(p, in, at + 0.002, "100 Trying 1 INVITE a", true);
	legs_step(p, out, at + 0.05, "INVITE 1 b", false);
	legs_step(p, out, at + 2, "200 OK 1 INVITE b", true);
	legs_step(p, in, at + 2.01, "200 OK 1 INVITE a", true);
	legs_step(p, in, at + 2.02, "ACK 1 c", false);
	legs_step(p, out, at + 2.03, "ACK 1 d", false);
	legs_step(p, in, at + 8, "BYE 2 e", false);
	legs_step(p, in, at + 8.01, "200 OK 2 BYE e", true);
	legs_step(p, out, at + 8.02, "BYE 2 f", false);
	legs_step(p, out, at + 8.03, "200 OK 2 BYE f", true);
}

/* Three calls through one B2BUA: the first pair has a header in common, the second its numbers, the
 * third only the called number, and that they were answered and ended together. */
static void b2bua(struct play *p)
{
	static const char session[] = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;"
				      "remote=00000000000000000000000000000000\r\n";
	static const struct leg legs[][2] = {
		{{"in-1@a", "A>P", "1001", "1002", session},
		 {"out-1@p", "P>B", "pbx", "trunk-7", session}   },
		{{"in-2@a", "A>P", "1001", "+493012345", ""},
		 {"out-2@p", "P>C", "1001", "03012345", ""}      },
		{{"in-3@a", "A>P", "1001", "+493012345", ""},
		 {"out-3@p", "P>C", "+498911111", "03012345", ""}},
	};
	for (unsigned i = 0; i < ARRAY_LEN(legs); i++)
		through_b2bua(p, &legs[i][0], &legs[i][1], 20.0 * i);
}

static void scanner(struct play *p)
{
	p->from = "100";
	p->to = "100";
	msg(p, 0, "N>P", "OPTIONS 1 a", "User-Agent: friendly-scanner\r\n");
	msg(p, 0.001, "P>N", "200 OK 1 OPTIONS a", "To-tag: t\r\n");
}

/* What a receiver of SSRC 1 says beyond loss and jitter, a block of each type. [RFC3611 4] */
static void extended_blocks(struct buf *b, uint64_t ntp)
{
	const struct {
		uint32_t head, words[9];
	} blocks[] = {
  /* loss: a run of 20 that came, 15 by bits */
		{0x01000003, {1, 0x00640087, 0x4014bfef}                    },
 /* duplicates, thinned by 2: a run of 20 without, 15 by bits, a null chunk */
		{0x02020004, {1, 0x00640087, 0x0014ffef, 0}                 },
 /* when four of them came */
		{0x03000006, {1, 0x00640068, 160, 320, 482, 644}            },
 /* the receiver's own time */
		{0x04000002, {(uint32_t)(ntp >> 32), (uint32_t)ntp}         },
 /* the last times of two senders */
		{0x05000006, {1, 0x26d58000, 0xc000, 2, 0x26d59000, 0x8000} },
 /* loss, duplicates, jitter, TTL of IPv4 */
		{0x06e80009, {1, 0x00640087, 3, 1, 2, 80, 17, 7, 0x3e403f01}},
 /* VoIP metrics: 2 % lost, 1 % discarded, one burst; R 92, MOS 4.3 and 4.1 */
		{0x07000008,
		 {1, 0x05034002, 0x00c81f40, 0x003c0050, 0xecbf3710, 0x5c7f2b29, 0xf5000028,
		  0x003c00c8}					       },
 /* ... of one who measured none of it */
		{0x07000008, {2, 0, 0, 0, 0x7f7f7f10, 0x7f7f7f7f, 0, 0}     },
	};
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		put_be32(b, blocks[i].head);
		for (size_t k = 0; k < (blocks[i].head & 0xffff); k++)
			put_be32(b, blocks[i].words[k]);
	}
}

/* Audio both ways; then the callee's report, the extended one behind it, and on its own, of reduced
 * size, what three packets it lacks. [RFC5506] [RFC4585 6.2.1] */
static void rtcp_xr(struct play *p)
{
	struct rtcp_block block = {
		.ssrc = 1, .fraction = 5, .lost = 3, .ext_seq = 199, .jitter = 17};
	uint64_t ntp = rtcp_ntp(p->base_us + 4'150'000);
	struct rtcp_sr sr = {
		.ssrc = 2, .ntp = ntp, .rtp_ts = 16'000, .packets = 100, .octets = 16'000};
	struct buf b, blocks;
	up(p);
	talk(p, 2.1, 100, NO_GAP);
	buf_init(&b);
	buf_init(&blocks);
	extended_blocks(&blocks, ntp);
	rtcp_put_sr(&b, &sr, &block, 1);
	buf_str(&b,
		STR("\201\312\0\7\0\0\0\2\1\14b@192.0.2.43\10\4\1xyz\0\0\0\0")); /* SDES, PRIV */
	put_be32(&b, 0x80cf0000 | (uint32_t)(blocks.n / 4 + 1));
	put_be32(&b, 2);
	buf_str(&b, buf_view(&blocks));
	media(p, 4.15, "192.0.2.43:5001", "192.0.2.21:4001", buf_view(&b));
	media(p, 4.16, "192.0.2.43:5001", "192.0.2.21:4001",
	      STR("\x81\xcd\0\3\0\0\0\2\0\0\0\1\0\x64\0\3"));
	if (b.err || blocks.err)
		p->cap->err = ERR_NOMEM;
	buf_fini(&b);
	buf_fini(&blocks);
	bye_from_callee(p, 4.2);
}

/* The offer comes in the 183, its answer in the PRACK; then the PRACK of a second 183 offers other
 * ports, and its 200 answers. Audio on both before the call is answered. [RFC3262 5] */
static void prack_sdp(struct play *p)
{
	static const char first[] =
		"To-tag: t\r\nRequire: 100rel\r\nRSeq: 1\r\n" CONTACT_B SDP("192.0.2.43", "5000");
	static const char second[] = "To-tag: t\r\nRequire: 100rel\r\nRSeq: 2\r\n" CONTACT_B;
	msg(p, 0, "A>B", "INVITE 1 a", "Supported: 100rel\r\nContact: <sip:1001@192.0.2.21>\r\n");
	msg(p, 0.01, "B>A", "100 Trying 1 INVITE a", "");
	msg(p, 0.1, "B>A", "183 Session_Progress 1 INVITE a", first);
	msg(p, 0.2, "A>B", "PRACK 2 b",
	    "To-tag: t\r\nRAck: 1 1 INVITE\r\n" SDP("192.0.2.21", "4000"));
	msg(p, 0.21, "B>A", "200 OK 2 PRACK b", "To-tag: t\r\n");
	talk(p, 0.3, 10, NO_GAP);
	msg(p, 1, "B>A", "183 Session_Progress 1 INVITE a", second);
	msg(p, 1.1, "A>B", "PRACK 3 c",
	    "To-tag: t\r\nRAck: 2 1 INVITE\r\n" SDP("192.0.2.21", "4002"));
	msg(p, 1.11, "B>A", "200 OK 3 PRACK c", "To-tag: t\r\n" SDP("192.0.2.43", "5002"));
	rtp(p, 1.2, "192.0.2.43:5002", "192.0.2.21:4002", 3, 10, 0);
	rtp(p, 1.409, "192.0.2.21:4002", "192.0.2.43:5002", 4, 10, 0);
	msg(p, 2, "B>A", "200 OK 1 INVITE a", "To-tag: t\r\n" CONTACT_B);
	msg(p, 2.01, "A>B", "ACK 1 d", "To-tag: t\r\n");
	msg(p, 4, "A>B", "BYE 4 e", "To-tag: t\r\n");
	msg(p, 4.01, "B>A", "200 OK 4 BYE e", "To-tag: t\r\n");
}

static const struct {
	const char *name;
	void (*play)(struct play *p);
} made[] = {
	{"lost-ack",        lost_ack       },
	{"dead-next-hop",   dead_next_hop  },
	{"cancel-race",     cancel_race    },
	{"forked",          forked         },
	{"session-timer",   session_timer  },
	{"codec-mismatch",  codec_mismatch },
	{"no-common-codec", no_common_codec},
	{"nat",             nat            },
	{"mirror-port",     mirror         },
	{"sniffer-loss",    sniffer_loss   },
	{"one-way",         one_way        },
	{"late-audio",      late_audio     },
	{"no-answer",       no_answer      },
	{"b2bua",           b2bua          },
	{"scanner",         scanner        },
	{"rtcp-xr",         rtcp_xr        },
	{"prack-sdp",       prack_sdp      },
};

static void check_file(const char *name, const struct buf *got)
{
	char path[512];
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(path, sizeof path, "%s/captures/made-%s.pcap", dir, name);
	bool is_written = getenv("RUNG_GOLDEN_WRITE");
	FILE *f = fopen(path, is_written ? "wb" : "rb");
	CHECK(f);
	bool ok = true;
	if (is_written) {
		ok = fwrite(got->p, 1, got->n, f) == got->n;
	} else {
		char *file = malloc(got->n + 1);
		ok = file && fread(file, 1, got->n + 1, f) == got->n &&
		     memcmp(file, got->p, got->n) == 0;
		free(file);
	}
	fclose(f);
	if (!ok)
		test_fail(__FILE__, __LINE__, "made-%s.pcap is not what is played", name);
}

TEST_NO_OOM(made_captures_are_what_is_played)
{
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		struct play p;
		struct buf cap;
		buf_init(&cap);
		pcap_begin(&cap, 1);
		play_begin(&p, NULL);
		p.cap = &cap;
		made[i].play(&p);
		CHECK_EQ(cap.err, OK);
		check_file(made[i].name, &cap);
		play_end(&p);
		buf_fini(&cap);
	}
}
