/* What extends a session: reliable provisional responses, answers that come later, UPDATE by
 * choice, session timers, REFER, requests that wait for the owner. [RFC3262] [RFC3311] [RFC4028]
 * [RFC3515]
 */
#include "pair.h"

#include "dialog/ses_priv.h"

#include <stdio.h>
#include <string.h>

static struct str sdp_of(struct party *p, char mem[512])
{
	struct buf b;
	buf_init_fixed(&b, mem, 512);
	party_put_sdp(p, ++p->offer_version, &b);
	p->local = p->offer_version;
	return buf_view(&b);
}

static void settle(struct party *p)
{
	char mem[512];
	CHECK_EQ(ses_settle(call_of(p), 200, sdp_of(p, mem)), OK);
}

static void call_reliably(struct pair *p, bool is_late)
{
	struct ses_call call = {.target = str_c(party_uri(p->b, "")),
				.is_reliable = true,
				.is_late_offer = is_late};
	party_call_with(p->a, &call);
}

/* --- 100rel ----------------------------------------------------------------------------------- */

/* The answer goes in the 183, none in the 200. */
TEST(reliable_answer)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.b->answer = 200;
	p.b->answer_ms = 100;
	call_reliably(&p, false);
	world_run(p.w, 1000);
	CHECK_LADDER(p.w,
		     "    0 a->b INVITE sdp 1\n   10 b->a 183 (INVITE) sdp 1\n   20 a->b PRACK\n"
		     "   30 b->a 200 (PRACK)\n  110 b->a 200 (INVITE)\n  120 a->b ACK\n");
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	CHECK_EQ(p.a->remote, 1);
	hangup(p.a);
	pair_free(&p);
}

/* The caller's PRACKs are lost: the response is repeated, the 200 waits, then the call fails
 * [RFC3262 3] */
TEST(reliable_response_without_prack)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.b->answer = 200;
	p.b->answer_ms = 100;
	call_reliably(&p, false);
	world_run(p.w, 15);
	lose(p.w, p.a, p.b, 1);
	world_run(p.w, 40000);
	CHECK(p.b->has_ended);
	CHECK_EQ(p.b->end.status, 504);
	CHECK_EQ(p.b->end.by, SES_BY_NETWORK);
	lose(p.w, p.a, p.b, 0);
	pair_free(&p);
}

/* What is said while one waits comes after it: the newest only. */
TEST(reliable_responses_one_at_a_time)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->is_reliable = true;
	call_reliably(&p, false);
	world_run(p.w, 12);
	CHECK_EQ(ses_ring_reliably(call_of(p.b), 181, false, STR_NONE), OK);
	CHECK_EQ(ses_ring_reliably(call_of(p.b), 180, true, STR_NONE), OK);
	world_run(p.w, 300);
	CHECK_LADDER(p.w,
		     "    0 a->b INVITE sdp 1\n   10 b->a 183 (INVITE)\n   20 a->b PRACK\n"
		     "   30 b->a 200 (PRACK)\n   30 b->a 180 (INVITE) sdp 1\n   40 a->b PRACK\n"
		     "   50 b->a 200 (PRACK)\n");
	CHECK_EQ(ses_answer(call_of(p.b)), OK);
	world_run(p.w, 300);
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	hangup(p.b);
	pair_free(&p);
}

TEST(reliable_where_it_is_not_known)
{
	struct pair p = pair_new();
	party_call(p.a, p.b, "");
	world_run(p.w, 20);
	CHECK_EQ(ses_ring_reliably(call_of(p.b), 180, false, STR_NONE), ERR_UNSUPPORTED);
	CHECK(!ses_can_reliable(call_of(p.b)));
	hangup(p.a);
	pair_free(&p);
}

/* An offer of the callee in the 183, the answer in the PRACK, at once and later. */
TEST(reliable_offer)
{
	for (int later = 0; later < 2; later++) {
		struct pair p = pair_new();
		p.b->ring = 183;
		p.b->ring_sdp = p.b->is_reliable = true;
		p.b->answer = 200;
		p.b->answer_ms = 200;
		p.a->is_late = later;
		call_reliably(&p, true);
		world_run(p.w, 100);
		if (later)
			settle(p.a);
		world_run(p.w, 1000);
		CHECK(p.a->is_confirmed && p.b->is_confirmed);
		CHECK_EQ(p.b->remote, 1);
		p.a->is_late = false;
		hangup(p.a);
		pair_free(&p);
	}
}

/* The program ends while the answer to an early offer waits: one reference, given back once. */
TEST(freed_while_an_early_offer_waits)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.a->is_late = true;
	call_reliably(&p, true);
	world_run(p.w, 100);
	CHECK(str_find(buf_view(&p.a->log), STR("offer waits\n")) != SIZE_MAX);
	party_close(p.a);
	lose(p.w, p.b, p.a, 1);
	pair_free(&p);
}

/* UPDATE before the answer, by either side [RFC3311 5.1] */
TEST(update_before_the_answer)
{
	struct pair p = pair_new();
	char mem[512];
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	call_reliably(&p, false);
	world_run(p.w, 100);
	ladder_clear(p.w);
	CHECK_EQ(ses_change(call_of(p.a), SES_UPDATE, sdp_of(p.a, mem)), OK);
	world_run(p.w, 100);
	CHECK_EQ(ses_change(call_of(p.b), SES_UPDATE, sdp_of(p.b, mem)), OK);
	CHECK_EQ(ses_change(call_of(p.b), SES_UPDATE, STR_NONE), ERR_STATE);
	world_run(p.w, 100);
	CHECK_LADDER(p.w, "    0 a->b UPDATE sdp 2\n   10 b->a 200 (UPDATE) sdp 2\n"
			  "  100 b->a UPDATE sdp 3\n  110 a->b 200 (UPDATE) sdp 3\n");
	CHECK_EQ(ses_answer(call_of(p.b)), OK);
	world_run(p.w, 100);
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	hangup(p.a);
	pair_free(&p);
}

/* The last message that began so, and how many there were. */
static const char *wanted;
static char heard[4096];
static unsigned n_heard;

static void hear(void *arg, const struct sim_packet *p)
{
	if (!str_starts(p->bytes, str_c(wanted)))
		return;
	str_copy(heard, sizeof(heard), p->bytes);
	n_heard++;
}

static void listen_for(struct pair *p, const char *what)
{
	wanted = what;
	n_heard = 0;
	heard[0] = '\0';
	sim_tap(p->w->sim, hear, NULL);
}

static uint32_t number_after(const char *name)
{
	uint32_t n = 0;
	struct str rest;
	const char *at = strstr(heard, name);
	CHECK(at);
	CHECK(str_u32(str_cut(str_c(at + strlen(name)), '\r', &rest), &n));
	return n;
}

/* [RFC3262 3, 4] */
TEST(reliable_text)
{
	struct pair p = pair_new();
	p.b->ring = 183;
	p.b->is_reliable = true;
	listen_for(&p, "INVITE ");
	call_reliably(&p, false);
	world_run(p.w, 5);
	CHECK(strstr(heard, "100rel") && !strstr(heard, "\r\nRequire:"));
	listen_for(&p, "SIP/2.0 183 ");
	world_run(p.w, 10);
	uint32_t first = number_after("\r\nRSeq: ");
	CHECK(strstr(heard, "\r\nRequire: 100rel\r\n"));
	CHECK(first >= 1 && first <= INT32_MAX / 2); /* it cannot wrap */
	listen_for(&p, "PRACK ");
	world_run(p.w, 100);
	CHECK(strstr(heard, "\r\nRAck: ") && !strstr(heard, "\r\nRequire:"));
	hangup(p.a);
	pair_free(&p);
}

/* What is not the next one is as good as not received; a 100 is never reliable. */
TEST(reliable_out_of_order)
{
	struct pair p = pair_new();
	p.b->on_request = keep_invite;
	call_reliably(&p, false);
	world_run(p.w, 100);
	static const struct {
		unsigned status;
		const char *headers;
		unsigned n_pracks;
	} rows[] = {
		{100, "Require: 100rel\r\nRSeq: 1\r\n", 0},
		{183, "Require: 100rel\r\nRSeq: 5\r\n", 1},
		{183, "Require: 100rel\r\nRSeq: 5\r\n", 0},
		{180, "Require: 100rel\r\nRSeq: 7\r\n", 0},
		{180, "Require: 100rel\r\nRSeq: 4\r\n", 0},
		{180, "Require: 100rel\r\nRSeq: 6\r\n", 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		listen_for(&p, "PRACK ");
		buf_clear(&p.a->log);
		respond(p.b, kept_st, kept_rx, rows[i].status, rows[i].status > 100 ? "t" : NULL,
			rows[i].headers, 0);
		world_run(p.w, 100);
		if (n_heard != rows[i].n_pracks)
			test_fail(__FILE__, __LINE__, "row %zu: %u PRACKs", i, n_heard);
		CHECK_EQ(p.a->log.n > 0, rows[i].n_pracks > 0 || rows[i].status == 100);
	}
	respond(p.b, kept_st, kept_rx, 486, "t", "", 0);
	world_run(p.w, 100);
	pair_free(&p);
}

/* A PRACK of nobody's, one with an offer of its own, and one that comes behind the refusal. */
TEST(pracks_as_they_come)
{
	struct pair p = pair_new();
	char rack[64];
	unsigned done;
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	listen_for(&p, "SIP/2.0 183 ");
	call_reliably(&p, false);
	world_run(p.w, 100);
	unsigned rseq = number_after("\r\nRSeq: ");
	inside(p.a, "PRACK", "RAck: 1 77 INVITE\r\n", 0, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 481);
	lose(p.w, p.b, p.a, 1);
	CHECK_EQ(ses_ring_reliably(call_of(p.b), 180, false, STR_NONE), OK);
	world_run(p.w, 5);
	lose(p.w, p.b, p.a, 0);
	snprintf(rack, sizeof(rack), "RAck: %u %u INVITE\r\n", rseq + 1,
		 call_of(p.b)->w->rx->msg->cseq);
	listen_for(&p, "SIP/2.0 200 ");
	inside(p.a, "PRACK", rack, 9, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK_EQ(p.b->remote, 9);
	CHECK(strstr(heard, "\r\nm=audio ") || strstr(heard, "\r\no="));
	hangup(p.b);
	world_run(p.w, 1000);
	CHECK(!p.b->ses);
	pair_free(&p);
}

/* Nothing waits for the PRACK that a 2xx has overtaken: the call talks and keeps no more than that.
 * Should it come after all, it is answered, with the offer that it has; once. [RFC3262 3] */
TEST(prack_long_behind_the_answer)
{
	struct pair p = pair_new();
	char rack[64];
	unsigned done;
	p.b->ring = 180;
	p.b->is_reliable = true;
	lose(p.w, p.b, p.a, 1); /* the 180: it is never asked for */
	call_reliably(&p, false);
	world_run(p.w, 15);
	const struct ses_work *w = call_of(p.b)->w;
	snprintf(rack, sizeof(rack), "RAck: %u %u INVITE\r\n", w->rseq, w->rx->msg->cseq);
	lose(p.w, p.b, p.a, 0);
	CHECK_EQ(ses_answer(call_of(p.b)), OK);
	world_run(p.w, 40000);
	CHECK(p.a->is_confirmed && p.b->is_confirmed);
	CHECK(!call_of(p.a)->w && !call_of(p.b)->w);
	inside(p.a, "PRACK", rack, 9, &done);
	world_run(p.w, 100);
	CHECK_EQ(done, 200);
	CHECK_EQ(p.b->remote, 9);
	inside(p.a, "PRACK", rack, 0, &done);
	world_run(p.w, 5000);
	CHECK_EQ(done, 481);
	CHECK(!call_of(p.b)->w);
	hangup(p.a);
	pair_free(&p);
}

/* Who demands it gets each provisional response so, whatever the callee had planned. */
TEST(reliable_by_demand)
{
	struct pair p = pair_new();
	unsigned done;
	p.b->ring = 180;
	listen_for(&p, "SIP/2.0 180 ");
	outside(p.a, p.b, "INVITE", "Contact: <sip:a@10.0.0.1>\r\nRequire: 100rel\r\n", "", "",
		&done);
	world_run(p.w, 100);
	CHECK_EQ(n_heard, 1);
	CHECK(strstr(heard, "\r\nRequire: 100rel\r\n") && strstr(heard, "\r\nRSeq: "));
	CHECK_EQ(ses_answer(call_of(p.b)), OK);
	CHECK(ses_ring_reliably(call_of(p.b), 183, false, STR_NONE) != OK);
	world_run(p.w, 70000);
	pair_free(&p);
}

/* --- later ------------------------------------------------------------------------------------ */

TEST(answers_come_later)
{
	static const enum ses_change kinds[] = {SES_REINVITE, SES_UPDATE};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct pair p = pair_talking();
		char mem[512];
		unsigned done;
		p.b->is_late = true;
		CHECK_EQ(ses_settle(call_of(p.b), 200, STR_NONE), ERR_STATE);
		CHECK_EQ(ses_change(call_of(p.a), kinds[i], sdp_of(p.a, mem)), OK);
		world_run(p.w, 50);
		CHECK_EVENTS(p.b, "offer waits\n");
		inside(p.a, "UPDATE", "", 9, &done); /* a second offer meanwhile [RFC3311 5.2] */
		world_run(p.w, 50);
		CHECK_EQ(done, 500);
		settle(p.b);
		world_run(p.w, 500);
		CHECK(str_find(buf_view(&p.a->log), STR("renegotiated by local")) != SIZE_MAX);
		ladder_clear(p.w);
		CHECK_EQ(ses_change(call_of(p.a), kinds[i], sdp_of(p.a, mem)), OK);
		world_run(p.w, 50);
		CHECK_EQ(ses_settle(call_of(p.b), 488, STR_NONE), OK);
		world_run(p.w, 500);
		CHECK_EVENTS(p.a, "modify failed 488\n");
		hangup(p.a);
		pair_free(&p);
	}
}

/* The INVITE without offer: the ACK waits for the owner [RFC3261 13.2.2.4] */
TEST(ack_comes_later)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	p.a->is_late = true;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "confirmed\noffer waits\n");
	CHECK(!p.b->is_confirmed);
	settle(p.a);
	world_run(p.w, 100);
	CHECK(p.b->is_confirmed);
	ladder_clear(p.w);
	CHECK_EQ(ses_change(call_of(p.a), SES_REINVITE_LATE, STR_NONE), OK);
	world_run(p.w, 100);
	settle(p.a);
	world_run(p.w, 100);
	CHECK_LADDER(p.w,
		     "    0 a->b INVITE\n   10 b->a 200 (INVITE) sdp 2\n  100 a->b ACK sdp 2\n");
	hangup(p.a);
	pair_free(&p);
}

/* The call ends while something waits: an ACK that refuses and BYE, or 487 to the re-INVITE. */
TEST(end_while_something_waits)
{
	struct pair p = pair_new();
	char mem[512];
	p.b->answer = 200;
	p.a->is_late = true;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .is_late_offer = true};
	party_call_with(p.a, &call);
	world_run(p.w, 100);
	ladder_clear(p.w);
	hangup(p.a);
	world_run(p.w, 100);
	/* the ACK must have an answer [RFC3261 13.2.2.4] */
	CHECK_LADDER(p.w, "    0 a->b ACK sdp 1\n    0 a->b BYE\n   10 b->a 200 (BYE)\n");
	pair_free(&p);
	p = pair_talking();
	p.b->is_late = true;
	CHECK_EQ(ses_change(call_of(p.a), SES_REINVITE, sdp_of(p.a, mem)), OK);
	world_run(p.w, 50);
	ladder_clear(p.w);
	hangup(p.b);
	world_run(p.w, 500);
	CHECK_LADDER(p.w, "    0 b->a 487 (INVITE)\n    0 b->a BYE\n   10 a->b ACK\n"
			  "   10 a->b 200 (BYE)\n");
	pair_free(&p);
}

/* --- session timers --------------------------------------------------------------------------- */

/* The one who asks is asked to do it himself; UPDATE without SDP [RFC4028 7.4] */
TEST(session_timer_is_kept)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .session_s = 600};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	ladder_clear(p.w);
	world_run(p.w, 1000000);
	CHECK_LADDER(p.w, "299010 b->a UPDATE\n299020 a->b 200 (UPDATE)\n599030 b->a UPDATE\n"
			  "599040 a->b 200 (UPDATE)\n899050 b->a UPDATE\n"
			  "899060 a->b 200 (UPDATE)\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(session_timer_runs_out)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .session_s = 600};
	party_call_with(p.a, &call);
	world_run(p.w, 1000);
	lose(p.w, p.b, p.a, 1);
	world_run(p.w, 600000);
	CHECK(p.a->has_ended);
	CHECK_EQ(p.a->end.cause, SES_CAUSE_TIMER);
	lose(p.w, p.b, p.a, 0);
	world_run(p.w, 100000);
	if (p.b->ses)
		hangup(p.b);
	pair_free(&p);
}

TEST(session_timer_too_short)
{
	struct pair p = pair_new();
	unsigned done;
	p.b->answer = 200;
	outside(p.a, p.b, "INVITE",
		"Contact: <sip:a@x>\r\nSupported: timer\r\nSession-Expires: 30\r\n", "", "", &done);
	world_run(p.w, 1000);
	CHECK_EQ(done, 422);
	CHECK_EQ(p.b->refusal, DLG_REFUSE_TIMER);
	pair_free(&p);
}

/* [RFC4028 7.1, 7.4] */
TEST(session_timer_text)
{
	struct pair p = pair_new();
	static const char *const requests[] = {"UPDATE ", "INVITE "};
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) { /* also without a wish for one */
		p.b->answer = 200;
		p.b->session_s = 600;
		struct ses_call call = {.target = str_c(party_uri(p.b, ""))};
		listen_for(&p, requests[i]);
		party_call_with(p.a, &call);
		world_run(p.w, 400000);
		hangup(p.a);
		world_run(p.w, 40000);
		CHECK(n_heard > 0);
		const char *at = strstr(heard, "\r\nSupported: ");
		CHECK(at);
		struct str rest, v = str_cut(str_c(at + 2), '\r', &rest);
		if (str_find(v, STR("timer")) == SIZE_MAX)
			test_fail(__FILE__, __LINE__, "no timer: %s", heard);
	}
	pair_free(&p);
}

/* What the caller wishes is taken as it is; Min-SE is no word of a 2xx [RFC4028 5, 9] */
TEST(session_timer_answers)
{
	static const struct {
		const char *asked, *granted;
		bool is_required;
	} rows[] = {
		{"Session-Expires: 1800;refresher=uac\r\nMin-SE: 1000\r\n",
		 "\r\nSession-Expires: 1800;refresher=uac\r\n", true },
		{"Session-Expires: 1000\r\nMin-SE: 1000\r\n",
		 "\r\nSession-Expires: 1000;refresher=uas\r\n", false},
		{"Session-Expires: 90;refresher=uas\r\n",
		 "\r\nSession-Expires: 90;refresher=uas\r\n",   false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = pair_new();
		char headers[200];
		unsigned done;
		p.b->answer = 200;
		snprintf(headers, sizeof(headers),
			 "Contact: <sip:a@10.0.0.1>\r\nSupported: timer\r\n%s", rows[i].asked);
		listen_for(&p, "SIP/2.0 200 ");
		outside(p.a, p.b, "INVITE", headers, "", "", &done);
		world_run(p.w, 15);
		CHECK(strstr(heard, rows[i].granted));
		CHECK(!strstr(heard, "\r\nMin-SE:"));
		CHECK_EQ(strstr(heard, "\r\nRequire: timer\r\n") != NULL, rows[i].is_required);
		world_run(p.w, 70000); /* no ACK comes */
		pair_free(&p);
	}
}

/* --- REFER and others ------------------------------------------------------------------------- */

TEST(refer)
{
	struct pair p = pair_talking();
	p.b->request_status = 202;
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	world_run(p.w, 100);
	CHECK_EVENTS(p.b, "refer\n");
	ses_notify(call_of(p.b), 100);
	world_run(p.w, 100);
	ses_notify(call_of(p.b), 200);
	ses_notify(call_of(p.b), 200); /* it is over */
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "referred 100\nreferred 200\n");
	CHECK_LADDER(p.w, "    0 a->b REFER\n   10 b->a 202 (REFER)\n  100 b->a NOTIFY\n"
			  "  110 a->b 200 (NOTIFY)\n  200 b->a NOTIFY\n  210 a->b 200 (NOTIFY)\n");
	p.b->request_status = 0;
	CHECK_EQ(ses_refer(call_of(p.a), STR("sip:c@10.0.0.9"), STR_NONE), OK);
	world_run(p.w, 100);
	CHECK_EQ(p.b->refusal, DLG_REFUSE_METHOD);
	hangup(p.a);
	pair_free(&p);
}

TEST(requests_wait_for_the_owner)
{
	struct pair p = pair_talking();
	struct ses_request req = {.method = STR("MESSAGE"),
				  .content_type = STR("text/plain"),
				  .body = STR("hello"),
				  .tag = 7};
	p.b->request_status = SES_LATER;
	CHECK_EQ(ses_request(call_of(p.a), &req), OK);
	world_run(p.w, 100);
	CHECK_EVENTS(p.b, "request MESSAGE\n");
	ses_respond(call_of(p.b), p.b->waiting, 202, STR_NONE);
	ses_respond(call_of(p.b), p.b->waiting, 202, STR_NONE);
	world_run(p.w, 100);
	CHECK_EVENTS(p.a, "response 202\n");
	hangup(p.a);
	pair_free(&p);
}

TEST(replaced)
{
	struct pair p = pair_talking();
	struct dlg *d = dialog(p.b);
	struct sip_replaces r = {.call_id = dlg_call_id(d),
				 .to_tag = dlg_local_tag(d),
				 .from_tag = dlg_remote_tag(d)};
	CHECK(ses_replaced(p.b->dlg, &r) == p.b->ses);
	r.from_tag = STR("x");
	CHECK(!ses_replaced(p.b->dlg, &r));
	hangup(p.a);
	pair_free(&p);
}
