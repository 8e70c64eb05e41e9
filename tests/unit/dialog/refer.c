/* REFER and its subscription, Replaces, PRACKs that come late, session timers: what their books
 * demand of single messages. [RFC3515] [RFC3891] [RFC3262] [RFC3311] [RFC4028] */
#include "shots.h"

#include <stdio.h>
#include <string.h>

static struct pair watched_talking(void)
{
	struct pair p = watched();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	ladder_clear(p.w);
	n_shots = 0;
	return p;
}

/* --- REFER ------------------------------------------------------------------------------------ */

/* [RFC3515 2, 2.4.1] */
TEST(refer_has_one_of_each)
{
	struct pair p = watched_talking();
	p.b->request_status = 202;
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	world_run(p.w, 100);
	const char *m = shot('a', "REFER ", 0);
	CHECK_EQ(shot_count(m, "Contact"), 1);
	CHECK_EQ(shot_count(m, "Refer-To"), 1);
	CHECK_STR(shot_line(m, "Refer-To", 0), "<sip:c@10.0.0.9>");
	hangup(p.a);
	pair_free(&p);
}

/* The 202 is lost, the NOTIFY is not [RFC3515 2.4.4] */
TEST(notify_before_the_answer_to_refer)
{
	struct pair p = watched_talking();
	p.b->request_status = 202;
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	lose(p.w, p.b, p.a, 1);
	world_run(p.w, 50);
	lose(p.w, p.b, p.a, 0);
	ses_notify(call_of(p.b), 100);
	world_run(p.w, 50);
	CHECK_EVENTS(p.a, "referred 100\n");
	shot('a', "SIP/2.0 200", 0);
	world_run(p.w, 1000);
	hangup(p.a);
	pair_free(&p);
}

/* Only a REFER begins such a subscription; then it can be prolonged and ended [RFC3515 2.4.4] */
TEST(subscribe_for_refer)
{
	struct pair p = watched_talking();
	unsigned done;
	outside(p.a, p.b, "SUBSCRIBE", "Event: refer\r\nContact: <sip:a@10.0.0.1>\r\n", "", "",
		&done);
	world_run(p.w, 100);
	CHECK_EQ(done, 403);
	inside(p.a, "SUBSCRIBE", "Event: refer\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 403);
	CHECK_EQ(p.b->refusal, DLG_REFUSE_REFER);
	p.b->request_status = 202;
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	world_run(p.w, 100);
	ses_notify(call_of(p.b), 180);
	world_run(p.w, 100);
	inside(p.a, "SUBSCRIBE", "Event: refer\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK_STR(shot_line(shot('b', "NOTIFY ", 1), "Subscription-State", 0),
		  "active;expires=180");
	inside(p.a, "SUBSCRIBE", "Event: refer\r\nExpires: 0\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK_STR(shot_line(shot('b', "NOTIFY ", 2), "Subscription-State", 0),
		  "terminated;reason=timeout");
	CHECK_EVENTS(p.a, "referred 180\nreferred 180\nreferred 180\n");
	ses_notify(call_of(p.b), 200); /* nobody wants to know */
	inside(p.a, "SUBSCRIBE", "Event: refer\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 403);
	CHECK(!maybe_shot('b', "NOTIFY ", 3));
	hangup(p.a);
	pair_free(&p);
}

/* [RFC3891 3] */
TEST(replaces_out_of_place)
{
	struct pair p = watched_talking();
	unsigned done;
	inside(p.a, "INFO", "Replaces: x;to-tag=1;from-tag=2\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 400);
	CHECK_EQ(p.b->refusal, DLG_REFUSE_REPLACES);
	hangup(p.a);
	world_run(p.w, 1000);
	outside(p.a, p.b, "INVITE",
		"Contact: <sip:a@10.0.0.1>\r\nReplaces: x;to-tag=1;from-tag=2\r\n"
		"Replaces: y;to-tag=1;from-tag=2\r\n",
		"", "", &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 400);
	pair_free(&p);
}

/* --- late PRACKs ------------------------------------------------------------------------------ */

/* The final response goes out right behind the provisional one [RFC3262 3] */
TEST(prack_after_the_final_response)
{
	static const unsigned finals[] = {200, 486};
	for (size_t i = 0; i < ARRAY_LEN(finals); i++) {
		struct pair p = watched();
		p.b->ring = 180;
		p.b->is_reliable = true;
		p.b->answer = finals[i];
		party_call_with(p.a, &(struct ses_call){.target = str_c(party_uri(p.b, "")),
							.is_reliable = true});
		world_run(p.w, 100);
		shot('a', "PRACK ", 0);
		CHECK(shot_line(shot('b', "SIP/2.0 200", finals[i] == 200), "CSeq", 0).n > 0);
		CHECK(has(shot_line(shot('b', "SIP/2.0 200", finals[i] == 200), "CSeq", 0),
			  "PRACK"));
		CHECK(!maybe_shot('b', "SIP/2.0 481", 0));
		if (p.a->ses)
			hangup(p.a);
		pair_free(&p);
	}
}

/* --- UPDATE before the answer ----------------------------------------------------------------- */

/* The 2xx names the target that the UPDATE has named [RFC3311 5.1] */
TEST(target_of_update_and_answer)
{
	struct pair p = watched();
	char mem[512];
	struct buf b;
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.b->answer = 200;
	p.b->answer_ms = 500;
	party_call_with(
		p.a, &(struct ses_call){.target = str_c(party_uri(p.b, "")), .is_reliable = true});
	world_run(p.w, 100);
	buf_init_fixed(&b, mem, sizeof(mem));
	party_put_sdp(p.b, ++p.b->offer_version, &b);
	CHECK_EQ(ses_change(call_of(p.b), SES_UPDATE, buf_view(&b)), OK);
	world_run(p.w, 1000);
	struct str target = shot_line(shot('b', "UPDATE ", 0), "Contact", 0);
	CHECK(target.n > 0);
	CHECK_STR_EQ(shot_line(shot('b', "SIP/2.0 200 OK", 1), "Contact", 0), target);
	hangup(p.a);
	pair_free(&p);
}

/* --- session timers --------------------------------------------------------------------------- */

/* [RFC4028 7.1] */
TEST(timer_is_supported_in_each_request)
{
	struct pair p = watched();
	unsigned done;
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.b->answer = 200;
	p.b->answer_ms = 100;
	p.b->request_status = 202;
	party_call_with(
		p.a, &(struct ses_call){.target = str_c(party_uri(p.b, "")), .is_reliable = true});
	world_run(p.w, 500);
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	world_run(p.w, 100);
	ses_notify(call_of(p.b), 200);
	modify(p.b);
	inside(p.a, "INFO", "", 0, &done);
	inside(p.a, "UPDATE", "", 0, &done);
	world_run(p.w, 100);
	hangup(p.b);
	world_run(p.w, 100);
	p.b->answer = 0;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	hangup(p.a);
	world_run(p.w, 100);
	outside(p.a, p.b, "OPTIONS", "", "", "", &done);
	world_run(p.w, 100);
	unsigned n = 0;
	for (unsigned i = 0; i < n_shots; i++) {
		const char *m = shots[i].text;
		bool is_there = false;
		for (unsigned k = 0; k < shot_count(m, "Supported"); k++)
			is_there |= has(shot_line(m, "Supported", k), "timer");
		if (!shot_is_request(m) || strncmp(m, "ACK ", 4) == 0)
			continue;
		if (!is_there)
			test_fail(__FILE__, __LINE__, "no timer: %s", m);
		n++;
	}
	CHECK(n >= 10);
	pair_free(&p);
}

static unsigned n_tried;

static bool too_small(struct party *p, tsx_id st, struct tp_rx *rx)
{
	static const char *const least[] = {"Min-SE: 300\r\n", "Min-SE: 400\r\n"};
	if (rx->msg->method != SIP_INVITE || n_tried >= ARRAY_LEN(least))
		return false;
	CHECK_EQ(tsx_reply(p->tsx, st, 422, STR_NONE, str_c(least[n_tried++])), OK);
	return true;
}

/* Of all 422 before the dialog; in it, also of the peer's requests [RFC4028 7.4] */
TEST(min_se_is_the_largest)
{
	struct pair p = watched();
	unsigned done;
	n_tried = 0;
	p.b->on_request = too_small;
	p.b->answer = 200;
	party_call_with(p.a,
			&(struct ses_call){.target = str_c(party_uri(p.b, "")), .session_s = 200});
	world_run(p.w, 500);
	CHECK_STR(shot_line(shot('a', "INVITE ", 1), "Min-SE", 0), "300");
	CHECK_STR(shot_line(shot('a', "INVITE ", 2), "Min-SE", 0), "400");
	CHECK_STR(shot_line(shot('a', "INVITE ", 2), "Session-Expires", 0), "400");
	inside(p.b, "UPDATE", "Min-SE: 700\r\nSession-Expires: 700\r\n", 0, &done);
	world_run(p.w, 100);
	inside(p.b, "UPDATE", "Min-SE: 500\r\nSession-Expires: 700\r\n", 0, &done);
	world_run(p.w, 100);
	modify(p.a);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('a', "INVITE ", 3), "Min-SE", 0), "700");
	hangup(p.a);
	pair_free(&p);
}

/* [RFC4028 9] */
TEST(own_interval_is_not_below_his_min_se)
{
	struct pair p = watched();
	unsigned done;
	p.b->session_s = 100;
	p.b->answer = 200;
	outside(p.a, p.b, "INVITE",
		"Contact: <sip:a@10.0.0.1>\r\nSupported: timer\r\nMin-SE: 500\r\n", "", "", &done);
	world_run(p.w, 100);
	CHECK(str_starts(shot_line(shot('b', "SIP/2.0 200", 0), "Session-Expires", 0),
			 STR("500;")));
	pair_free(&p);
}
