/* Session-ID as it stands in the messages of two phones, and what they make of a peer's. [RFC7989]
 */
#include "shots.h"

#include "dialog/ses_priv.h"

#include <string.h>

#define X "11111111111141118111111111111111"
#define Y "22222222222242228222222222222222"
#define N "00000000000000000000000000000000"

static struct str local_of(const char *text)
{
	return str_sub(shot_line(text, "Session-ID", 0), 0, SIP_UUID);
}

/* "<local>;remote=<remote>". */
static struct str pair_of(struct str local, struct str remote)
{
	static char mem[4][80];
	static unsigned at;
	struct buf b;
	buf_init_fixed(&b, mem[at++ % 4], sizeof(mem[0]));
	buf_fmt(&b, STR_FMT ";remote=" STR_FMT, STR_ARG(local), STR_ARG(remote));
	return buf_view(&b);
}

#define CHECK_ID(text, local, remote)                                                              \
	CHECK_STR_EQ(shot_line(text, "Session-ID", 0), pair_of(local, remote))

/* Each message from number `from` on has one, in the order of its sender. */
static void check_all(unsigned from, struct str a, struct str b)
{
	CHECK(n_shots > from);
	for (unsigned i = from; i < n_shots; i++) {
		CHECK_EQ(shot_count(shots[i].text, "Session-ID"), 1);
		if (shots[i].from == 'a')
			CHECK_ID(shots[i].text, a, b);
		else
			CHECK_ID(shots[i].text, b, a);
	}
}

/* [RFC7989 4, 6, 12] */
TEST(session_id_in_every_message)
{
	struct pair p = watched();
	struct str last = STR_NONE;
	unsigned done;
	char mem[2][SIP_UUID];
	p.b->ring = 183;
	p.b->ring_sdp = p.b->is_reliable = true;
	p.b->answer = 200;
	p.b->answer_ms = 100;
	for (unsigned i = 0; i < 2; i++) {
		n_shots = 0;
		party_call_with(p.a, &(struct ses_call){.target = str_c(party_uri(p.b, "")),
							.is_reliable = true});
		world_run(p.w, 1000);
		struct str a = local_of(shot('a', "INVITE ", 0));
		struct str b = local_of(shot('b', "SIP/2.0 183", 0));
		CHECK(a.p[12] == '4' && str_chr(STR("89ab"), a.p[16]) != SIZE_MAX);
		CHECK(!str_eq(a, b) && !str_eq(a, last)); /* none is used again */
		CHECK_ID(shot('a', "INVITE ", 0), a, STR(N));
		check_all(1, a, b);
		modify(p.a);
		world_run(p.w, 100);
		modify(p.b);
		world_run(p.w, 100);
		inside(p.a, "INFO", "", 0, &done);
		inside(p.b, "OPTIONS", "", 0, &done);
		inside(p.a, "PUBLISH", "", 0, &done); /* refused */
		inside(p.b, "INFO", "Require: foo\r\n", 0, &done);
		world_run(p.w, 100);
		hangup(p.b);
		world_run(p.w, 100);
		CHECK(maybe_shot('a', "SIP/2.0 405", 0) || maybe_shot('b', "SIP/2.0 405", 0));
		shot('a', "SIP/2.0 420", 0);
		check_all(1, a, b);
		memcpy(mem[i], a.p, SIP_UUID);
		last = str_of(mem[i], SIP_UUID);
	}
	pair_free(&p);
}

/* 100 and the 200 of CANCEL are written by another layer, the ACK of a refusal, too; CANCEL says
 * what its INVITE did [RFC7989 6] */
TEST(session_id_of_a_call_given_up)
{
	struct pair p = watched();
	p.b->ring = 180;
	party_call(p.a, p.b, "");
	world_run(p.w, 300);
	hangup(p.a);
	world_run(p.w, 300);
	struct str a = local_of(shot('a', "INVITE ", 0)), b = local_of(shot('b', "SIP/2.0 180", 0));
	CHECK_ID(shot('a', "CANCEL ", 0), a, STR(N));
	CHECK_ID(shot('b', "SIP/2.0 200", 0), b, a);
	CHECK_ID(shot('b', "SIP/2.0 487", 0), b, a);
	CHECK_ID(shot('a', "ACK ", 0), a, b);
	n_shots = 0;
	p.b->ring = 0;
	p.b->answer = 486;
	p.b->answer_ms = 500;
	party_call(p.a, p.b, "");
	world_run(p.w, 700);
	a = local_of(shot('a', "INVITE ", 0));
	CHECK_ID(shot('b', "SIP/2.0 100", 0), local_of(shot('b', "SIP/2.0 486", 0)), a);
	pair_free(&p);
}

/* An INVITE that makes no session is answered with one, too. */
TEST(session_id_of_refusals)
{
	struct pair p = watched();
	unsigned done;
	outside(p.a, p.b, "INVITE",
		"Contact: <sip:a@10.0.0.1>\r\nRequire: foo\r\nSession-ID: " X ";remote=" N "\r\n",
		"", "", &done);
	world_run(p.w, 100);
	const char *m = shot('b', "SIP/2.0 420", 0);
	CHECK_ID(m, local_of(m), STR(X));
	CHECK(!str_eq(local_of(m), STR(N)));
	pair_free(&p);
}

/* One's own stays when an INVITE is tried again, with credentials or elsewhere; who redirects is
 * told his own to the end, and the next one starts with nil [RFC7989 6] */
TEST(session_id_stays_when_tried_again)
{
	struct pair p = watched();
	p.b->password = "secret";
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	struct str a = local_of(shot('a', "INVITE ", 0));
	CHECK_STR_EQ(local_of(shot('a', "INVITE ", 1)), a);
	hangup(p.a);
	pair_free(&p);
}

static const char *answer;

static bool redirect(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_INVITE || rx->msg->to_tag.n)
		return false;
	respond(p, st, rx, 302, "x", answer, 0);
	return true;
}

TEST(session_id_after_a_redirection)
{
	struct pair p = watched();
	struct party *c = party_new(p.w, "c");
	p.b->on_request = redirect;
	c->answer = 200;
	char lines[200];
	struct buf b;
	buf_init_fixed(&b, lines, sizeof(lines));
	buf_str(&b, STR("Contact: <sip:c@10.0.0.3>\r\nSession-ID: " X ";remote=" Y "\r\n"));
	buf_chr(&b, 0);
	answer = lines;
	struct ses_call call = {.target = str_c(party_uri(p.b, "")), .max_redirects = 1};
	party_call_with(p.a, &call);
	/* the response can only name the caller when the caller is known */
	char uuid[SIP_UUID];
	struct str a = sid_text(call_of(p.a)->w->half->sid.local, uuid);
	memcpy(strstr(lines, Y), a.p, SIP_UUID);
	world_run(p.w, 1000);
	a = local_of(shot('a', "INVITE ", 0));
	CHECK_ID(shot('a', "ACK ", 0), a, STR(X));
	CHECK_ID(shot('a', "INVITE ", 1), a, STR(N));
	CHECK_ID(shot('a', "ACK ", 1), a, local_of(shot('c', "SIP/2.0 200", 0)));
	hangup(p.a);
	pair_free(&p);
}

/* b is played by hand; the caller's INVITE has come. */
static struct pair hand(void)
{
	struct pair p = watched();
	p.b->on_request = keep_invite;
	party_call_with(
		p.a, &(struct ses_call){.target = str_c(party_uri(p.b, "")), .is_reliable = true});
	world_run(p.w, 100);
	return p;
}

static void say(struct pair *p, unsigned status, const char *tag, const char *headers, unsigned sdp)
{
	respond(p->b, kept_st, kept_rx, status, tag, headers, sdp);
	world_run(p->w, 50);
}

static void done_with(struct pair *p)
{
	if (p->a->ses)
		hangup(p->a);
	p->b->on_request = NULL;
	pair_free(p);
}

/* Each fork is told its own [RFC7989 6] */
TEST(session_id_of_forks)
{
	struct pair p = hand();
	struct str a = local_of(shot('a', "INVITE ", 0));
	say(&p, 183, "x", "Require: 100rel\r\nRSeq: 1\r\nSession-ID: " X ";remote=" N "\r\n", 0);
	say(&p, 183, "y", "Require: 100rel\r\nRSeq: 1\r\nSession-ID: " Y ";remote=" N "\r\n", 0);
	CHECK_ID(shot('a', "PRACK ", 0), a, STR(X));
	CHECK_ID(shot('a', "PRACK ", 1), a, STR(Y));
	say(&p, 183, "z", "Require: 100rel\r\nRSeq: 1\r\n", 0);
	CHECK_ID(shot('a', "PRACK ", 2), a, STR(N));
	say(&p, 200, "x", "", 1);
	CHECK_ID(shot('a', "ACK ", 0), a, STR(X));
	say(&p, 200, "y", "Session-ID: " Y ";remote=" N "\r\n", 1);
	CHECK_ID(shot('a', "ACK ", 1), a, STR(Y));
	CHECK_ID(shot('a', "BYE ", 0), a, STR(Y));
	done_with(&p);
}

/* What is not as it should be is not taken, and does nothing to the call; nor does a response
 * without one; a new one is taken from any [RFC7989 6, 8] */
TEST(session_id_that_is_odd)
{
	static const struct {
		const char *line, *remote;
	} rows[] = {
		{"Session-ID: abc;remote=" N "\r\n",                 N},
		{"Session-ID: " X "0;remote=" N "\r\n",              N},
		{"Session-ID: F1111111111141118111111111111111\r\n", N},
		{"Session-ID: " X ";remote=" N ";remote=" N "\r\n",  N},
		{"Session-ID: " N ";remote=" N "\r\n",               N},
		{"Session-ID: " X ";remote=" Y "\r\n",               X},
		{"Session-ID: " X ";later=1\r\n",                    X},
		{"",						 N},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = hand();
		struct str a = local_of(shot('a', "INVITE ", 0));
		say(&p, 180, "x", rows[i].line, 0);
		say(&p, 200, "x", "", 1);
		CHECK_ID(shot('a', "ACK ", 0), a, str_c(rows[i].remote));
		CHECK(p.a->is_confirmed);
		done_with(&p);
	}
	struct pair p = hand();
	say(&p, 180, "x", "Session-ID: " X ";remote=" N "\r\n", 0);
	say(&p, 200, "x", "Session-ID: " Y ";remote=" N "\r\n", 1);
	CHECK_ID(shot('a', "ACK ", 0), local_of(shot('a', "INVITE ", 0)), STR(Y));
	done_with(&p);
}

/* Peers of the older book give the first UUID back: with a nil remote, or alone; the dialog goes on
 * so, whatever they write later, and the next one begins anew [RFC7989 11] */
TEST(session_id_of_an_older_callee)
{
	for (int is_alone = 0; is_alone < 2; is_alone++) {
		struct pair p = hand();
		char line[120], echo[120];
		struct str a = local_of(shot('a', "INVITE ", 0));
		struct buf b;
		buf_init_fixed(&b, line, sizeof(line));
		buf_fmt(&b, "Session-ID: " STR_FMT "%s\r\n%c", STR_ARG(a),
			is_alone ? "" : ";remote=" N, 0);
		struct str want = is_alone ? a : pair_of(a, STR(N));
		str_copy(echo, sizeof(echo), want);
		want = str_c(echo);
		say(&p, 180, "x", line, 0);
		say(&p, 200, "x", "Session-ID: " X ";remote=" Y "\r\n", 1);
		CHECK(p.a->is_confirmed);
		CHECK_STR_EQ(shot_line(shot('a', "ACK ", 0), "Session-ID", 0), want);
		modify(p.a);
		world_run(p.w, 50);
		CHECK_STR_EQ(shot_line(shot('a', "INVITE ", 1), "Session-ID", 0), want);
		say(&p, 488, "x", "", 0);
		n_shots = 0;
		done_with(&p);
		CHECK_STR_EQ(shot_line(shot('a', "BYE ", 0), "Session-ID", 0), want);
	}
}

/* A 100 may be written by one on the way who knows no Session-ID. */
TEST(session_id_given_back_by_100)
{
	struct pair p = hand();
	char line[120];
	struct str a = local_of(shot('a', "INVITE ", 0));
	struct buf b;
	buf_init_fixed(&b, line, sizeof(line));
	buf_fmt(&b, "Session-ID: " STR_FMT ";remote=" N "\r\n%c", STR_ARG(a), 0);
	say(&p, 100, NULL, line, 0);
	say(&p, 200, "x", "Session-ID: " X ";remote=" Y "\r\n", 1);
	CHECK_ID(shot('a', "ACK ", 0), a, STR(X));
	done_with(&p);
}

/* A caller of the older book: his UUID alone, both ways [RFC7989 11] */
TEST(session_id_of_an_older_caller)
{
	struct pair p = watched();
	unsigned done;
	char body[512];
	struct buf b;
	buf_init_fixed(&b, body, sizeof(body));
	party_put_sdp(p.a, 1, &b);
	buf_chr(&b, 0);
	p.b->ring = 180;
	p.b->answer = 486;
	p.b->answer_ms = 10;
	outside(p.a, p.b, "INVITE", "Contact: <sip:a@10.0.0.1>\r\nSession-ID: " X "\r\n",
		"application/sdp", body, &done);
	world_run(p.w, 100);
	CHECK_STR(shot_line(shot('b', "SIP/2.0 180", 0), "Session-ID", 0), X);
	CHECK_STR(shot_line(shot('b', "SIP/2.0 486", 0), "Session-ID", 0), X);
	CHECK_STR(shot_line(shot('a', "ACK ", 0), "Session-ID", 0), X);
	pair_free(&p);
}

static struct pair talking(struct str *a, struct str *b)
{
	struct pair p = pair_talking();
	static char texts[2][SIP_UUID];
	*a = sid_text(dialog(p.a)->sid.local, texts[0]);
	*b = sid_text(dialog(p.b)->sid.local, texts[1]);
	return p;
}

/* A peer's new one: the answer names it in any case, what follows only when it was accepted
 * [RFC7989 8] */
TEST(session_id_changes)
{
	struct pair p = watched();
	unsigned done;
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 100);
	struct str b = local_of(shot('b', "SIP/2.0 200", 0));
	struct str a = local_of(shot('a', "INVITE ", 0));
	struct sid *said = &dialog(p.a)->sid;
	/* refused */
	sid_set_local(said, STR(X));
	p.b->refuse_offer = 488;
	modify(p.a);
	world_run(p.w, 100);
	CHECK_ID(shot('b', "SIP/2.0 488", 0), b, STR(X));
	inside(p.b, "INFO", "", 0, &done);
	world_run(p.w, 1);
	CHECK_ID(shot('b', "INFO ", 0), b, a);
	world_run(p.w, 100);
	/* its 200 has told us meanwhile: a response may bring one, too */
	inside(p.b, "INFO", "", 0, &done);
	world_run(p.w, 100);
	CHECK_ID(shot('b', "INFO ", 1), b, STR(X));
	/* accepted */
	sid_set_local(said, STR(Y));
	p.b->refuse_offer = 0;
	modify(p.a);
	world_run(p.w, 100);
	CHECK_ID(shot('b', "SIP/2.0 200", 1), b, STR(Y));
	inside(p.b, "INFO", "", 0, &done);
	world_run(p.w, 100);
	CHECK_ID(shot('b', "INFO ", 2), b, STR(Y));
	hangup(p.b);
	pair_free(&p);
}

static void feed(struct sid *s, const char *method, uint32_t cseq, const char *uuid)
{
	char text[400];
	enum err e;
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_fmt(&b,
		"%s sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: "
		"<sip:a@x>;tag=1\r\n"
		"To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: %u %s\r\nSession-ID: %s;remote=" N
		"\r\n\r\n",
		method, cseq, method, uuid);
	struct sip_msg *m = sip_msg_from(buf_view(&b), &e);
	CHECK(m);
	sid_hear_request(s, m);
	sip_msg_free(m);
}

/* The ACK of a 2xx brings one; of two that overlap the newer stays [RFC7989 8] */
TEST(session_id_of_the_newest)
{
	struct str a, b;
	char uuid[SIP_UUID];
	struct pair p = talking(&a, &b);
	struct sid *s = &dialog(p.b)->sid;
	feed(s, "UPDATE", s->cseq + 2, X);
	CHECK_STR_EQ(sid_text(s->remote, uuid), STR(X));
	feed(s, "INFO", s->cseq - 1, Y);
	CHECK_STR_EQ(sid_text(s->remote, uuid), STR(X));
	hangup(p.a);
	pair_free(&p);
	p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 5);
	CHECK(call_of(p.a)->w->half);
	sid_set_local(&p.a->ses->w->half->sid, STR(X));
	world_run(p.w, 100);
	CHECK_STR_EQ(sid_text(dialog(p.b)->sid.remote, uuid), STR(X));
	hangup(p.a);
	pair_free(&p);
}
