/* Legs joined: each ground with calls that ask for it, and some like them that must not. */
#include "fixture.h"
#include "track/trk_join.h"

#include <stdio.h>
#include <string.h>

static const struct trk_cfg joining = {.has_media = true, .has_join = true};

static struct trk_call *call(struct play *p, const char *id)
{
	struct trk_call *c = trk_find(p->t, str_c(id));
	CHECK(c);
	return c;
}

/* An INVITE of call `id`. */
static void invite(struct play *p, double at, const char *id, const char *hop, const char *more)
{
	char line[64] = "INVITE 1 ";
	p->call_id = id;
	strncat(line, id, sizeof line - 16);
	msg(p, at, hop, line, more);
}

static void reply(struct play *p, double at, const char *id, const char *hop, const char *status)
{
	char line[100];
	p->call_id = id;
	snprintf(line, sizeof line, "%s 1 INVITE %.40s", status, id);
	msg(p, at, hop, line, "To-tag: t\r\n");
}

static const struct trk_join *join_of(struct play *p, const char *a, const char *b)
{
	const struct trk_call *x = call(p, a), *y = call(p, b);
	for (const struct trk_join *j = NULL; (j = trk_join_next(x, j));)
		if (j->a == y || j->b == y)
			return j;
	return NULL;
}

static void check_join(int line, struct play *p, const char *a, const char *b, enum trk_ground g)
{
	const struct trk_join *j = join_of(p, a, b);
	if (!j && g)
		test_fail(__FILE__, line, "%s and %s are not joined", a, b);
	if (j && j->ground != g)
		test_fail(__FILE__, line, "%s and %s are joined by %s", a, b,
			  trk_join_about((enum trk_ground)j->ground)->name);
}
#define JOINED(a, b, g)  check_join(__LINE__, &p, a, b, TRK_JOIN_##g)
#define NOT_JOINED(a, b) check_join(__LINE__, &p, a, b, TRK_JOIN_NONE)

static unsigned n_legs(struct play *p, const char *id)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	return trk_join_legs(call(p, id), legs, TRK_MAX_LEGS);
}

/* --- headers ---------------------------------------------------------------------------------- */

#define SESSION "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=0000000000000000\r\n"

TEST(joined_by_a_header)
{
	static const struct {
		const char *a, *b;
		enum trk_ground ground;
	} rows[] = {
		{SESSION,						    SESSION,                      TRK_JOIN_SESSION_ID},
		{"X-CID: 4711-abc\r\n",                                      "X-CID: 4711-abc\r\n",        TRK_JOIN_XCID      },
		{"",							 "X-Call-ID: leg-a-of-it\r\n", TRK_JOIN_XCID      },
		{"P-Charging-Vector: icid-value=\"ic-1234\";orig-ioi=x\r\n",
		 "P-Charging-Vector: icid-value=ic-1234\r\n",                                              TRK_JOIN_ICID      },
		{"P-Charging-Vector: icid-value=\"ic-1234\"\r\n",
		 "P-Charging-Vector: icid-value=\"ic-1235\"\r\n",                                          TRK_JOIN_NONE      },
		{"",							 "",			   TRK_JOIN_NONE      },
		{"Session-ID: 00000000000000000000000000000000\r\n",
		 "Session-ID: 00000000000000000000000000000000\r\n",                                       TRK_JOIN_NONE      },
		{"X-CID: 4711-abc\r\n",                                      "X-CID: 4711-abd\r\n",        TRK_JOIN_NONE      },
		{"",							 "X-Other: leg-a\r\n",         TRK_JOIN_NONE      },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct play p;
		play_begin(&p, &joining);
		invite(&p, 0, "leg-a-of-it", "A>P", rows[i].a);
		p.from = "2001"; /* and nothing else agrees */
		p.to = "2002";
		invite(&p, 3, "leg-b", "B>C", rows[i].b);
		check_join(__LINE__, &p, "leg-a-of-it", "leg-b", rows[i].ground);
		play_end(&p);
	}
}

TEST(joined_by_call_id)
{
	static const struct {
		const char *a, *b;
		enum trk_ground ground;
	} rows[] = {
		{"f81d4fae7dec",   "f81d4fae7dec_b2b-1",   TRK_JOIN_CALL_ID},
		{"f81d4fae7dec@h", "f81d4fae7dec-2@h",     TRK_JOIN_CALL_ID},
		{"f81d4fae7dec",   "f81d4fae7dec-1@other", TRK_JOIN_CALL_ID},
		{"f81d4fae7dec",   "B2B.f81d4fae7dec",     TRK_JOIN_CALL_ID},
		{"1-4711@h",       "2-4711@h",             TRK_JOIN_NONE   }, /* a test generator counts */
		{"f81d4fae7dec",   "f81d4fae7dec00",       TRK_JOIN_NONE   },
		{"abc",            "abc-1",                TRK_JOIN_NONE   }, /* too short to mean anything */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct play p;
		play_begin(&p, &joining);
		invite(&p, 0, rows[i].a, "A>P", "");
		p.from = "2001";
		p.to = "2002";
		invite(&p, 3, rows[i].b, "B>C", "");
		check_join(__LINE__, &p, rows[i].a, rows[i].b, rows[i].ground);
		play_end(&p);
	}
}

/* A header that is the same in all calls says nothing of any. */
TEST_NO_OOM(a_header_of_everybody_joins_no_crowd)
{
	struct play p;
	char id[20];
	play_begin(&p, &joining);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "crowd%u", i);
		invite(&p, 10 * i, id, "A>P", "X-CID: constant\r\n");
	}
	CHECK(n_legs(&p, "crowd0") <= TRK_MAX_LEGS);
	CHECK_EQ(n_legs(&p, "crowd99"), 1);
	play_end(&p);
}

TEST(joined_transitively_and_broken)
{
	struct play p;
	play_begin(&p, &joining);
	invite(&p, 0, "one", "A>P", SESSION);
	invite(&p, 1, "two", "P>B", SESSION "X-CID: second\r\n");
	invite(&p, 2, "three", "B>C", "X-CID: second\r\n");
	invite(&p, 9, "alone", "B>C", "X-CID: other\r\n");
	CHECK_EQ(n_legs(&p, "one"), 3);
	CHECK_EQ(n_legs(&p, "three"), 3);
	CHECK_EQ(n_legs(&p, "alone"), 1);
	NOT_JOINED("one", "three");
	CHECK(trk_join_first(call(&p, "three")) == call(&p, "one"));
	CHECK(trk_join_break(p.t, call(&p, "two"), call(&p, "three")));
	CHECK(!trk_join_break(p.t, call(&p, "two"), call(&p, "three")));
	CHECK_EQ(n_legs(&p, "one"), 2);
	CHECK_EQ(n_legs(&p, "three"), 1);
	CHECK_EQ(trk_join_add(p.t, call(&p, "alone"), call(&p, "three")), OK);
	CHECK_EQ(trk_join_add(p.t, call(&p, "alone"), call(&p, "alone")), ERR_STATE);
	JOINED("alone", "three", MANUAL);
	CHECK_EQ(trk_join_add(p.t, call(&p, "two"), call(&p, "three")), OK);
	CHECK_EQ(n_legs(&p, "alone"), 4);
	play_end(&p);
}

/* --- without a header ------------------------------------------------------------------------- */

TEST(joined_in_and_out_at_one_host)
{
	struct play p;
	play_begin(&p, &joining);
	p.from = "+49301234567";
	invite(&p, 0, "in", "A>P", SDP("192.0.2.21", "4000"));
	p.from = "0301234567"; /* the same number, without its country */
	invite(&p, 0.05, "out", "P>B", SDP("192.0.2.57", "5000"));
	JOINED("in", "out", NUMBERS);
	const struct trk_join *j = join_of(&p, "in", "out");
	CHECK_EQ(j->evidence[0], 1);
	CHECK_EQ(j->evidence[1], 2);
	CHECK_EQ(j->confidence, 70);
	/* too late, from another host, for another number: other calls */
	invite(&p, 0.3, "late", "P>C", "");
	NOT_JOINED("in", "late");
	invite(&p, 0.1, "elsewhere", "C>B", "");
	NOT_JOINED("in", "elsewhere");
	p.to = "1003";
	invite(&p, 0.1, "other", "P>B", "");
	NOT_JOINED("in", "other");
	play_end(&p);
}

TEST_NO_OOM(joined_by_what_its_sdp_says)
{
	struct play p;
	play_begin(&p, &joining);
	const char *sdp = "Content-Type: application/sdp\r\n\r\nv=0\r\n"
			  "o=phone 3847 1 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\n"
			  "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
	invite(&p, 0, "in", "A>P", sdp);
	p.to = "900"; /* a short number became a phone's */
	invite(&p, 1.2, "out", "P>B", sdp);
	JOINED("in", "out", ORIGIN);
	CHECK_EQ(join_of(&p, "in", "out")->confidence, 90); /* the address too */
	play_end(&p);

	/* a test generator sends one SDP in all its calls */
	play_begin(&p, &joining);
	invite(&p, 0, "first", "A>P", sdp);
	invite(&p, 0.1, "second", "A>P", sdp);
	NOT_JOINED("first", "second");
	play_end(&p);

	/* an SBC with two addresses: the SDP together with the numbers */
	play_begin(&p, &joining);
	invite(&p, 0, "in", "A>P", sdp);
	invite(&p, 0.1, "out", "C>B", sdp);
	JOINED("in", "out", ORIGIN);
	CHECK_EQ(join_of(&p, "in", "out")->confidence, 80);
	p.to = "900";
	invite(&p, 0.1, "out2", "N>B", sdp);
	NOT_JOINED("in", "out2");
	play_end(&p);
}

TEST_NO_OOM(diverted_calls)
{
	struct play p;
	play_begin(&p, &joining);
	invite(&p, 0, "in", "A>P", "");
	p.to = "1003";
	invite(&p, 0.1, "out", "P>C", "Diversion: <sip:1002@example.com>;reason=no-answer\r\n");
	JOINED("in", "out", DIVERSION);
	invite(&p, 0.15, "out2", "P>B", "Diversion: <sip:1009@example.com>\r\n");
	NOT_JOINED("in", "out2");
	play_end(&p);
}

/* What is rung, answered and ended together belongs together, whoever came first. */
static void finish(struct play *p, const char *in, const char *out, double ring, double answer)
{
	reply(p, ring, out, "B>P", "180 Ringing");
	reply(p, ring + 0.003, in, "P>A", "180 Ringing");
	reply(p, answer, out, "B>P", "200 OK");
	reply(p, answer + 0.004, in, "P>A", "200 OK");
}

TEST_NO_OOM(two_calls_at_once_are_not_mixed_up)
{
	struct play p;
	play_begin(&p, &joining);
	invite(&p, 0.000, "in1", "A>P", "");
	invite(&p, 0.010, "in2", "C>P", "");
	invite(&p, 0.020, "out2", "P>B", ""); /* overtaken */
	invite(&p, 0.030, "out1", "P>B", "");
	NOT_JOINED("in1", "out1");
	finish(&p, "in2", "out2", 0.4, 2);
	finish(&p, "in1", "out1", 0.5, 3);
	trk_join_settle(p.t);
	JOINED("in1", "out1", NUMBERS);
	JOINED("in2", "out2", NUMBERS);
	NOT_JOINED("in1", "out2");
	CHECK_EQ(n_legs(&p, "in1"), 2);
	CHECK_EQ(join_of(&p, "in1", "out1")->confidence, 60);
	play_end(&p);

	/* nothing tells them apart: nothing is said */
	play_begin(&p, &joining);
	invite(&p, 0.000, "in1", "A>P", "");
	invite(&p, 0.001, "in2", "C>P", "");
	invite(&p, 0.020, "out1", "P>B", "");
	invite(&p, 0.021, "out2", "P>B", "");
	trk_join_settle(p.t);
	CHECK_EQ(n_legs(&p, "in1") + n_legs(&p, "in2"), 2);
	play_end(&p);
}

TEST_NO_OOM(a_b2bua_forks)
{
	struct play p;
	play_begin(&p, &joining);
	invite(&p, 0, "in", "A>P", "");
	invite(&p, 0.02, "out1", "P>B", "");
	invite(&p, 0.02, "out2", "P>C", "");
	JOINED("in", "out1", NUMBERS);
	JOINED("in", "out2", NUMBERS);
	CHECK_EQ(n_legs(&p, "out1"), 3);
	play_end(&p);

	/* two at once that fork both: four outbound legs, two for each */
	play_begin(&p, &joining);
	invite(&p, 0.00, "inA", "A>P", "");
	invite(&p, 0.01, "inB", "N>P", "");
	invite(&p, 0.02, "a1", "P>B", "");
	invite(&p, 0.03, "b1", "P>B", "");
	invite(&p, 0.02, "a2", "P>C", "");
	invite(&p, 0.03, "b2", "P>C", "");
	finish(&p, "inA", "a1", 0.4, 2);
	reply(&p, 2.02, "a2", "C>P", "487 Gone");
	finish(&p, "inB", "b2", 0.8, 5);
	reply(&p, 5.02, "b1", "B>P", "487 Gone");
	trk_join_settle(p.t);
	JOINED("inA", "a1", NUMBERS);
	JOINED("inB", "b2", NUMBERS);
	NOT_JOINED("inA", "b2");
	NOT_JOINED("inB", "a1");
	play_end(&p);
}

/* A PBX put its own number in the caller's place. */
TEST_NO_OOM(the_called_number_with_what_comes_later)
{
	struct play p;
	play_begin(&p, &joining);
	p.from = "100";
	p.to = "+4930123456";
	invite(&p, 0, "in", "A>P", "");
	p.from = "+49891000";
	p.to = "030123456";
	invite(&p, 0.05, "out", "P>B", "");
	NOT_JOINED("in", "out");
	finish(&p, "in", "out", 0.4, 2);
	p.from = "100";
	invite(&p, 9, "in2", "A>P", "");
	p.from = "+49891000";
	invite(&p, 9.05, "out2", "P>B", "");
	reply(&p, 10, "out2", "B>P", "180 Ringing");
	reply(&p, 11, "in2", "P>A", "486 Busy"); /* not because of the other */
	trk_join_settle(p.t);
	JOINED("in", "out", CALLED);
	NOT_JOINED("in2", "out2");
	play_end(&p);
}

/* --- cause and effect ------------------------------------------------------------------------- */

/* --- what is heard ---------------------------------------------------------------------------- */

struct voice {
	const char *from, *to;
	unsigned seed; /* 0: silence */
	uint32_t ssrc;
	double late_s;
};

/* 30 packets of each voice, in the order of time. */
static void voices(struct play *p, double at_s, const struct voice *v, size_t n)
{
	uint8_t bytes[RTP_HDR_MIN + 160];
	for (unsigned i = 0; i < 30; i++)
		for (size_t k = 0; k < n; k++) {
			unsigned x = v[k].seed * 7'919 + i;
			rtp_put(bytes, 0, i == 0, (uint16_t)(100 * v[k].ssrc + i), 160 * i,
				v[k].ssrc);
			for (size_t b = RTP_HDR_MIN; b < sizeof bytes; b++) {
				x = x * 1'103'515'245u + 12'345u;
				bytes[b] = (uint8_t)(v[k].seed ? x >> 16 : 0xff);
			}
			struct trk_packet pk = {.at_us = p->base_us +
							 (uint64_t)((at_s + v[k].late_s) * 1e6) +
							 20'000ull * i,
						.frame_no = ++p->n,
						.bytes = str_of((const char *)bytes, sizeof bytes)};
			CHECK(addr_parse(str_c(v[k].from), 0, &pk.from) &&
			      addr_parse(str_c(v[k].to), 0, &pk.to));
			struct trk_datagram d = trk_datagram_of(&pk);
			trk_media(p->t, &d, NULL);
		}
}

#define IN    "192.0.2.21:4000", "192.0.2.57:7000"
#define IN_2  "192.0.2.65:4002", "192.0.2.57:7004"
#define OUT   "192.0.2.57:7002", "192.0.2.43:5000"
#define OTHER "192.0.2.99:7002", "192.0.2.43:5000"

/* A B2BUA that changes every identifier, and takes its time. */
TEST_NO_OOM(joined_by_what_is_heard)
{
	static const struct {
		struct voice v[3];
		size_t n;
		enum trk_ground ground;
	} rows[] = {
		{{{IN, 1, 1, 0}, {OUT, 1, 2, 0.003}},                      2, TRK_JOIN_PAYLOAD},
		{{{IN, 1, 1, 0}, {OUT, 5, 2, 0.003}},                      2, TRK_JOIN_NONE   },
		{{{IN, 0, 1, 0}, {OUT, 0, 2, 0.003}},                      2, TRK_JOIN_NONE   },
		{{{IN, 1, 1, 0}, {OUT, 1, 2, 0.5}},                        2, TRK_JOIN_NONE   },
		{{{IN, 1, 1, 0}, {OTHER, 1, 2, 0.003}},                    2, TRK_JOIN_NONE   },
 /* two phones play one file: whose is it? */
		{{{IN, 1, 1, 0}, {IN_2, 1, 3, 0.001}, {OUT, 1, 2, 0.003}}, 3, TRK_JOIN_NONE   },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		play_begin(&p, &joining);
		invite(&p, 0, "in", "A>P", SDP("192.0.2.21", "4000"));
		p.from = "3001";
		p.to = "3002";
		invite(&p, 0.1, "in-2", "C>P", SDP("192.0.2.65", "4002"));
		p.from = "2001";
		p.to = "2002";
		invite(&p, 5, "out", "P>B", SDP("192.0.2.57", "7002"));
		voices(&p, 8, rows[i].v, rows[i].n);
		check_join(__LINE__, &p, "in", "out", rows[i].ground);
		NOT_JOINED("in", "in-2");
		NOT_JOINED("in-2", "out");
		play_end(&p);
	}
}

/* Two calls through one host at one moment have nothing else in common. */
TEST_NO_OOM(strangers_at_one_host_stay_strangers)
{
	struct play p;
	play_begin(&p, &joining);
	p.from = "1001";
	p.to = "4711";
	invite(&p, 0, "one", "A>P", SDP("192.0.2.21", "4000"));
	p.from = "1002";
	p.to = "4712";
	invite(&p, 0.05, "two", "P>B", SDP("192.0.2.43", "5000"));
	p.from = "1003";
	p.to = "4711"; /* the same number, long before the other answers */
	invite(&p, 0.1, "three", "P>C", SDP("192.0.2.65", "6000"));
	trk_join_settle(p.t);
	NOT_JOINED("one", "two");
	NOT_JOINED("one", "three");
	NOT_JOINED("two", "three");
	play_end(&p);
}

TEST(transfers_cause_calls)
{
	struct play p;
	play_begin(&p, &joining);
	invite(&p, 0, "first", "A>B", "");
	reply(&p, 1, "first", "B>A", "200 OK");
	msg(&p, 3, "A>B", "REFER 2 r", "To-tag: t\r\nRefer-To: <sip:1003@example.com>\r\n");
	p.from = "1002";
	p.to = "1003";
	invite(&p, 3.5, "second", "B>C", "Referred-By: <sip:1001@example.com>\r\n");
	JOINED("first", "second", REFER);
	CHECK_EQ(join_of(&p, "first", "second")->confidence, 95);
	CHECK_EQ(n_legs(&p, "first"), 1); /* a call of its own */
	p.to = "1004";
	invite(&p, 3.6, "unasked", "B>C", "");
	NOT_JOINED("first", "unasked");
	invite(&p, 5, "third", "A>C", "Replaces: second;to-tag=t;from-tag=f\r\n");
	JOINED("second", "third", REPLACES);
	CHECK(!trk_join_next(call(&p, "unasked"), NULL));
	play_end(&p);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void count_legs(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	(void)t, (void)v;
	const struct trk_call *legs[TRK_MAX_LEGS];
	*(unsigned *)arg = *(unsigned *)arg * 10 + trk_join_legs(c, legs, TRK_MAX_LEGS);
}

/* Live, what joins goes with its calls, and open pairs are decided when a call is judged. */
TEST(live_legs_go_with_their_calls)
{
	struct play p;
	unsigned seen = 0;
	play_begin(&p, &(struct trk_cfg){.is_live = true,
					 .has_join = true,
					 .on_verdict = count_legs,
					 .arg = &seen});
	invite(&p, 0.000, "in1", "A>P", SESSION);
	invite(&p, 0.010, "in2", "C>P", "");
	invite(&p, 0.020, "out2", "P>B", "");
	invite(&p, 0.030, "out1", "P>B", SESSION);
	JOINED("in1", "out1", SESSION_ID);
	reply(&p, 1, "out2", "B>P", "486 Busy");
	reply(&p, 1.01, "in2", "P>C", "486 Busy");
	reply(&p, 2, "out1", "B>P", "486 Busy");
	reply(&p, 2.01, "in1", "P>A", "486 Busy");
	trk_tick(p.t, p.base_us + 3'000'000);
	CHECK_EQ(seen, 2222);
	trk_tick(p.t, p.base_us + 20'000'000);
	CHECK_EQ(trk_n_live(p.t), 0);
	p.call_id = "next";
	invite(&p, 21, "next", "A>P", SESSION);
	CHECK_EQ(n_legs(&p, "next"), 1);
	play_end(&p);
}

TEST(nothing_without_the_flag)
{
	struct play p;
	play_begin(&p, NULL);
	invite(&p, 0, "in", "A>P", SESSION);
	invite(&p, 0.01, "out", "P>B", SESSION);
	trk_join_settle(p.t);
	NOT_JOINED("in", "out");
	CHECK_EQ(trk_join_add(p.t, call(&p, "in"), call(&p, "out")), ERR_STATE);
	CHECK(!trk_join_break(p.t, call(&p, "in"), call(&p, "out")));
	CHECK_EQ(n_legs(&p, "in"), 1);
	play_end(&p);
}
