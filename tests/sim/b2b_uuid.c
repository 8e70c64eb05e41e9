/* Session-ID through the back-to-back user agent: each side is told the UUID of the other party,
 * before the answer, in changes, after a transfer, and where a party has none. [RFC7989 7, 8] */
#include "b2b_rig.h"

#define A  "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa"
#define A2 "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaa2"
#define B  "bbbbbbbbbbbb4bbb8bbbbbbbbbbbbbbb"
#define B2 "bbbbbbbbbbbb4bbb8bbbbbbbbbbbbbb2"
#define C  "cccccccccccc4ccc8ccccccccccccccc"
#define D  "dddddddddddd4ddd8ddddddddddddddd"
#define N  "00000000000000000000000000000000"

#define ID(local, remote)       "Session-ID: " local ";remote=" remote "\n"
#define CHECK_ID(m, local, rem) CHECK_STR(raw_header(m, "Session-ID", 0), local ";remote=" rem)

/* a has called b, both with UUIDs, and they talk. */
static void talk(struct rig *g, struct rig_end *a, struct rig_end *b)
{
	rig_call(g, g->a, "1002", ID(A, N), a);
	rig_ring(g, g->b, b);
	CHECK_ID(b->invite, A, N);
	raw_reply(g->b, b->invite, "180 Ringing", b->q.tag, ID(B, A), NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 180", 2), B, A);
	raw_reply(g->b, b->invite, "200 OK", b->q.tag, ID(B, A) RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_set_caller(a, raw_get(g->a, "SIP/2.0 200", 2));
	CHECK_ID(a->answer, B, A);
	rig_ack(a, &a->q, ID(A, B), NULL);
	CHECK_ID(raw_get(g->b, "ACK ", 2), A, B);
	stage_run(g->t->s, 0.1);
}

/* Whoever writes, and whatever remote a peer believes in [RFC7989 7, 8] */
TEST_NO_OOM(uuids_cross)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	talk(g, &a, &b);
	rig_ask(&a, "INFO", ID(A, N) "Content-Type: text/plain\n", "x\n");
	struct raw_msg *m = raw_get(g->b, "INFO ", 2);
	CHECK_ID(m, A, B);
	raw_reply(g->b, m, "200 OK", NULL, ID(B, A), NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 200", 2), B, A);
	struct raw_req q = rig_ask(&b, "INVITE", ID(B, A) RIG_SDP, rig_sdp(g, g->b, NULL));
	m = raw_get(g->a, "INVITE ", 2);
	CHECK_ID(m, B, A);
	raw_reply(g->a, m, "200 OK", NULL, RIG_SDP,
		  rig_sdp(g, g->a, NULL)); /* without: as before */
	CHECK_ID(raw_get(g->a, "ACK ", 2), B, A);
	CHECK_ID(raw_get(g->b, "SIP/2.0 200", 2), A, B);
	rig_ack(&b, &q, ID(B, A), NULL);
	rig_ask(&b, "BYE", ID(B, A), NULL);
	CHECK_ID(raw_get(g->b, "SIP/2.0 200", 2), A, B);
	m = raw_get(g->a, "BYE ", 2);
	CHECK_ID(m, B, A);
	rig_reply(g->a, m, "200 OK");
	rig_free(g);
}

/* A new one is told on at once; when what brought it is refused the old one goes on [RFC7989 8] */
TEST_NO_OOM(uuid_changes)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	talk(g, &a, &b);
	for (int good = 0; good < 2; good++) {
		struct raw_req q = rig_ask(&a, "INVITE", ID(A2, B) RIG_SDP, rig_sdp(g, g->a, NULL));
		struct raw_msg *m = raw_get(g->b, "INVITE ", 2);
		CHECK_ID(m, A2, B);
		if (good)
			raw_reply(g->b, m, "200 OK", NULL, ID(B, A2) RIG_SDP,
				  rig_sdp(g, g->b, NULL));
		else
			raw_reply(g->b, m, "488 No", NULL, ID(B, A2), NULL);
		raw_get(g->b, "ACK ", 2);
		CHECK_ID(raw_get(g->a, good ? "SIP/2.0 200" : "SIP/2.0 488", 2), B, A2);
		rig_ack(&a, &q, good ? ID(A2, B) : ID(A, B), NULL);
		stage_run(g->t->s, 0.1);
		rig_ask(&b, "OPTIONS", NULL, NULL); /* answered by the exchange */
		m = raw_get(g->b, "SIP/2.0 200", 2);
		if (good)
			CHECK_ID(m, A2, B);
		else
			CHECK_ID(m, A, B);
		rig_ask(&b, "INFO", ID(B, A) "Content-Type: text/plain\n", "x\n");
		m = raw_get(g->a, "INFO ", 2);
		if (good)
			CHECK_ID(m, B, A2);
		else
			CHECK_ID(m, B, A);
		rig_reply(g->a, m, "200 OK");
		m = raw_get(g->b, "SIP/2.0 200", 2);
		if (good)
			CHECK_ID(m, A2, B);
		else
			CHECK_ID(m, A, B);
	}
	/* b's, by an INFO that a refuses, then by a response */
	rig_ask(&b, "INFO", ID(B2, A2) "Content-Type: text/plain\n", "x\n");
	struct raw_msg *m = raw_get(g->a, "INFO ", 2);
	CHECK_ID(m, B2, A2);
	rig_reply(g->a, m, "415 No");
	CHECK_ID(raw_get(g->b, "SIP/2.0 415", 2), A2, B2);
	rig_ask(&a, "OPTIONS", NULL, NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 200", 2), B, A2);
	rig_ask(&a, "INFO", ID(A2, B) "Content-Type: text/plain\n", "x\n");
	m = raw_get(g->b, "INFO ", 2);
	CHECK_ID(m, A2, B);
	raw_reply(g->b, m, "200 OK", NULL, ID(B2, A2), NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 200", 2), B2, A2);
	rig_ask(&b, "INFO", ID(B, A2) "Content-Type: text/plain\n", "x\n");
	rig_reply(g->a, raw_get(g->a, "INFO ", 2), "200 OK");
	CHECK_ID(raw_get(g->b, "SIP/2.0 200", 2), A2, B);
	rig_ask(&a, "OPTIONS", NULL, NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 200", 2), B, A2);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* CANCEL says what its INVITE said; one that comes with another UUID changes nothing [RFC7989 6, 8]
 */
TEST_NO_OOM(uuid_of_cancel)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", ID(A, N), &a);
	rig_ring(g, g->b, &b);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, ID(B, A), NULL);
	raw_get(g->a, "SIP/2.0 180", 2);
	raw_cancel(g->a, 0, &a.q, ID(A2, B));
	CHECK_ID(raw_get(g->a, "SIP/2.0 200", 2), B, A2);
	struct raw_msg *m = raw_get(g->a, "SIP/2.0 487", 2);
	CHECK_ID(m, B, A);
	raw_ack(g->a, 0, &a.q, m);
	m = raw_get(g->b, "CANCEL ", 2);
	CHECK_ID(m, A, N);
	raw_reply(g->b, m, "200 OK", b.q.tag, NULL, NULL);
	raw_reply(g->b, b.invite, "487 Request Terminated", b.q.tag, ID(B, A), NULL);
	CHECK_ID(raw_get(g->b, "ACK ", 2), A, B);
	rig_free(g);
}

/* One who refuses is named; when several have, nobody is [RFC7989 7] */
TEST_NO_OOM(uuid_of_refusals)
{
	for (int n = 1; n <= 2; n++) {
		struct rig *g = rig_new();
		struct rig_end a, b, c;
		if (n == 2)
			scene_register(g->c, "<sip:1002@10.0.0.23:5060>");
		rig_call(g, g->a, "1002", ID(A, N), &a);
		rig_ring(g, g->b, &b);
		raw_reply(g->b, b.invite, "486 Busy", "t", ID(B, A), NULL);
		if (n == 2) {
			rig_ring(g, g->c, &c);
			raw_reply(g->c, c.invite, "486 Busy", "u", ID(C, A), NULL);
		}
		struct raw_msg *m = raw_get(g->a, "SIP/2.0 486", 2);
		if (n == 1)
			CHECK_ID(m, B, A);
		else
			CHECK_ID(m, N, A);
		raw_ack(g->a, 0, &a.q, m);
		rig_free(g);
	}
}

/* The one that answered is told, not the one that rang last [RFC7989 6] */
TEST_NO_OOM(uuid_of_the_one_that_answers)
{
	struct rig *g = rig_new();
	struct rig_end a, b, c;
	scene_register(g->c, "<sip:1002@10.0.0.23:5060>");
	rig_call(g, g->a, "1002", ID(A, N), &a);
	rig_ring(g, g->b, &b);
	rig_ring(g, g->c, &c);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, ID(B, A), NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 180", 2), B, A);
	raw_reply(g->c, c.invite, "180 Ringing", c.q.tag, ID(C, A), NULL);
	CHECK_ID(raw_get(g->a, "SIP/2.0 180", 2), C, A);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, RIG_SDP, rig_sdp(g, g->b, NULL));
	rig_set_caller(&a, raw_get(g->a, "SIP/2.0 200", 2));
	CHECK_ID(a.answer, B, A);
	rig_ack(&a, &a.q, ID(A, B), NULL);
	struct raw_msg *m = raw_get(g->c, "CANCEL ", 2);
	CHECK_ID(m, A, N);
	raw_reply(g->c, m, "200 OK", c.q.tag, NULL, NULL);
	raw_reply(g->c, c.invite, "487 Request Terminated", c.q.tag, NULL, NULL);
	raw_get(g->b, "ACK ", 2);
	rig_bye(g, &a, &b);
	rig_free(g);
}

/* A party without one is given one, which stays; what is broken counts as none [RFC7989 7] */
TEST_NO_OOM(uuid_for_who_has_none)
{
	static const char *const none[] = {"", "Session-ID: 12\n", ID(N, N)};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct rig *g = rig_new();
		struct rig_end a, b;
		char x[33], y[33];
		rig_call(g, g->a, "1002", none[i], &a);
		rig_ring(g, g->b, &b);
		struct str v = raw_header(b.invite, "Session-ID", 0);
		raw_cstr(str_sub(v, 0, 32), x, sizeof(x));
		CHECK_STR(str_skip(v, 32), ";remote=" N);
		CHECK(!str_eq(str_c(x), STR(N)));
		raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, none[i], NULL);
		v = raw_header(raw_get(g->a, "SIP/2.0 180", 2), "Session-ID", 0);
		raw_cstr(str_sub(v, 0, 32), y, sizeof(y));
		CHECK(!str_eq(str_c(y), STR(N)) && !str_eq(str_c(y), str_c(x)));
		CHECK_STR_EQ(str_skip(v, 40), str_c(x));
		rig_answer(g, &b, &a);
		v = raw_header(a.answer, "Session-ID", 0);
		CHECK_STR_EQ(str_sub(v, 0, 32), str_c(y));
		CHECK_STR_EQ(str_skip(v, 40), str_c(x));
		rig_ask(&a, "INFO", "Content-Type: text/plain\n", "x\n");
		struct raw_msg *m = raw_get(g->b, "INFO ", 2);
		v = raw_header(m, "Session-ID", 0);
		CHECK_STR_EQ(str_sub(v, 0, 32), str_c(x));
		CHECK_STR_EQ(str_skip(v, 40), str_c(y));
		rig_reply(g->b, m, "200 OK");
		rig_bye(g, &b, &a);
		rig_free(g);
	}
}

/* One side of the older book: it is told one UUID, the other side two [RFC7989 11] */
TEST_NO_OOM(uuid_of_the_older_book)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", "Session-ID: " A "\n", &a);
	rig_ring(g, g->b, &b);
	CHECK_ID(b.invite, A, N);
	raw_reply(g->b, b.invite, "180 Ringing", b.q.tag, ID(B, A), NULL);
	CHECK_STR(raw_header(raw_get(g->a, "SIP/2.0 180", 2), "Session-ID", 0), A);
	rig_answer(g, &b, &a);
	CHECK_STR(raw_header(a.answer, "Session-ID", 0), A);
	rig_ask(&b, "BYE", ID(B, A), NULL);
	struct raw_msg *m = raw_get(g->a, "BYE ", 2);
	CHECK_STR(raw_header(m, "Session-ID", 0), A);
	rig_reply(g->a, m, "200 OK");
	rig_free(g);
}

/* b refers a to d: d hears of a at once, a of d with the offer, b of a to his end; when d refuses,
 * a and b are told each other's still [RFC7989 6, 7] */
TEST_NO_OOM(uuids_after_a_transfer)
{
	for (int refuses = 0; refuses < 2; refuses++) {
		struct rig *g = rig_new();
		struct rig_end a, b, d;
		talk(g, &a, &b);
		rig_ask(&b, "REFER", ID(B, A) "Refer-To: <sip:1003@" STAGE_SERVER ">\n", NULL);
		CHECK_ID(raw_get(g->b, "SIP/2.0 202", 2), A, B);
		struct raw_msg *m = raw_get(g->b, "NOTIFY ", 2);
		CHECK_ID(m, A, B);
		rig_reply(g->b, m, "200 OK");
		rig_ring(g, g->d, &d);
		CHECK_ID(d.invite, A, N);
		if (refuses) {
			raw_reply(g->d, d.invite, "486 Busy", d.q.tag, ID(D, A), NULL);
			rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
			rig_ask(&b, "BYE", ID(B, A), NULL);
			m = raw_get(g->a, "BYE ", 2);
			CHECK_ID(m, B, A);
			rig_reply(g->a, m, "200 OK");
			rig_free(g);
			continue;
		}
		raw_reply(g->d, d.invite, "200 OK", d.q.tag, ID(D, A) RIG_SDP,
			  rig_sdp(g, g->d, NULL));
		m = raw_get(g->a, "INVITE ", 2);
		CHECK_ID(m, D, A);
		raw_reply(g->a, m, "200 OK", NULL, ID(A, D) RIG_SDP, rig_sdp(g, g->a, NULL));
		CHECK_ID(raw_get(g->a, "ACK ", 2), D, A);
		CHECK_ID(raw_get(g->d, "ACK ", 2), A, D);
		m = raw_get(g->b, "NOTIFY ", 2);
		CHECK_ID(m, A, B);
		rig_reply(g->b, m, "200 OK");
		rig_ask(&b, "BYE", ID(B, A), NULL);
		CHECK_ID(raw_get(g->b, "SIP/2.0 200", 2), A, B);
		rig_ask(&a, "BYE", ID(A, D), NULL);
		m = raw_get(g->d, "BYE ", 2);
		CHECK_ID(m, A, D);
		rig_reply(g->d, m, "200 OK");
		rig_free(g);
	}
}

/* b, who talks with d, too, joins the two: each is told the other's with the first message about
 * it, and both go back to his when it fails; on one shard or two [RFC7989 7] */
TEST_NO_OOM(uuids_after_a_joining)
{
	for (int i = 0; i < 12; i++) {
		struct rig *g = rig_new();
		struct rig_end a, b, b2, d;
		char line[800];
		talk(g, &a, &b);
		rig_call(g, g->b, "1003", ID(B2, N), &b2);
		rig_ring(g, g->d, &d);
		raw_reply(g->d, d.invite, "200 OK", d.q.tag, ID(D, B2) RIG_SDP,
			  rig_sdp(g, g->d, NULL));
		rig_set_caller(&b2, raw_get(g->b, "SIP/2.0 200", 2));
		rig_ack(&b2, &b2.q, ID(B2, D), NULL);
		raw_get(g->d, "ACK ", 2);
		char refer[1000];
		snprintf(refer, sizeof(refer), ID(B, A) "%s", rig_refer_to(&b2, line));
		rig_ask(&b, "REFER", refer, NULL);
		rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
		struct raw_msg *m = raw_get(g->d, "INVITE ", 2);
		CHECK_ID(m, A, D);
		raw_reply(g->d, m, "200 OK", NULL, ID(D, A) RIG_SDP, rig_sdp(g, g->d, NULL));
		m = raw_get(g->a, "INVITE ", 2);
		CHECK_ID(m, D, A);
		if (i % 2) {
			raw_reply(g->a, m, "488 Not Acceptable Here", NULL, ID(A, D), NULL);
			raw_get(g->d, "ACK ", 2);
			rig_reply(g->b, raw_get(g->b, "NOTIFY ", 2), "200 OK");
			m = raw_get(g->b, "INVITE ", 2);
			CHECK_ID(m, D, B2);
			raw_reply(g->b, m, "200 OK", NULL, ID(B2, D) RIG_SDP,
				  rig_sdp(g, g->b, NULL));
			m = raw_get(g->d, "INVITE ", 2);
			CHECK_ID(m, B2, D);
			raw_reply(g->d, m, "200 OK", NULL, ID(D, B2) RIG_SDP,
				  rig_sdp(g, g->d, NULL));
			CHECK_ID(raw_get(g->b, "ACK ", 2), D, B2);
			rig_ask(&b, "INFO", ID(B, A) "Content-Type: text/plain\n", "x\n");
			CHECK_ID(raw_get(g->a, "INFO ", 2), B, A);
		} else {
			raw_reply(g->a, m, "200 OK", NULL, ID(A, D) RIG_SDP,
				  rig_sdp(g, g->a, NULL));
			CHECK_ID(raw_get(g->a, "ACK ", 2), D, A);
			CHECK_ID(raw_get(g->d, "ACK ", 2), A, D);
			rig_ask(&a, "INFO", ID(A, D) "Content-Type: text/plain\n", "x\n");
			CHECK_ID(raw_get(g->d, "INFO ", 2), A, D);
		}
		struct rig_end *all[] = {&a, &b, &b2, &d};
		for (size_t k = 0; k < ARRAY_LEN(all); k++)
			rig_ask(all[k], "BYE", NULL, NULL);
		rig_free(g);
	}
}

/* Requests that nobody caused, and the 100 of a callee who takes his time [RFC7989 7] */
TEST_NO_OOM(uuids_of_what_nobody_caused)
{
	struct rig *g = rig_new();
	struct rig_end a, b;
	rig_call(g, g->a, "1002", ID(A, N), &a);
	rig_ring(g, g->b, &b);
	CHECK_ID(raw_get(g->a, "SIP/2.0 100", 2), N, A);
	raw_reply(g->b, b.invite, "200 OK", b.q.tag, ID(B, A) RIG_SDP, rig_sdp(g, g->b, NULL));
	raw_get(g->b, "ACK ", 2);
	raw_get(g->a, "SIP/2.0 200", 2);
	struct raw_msg *m = raw_get(g->a, "BYE ", 70); /* no ACK came */
	CHECK_ID(m, B, A);
	rig_reply(g->a, m, "200 OK");
	m = raw_get(g->b, "BYE ", 70);
	CHECK_ID(m, A, B);
	rig_reply(g->b, m, "200 OK");
	rig_free(g);
}
