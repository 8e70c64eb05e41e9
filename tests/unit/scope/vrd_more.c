/* The verdict's rules about drops, media, addresses, the capture, attacks: each with a call that
 * asks for it, and one like it that must not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* n packets of a payload type, 20 ms apart; those between two times are left out. */
static void rtp_of(struct play *p, double at_s, const char *from, const char *to, uint8_t pt,
		   unsigned n)
{
	uint8_t bytes[RTP_HDR_MIN + 160] = {0};
	struct addr f, t;
	CHECK(addr_parse(str_c(from), 0, &f) && addr_parse(str_c(to), 0, &t));
	for (unsigned i = 0; i < n; i++) {
		rtp_put(bytes, pt, i == 0, (uint16_t)(100 + i), 160 * i, pt + 7u + f.port);
		struct trk_packet k = {.at_us = p->base_us + (uint64_t)(at_s * 1e6) + 20'000ull * i,
				       .frame_no = ++p->n,
				       .from = f,
				       .to = t,
				       .bytes = str_of((const char *)bytes, sizeof bytes)};
		struct trk_datagram d = trk_datagram_of(&k);
		trk_media(p->t, &d, NULL);
	}
}
#define TO_CALLEE "192.0.2.21:4000", "192.0.2.43:5000"
#define TO_CALLER "192.0.2.43:5000", "192.0.2.21:4000"

static void up(struct play *p)
{
	setup(p);
	ring(p);
	answer(p);
	ack(p);
}

/* --- how it ended ----------------------------------------------------------------------------- */

TEST_NO_OOM(cancelled_without_487)
{
	struct play p;
	setup(&p);
	ring(&p);
	msg(&p, 3, "A>P", "CANCEL 1 a", "");
	msg(&p, 3.1, "P>A", "200 OK 1 CANCEL a", "To-tag: p\r\n");
	p.call_id = "later";
	msg(&p, 60, "A>P", "OPTIONS 1 o", "");
	p.call_id = "call-1";
	VERDICT_IS(CALL_CANCELLED, "the caller gave up after 3.0 s");
	WITH(CANCEL_NO_487);
	refuse(&p, "487 Terminated", "To-tag: t\r\n");
	VERDICT_IS(CALL_CANCELLED, "gave up");
	WITHOUT(CANCEL_NO_487);
	play_end(&p);
}

/* What follows the CANCEL is no SIP, but the capture did go on. */
TEST_NO_OOM(silence_is_seen_up_to_the_last_frame)
{
	for (unsigned other_s = 4; other_s <= 60; other_s += 56) {
		struct play p;
		struct buf cap, why;
		struct cap *c;
		struct cap_walk *w;
		buf_init(&cap);
		buf_init(&why);
		pcap_begin(&cap, 1);
		play_begin(&p, NULL);
		p.cap = &cap;
		dial(&p);
		ring(&p);
		msg(&p, 3, "A>P", "CANCEL 1 a", "");
		msg(&p, 3.1, "P>A", "200 OK 1 CANCEL a", "To-tag: p\r\n");
		rec_udp(&cap, p.base_us + other_s * 1'000'000ull, "192.0.2.9:53", "192.0.2.8:53",
			STR("no SIP at all"));
		trk_free(p.t);
		p.t = trk_new(&(struct trk_cfg){.has_media = true});
		CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &why), OK);
		CHECK_EQ(cap_walk_new(c, p.t, &w), OK);
		while (cap_walk_next(w))
			continue;
		VERDICT_IS(CALL_CANCELLED, "the caller gave up");
		CHECK_EQ(has_rule(&p.v, VRD_CANCEL_NO_487), other_s == 60);
		cap_walk_free(w);
		cap_close(c);
		play_end(&p);
		buf_fini(&cap);
		buf_fini(&why);
	}
}

TEST_NO_OOM(dialog_unknown)
{
	struct play p;
	setup(&p);
	refuse(&p, "481 Gone", "To-tag: t\r\n");
	VERDICT_IS(CALL_GONE, "does not know this dialog");
	play_end(&p);
}

TEST_NO_OOM(glare)
{
	struct play p;
	up(&p);
	msg(&p, 4, "A>P", "INVITE 2 h", "To-tag: t\r\n");
	msg(&p, 4.1, "P>A", "491 Pending 2 INVITE h", "To-tag: t\r\n");
	bye_from_callee(&p, 9);
	judge(&p);
	WITH(GLARE);
	WITHOUT(REINVITE_REFUSED);
	play_end(&p);
}

TEST_NO_OOM(both_of_a_fork_answer)
{
	struct play p;
	setup(&p);
	msg(&p, 0.03, "P>C", "INVITE 1 c", "");
	ring(&p);
	answer(&p);
	msg(&p, 2.015, "C>P", "200 OK 1 INVITE c", "To-tag: c\r\n");
	ack(&p);
	bye_from_callee(&p, 4);
	judge(&p);
	WITH(FORKED);
	for (unsigned i = 0; i < p.v.n; i++)
		CHECK(p.v.f[i].rule != VRD_FORKED ||
		      str_eq(p.v.f[i].text, STR("192.0.2.57 tried 2 targets, 192.0.2.43 answered, "
						"and 192.0.2.65 answered too")));
	play_end(&p);
}

TEST_NO_OOM(forked_where_it_is_not_seen)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.1, "P>A", "180 Ringing 1 INVITE a", "To-tag: one\r\n");
	msg(&p, 0.2, "P>A", "180 Ringing 1 INVITE a", "To-tag: two\r\n");
	msg(&p, 2, "P>A", "200 OK 1 INVITE a", "To-tag: two\r\n");
	VERDICT_IS(CALL_UP, "answered");
	WITH(FORKED);
	CHECK(str_eq(p.v.f[1].text, STR("2 phones were called behind 192.0.2.57 (as many To tags "
					"came back), the last of them answered")));
	play_end(&p);

	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.1, "P>A", "180 Ringing 1 INVITE a", "To-tag: one\r\n");
	msg(&p, 2, "P>A", "200 OK 1 INVITE a", "To-tag: one\r\n");
	judge(&p);
	WITHOUT(FORKED);
	play_end(&p);
}

/* --- dropped ---------------------------------------------------------------------------------- */

static void up_with_timer(struct play *p)
{
	setup(p);
	msg(p, 2.00, "B>P", "200 OK 1 INVITE b",
	    "To-tag: t\r\nSession-Expires: 90;refresher=uac\r\n");
	msg(p, 2.01, "P>A", "200 OK 1 INVITE a",
	    "To-tag: t\r\nSession-Expires: 90;refresher=uac\r\n");
	ack(p);
}

TEST_NO_OOM(session_timer_expires)
{
	struct play p;
	up_with_timer(&p);
	bye_from_callee(&p, 62);
	VERDICT_IS(CALL_ANSWERED, "talked 60.0 s");
	WITH(SESSION_EXPIRED);
	CHECK(str_eq(
		p.v.f[1].text,
		STR("the session timer ran out: 90 s were agreed, and in the 60.0 s before the "
		    "BYE no refresh went through")));
	play_end(&p);

	up_with_timer(&p); /* refreshed */
	msg(&p, 45, "A>P", "UPDATE 2 u", "To-tag: t\r\n");
	msg(&p, 45.1, "P>A", "200 OK 2 UPDATE u", "To-tag: t\r\n");
	bye_from_callee(&p, 62);
	judge(&p);
	WITHOUT(SESSION_EXPIRED);
	play_end(&p);

	up_with_timer(&p); /* hung up before */
	bye_from_callee(&p, 30);
	judge(&p);
	WITHOUT(SESSION_EXPIRED);
	play_end(&p);
}

TEST_NO_OOM(rtp_timeout)
{
	struct play p;
	up(&p);
	rtp_of(&p, 2.1, TO_CALLER, 0, 100);
	rtp_of(&p, 2.1, TO_CALLEE, 0, 1'240);
	bye_from_callee(&p, 27);
	judge(&p);
	WITH(RTP_TIMEOUT);
	WITHOUT(ONE_WAY);
	play_end(&p);

	up(&p);
	rtp_of(&p, 2.1, TO_CALLER, 0, 1'240);
	rtp_of(&p, 2.1, TO_CALLEE, 0, 1'240);
	bye_from_callee(&p, 27);
	judge(&p);
	WITHOUT(RTP_TIMEOUT);
	play_end(&p);
}

TEST_NO_OOM(dropped_from_between_at_a_round_time)
{
	static const struct {
		double at;
		const char *hop;
		bool is_dropped;
	} rows[] = {
		{62.1, "P>A", true },
                {50,   "P>A", false},
                {62.1, "A>P", false}
        };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct play p;
		up(&p);
		msg(&p, rows[i].at, rows[i].hop, "BYE 9 e", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_DROPPED_AT_TIMER), rows[i].is_dropped);
		play_end(&p);
	}
}

TEST_NO_OOM(prack_missing)
{
	struct play p;
	setup(&p);
	msg(&p, 0.1, "P>A", "183 Early 1 INVITE a", "To-tag: t\r\nRequire: 100rel\r\nRSeq: 7\r\n");
	msg(&p, 0.6, "P>A", "183 Early 1 INVITE a", "To-tag: t\r\nRequire: 100rel\r\nRSeq: 7\r\n");
	judge(&p);
	WITH(PRACK_MISSING);
	msg(&p, 0.7, "A>P", "PRACK 2 p", "To-tag: t\r\nRAck: 7 1 INVITE\r\n");
	judge(&p);
	WITHOUT(PRACK_MISSING);
	play_end(&p);
}

/* --- addresses -------------------------------------------------------------------------------- */

TEST_NO_OOM(via_behind_nat)
{
	struct play p;
	play_begin(&p, NULL);
	p.via = "10.1.2.3";
	msg(&p, 0, "N>P", "INVITE 1 a", "");
	msg(&p, 1, "P>N", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	judge(&p);
	WITH(VIA_NO_RPORT);
	play_end(&p);

	play_begin(&p, NULL);
	p.via = "10.1.2.3;rport";
	msg(&p, 0, "N>P", "INVITE 1 a", "");
	msg(&p, 1, "P>N", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	judge(&p);
	WITHOUT(VIA_NO_RPORT);
	play_end(&p);
}

TEST_NO_OOM(registration_behind_nat)
{
	static const char *const granted[] = {"To-tag: t\r\nExpires: 3600\r\n",
					      "To-tag: t\r\nExpires: 60\r\n"};
	for (int i = 0; i < 2; i++) {
		struct play p;
		play_begin(&p, NULL);
		p.via = "10.1.2.3;rport";
		msg(&p, 0, "N>P", "REGISTER 1 a", "Contact: <sip:1001@10.1.2.3>\r\n");
		msg(&p, 0.1, "P>N", "200 OK 1 REGISTER a", granted[i]);
		VERDICT_IS(REG_OK, "registered");
		CHECK_EQ(has_rule(&p.v, VRD_REG_OUTLIVES_NAT), i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(rtp_from_elsewhere)
{
	struct play p;
	up(&p);
	rtp_of(&p, 2.1, "203.0.113.9:4444", "192.0.2.43:5000", 0, 100);
	rtp_of(&p, 2.1, TO_CALLER, 0, 100);
	bye_from_callee(&p, 9);
	judge(&p);
	WITH(RTP_ELSEWHERE);
	play_end(&p);

	up(&p);
	rtp_of(&p, 2.1, TO_CALLEE, 0, 100);
	rtp_of(&p, 2.1, TO_CALLER, 0, 100);
	bye_from_callee(&p, 9);
	judge(&p);
	WITHOUT(RTP_ELSEWHERE);
	WITHOUT(CODEC_NOT_AGREED);
	WITHOUT(CODEC_MISMATCH);
	WITHOUT(SRTP_ONE_SIDE);
	WITHOUT(AUDIO_LATE);
	CHECK_EQ(p.v.n, 1);
	play_end(&p);
}

/* --- media ------------------------------------------------------------------------------------ */

static void up_with(struct play *p, const char *offer, const char *reply)
{
	play_begin(p, NULL);
	msg(p, 0, "A>B", "INVITE 1 a", offer);
	msg(p, 2, "B>A", "200 OK 1 INVITE a", reply);
	msg(p, 2.1, "A>B", "ACK 1 c", "To-tag: t\r\n");
}
#define BODY(ip, m)                                                                                \
	"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip \
	"\r\nt=0 0\r\nm=audio " m "\r\n"
#define CRYPTO                                                                                     \
	"\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"

TEST_NO_OOM(srtp_on_one_side)
{
	struct play p;
	up_with(&p, BODY("192.0.2.21", "4000 RTP/SAVP 0" CRYPTO),
		"To-tag: t\r\n" BODY("192.0.2.43", "5000 RTP/AVP 0"));
	judge(&p);
	WITH(SRTP_ONE_SIDE);
	play_end(&p);
	up_with(&p, BODY("192.0.2.21", "4000 RTP/SAVP 0" CRYPTO),
		"To-tag: t\r\n" BODY("192.0.2.43", "5000 RTP/SAVP 0" CRYPTO));
	judge(&p);
	WITHOUT(SRTP_ONE_SIDE);
	play_end(&p);
}

TEST_NO_OOM(codec_mismatch)
{
	struct play p;
	up_with(&p, BODY("192.0.2.21", "4000 RTP/AVP 0 8"),
		"To-tag: t\r\n" BODY("192.0.2.43", "5000 RTP/AVP 9"));
	judge(&p);
	WITH(CODEC_MISMATCH);
	play_end(&p);
	up_with(&p, BODY("192.0.2.21", "4000 RTP/AVP 0 8"),
		"To-tag: t\r\n" BODY("192.0.2.43", "5000 RTP/AVP 8"));
	judge(&p);
	WITHOUT(CODEC_MISMATCH);
	play_end(&p);
}

TEST_NO_OOM(codec_that_nobody_agreed_to)
{
	struct play p;
	up(&p);
	rtp_of(&p, 2.1, TO_CALLEE, 18, 100); /* G.729 */
	rtp_of(&p, 2.1, TO_CALLER, 8, 100);
	bye_from_callee(&p, 9);
	judge(&p);
	WITH(CODEC_NOT_AGREED);
	CHECK(!strncmp(p.v.f[1].text.p, "the RTP to the callee is G729 (payload type 18)", 47));
	play_end(&p);
}

TEST_NO_OOM(audio_comes_late)
{
	struct play p;
	up(&p);
	rtp_of(&p, 2.1, TO_CALLEE, 0, 400);
	rtp_of(&p, 4.5, TO_CALLER, 0, 300);
	bye_from_callee(&p, 10.5);
	judge(&p);
	WITH(AUDIO_LATE);
	play_end(&p);
	/* both late: the phones took their time, or it was a hold */
	up(&p);
	rtp_of(&p, 4.5, TO_CALLEE, 0, 300);
	rtp_of(&p, 4.5, TO_CALLER, 0, 300);
	bye_from_callee(&p, 10.5);
	judge(&p);
	WITHOUT(AUDIO_LATE);
	play_end(&p);
}

TEST_NO_OOM(early_media_that_does_not_come)
{
	for (int i = 0; i < 2; i++) {
		struct play p;
		setup(&p);
		msg(&p, 0.1, "P>A", "183 Progress 1 INVITE a",
		    "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
		if (i)
			rtp_of(&p, 0.2, TO_CALLER, 0, 100);
		msg(&p, 5.00, "B>P", "200 OK 1 INVITE b",
		    "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
		msg(&p, 5.01, "P>A", "200 OK 1 INVITE a",
		    "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
		if (!i)
			rtp_of(&p, 5.1, TO_CALLER, 0, 100);
		rtp_of(&p, 5.1, TO_CALLEE, 0, 100);
		bye_from_callee(&p, 9);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_EARLY_SILENT), i == 0);
		play_end(&p);
	}
}

/* --- ICMP ------------------------------------------------------------------------------------- */

static void icmp(struct play *p, const char *from, const char *to, uint8_t code, const char *bytes)
{
	struct trk_icmp k = {.frame_no = ++p->n, .type = 3, .code = code, .bytes = str_c(bytes)};
	CHECK(addr_parse(str_c(from), 0, &k.from) && addr_parse(str_c(to), 0, &k.to));
	k.by = k.to;
	k.by.port = 0;
	trk_icmp(p->t, &k);
}

TEST_NO_OOM(icmp_says_why_nobody_answers)
{
	static const char quoted[] =
		"INVITE sip:1002@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKb\r\n"
		"Call-ID: call-1\r\nFro";
	struct play p;
	setup(&p);
	icmp(&p, "192.0.2.57:5060", "192.0.2.43:5060", 3, quoted);
	VERDICT_IS(CALL_NEXT_HOP_DEAD, "192.0.2.43:5060 never answered: INVITE sent 1 time; nobody "
				       "listens at that port, says 192.0.2.43 (ICMP, frame 4)");
	CHECK_EQ(p.v.f[0].confidence, 100);
	play_end(&p);

	setup(&p); /* too large a packet is sent again in pieces; other calls are not ours */
	icmp(&p, "192.0.2.57:5060", "192.0.2.43:5060", 4, quoted);
	icmp(&p, "192.0.2.57:5060", "192.0.2.43:5060", 3, "INVITE sip:x SIP/2.0\r\nCall-ID: y\r\n");
	VERDICT_IS(CALL_UNFINISHED, "on its way");
	play_end(&p);
}

TEST_NO_OOM(media_is_refused)
{
	struct play p;
	up(&p);
	rtp_of(&p, 2.1, TO_CALLER, 0, 200);
	icmp(&p, TO_CALLEE, 3, ""); /* the port was a little late */
	rtp_of(&p, 2.1, TO_CALLEE, 0, 200);
	bye_from_callee(&p, 9);
	icmp(&p, TO_CALLER, 3, ""); /* after the call everybody closes it */
	judge(&p);
	WITHOUT(MEDIA_REFUSED);
	play_end(&p);

	up(&p);
	rtp_of(&p, 2.1, TO_CALLEE, 0, 200);
	icmp(&p, TO_CALLEE, 3, "");
	bye_from_callee(&p, 9);
	judge(&p);
	WITH(MEDIA_REFUSED);
	play_end(&p);
}

/* Whether the walk finds whose the packet is that an ICMP error quotes the first n bytes of. */
static bool icmp_is_told(size_t n, uint16_t ip_id)
{
	struct buf cap, ip, frame, quoted, u, icmp_bytes, why, sip;
	struct buf *all[] = {&cap, &ip, &frame, &quoted, &u, &icmp_bytes, &why, &sip};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_init(all[i]);
	pcap_begin(&cap, 1);
	struct str request = small_request(&sip, "OPTIONS", 1, "");
	rec_udp(&cap, 1'000'000, "192.0.2.1:5060", "192.0.2.2:5060", request);
	struct str inner = ipv4(&quoted, "192.0.2.1", "192.0.2.2", CAP_UDP, ip_id, 0,
				udp(&u, 5060, 5060, request));
	buf_put(&icmp_bytes, "\3\3\0\0\0\0\0\0", 8);
	buf_str(&icmp_bytes, str_sub(inner, 0, n));
	pcap_rec(&cap, 1'000'500,
		 eth(&frame, 0x0800,
		     ipv4(&ip, "192.0.2.2", "192.0.2.1", CAP_ICMP, 0, 0, buf_view(&icmp_bytes))));
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	struct vrd v;
	vrd_init(&v);
	bool ok = t && !cap.err && !frame.err && !icmp_bytes.err &&
		  cap_open_mem(buf_view(&cap), &c, &why) == OK && cap_walk_new(c, t, &w) == OK;
	while (ok && cap_walk_next(w))
		continue;
	ok = ok && trk_first(t) && vrd_judge(&v, t, trk_first(t)) == OK &&
	     v.f[0].rule == VRD_REQ_NO_ANSWER &&
	     str_find(v.f[0].text, STR("says 192.0.2.2 (ICMP, frame 2)")) != SIZE_MAX;
	vrd_fini(&v);
	cap_walk_free(w);
	trk_free(t);
	cap_close(c);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_fini(all[i]);
	return ok;
}

TEST(icmp_in_a_capture)
{
	CHECK(icmp_is_told(1'000, 0));
	CHECK(icmp_is_told(28, 0));  /* all that a router must quote [RFC792] */
	CHECK(icmp_is_told(60, 0));  /* ... and of the message its beginning, without the Call-ID */
	CHECK(!icmp_is_told(28, 9)); /* another datagram between the two */
}

/* --- the capture ------------------------------------------------------------------------------ */

TEST_NO_OOM(cut_by_the_snap_length)
{
	struct play p;
	setup(&p);
	p.is_cut = true;
	ring(&p);
	p.is_cut = false;
	refuse(&p, "486 Busy", "To-tag: t\r\n");
	VERDICT_IS(CALL_BUSY, "busy");
	WITH(CAPTURE_CUT);
	play_end(&p);
	setup(&p);
	ring(&p);
	refuse(&p, "486 Busy", "To-tag: t\r\nContent-Length: 99\r\n"); /* the peer cannot count */
	judge(&p);
	WITHOUT(CAPTURE_CUT);
	play_end(&p);
}

TEST_NO_OOM(one_direction_only)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>B", "INVITE 1 a", "");
	msg(&p, 0.5, "A>B", "INVITE 1 a", "");
	msg(&p, 2, "A>B", "ACK 1 b", "To-tag: t\r\n");
	VERDICT_IS(CALL_UNFINISHED, "no answer seen"); /* it is not dead: it was acknowledged */
	WITH(CAPTURE_GAP);
	play_end(&p);
	up(&p);
	judge(&p);
	WITHOUT(CAPTURE_GAP);
	play_end(&p);
}

TEST_NO_OOM(a_sniffer_loses_packets)
{
	struct play p;
	up(&p);
	talk(&p, 2.1, 500, (struct gap){40, 10, TALK_BOTH});
	bye_from_callee(&p, 12.2);
	VERDICT_IS(CALL_ANSWERED, "answered");
	WITH(CAPTURE_LOST);
	WITHOUT(RTP_LOSS); /* and nothing is graded by it */
	play_end(&p);

	up(&p); /* one direction alone: the network */
	talk(&p, 2.1, 500, (struct gap){40, 10, TALK_TO_CALLER});
	bye_from_callee(&p, 12.2);
	judge(&p);
	WITHOUT(CAPTURE_LOST);
	WITH(RTP_LOSS);
	trk_capture_lost(p.t, 100); /* or the sniffer, which says that it dropped as many */
	judge(&p);
	WITHOUT(RTP_LOSS);
	WITH(CAPTURE_LOST);
	trk_capture_lost(p.t, 5); /* it dropped some, but not that many */
	judge(&p);
	WITH(RTP_LOSS);
	CHECK(str_find(buf_view(&p.v.text),
		       STR("of the RTP to the caller 10.0 % is missing here (50 of 500 packets, in "
			   "bursts of up to 10); up to 1.0 % (5 packets) may be the capture's own "
			   "loss, the rest was lost on the way")) != SIZE_MAX);
	play_end(&p);
}

/* --- attacks ---------------------------------------------------------------------------------- */

TEST_NO_OOM(scanners)
{
	static const char *const agents[] = {"User-Agent: friendly-scanner\r\n",
					     "User-Agent: Friendly Phone 1\r\n"};
	for (int i = 0; i < 2; i++) {
		struct play p;
		play_begin(&p, NULL);
		msg(&p, 0, "A>P", "OPTIONS 1 a", agents[i]);
		msg(&p, 0.1, "P>A", "200 OK 1 OPTIONS a", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_SCANNER), i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(passwords_are_guessed)
{
	for (int slow = 0; slow < 2; slow++) {
		struct play p;
		char line[40];
		play_begin(&p, NULL);
		for (int i = 1; i <= 12; i++) {
			double at = slow ? 60 * i : 0.1 * i;
			snprintf(line, sizeof line, "REGISTER %d r%d", i, i);
			msg(&p, at, "A>P", line,
			    "Authorization: Digest username=\"1001\", realm=\"lab\", nonce=\"n\", "
			    "uri=\"sip:lab\", response=\"0\"\r\n");
			snprintf(line, sizeof line, "403 No %d REGISTER r%d", i, i);
			msg(&p, at + 0.01, "P>A", line, "To-tag: t\r\n");
		}
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_AUTH_GUESSING), !slow);
		play_end(&p);
	}
}

static void bye_challenged(struct play *p, const char *route)
{
	play_begin(p, NULL);
	msg(p, 0, "A>B", "INVITE 1 a", route);
	msg(p, 1, "B>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	msg(p, 1.1, "A>B", "ACK 1 k", "To-tag: t\r\n");
	p->from_tag = "t";
	msg(p, 2, "B>A", "BYE 1 x", "To-tag: f\r\n");
	msg(p, 2.1, "A>B", "407 Auth 1 BYE x",
	    "To-tag: f\r\nProxy-Authenticate: Digest realm=\"lab\", nonce=\"n\"\r\n");
	msg(p, 2.2, "B>A", "BYE 2 y",
	    "To-tag: f\r\nProxy-Authorization: Digest username=\"1\", realm=\"lab\", nonce=\"n\", "
	    "uri=\"sip:lab\", response=\"0\"\r\n");
	judge(p);
}

TEST_NO_OOM(digest_leak)
{
	struct play p;
	bye_challenged(&p, "");
	WITH(DIGEST_LEAK);
	play_end(&p);
	bye_challenged(&p, "Record-Route: <sip:192.0.2.57;lr>\r\n"); /* a proxy may ask */
	WITHOUT(DIGEST_LEAK);
	play_end(&p);
}

/* What cannot be seen from here is said with each finding. */
TEST(unseen_is_told)
{
	struct play p;
	struct buf b;
	setup(&p);
	judge(&p);
	buf_init(&b);
	vrd_put_text(&b, p.t, trk_find(p.t, STR("call-1")), &p.v, true);
	bool ok =
		!b.err && str_find(buf_view(&b), STR("\n           Not seen from here: Whether the "
						     "request arrived")) != SIZE_MAX;
	buf_fini(&b);
	CHECK(ok);
	play_end(&p);
}
