/* The verdict: each rule with a call that asks for it, and one like it that must not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

/* --- answered --------------------------------------------------------------------------------- */

TEST(answered_and_hung_up)
{
	struct play p;
	setup(&p);
	ring(&p);
	answer(&p);
	ack(&p);
	bye_from_callee(&p, 7.01);
	VERDICT_IS(CALL_ANSWERED, "answered after 2.0 s, talked 5.0 s, the callee hung up");
	CHECK_EQ(p.v.n, 1);
	CHECK_EQ(p.v.worst, VRD_OK);
	play_end(&p);
}

TEST_NO_OOM(answered_and_not_hung_up)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	VERDICT_IS(CALL_UP, "what was seen ends here");
	p.call_id = "later";
	msg(&p, 60, "A>P", "OPTIONS 1 o", "");
	p.call_id = "call-1";
	VERDICT_IS(CALL_UP, "not hung up in the 58.0 s seen since");
	play_end(&p);
}

static struct trk_call *find_call(const struct play *p)
{
	struct trk_call *c = trk_find(p->t, STR("call-1"));
	CHECK(c);
	return c;
}

/* The exchange that is told to end, or was killed, knows what it does not see. */
TEST_NO_OOM(the_exchange_was_in_the_way)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	trk_stop(p.t, find_call(&p), TRK_STOP_LEFT, p.base_us + 60'000'000);
	VERDICT_IS(CALL_LEFT, "answered after 2.0 s, up for 58.0 s; then the exchange stopped");
	CHECK_EQ(find_call(&p)->end_us, 0);
	trk_stop(p.t, find_call(&p), TRK_STOP_CUT, p.base_us + 90'000'000);
	VERDICT_IS(CALL_CUT, "up for 1 min 27 s; a restart of the exchange ended it");
	CHECK_EQ(find_call(&p)->end_us, p.base_us + 90'000'000);
	play_end(&p);

	setup(&p);
	ring(&p);
	trk_stop(p.t, find_call(&p), TRK_STOP_LEFT, p.base_us + 9'000'000);
	VERDICT_IS(CALL_LEFT, "it rang for 8.");
	play_end(&p);

	/* what had ended has its own end */
	setup(&p);
	answer(&p);
	ack(&p);
	bye_from_callee(&p, 7.01);
	trk_stop(p.t, find_call(&p), TRK_STOP_CUT, p.base_us + 60'000'000);
	VERDICT_IS(CALL_ANSWERED, "talked 5.0 s, the callee hung up");
	play_end(&p);
}

TEST_NO_OOM(lost_ack)
{
	struct play p;
	setup(&p);
	answer(&p);
	msg(&p, 2.02, "A>P", "ACK 1 c", "To-tag: t\r\n"); /* the proxy does not pass it on */
	for (int i = 0; i < 6; i++)
		msg(&p, 2.5 + 4 * i, "B>P", "200 OK 1 INVITE b",
		    "To-tag: t\r\nContact: <sip:1002@192.0.2.43>\r\n" SDP("192.0.2.43", "5000"));
	bye_from_callee(&p, 34);
	VERDICT_IS(CALL_LOST_ACK,
		   "the ACK never reached 192.0.2.43: it sent its 200 OK 7 times in "
		   "20.5 s, then the callee hung up after 32.0 s; an ACK was sent to "
		   "192.0.2.57 and not seen beyond");
	WITHOUT(ACK_LATE);
	play_end(&p);

	/* a private Contact explains it */
	play_begin(&p, NULL);
	msg(&p, 0, "A>N", "INVITE 1 a", "");
	for (int i = 0; i < 4; i++)
		msg(&p, 1 + 4 * i, "N>A", "200 OK 1 INVITE a",
		    "To-tag: t\r\nContact: <sip:1002@192.168.1.5>\r\n");
	VERDICT_IS(CALL_LOST_ACK,
		   "no ACK was seen from the caller; the Contact in the answer is the "
		   "private address 192.168.1.5, while it came from 203.0.113.9");
	play_end(&p);

	/* resent once, then acknowledged: only late */
	setup(&p);
	answer(&p);
	msg(&p, 2.5, "B>P", "200 OK 1 INVITE b",
	    "To-tag: t\r\nContact: <sip:1002@192.0.2.43>\r\n" SDP("192.0.2.43", "5000"));
	msg(&p, 2.6, "A>P", "ACK 1 c", "To-tag: t\r\n");
	msg(&p, 2.7, "P>B", "ACK 1 d", "To-tag: t\r\n");
	bye_from_callee(&p, 9);
	VERDICT_IS(CALL_ANSWERED, "answered");
	WITH(ACK_LATE);
	play_end(&p);
}

TEST_NO_OOM(bye_unanswered)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	for (int i = 0; i < 3; i++)
		msg(&p, 5 + i, "A>P", "BYE 2 e", "To-tag: t\r\n");
	VERDICT_IS(CALL_ANSWERED, "the caller hung up");
	WITH(BYE_UNANSWERED);
	play_end(&p);
}

TEST_NO_OOM(ended_from_between)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	msg(&p, 5, "P>A", "BYE 9 e", "To-tag: t\r\nReason: SIP;text=\"session timer\"\r\n");
	msg(&p, 5.1, "A>P", "200 OK 9 BYE e", "To-tag: t\r\n");
	VERDICT_IS(CALL_ANSWERED,
		   "ended from between them, by 192.0.2.57 (Reason: SIP;text=\"session timer\")");
	play_end(&p);
}

/* A BYE passes twice with one branch, as through a relay that only changes addresses. */
TEST_NO_OOM(a_reason_is_told_once)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	msg(&p, 5, "A>P", "BYE 2 e", "To-tag: t\r\nReason: Q.850;cause=16\r\n");
	msg(&p, 5.01, "P>B", "BYE 2 e", "To-tag: t\r\nReason: Q.850;cause=16\r\n");
	msg(&p, 5.1, "B>P", "200 OK 2 BYE e", "To-tag: t\r\n");
	VERDICT_IS(CALL_ANSWERED, "the caller hung up (Reason: ");
	CHECK(str_ends(p.v.f[0].text,
		       STR("the caller hung up (Reason: Q.850;cause=16 (normal hang-up))")));
	play_end(&p);
}

/* A phone that has moved to another network, or whose connection was made anew: its tag tells. */
TEST_NO_OOM(ended_from_a_new_address)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	p.from_tag = "t";
	msg(&p, 5, "C>P", "BYE 9 e", "To-tag: f\r\n");
	msg(&p, 5.1, "P>A", "BYE 9 g", "To-tag: f\r\n");
	msg(&p, 5.2, "A>P", "200 OK 9 BYE g", "To-tag: f\r\n");
	VERDICT_IS(CALL_ANSWERED, "the callee hung up, from another address: 192.0.2.65");
	play_end(&p);
}

/* --- refused ---------------------------------------------------------------------------------- */

TEST_NO_OOM(refused_by_status)
{
	static const struct {
		const char *status;
		enum vrd_rule rule;
		const char *text;
	} rows[] = {
		{"486 Busy_Here",   VRD_CALL_BUSY,            "1002 is busy: 486 Busy Here from 192.0.2.43"},
		{"600 Busy",        VRD_CALL_BUSY,            "busy everywhere"                            },
		{"603 Decline",     VRD_CALL_DECLINED,        "1002 declined: 603 Decline from 192.0.2.43" },
		{"404 Not_Found",   VRD_CALL_UNKNOWN_USER,    "1002 is not known there: 404 Not Found"     },
		{"604 Nowhere",     VRD_CALL_UNKNOWN_USER,    "exists nowhere"                             },
		{"484 Incomplete",  VRD_CALL_UNKNOWN_USER,    "the number 1002 is incomplete"              },
		{"403 Forbidden",   VRD_CALL_FORBIDDEN,       "not allowed"                                },
		{"480 Unavailable", VRD_CALL_UNAVAILABLE,     "1002 is not available"                      },
		{"482 Loop",        VRD_CALL_LOOP,            "in a circle"                                },
		{"483 Hops",        VRD_CALL_LOOP,            "in a circle"                                },
		{"420 Ext",         VRD_CALL_EXTENSION,       "extension"                                  },
		{"422 Timer",       VRD_CALL_TIMER_TOO_SMALL, "timer"                                      },
		{"503 Full",        VRD_CALL_SERVER_ERROR,    "a server failed: 503 Full from 192.0.2.43"  },
		{"302 Moved",       VRD_CALL_REDIRECTED,      "sent elsewhere"                             },
		{"499 Odd",         VRD_CALL_REFUSED,         "refused: 499 Odd"                           },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct play p;
		setup(&p);
		refuse(&p, rows[i].status, "To-tag: t\r\n");
		check_verdict(__LINE__, &p, rows[i].rule, rows[i].text);
		WITHOUT(FINAL_RESENT);
		play_end(&p);
	}
}

TEST_NO_OOM(reasons_are_quoted)
{
	struct play p;
	setup(&p);
	ring(&p);
	refuse(&p, "603 Decline",
	       "To-tag: t\r\nReason: Q.850;cause=21\r\nWarning: 399 h \"no\"\r\n");
	VERDICT_IS(CALL_DECLINED,
		   "after it rang for 0.9 s; it says Reason: Q.850;cause=21 (rejected); it says "
		   "Warning: 399 h \"no\"");
	play_end(&p);
	/* our own codes in our own words, when they are whole */
	setup(&p);
	refuse(&p, "404 Not_Found",
	       "To-tag: t\r\nWarning: 399 rung \"4001 nobody of that name\"\r\n");
	VERDICT_IS(CALL_UNKNOWN_USER, "; rung says: nobody of that name (4001)");
	play_end(&p);
	setup(&p);
	refuse(&p, "404 Not_Found", "To-tag: t\r\nWarning: 399 rung \"4001\"\r\n");
	VERDICT_IS(CALL_UNKNOWN_USER, "; it says Warning: 399 rung \"4001\"");
	play_end(&p);
}

TEST_NO_OOM(no_common_codec)
{
	struct play p;
	setup(&p);
	refuse(&p, "488 Not_Acceptable", "To-tag: t\r\n");
	VERDICT_IS(CALL_NO_COMMON_CODEC,
		   "192.0.2.43 does not accept the media: 488 Not Acceptable; "
		   "offered: PCMU/8000, PCMA/8000");
	play_end(&p);
}

/* A live tracker does not parse SDP, yet it knows the offer when it is asked for, and hold. */
TEST_NO_OOM(live_calls_know_their_offer)
{
	struct play p;
	play_begin(&p, &(struct trk_cfg){.is_live = true});
	msg(&p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000") "a=sendonly\r\n");
	msg(&p, 0.1, "P>A", "488 No 1 INVITE a", "To-tag: t\r\n");
	VERDICT_IS(CALL_NO_COMMON_CODEC, "; offered: PCMU/8000, PCMA/8000");
	const struct trk_fact *f = trk_fact(trk_ev(p.t, 1), TRK_F_SDP);
	CHECK(f);
	CHECK_EQ(f->flags, TRK_SD_SENDS);
	CHECK_EQ(f->num, 4000);
	CHECK_STR_EQ(trk_fact_text(f), STR("192.0.2.21"));
	play_end(&p);
}

static void on_alarm(void *arg, const struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	struct buf *b = arg;
	buf_fmt(b, "%d ms: " STR_FMT "\n", (int)((c->last_us - c->answer_us) / 1000),
		STR_ARG(v->f[0].text));
}

/* [RFC3261 13.3.1.4]: it will drop after 32 s; that shows when the 2xx is repeated for the second
 * time. */
TEST_NO_OOM(lost_ack_is_seen_while_the_call_goes_on)
{
	char mem[400];
	struct buf b;
	struct play p;
	buf_init_fixed(&b, mem, sizeof(mem));
	play_begin(&p, &(struct trk_cfg){.is_live = true, .on_alarm = on_alarm, .arg = &b});
	static const double at[] = {1, 1.5, 2.5, 4.5};
	msg(&p, 0, "A>N", "INVITE 1 a", "");
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		CHECK_EQ(b.n > 0, i > 2);
		msg(&p, at[i], "N>A", "200 OK 1 INVITE a",
		    "To-tag: t\r\nContact: <sip:1002@192.168.1.5>\r\n");
	}
	CHECK_STR_EQ(
		buf_view(&b),
		STR("1500 ms: answered, but the ACK never reached 203.0.113.9: it sent its 200 OK "
		    "3 "
		    "times in 1.5 s; no ACK was seen from the caller; the Contact in the answer is "
		    "the "
		    "private address 192.168.1.5, while it came from 203.0.113.9\n"));
	play_end(&p);

	/* an ACK that comes late, and repeats that follow it, are no alarm */
	buf_clear(&b);
	play_begin(&p, &(struct trk_cfg){.is_live = true, .on_alarm = on_alarm, .arg = &b});
	msg(&p, 0, "A>N", "INVITE 1 a", "");
	msg(&p, 1, "N>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	msg(&p, 1.5, "N>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	msg(&p, 2, "A>N", "ACK 1 c", "To-tag: t\r\n");
	msg(&p, 2.5, "N>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	msg(&p, 4.5, "N>A", "200 OK 1 INVITE a", "To-tag: t\r\n");
	CHECK_EQ(b.n, 0);
	play_end(&p);
}

static void cancel(struct play *p, double at)
{
	msg(p, at, "A>P", "CANCEL 1 a", "");
	msg(p, at + 0.01, "P>A", "200 OK 1 CANCEL a", "To-tag: p\r\n");
	msg(p, at + 0.02, "P>B", "CANCEL 1 b", "");
	msg(p, at + 0.03, "B>P", "200 OK 1 CANCEL b", "To-tag: t\r\n");
}

TEST_NO_OOM(cancelled)
{
	struct play p;
	setup(&p);
	ring(&p);
	cancel(&p, 3.11);
	refuse(&p, "487 Terminated", "To-tag: t\r\n");
	VERDICT_IS(CALL_CANCELLED, "the caller gave up after 3.1 s; it rang for 3.0 s");
	play_end(&p);

	setup(&p);
	cancel(&p, 1);
	refuse(&p, "487 Terminated", "To-tag: t\r\n");
	VERDICT_IS(CALL_CANCELLED, "before it rang");
	play_end(&p);
}

TEST_NO_OOM(cancel_crosses_the_answer)
{
	struct play p;
	setup(&p);
	ring(&p);
	msg(&p, 1.999, "A>P", "CANCEL 1 a", "");
	answer(&p);
	msg(&p, 2.012, "P>A", "481 Gone 1 CANCEL a", "To-tag: p\r\n");
	ack(&p);
	msg(&p, 2.1, "A>P", "BYE 2 e", "To-tag: t\r\n");
	msg(&p, 2.2, "P>A", "200 OK 2 BYE e", "To-tag: t\r\n");
	VERDICT_IS(CALL_ANSWERED, "the caller hung up");
	WITH(CANCEL_CROSSED);
	play_end(&p);
}

TEST_NO_OOM(cancel_of_a_losing_branch_is_not_the_callers)
{
	struct play p;
	setup(&p);
	msg(&p, 0.03, "P>C", "INVITE 1 c", "");
	ring(&p);
	answer(&p);
	msg(&p, 2.015, "P>C", "CANCEL 1 c", "");
	msg(&p, 2.016, "C>P", "200 OK 1 CANCEL c", "To-tag: c\r\n");
	msg(&p, 2.017, "C>P", "487 Terminated 1 INVITE c", "To-tag: c\r\n");
	ack(&p);
	bye_from_callee(&p, 4);
	VERDICT_IS(CALL_ANSWERED, "the callee hung up");
	WITHOUT(CANCEL_CROSSED);
	WITH(FORKED);
	play_end(&p);
}

TEST_NO_OOM(nobody_answers)
{
	struct play p;
	setup(&p);
	ring(&p);
	msg(&p, 30.1, "B>P", "480 Gone 1 INVITE b", "To-tag: t\r\n");
	msg(&p, 30.11, "P>A", "480 Gone 1 INVITE a", "To-tag: t\r\n");
	VERDICT_IS(CALL_NO_ANSWER, "nobody answered: it rang for 30.0 s, then 480 Gone");
	play_end(&p);

	setup(&p);
	ring(&p);
	VERDICT_IS(CALL_RINGING, "it rings; what was seen ends here");
	play_end(&p);
}

TEST_NO_OOM(dead_next_hop)
{
	struct play p;
	setup(&p);
	double at = 0.02, step = 0.5;
	for (int i = 0; i < 6; i++, step *= 2)
		msg(&p, at += step, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(&p, 32.1, "P>A", "408 Timeout 1 INVITE a", "To-tag: p\r\n");
	VERDICT_IS(CALL_NEXT_HOP_DEAD,
		   "192.0.2.43:5060 never answered: INVITE sent 7 times, at 0, 0.5, 1.5, 3.5, 7.5, "
		   "15.5, 31.5 s; then 192.0.2.57 answered 408 Timeout");
	WITHOUT(RESENT);
	play_end(&p);

	/* one retransmission, then an answer: only a note */
	setup(&p);
	msg(&p, 0.52, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	ring(&p);
	refuse(&p, "486 Busy", "To-tag: t\r\n");
	VERDICT_IS(CALL_BUSY, "busy");
	WITH(RESENT);
	play_end(&p);
}

TEST_NO_OOM(final_answer_resent)
{
	struct play p;
	setup(&p);
	msg(&p, 1, "B>P", "486 Busy 1 INVITE b", "To-tag: t\r\n");
	msg(&p, 1.5, "B>P", "486 Busy 1 INVITE b", "To-tag: t\r\n");
	msg(&p, 1.6, "P>B", "ACK 1 b", "To-tag: t\r\n");
	msg(&p, 1.7, "P>A", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	VERDICT_IS(CALL_BUSY, "busy");
	WITH(FINAL_RESENT);
	play_end(&p);
}

/* --- besides ---------------------------------------------------------------------------------- */

TEST_NO_OOM(hold_is_no_fault)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 1, 100, 0);
	msg(&p, 4, "A>P", "INVITE 2 h", "To-tag: t\r\n" SDP("192.0.2.21", "4000") "a=sendonly\r\n");
	msg(&p, 4.1, "P>A", "200 OK 2 INVITE h",
	    "To-tag: t\r\n" SDP("192.0.2.43", "5000") "a=recvonly\r\n");
	msg(&p, 9, "A>P", "INVITE 3 i", "To-tag: t\r\n" SDP("192.0.2.21", "4000") "a=sendrecv\r\n");
	bye_from_callee(&p, 12);
	VERDICT_IS(CALL_ANSWERED, "answered");
	WITH(HOLD);
	WITHOUT(ONE_WAY);
	CHECK(str_eq(p.v.f[1].text, STR("on hold by the caller for 5.0 s")));
	play_end(&p);
}

TEST_NO_OOM(one_way_audio)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 1, 100, 0);
	bye_from_callee(&p, 12);
	VERDICT_IS(CALL_ANSWERED, "answered");
	WITH(ONE_WAY);
	CHECK(str_eq(p.v.f[1].text,
		     STR("one-way audio: no RTP to the caller was seen, while 100 packets went to "
			 "the callee; it asked for it at 192.0.2.21:4000")));
	rtp(&p, 3, "192.0.2.43:5000", "192.0.2.21:4000", 2, 100, 0);
	judge(&p);
	WITHOUT(ONE_WAY);
	play_end(&p);
}

TEST_NO_OOM(no_rtp_is_said_only_where_rtp_is_seen)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	bye_from_callee(&p, 12);
	judge(&p);
	WITHOUT(NO_RTP);
	p.call_id = "call-2";
	msg(&p, 20, "A>C", "INVITE 1 z", SDP("192.0.2.21", "7000"));
	rtp(&p, 21, "192.0.2.65:7002", "192.0.2.21:7000", 5, 10, 0);
	p.call_id = "call-1";
	judge(&p);
	WITH(NO_RTP);
	play_end(&p);
}

TEST_NO_OOM(rtp_loss)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	rtp(&p, 2.1, "192.0.2.21:4000", "192.0.2.43:5000", 1, 101, 10);
	rtp(&p, 2.1, "192.0.2.43:5000", "192.0.2.21:4000", 2, 101, 0);
	bye_from_callee(&p, 12);
	judge(&p);
	WITH(RTP_LOSS);
	play_end(&p);
}

TEST_NO_OOM(private_addresses_behind_public_ones)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "N>P", "INVITE 1 a", "Contact: <sip:1001@10.1.2.3>\r\n" SDP("10.1.2.3", "4000"));
	msg(&p, 1, "P>N", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	judge(&p);
	WITH(PRIVATE_SDP);
	WITH(PRIVATE_CONTACT);
	play_end(&p);

	setup(&p); /* addresses that are what they seem */
	refuse(&p, "486 Busy", "To-tag: t\r\n");
	judge(&p);
	WITHOUT(PRIVATE_SDP);
	WITHOUT(PRIVATE_CONTACT);
	play_end(&p);
}

TEST_NO_OOM(mirror_port_is_no_retransmission)
{
	struct play p;
	play_begin(&p, NULL);
	p.ip_id = 1;
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 0.00002, "A>P", "INVITE 1 a", "");
	p.ip_id = 2;
	msg(&p, 1, "P>A", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	msg(&p, 1.00002, "P>A", "486 Busy 1 INVITE a", "To-tag: t\r\n");
	VERDICT_IS(CALL_BUSY, "busy");
	WITH(MIRROR);
	WITHOUT(RESENT);
	WITHOUT(FINAL_RESENT);
	play_end(&p);
}

TEST_NO_OOM(transfers)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	msg(&p, 3, "A>P", "REFER 2 r", "To-tag: t\r\nRefer-To: <sip:1003@example.com>\r\n");
	msg(&p, 3.1, "P>A", "202 Accepted 2 REFER r", "To-tag: t\r\n");
	msg(&p, 4, "P>A", "NOTIFY 3 n",
	    "To-tag: t\r\nContent-Type: message/sipfrag\r\n\r\nSIP/2.0 486 Busy Here\r\n");
	bye_from_callee(&p, 9);
	judge(&p);
	WITH(TRANSFER_FAILED);
	play_end(&p);
}

TEST_NO_OOM(reinvite_refused)
{
	struct play p;
	setup(&p);
	answer(&p);
	ack(&p);
	msg(&p, 4, "A>P", "INVITE 2 h", "To-tag: t\r\n");
	msg(&p, 4.1, "P>A", "488 No 2 INVITE h", "To-tag: t\r\n");
	bye_from_callee(&p, 9);
	VERDICT_IS(CALL_ANSWERED, "answered");
	WITH(REINVITE_REFUSED);
	play_end(&p);
}

TEST_NO_OOM(begun_before_the_capture)
{
	struct play p;
	play_begin(&p, NULL);
	bye_from_callee(&p, 1);
	VERDICT_IS(CALL_MID, "the INVITE is not here; the side of 192.0.2.43 hung up");
	play_end(&p);
}

/* --- registrations and the rest --------------------------------------------------------------- */

#define CHALLENGE(nonce, more)                                                                     \
	"To-tag: t\r\nWWW-Authenticate: Digest realm=\"lab\", nonce=\"" nonce "\"" more "\r\n"
#define CREDENTIALS(nonce)                                                                         \
	"Contact: <sip:1001@192.0.2.21>\r\nAuthorization: Digest username=\"1001\", "              \
	"realm=\"lab\", nonce=\"" nonce "\", uri=\"sip:lab\", response=\"0\"\r\n"

TEST_NO_OOM(registered)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "REGISTER 1 a", "Contact: <sip:1001@192.0.2.21>\r\n");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", CHALLENGE("n1", ""));
	msg(&p, 0.2, "A>P", "REGISTER 2 b", CREDENTIALS("n1"));
	msg(&p, 0.3, "P>A", "200 OK 2 REGISTER b",
	    "To-tag: t\r\nContact: <sip:1001@192.0.2.21>;expires=60\r\n");
	VERDICT_IS(REG_OK, "registered for 60 s at sip:1001@192.0.2.21");
	CHECK_EQ(p.v.n, 1);
	msg(&p, 9, "A>P", "REGISTER 3 c", "Expires: 0\r\nContact: *\r\n");
	msg(&p, 9.3, "P>A", "200 OK 3 REGISTER c", "To-tag: t\r\n");
	VERDICT_IS(REG_REMOVED, "registered, and after 9.0 s unregistered");
	play_end(&p);
}

TEST_NO_OOM(wrong_password_and_its_likes)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", CHALLENGE("n1", ""));
	VERDICT_IS(AUTH_NONE, "got no second REGISTER");
	CHECK_EQ(p.v.f[0].confidence, 50);
	msg(&p, 0.2, "A>P", "REGISTER 2 b", CREDENTIALS("n1"));
	msg(&p, 0.3, "P>A", "401 Auth 2 REGISTER b", CHALLENGE("n2", ""));
	VERDICT_IS(AUTH_WRONG, "refused the credentials of \"1001\" by asking again (401, realm "
			       "\"lab\"): wrong password, or a user that it does not know");
	CHECK_EQ(p.v.f[0].n_evidence, 3);
	play_end(&p);

	/* the exchange knows which */
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", CHALLENGE("n1", ""));
	msg(&p, 0.2, "A>P", "REGISTER 2 b", CREDENTIALS("n1"));
	trk_hint(p.t, STR("call-1"), STR("2002"), STR("unknown user"));
	msg(&p, 0.3, "P>A", "401 Auth 2 REGISTER b", CHALLENGE("n2", ""));
	VERDICT_IS(AUTH_WRONG, "refused the credentials of \"1001\" (401, realm \"lab\"): "
			       "unknown user (2002)");
	CHECK_EQ(p.v.f[0].confidence, 100);
	CHECK_EQ(p.v.f[0].n_evidence, 3);
	play_end(&p);

	/* stale is no refusal */
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "REGISTER 1 a", "");
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", CHALLENGE("n1", ""));
	msg(&p, 0.2, "A>P", "REGISTER 2 b", CREDENTIALS("n1"));
	msg(&p, 0.3, "P>A", "401 Auth 2 REGISTER b", CHALLENGE("n2", ", stale=true"));
	msg(&p, 0.4, "A>P", "REGISTER 3 c", CREDENTIALS("n2"));
	msg(&p, 0.5, "P>A", "200 OK 3 REGISTER c", "To-tag: t\r\nExpires: 60\r\n");
	VERDICT_IS(REG_OK, "registered");
	WITH(AUTH_STALE);
	play_end(&p);

	/* the first request carried old credentials: normal, when it goes on */
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "REGISTER 1 a", CREDENTIALS("old"));
	msg(&p, 0.1, "P>A", "401 Auth 1 REGISTER a", CHALLENGE("n1", ""));
	VERDICT_IS(AUTH_NONE, "were for another nonce");
	play_end(&p);
}

TEST_NO_OOM(registrations_refused)
{
	static const struct {
		const char *line;
		enum vrd_rule rule;
		const char *text;
	} rows[] = {
		{"403 Forbidden 1 REGISTER a", VRD_REG_FORBIDDEN,
		 "does not let this user register"                                               },
		{"404 Not_Found 1 REGISTER a", VRD_REG_UNKNOWN_USER, "does not know this user"   },
		{"423 Brief 1 REGISTER a",     VRD_REG_TOO_BRIEF,    "Min-Expires: 300"          },
		{"500 Oops 1 REGISTER a",      VRD_REQ_REFUSED,      "REGISTER refused: 500 Oops"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct play p;
		play_begin(&p, NULL);
		msg(&p, 0, "A>P", "REGISTER 1 a", "");
		msg(&p, 0.1, "P>A", rows[i].line, "To-tag: t\r\nMin-Expires: 300\r\n");
		check_verdict(__LINE__, &p, rows[i].rule, rows[i].text);
		play_end(&p);
	}
}

TEST_NO_OOM(subscriptions)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "SUBSCRIBE 1 a", "Event: message-summary\r\nExpires: 600\r\n");
	msg(&p, 0.1, "P>A", "200 OK 1 SUBSCRIBE a", "To-tag: t\r\nExpires: 600\r\n");
	const char *tag = p.from_tag;
	p.from_tag = "t";
	msg(&p, 0.2, "P>A", "NOTIFY 1 n",
	    "To-tag: f\r\nEvent: message-summary\r\nSubscription-State: active\r\n"
	    "Content-Type: application/simple-message-summary\r\n\r\nMessages-Waiting: no\r\n");
	msg(&p, 0.3, "A>P", "200 OK 1 NOTIFY n", "To-tag: f\r\n");
	p.from_tag = tag;
	VERDICT_IS(SUB_OK, "subscribed to message-summary for 600 s, 1 notification, the last says "
			   "\"Messages-Waiting: no\"");
	play_end(&p);

	static const struct {
		const char *body, *text;
	} documents[] = {
		{"<?xml version=\"1.0\"?>\n<dialog-info state=\"full\"><dialog id=\"a\">\n"
		 "<state reason=\"x\"> confirmed </state></dialog></dialog-info>",   "1 notification, the last says \"confirmed\""},
		{"<presence><tuple "
		 "id=\"a\"><status><basic>open</basic></status></tuple></presence>", "1 notification, the last says \"open\""     },
		{"<dialog-info state=\"full\"/>",						     "1 notification"                             },
		{"<state",									    "1 notification"                             },
	};
	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		char more[400];
		snprintf(more, sizeof more, "To-tag: f\r\nEvent: dialog\r\n\r\n%s",
			 documents[i].body);
		play_begin(&p, NULL);
		msg(&p, 0, "A>P", "SUBSCRIBE 1 a", "Event: dialog\r\nExpires: 600\r\n");
		msg(&p, 0.1, "P>A", "200 OK 1 SUBSCRIBE a", "To-tag: t\r\nExpires: 600\r\n");
		tag = p.from_tag;
		p.from_tag = "t";
		msg(&p, 0.2, "P>A", "NOTIFY 1 n", more);
		msg(&p, 0.3, "A>P", "200 OK 1 NOTIFY n", "To-tag: f\r\n");
		p.from_tag = tag;
		VERDICT_IS(SUB_OK, documents[i].text);
		CHECK(str_ends(p.v.f[0].text, str_c(documents[i].text)));
		play_end(&p);
	}

	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "SUBSCRIBE 1 a", "Event: presence\r\n");
	msg(&p, 0.1, "P>A", "489 Bad_Event 1 SUBSCRIBE a", "To-tag: t\r\nAllow-Events: dialog\r\n");
	VERDICT_IS(SUB_BAD_EVENT, "does not offer presence: 489 Bad Event from 192.0.2.57; it says "
				  "Allow-Events: dialog");
	play_end(&p);

	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "SUBSCRIBE 1 a", "Event: presence\r\n");
	msg(&p, 0.1, "P>A", "200 OK 1 SUBSCRIBE a", "To-tag: t\r\n");
	p.call_id = "later";
	msg(&p, 9, "A>P", "OPTIONS 1 o", "");
	p.call_id = "call-1";
	VERDICT_IS(SUB_NO_NOTIFY, "no NOTIFY came");
	play_end(&p);

	play_begin(&p, NULL);
	msg(&p, 0, "P>A", "NOTIFY 5 n", "To-tag: f\r\nEvent: dialog\r\n");
	msg(&p, 0.1, "A>P", "481 Gone 5 NOTIFY n", "To-tag: f\r\n");
	VERDICT_IS(NOTIFY_REFUSED, "notified of dialog, but refused: 481 Gone");
	play_end(&p);
}

TEST_NO_OOM(other_requests)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>B", "MESSAGE 1 a", "");
	VERDICT_IS(REQ_UNFINISHED, "has not answered");
	msg(&p, 0.25, "B>A", "200 OK 1 MESSAGE a", "To-tag: t\r\n");
	VERDICT_IS(REQ_OK, "MESSAGE accepted: 200 OK from 192.0.2.43, after 0.2 s");
	play_end(&p);

	play_begin(&p, NULL);
	msg(&p, 0, "A>B", "FROBNICATE 1 a", "");
	msg(&p, 0.25, "B>A", "501 No 1 FROBNICATE a", "To-tag: t\r\n");
	VERDICT_IS(REQ_REFUSED, "FROBNICATE refused: 501 No");
	play_end(&p);

	play_begin(&p, NULL);
	for (int i = 0; i < 4; i++)
		msg(&p, i, "A>B", "OPTIONS 1 a", "");
	VERDICT_IS(REQ_NO_ANSWER, "192.0.2.43:5060 never answered: OPTIONS sent 4 times");
	play_end(&p);
}

/* --- printing --------------------------------------------------------------------------------- */

TEST(printed_verdicts)
{
	struct play p;
	setup(&p);
	refuse(&p, "486 Busy_Here", "To-tag: t\r\n");
	const struct vrd *v = judge(&p);
	const struct trk_call *c = trk_find(p.t, STR("call-1"));
	struct buf b;
	buf_init(&b);
	vrd_put_text(&b, p.t, c, v, true);
	bool text_ok =
		!b.err &&
		str_eq(buf_view(&b), STR("1001 -> 1002   (call, Call-ID call-1)\n"
					 "  note     1002 is busy: 486 Busy Here from 192.0.2.43.\n"
					 "           frame 4; call-busy; [RFC3261 21.4.24]\n"));
	buf_clear(&b);
	vrd_put_json(&b, p.t, c, v);
	bool json_ok =
		!b.err &&
		str_eq(buf_view(&b),
		       STR("{\"kind\":\"call\",\"call_id\":\"call-1\",\"from\":\"1001\","
			   "\"to\":\"1002\",\"severity\":\"note\",\"findings\":[{\"code\":"
			   "\"call-busy\",\"severity\":\"note\",\"confidence\":100,\"rfc\":"
			   "\"RFC3261 21.4.24\",\"text\":\"1002 is busy: 486 Busy Here "
			   "from 192.0.2.43\",\"remedy\":\"\",\"unseen\":\"\",\"frames\":[4]}]}"));
	buf_fini(&b);
	CHECK(text_ok);
	CHECK(json_ok);
	play_end(&p);
}
