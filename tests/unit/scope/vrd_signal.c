/* The verdict's rules that look closely at signalling: tags, loops, glare, fragments, NAT; each
 * with a call that asks for it, and one like it that must not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void up(struct play *p)
{
	setup(p);
	ring(p);
	answer(p);
	ack(p);
}

/* The text of a finding, "" when it is not there. */
static const char *text_of(const struct play *p, enum vrd_rule rule)
{
	static char mem[700];
	mem[0] = 0;
	for (unsigned i = 0; i < p->v.n; i++)
		if (p->v.f[i].rule == rule)
			str_copy(mem, sizeof mem, p->v.f[i].text);
	return mem;
}
#define SAYS(rule, part) CHECK(strstr(text_of(&p, VRD_##rule), part))
#define SAYS_NOT(rule, part)                                                                       \
	CHECK(text_of(&p, VRD_##rule)[0] && !strstr(text_of(&p, VRD_##rule), part))

/* --- 481, 482, 491 ---------------------------------------------------------------------------- */

TEST_NO_OOM(an_unknown_dialog_is_named_by_its_tags)
{
	struct play p;
	up(&p);
	msg(&p, 5, "A>P", "BYE 2 e", "To-tag: other\r\n");
	msg(&p, 5.1, "P>A", "481 Gone 2 BYE e", "To-tag: other\r\n");
	judge(&p);
	SAYS(BYE_UNANSWERED, "was answered 481 Gone; it was asked for From tag f, To tag other: no "
			     "answer to the INVITE gave that To tag");
	play_end(&p);

	up(&p); /* the right tag: the other side forgot */
	msg(&p, 5, "A>P", "BYE 2 e", "To-tag: t\r\n");
	msg(&p, 5.1, "P>A", "481 Gone 2 BYE e", "To-tag: t\r\n");
	judge(&p);
	SAYS(BYE_UNANSWERED, "From tag f, To tag t");
	SAYS_NOT(BYE_UNANSWERED, "no answer");
	play_end(&p);
}

#define VIA(host) "Via: SIP/2.0/UDP " host ";branch=z9hG4bK1\r\n"

TEST_NO_OOM(a_loop_is_named_by_the_vias)
{
	struct play p;
	setup(&p);
	p.via = "p1.lab";
	refuse(&p, "483 Hops",
	       "To-tag: t\r\n" VIA("p2.lab:5070") VIA("p1.lab") VIA("p2.lab:5070") VIA("p1.lab")
		       VIA("phone"));
	VERDICT_IS(CALL_LOOP, "its 6 Via lines name again and again: p2.lab:5070, p1.lab");
	play_end(&p);

	setup(&p);
	p.via = "p1.lab";
	refuse(&p, "483 Hops", "To-tag: t\r\n" VIA("p2.lab") VIA("phone"));
	VERDICT_IS(CALL_LOOP, "its 3 Via lines name no host twice");
	play_end(&p);
}

TEST_NO_OOM(who_waits_after_a_glare)
{
	static const struct {
		double again;
		const char *text;
		bool is_early;
	} rows[] = {
		{0,   "the caller did not try again",       false},
		{5,   "the caller tried again after 0.9 s", true },
		{7.1, "the caller tried again after 3.0 s", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		up(&p);
		msg(&p, 4, "A>P", "INVITE 2 h", "To-tag: t\r\n");
		msg(&p, 4.1, "P>A", "491 Pending 2 INVITE h", "To-tag: t\r\n");
		if (rows[i].again > 0) {
			msg(&p, rows[i].again, "A>P", "INVITE 3 i", "To-tag: t\r\n");
			msg(&p, rows[i].again + 0.1, "P>A", "200 OK 3 INVITE i", "To-tag: t\r\n");
		}
		bye_from_callee(&p, 9);
		judge(&p);
		CHECK(strstr(text_of(&p, VRD_GLARE), rows[i].text));
		CHECK_EQ(!!strstr(text_of(&p, VRD_GLARE), "too early"), rows[i].is_early);
		play_end(&p);
	}
}

/* --- fragments -------------------------------------------------------------------------------- */

struct pieces { /* a capture being made */
	struct buf cap, sip;
	uint16_t id;
};

/* A large INVITE, of which `n` of its two pieces are here. */
static void put_pieces(struct pieces *k, uint64_t at_us, unsigned n)
{
	enum { CUT = 1'480 };
	char body[1'800];
	struct buf ip, frame, u;
	buf_init(&ip);
	buf_init(&frame);
	buf_init(&u);
	memset(body, 'x', sizeof body);
	body[sizeof body - 1] = 0;
	struct str all = udp(&u, 5060, 5060, small_request(&k->sip, "INVITE", 1, body));
	k->id++;
	for (unsigned i = 0; i < n; i++) {
		struct str part = i ? str_skip(all, CUT) : str_sub(all, 0, CUT);
		buf_clear(&ip);
		buf_clear(&frame);
		pcap_rec(&k->cap, at_us + i * 100,
			 eth(&frame, 0x0800,
			     ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_UDP, k->id,
				  i ? CUT / 8 : 0x2000, part)));
	}
	buf_fini(&ip);
	buf_fini(&frame);
	buf_fini(&u);
}

/* What is found about the call of a capture, as codes. */
static bool finds(const struct buf *capture, const char *const *codes)
{
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct buf why;
	struct vrd v;
	buf_init(&why);
	vrd_init(&v);
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	bool ok = t && !capture->err && cap_open_mem(buf_view(capture), &c, &why) == OK &&
		  cap_walk_new(c, t, &w) == OK;
	while (ok && cap_walk_next(w))
		continue;
	ok = ok && trk_first(t) && !trk_after(t, trk_first(t)) &&
	     vrd_judge(&v, t, trk_first(t)) == OK;
	for (unsigned i = 0; ok && codes[i]; i++)
		ok = i < v.n && !strcmp(vrd_about((enum vrd_rule)v.f[i].rule)->code, codes[i]);
	vrd_fini(&v);
	cap_walk_free(w);
	trk_free(t);
	cap_close(c);
	buf_fini(&why);
	return ok;
}

TEST_NO_OOM(half_of_a_request_arrives)
{
	static const char *const lost[] = {"call-next-hop-dead", "fragment-lost", NULL};
	static const char *const filtered[] = {"call-unfinished", "capture-fragments", NULL};
	static const char *const whole[] = {"call-next-hop-dead", NULL};
	static const struct {
		unsigned n, is_answered;
		const char *const *codes;
	} rows[] = {
		{1, 0, lost    },
		{1, 1, filtered},
		{2, 0, whole   },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pieces k = {.id = 0};
		buf_init(&k.cap);
		buf_init(&k.sip);
		pcap_begin(&k.cap, 1);
		put_pieces(&k, 1'000'000, rows[i].n);
		if (rows[i].is_answered)
			rec_udp(&k.cap, 1'010'000, "192.0.2.2:5060", "192.0.2.1:5060",
				STR("SIP/2.0 100 Trying\r\nVia: SIP/2.0/TCP "
				    "192.0.2.1;branch=z9hG4bK1"
				    "\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>\r\n"
				    "Call-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n"));
		else
			put_pieces(&k, 1'500'000, rows[i].n);
		bool ok = finds(&k.cap, rows[i].codes);
		buf_fini(&k.cap);
		buf_fini(&k.sip);
		CHECK(ok);
	}
}

TEST_NO_OOM(a_large_request_says_so)
{
	char more[2'000];
	for (int i = 0; i < 2; i++) {
		struct play p;
		play_begin(&p, NULL);
		snprintf(more, sizeof more, "X-Large: %0*d\r\n", i ? 100 : 1'500, 7);
		msg(&p, 0, "A>B", "INVITE 1 a", more);
		msg(&p, 0.5, "A>B", "INVITE 1 a", more);
		VERDICT_IS(CALL_NEXT_HOP_DEAD, "never answered");
		CHECK_EQ(!!strstr(text_of(&p, VRD_CALL_NEXT_HOP_DEAD), "in pieces over UDP"), !i);
		play_end(&p);
	}
}

/* --- NAT -------------------------------------------------------------------------------------- */

TEST_NO_OOM(a_helper_that_changes_one_address)
{
	static const struct {
		const char *contact, *sdp;
		const char *text; /* NULL: nothing is wrong */
	} rows[] = {
		{"203.0.113.9", "10.1.2.3",    "into the Contact and left the private one in the SDP"},
		{"10.1.2.3",    "203.0.113.9", "into the SDP and left the private one in the Contact"},
		{"203.0.113.9", "203.0.113.9", NULL                                                  },
		{"10.1.2.3",    "10.1.2.3",    NULL						  },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		char more[400];
		play_begin(&p, NULL);
		p.via = "10.1.2.3";
		msg(&p, 0, "A>P", "INVITE 1 a",
		    "Contact: <sip:1001@10.1.2.3>\r\n" SDP("10.1.2.3", "4000"));
		snprintf(more, sizeof more,
			 "Contact: <sip:1001@%s>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
			 "o=- 1 1 IN IP4 10.1.2.3\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
			 "m=audio 4000 RTP/AVP 0 8\r\n",
			 rows[i].contact, rows[i].sdp);
		msg(&p, 0.001, "N>P", "INVITE 1 a", more);
		msg(&p, 1, "P>N", "486 Busy 1 INVITE a", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_ALG), rows[i].text != NULL);
		CHECK(!rows[i].text || strstr(text_of(&p, VRD_ALG), rows[i].text));
		play_end(&p);
	}
}

TEST_NO_OOM(a_helper_guessed_from_outside)
{
	static const char *const sdp[] = {SDP("203.0.113.9", "4000"), SDP("10.1.2.3", "4000")};
	for (int i = 0; i < 2; i++) {
		struct play p;
		char more[400];
		play_begin(&p, NULL);
		p.via = "10.1.2.3";
		snprintf(more, sizeof more, "Contact: <sip:1001@10.1.2.3>\r\n%s", sdp[i]);
		msg(&p, 0, "N>P", "INVITE 1 a", more);
		msg(&p, 1, "P>N", "486 Busy 1 INVITE a", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_ALG), i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(a_nat_forgets_the_way)
{
	static const struct {
		const char *via;
		double at;
		bool is_gone;
	} rows[] = {
		{"10.1.2.3;rport",    65, true },
		{"10.1.2.3;rport",    12, false}, /* too soon for any NAT */
		{"203.0.113.9;rport", 65, false}, /* no NAT */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		play_begin(&p, NULL);
		p.via = rows[i].via;
		msg(&p, 0, "N>P", "INVITE 1 a", "");
		p.via = "h";
		msg(&p, 1, "P>N", "200 OK 1 INVITE a", "To-tag: t\r\n");
		msg(&p, 1.1, "N>P", "ACK 1 k", "To-tag: t\r\n");
		p.from_tag = "t";
		for (int k = 0; k < 4; k++)
			msg(&p, rows[i].at + 0.5 * k, "P>N", "BYE 1 x", "To-tag: f\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_BINDING_GONE), rows[i].is_gone);
		WITH(BYE_UNANSWERED);
		play_end(&p);
	}
}

/* --- time-outs -------------------------------------------------------------------------------- */

TEST_NO_OOM(audio_that_ends_at_a_round_time)
{
	static const unsigned n[] = {1'500, 1'800}; /* 30 s, 36 s */
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		rtp(&p, 2.1, "192.0.2.43:5000", "192.0.2.21:4000", 1, n[i], 0);
		rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 2, 2'995, 0);
		bye_from_callee(&p, 62);
		judge(&p);
		WITH(RTP_TIMEOUT);
		CHECK_EQ(
			!!strstr(text_of(&p, VRD_RTP_TIMEOUT), "it had run for 30 s, a round time"),
			i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(a_pbx_ends_a_call_without_audio)
{
	static const char *const hops[] = {"P>A", "A>P"}; /* from between, or by the caller */
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		rtp(&p, 2.1, "192.0.2.43:5000", "192.0.2.21:4000", 1, 500, 0);
		rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 2, 500, 0);
		msg(&p, 42.2, hops[i], "BYE 9 e", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_RTP_TIMEOUT), i == 0);
		play_end(&p);
	}
}

/* --- attacks ---------------------------------------------------------------------------------- */

TEST_NO_OOM(a_flood)
{
	static const struct {
		unsigned n;
		double step;
	} rows[] = {
		{100, 0.001},
		{99,  0.001},
		{100, 0.05 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		char id[20];
		play_begin(&p, NULL);
		for (unsigned k = 0; k < rows[i].n; k++) {
			snprintf(id, sizeof id, "call-%u", k);
			p.call_id = id;
			msg(&p, rows[i].step * k, "A>P", "SUBSCRIBE 1 a", "Event: presence\r\n");
		}
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_FLOOD), i == 0);
		play_end(&p);
	}
}
