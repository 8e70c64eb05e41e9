/* Peers that misbehave, each in its own way: wrong tags, repeated CSeq, absurd Expires, endless
 * forks, half a dialog, a TCP peer that reads nothing, answers to nothing, storms of 2xx, 1xx,
 * NOTIFY and REFER, registrations with hundreds of contacts, giant headers. While it goes on a
 * bystander is served at once; afterwards nothing is left (scene_free looks), and what it took of
 * memory is bounded. [RFC3261 12.2.2, 13.2.2.4, 16.7, 18.3, 20.19] [RFC6665 4.1.3] */
#include "scene.h"

#include <malloc.h>

#define ECHO "sip:echo@" STAGE_SERVER
#define SDP                                                                                        \
	"v=0\no=- 1 1 IN IP4 10.0.0.21\ns=-\nc=IN IP4 10.0.0.21\nt=0 0\nm=audio 4000 RTP/AVP 0\n"

/* Peers keep all that came: here it would be what is measured. */
static void forget_all_but(struct raw *r, struct raw_msg *keep)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_msgs; i++)
		if (r->msgs[i] == keep)
			r->msgs[n++] = keep;
		else
			free(r->msgs[i]);
	r->n_msgs = n;
}

static void forget(struct raw *r)
{
	forget_all_but(r, NULL);
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd; /* the heap, and what has pages of its own */
}

/* The sanitizers' allocator tells nothing: there the other bounds are what is checked. */
static void grew_at_most(size_t before, size_t bytes)
{
	size_t now = in_use();
	if (now > before + bytes)
		test_fail(__FILE__, __LINE__, "%zu bytes more are in use", now - before);
}

static size_t live(struct scene *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->s->n_shards; i++)
		n += exc_live(t->s->exc, i);
	return n;
}

/* Somebody else is served meanwhile. */
static void bystander(struct scene *t)
{
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_request(t->x, 0, &q);
	raw_get(t->x, "SIP/2.0 200", 0.1);
	forget(t->x);
}

static unsigned status_of(const struct raw_msg *m)
{
	return (unsigned)atoi(m->bytes + 8);
}

/* A call of a to the echo test; `q` is then what requests inside it are copied from. */
static void call_echo(struct scene *t, struct raw_req *q, char to[128])
{
	*q = (struct raw_req){.method = "INVITE",
			      .uri = ECHO,
			      .extra = "Content-Type: application/sdp\n",
			      .body = SDP};
	raw_ask(t->a, 0, q);
	struct raw_msg *ok = raw_get(t->a, "SIP/2.0 200", 1);
	raw_cstr(raw_header(ok, "To", 0), to, 128);
	q->to = to;
	struct raw_req ack = *q;
	ack.method = "ACK";
	ack.extra = ack.body = NULL;
	ack.auth[0] = ack.branch[0] = 0;
	raw_request(t->a, 0, &ack);
	stage_run(t->s, 0.1);
	raw_flush(t->a);
}

static unsigned inside(struct scene *t, const struct raw_req *dialog, const char *method,
		       unsigned cseq, const char *to, const char *tag)
{
	struct raw_req q = *dialog;
	q.method = method;
	q.cseq = cseq;
	q.to = to;
	q.extra = q.body = NULL;
	q.auth[0] = q.branch[0] = 0;
	if (tag)
		snprintf(q.tag, sizeof(q.tag), "%s", tag);
	raw_request(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 ", 1);
	while (status_of(m) < 200)
		m = raw_get(t->a, "SIP/2.0 ", 1);
	return status_of(m);
}

TEST_NO_OOM(wrong_tags_end_no_call)
{
	struct scene *t = scene_new();
	struct raw_req q;
	char to[128];
	call_echo(t, &q, to);
	for (int i = 0; i < 200; i++) {
		char other[128];
		snprintf(other, sizeof(other), "<" ECHO ">;tag=wrong%d", i);
		CHECK_EQ(inside(t, &q, "BYE", q.cseq + 1, other, NULL), 481);
		CHECK_EQ(inside(t, &q, "BYE", q.cseq + 1, to, "notmine"), 481);
		forget(t->a);
	}
	bystander(t);
	CHECK_EQ(inside(t, &q, "OPTIONS", q.cseq + 2, to, NULL), 200); /* it stands */
	CHECK_EQ(inside(t, &q, "BYE", q.cseq + 3, to, NULL), 200);
	scene_free(t);
}

TEST_NO_OOM(repeated_cseq_is_refused)
{
	struct scene *t = scene_new();
	struct raw_req q;
	char to[128];
	call_echo(t, &q, to);
	CHECK_EQ(inside(t, &q, "OPTIONS", q.cseq + 5, to, NULL), 200);
	for (unsigned i = 1; i < 5; i++)
		CHECK_EQ(inside(t, &q, "BYE", q.cseq + i, to, NULL), 500); /* older */
	CHECK_EQ(inside(t, &q, "BYE", 0x7fffffff, to, NULL), 200);
	/* a REGISTER that comes again, with another branch */
	struct raw_req r = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .contact = B_CONTACT};
	raw_ask(t->b, 0, &r);
	raw_get(t->b, "SIP/2.0 200", 1);
	for (int i = 0; i < 100; i++) {
		r.branch[0] = 0;
		r.contact = B_CONTACT ";expires=0";
		raw_request(t->b, 0, &r);
		struct raw_msg *m = raw_get(t->b, "SIP/2.0 ", 1);
		CHECK_EQ(status_of(m), 482);
		forget(t->b);
	}
	scene_invite(t); /* it is still bound */
	struct raw_msg *invite = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, invite, "486 Busy Here", "b", NULL, NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	scene_free(t);
}

TEST_NO_OOM(absurd_expires)
{
	static const char *const absurd[] = {
		"4294967295", "4294967296", "99999999999999999999999999",
		"-1",         "soon",       "",
		"3600, 1",    "0x10",       "1e9"};
	static const struct {
		const char *method, *uri, *extra, *body;
	} all[] = {
		{"SUBSCRIBE", TO_B,                     "Event: presence\n",          NULL							      },
		{"PUBLISH",   "sip:1001@" STAGE_SERVER,
		 "Event: presence\n"
		 "Content-Type: application/pidf+xml\n",			      "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:x@y'/>"},
		{"MESSAGE",   TO_B,                     "Content-Type: text/plain\n", "x"                                                               },
	};
	struct scene *t = scene_new();
	for (size_t i = 0; i < ARRAY_LEN(absurd); i++) {
		char contact[100], extra[200];
		snprintf(contact, sizeof(contact), B_CONTACT ";expires=%s", absurd[i]);
		struct raw_req r = {.method = "REGISTER",
				    .uri = "sip:" STAGE_SERVER,
				    .to = "<sip:1002@" STAGE_SERVER ">",
				    .contact = contact};
		raw_ask(t->b, 0, &r);
		struct raw_msg *m = raw_get(t->b, "SIP/2.0 ", 1);
		uint32_t granted = 0;
		if (status_of(m) == 200 && raw_header(m, "Contact", 0).n) {
			struct str c = raw_header(m, "Contact", 0);
			c = str_skip(c, str_find(c, STR(";expires=")) + 9);
			CHECK(str_u32(str_sub(c, 0, str_chr(c, ';')), &granted));
			CHECK(granted >= 1 && granted <= 86400);
		}
		for (size_t k = 0; k < ARRAY_LEN(all); k++) {
			snprintf(extra, sizeof(extra), "%sExpires: %s\n", all[k].extra, absurd[i]);
			struct raw_req q = {.method = all[k].method,
					    .uri = all[k].uri,
					    .extra = extra,
					    .body = all[k].body};
			raw_request(t->a, 0, &q);
			m = raw_get(t->a, "SIP/2.0 ", 1);
			if (status_of(m) == 407) {
				raw_answer_challenge(t->a, &q, m);
				raw_request(t->a, 0, &q);
				stage_run(t->s, 0.1);
			}
			stage_run(t->s, 0.1);
			forget(t->a);
			forget(t->b);
		}
		bystander(t);
	}
	scene_free(t);
}

static void ring(struct scene *t, struct raw_msg *m, int from, int to)
{
	char tag[16];
	for (int i = from; i < to; i++) {
		snprintf(tag, sizeof(tag), "fork%d", i);
		raw_reply(t->b, m, i % 2 ? "183 Session Progress" : "180 Ringing", tag, NULL, NULL);
		if (i % 50 == 0)
			stage_run(t->s, 0.01);
		forget(t->a);
		forget_all_but(t->b, m);
	}
	stage_run(t->s, 0.1);
	forget(t->a);
}

/* One INVITE, answered by a thousand tags, ringing first, then all with 200. */
static void endless_forks(bool is_b2bua)
{
	const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .is_b2bua = is_b2bua};
	struct scene *t = scene_new_with(&cfg);
	char tag[16];
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	size_t n_live = live(t);
	/* pools are opened, and a shard keeps 512 blocks of messages that came by the other */
	ring(t, m, 0, 600);
	size_t before = in_use();
	ring(t, m, 600, 2000);
	grew_at_most(before, 1 << 16);
	CHECK(live(t) <= n_live + 100);
	bystander(t);
	for (int i = 0; i < 2000; i++) {
		snprintf(tag, sizeof(tag), "fork%d", i);
		raw_reply(t->b, m, "200 OK", tag, is_b2bua ? "Content-Type: application/sdp\n" : "",
			  is_b2bua ? SDP : NULL);
		if (i % 50 == 0)
			stage_run(t->s, 0.01);
		forget(t->a);
		forget_all_but(t->b, m);
	}
	stage_run(t->s, 0.1);
	/* LIMIT_DYING_DIALOGS with their BYEs, 8 kB each, and a megabyte */
	grew_at_most(before, 512 * 8192 + (1 << 20));
	bystander(t);
	forget(t->a);
	raw_close(t->b, 0); /* it does not even end what it began */
	scene_free(t);
}

TEST_NO_OOM(endless_forks_through_the_proxy)
{
	endless_forks(false);
}

TEST_NO_OOM(endless_forks_through_the_b2bua)
{
	endless_forks(true);
}

/* Callers who vanish after the 200, watchers who never answer a NOTIFY. */
static void half_a_dialog(bool is_b2bua)
{
	const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .is_b2bua = is_b2bua};
	struct scene *t = scene_new_with(&cfg);
	scene_register(t->b, B_CONTACT);
	for (int i = 0; i < 50; i++) {
		t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
		scene_invite(t);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		raw_reply(t->b, m, "200 OK", "half",
			  is_b2bua ? "Content-Type: application/sdp\n" : "", is_b2bua ? SDP : NULL);
		stage_run(t->s, 0.5); /* no ACK, no BYE, nothing */
	}
	for (int i = 0; i < 10; i++) {
		struct raw_req q = {
			.method = "SUBSCRIBE", .uri = TO_B, .extra = "Event: presence\n"};
		raw_ask(t->a, 0, &q);
	}
	bystander(t);
	stage_run(t->s, 110); /* 64*T1, and the BYEs that nobody answers */
	forget(t->a);
	forget(t->b);
	CHECK_EQ(live(t), 0);
	scene_free(t);
}

TEST_NO_OOM(half_a_dialog_through_the_proxy)
{
	half_a_dialog(false);
}

TEST_NO_OOM(half_a_dialog_through_the_b2bua)
{
	half_a_dialog(true);
}

/* It asks and asks by TCP and reads none of the answers: its queue is bounded, then it is closed;
 * a phone that others call and that does not read is one that cannot be reached. */
TEST_NO_OOM(tcp_peer_that_reads_nothing)
{
	struct scene *t = scene_new();
	int sock = raw_connect(t->a);
	raw_register(t->a, sock, "<sip:1001@10.0.0.21:5060;transport=tcp>", NULL);
	env_want(t->a->socks[sock].env_sock, 0);
	size_t before = in_use();
	for (int i = 0; i < 20000; i++) {
		char text[400];
		int n = snprintf(text, sizeof(text),
				 "OPTIONS sip:" STAGE_SERVER " SIP/2.0\r\nVia: SIP/2.0/TCP "
				 "10.0.0.21;branch=z9hG4bKmute%d\r\nFrom: <sip:m@x>;tag=1\r\nTo: "
				 "<sip:" STAGE_SERVER ">\r\nCall-ID: mute%d\r\nCSeq: 1 OPTIONS\r\n"
				 "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
				 i, i);
		size_t done = 0;
		if (!t->a->socks[sock].env_sock ||
		    env_write(t->a->socks[sock].env_sock, text, (size_t)n, &done) ||
		    done < (size_t)n)
			break; /* closed, or the exchange reads no more of it */
		if (i % 20 == 0)
			stage_run(t->s, 0.005);
	}
	bystander(t);
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:1001@" STAGE_SERVER, .body = "x"};
	raw_ask(t->b, 0, &q);
	stage_run(t->s, 40); /* LIMIT_STALL_US */
	bystander(t);
	grew_at_most(before, 16 << 20); /* of it the records of OPTIONS, Timer J */
	forget(t->b);
	scene_free(t);
}

/* Branches of ours that were never given out, repaired, repeated; and none of ours at all. */
TEST_NO_OOM(responses_to_requests_never_sent)
{
	struct scene *t = scene_new();
	struct scene_dialog d;
	char branch[100];
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	struct str via = raw_header(d.invite, "Via", 0);
	via = str_skip(via, str_find(via, STR("branch=")) + 7);
	raw_cstr(str_sub(via, 0, str_chr(via, ';')), branch, sizeof(branch));
	size_t before = in_use(), n_live = live(t);
	for (unsigned i = 0; i < 5000; i++) {
		char forged[120];
		snprintf(forged, sizeof(forged), "%s", branch);
		forged[7 + i % (strlen(branch) - 7)] = (char)('a' + i % 26);
		raw_say(t->x, 0,
			"SIP/2.0 %u Whatever\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=%s\nVia: "
			"SIP/2.0/UDP 10.0.0.21;branch=z9hG4bKx\nFrom: <sip:a@b>;tag=1\nTo: "
			"<sip:c@d>;tag=%u\nCall-ID: %s\nCSeq: 1 %s\nContent-Length: 0\n\n",
			100 + i * 7 % 600, i % 3 ? forged : "z9hG4bKnothing", i,
			i % 2 ? t->call.call_id : "nobody's", i % 5 ? "INVITE" : "CANCEL");
		if (i % 50 == 0)
			stage_run(t->s, 0.01);
	}
	stage_run(t->s, 0.1);
	CHECK(live(t) <= n_live);
	grew_at_most(before, 512 << 10); /* 400 kB once, however many come */
	bystander(t);
	raw_flush(t->a);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE"); /* the call stands */
	raw_request(t->a, d.a_sock, &bye);
	raw_reply(t->b, raw_get(t->b, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* The same final answer, or the same ringing, thousands of times. */
static void storm_of_answers(const char *status, bool is_b2bua)
{
	const struct exc_cfg cfg = {
		.realm = STR_INIT("sim"), .product = STR_INIT("rung"), .is_b2bua = is_b2bua};
	struct scene *t = scene_new_with(&cfg);
	size_t n_passed = 0;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, m, status, "b", is_b2bua ? "Content-Type: application/sdp\n" : "",
		  is_b2bua ? SDP : NULL);
	stage_run(t->s, 0.1);
	size_t before = in_use();
	for (int i = 0; i < 5000; i++) {
		raw_reply(t->b, m, status, "b", is_b2bua ? "Content-Type: application/sdp\n" : "",
			  is_b2bua ? SDP : NULL);
		if (i % 50 == 0)
			stage_run(t->s, 0.01);
		n_passed += t->a->n_msgs;
		forget(t->a);
		forget_all_but(t->b, m);
	}
	stage_run(t->s, 0.1);
	n_passed += t->a->n_msgs;
	CHECK(n_passed <= 5100);       /* nothing is made more of */
	grew_at_most(before, 3 << 19); /* chunks of pools; four times the storm takes the same */
	bystander(t);
	forget(t->a);
	scene_free(t);
}

TEST_NO_OOM(storm_of_2xx)
{
	storm_of_answers("200 OK", false);
	storm_of_answers("200 OK", true);
}

TEST_NO_OOM(storm_of_1xx)
{
	storm_of_answers("180 Ringing", false);
	storm_of_answers("183 Session Progress", true);
}

/* NOTIFYs and REFERs for nothing, in and out of dialogs, by somebody with an account and by a
 * stranger. */
TEST_NO_OOM(floods_of_notify_and_refer)
{
	static const struct {
		const char *method, *extra;
	} all[] = {
		{"NOTIFY", "Event: presence\nSubscription-State: active;expires=9\n"},
		{"NOTIFY", "Event: refer\nSubscription-State: terminated\n"         },
		{"REFER",  "Refer-To: <sip:1001@" STAGE_SERVER ">\n"                },
	};
	struct scene *t = scene_new();
	struct raw_req dialog;
	char to[128];
	call_echo(t, &dialog, to);
	scene_register(t->b, B_CONTACT);
	size_t n_forwarded = 0;
	forget(t->b);
	for (unsigned i = 0; i < 3000; i++) {
		struct raw_req q = {.method = all[i % 3].method,
				    .extra = all[i % 3].extra,
				    .uri = i % 2 ? TO_B : "sip:" STAGE_SERVER};
		raw_request(i % 4 ? t->a : t->c, 0, &q);
		q = dialog;
		q.method = all[i % 3].method;
		q.extra = all[i % 3].extra;
		q.cseq = dialog.cseq + 1 + i;
		q.body = NULL;
		q.auth[0] = q.branch[0] = 0;
		raw_request(t->a, 0, &q);
		if (i % 20 == 0)
			stage_run(t->s, 0.01);
		n_forwarded += t->b->n_msgs;
		forget(t->a);
		forget(t->b);
		forget(t->c);
	}
	bystander(t);
	CHECK_EQ(n_forwarded, 0); /* without credentials nothing goes anywhere */
	stage_run(t->s, 1);
	forget(t->a);
	CHECK_EQ(inside(t, &dialog, "BYE", dialog.cseq + 5000, to, NULL), 200);
	stage_run(t->s, 1);
	forget(t->a);
	scene_free(t);
}

TEST_NO_OOM(register_with_hundreds_of_contacts)
{
	static char contacts[32000];
	struct scene *t = scene_new();
	scene_register(t->b, B_CONTACT);
	size_t n = 0;
	for (unsigned i = 0; i < 500; i++)
		n += (size_t)snprintf(contacts + n, sizeof(contacts) - n, "%s<sip:1002@10.9.%u.%u>",
				      i ? ", " : "", i / 250, i % 250);
	struct raw_req r = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = "<sip:1002@" STAGE_SERVER ">",
			    .contact = contacts};
	raw_ask(t->b, 0, &r);
	CHECK(raw_has(raw_get(t->b, "SIP/2.0 403", 1), "3007"));
	/* one by one, each a new instance: the bound is kept */
	for (unsigned i = 0; i < 100; i++) {
		char one[64];
		snprintf(one, sizeof(one), "<sip:1002@10.9.0.%u>", i);
		r = (struct raw_req){.method = "REGISTER",
				     .uri = "sip:" STAGE_SERVER,
				     .to = "<sip:1002@" STAGE_SERVER ">",
				     .contact = one};
		raw_ask(t->b, 0, &r);
		struct raw_msg *m = raw_get(t->b, "SIP/2.0 ", 1);
		CHECK(raw_count(m, "Contact") <= 16);
		stage_run(t->s, 0.1);
		forget(t->b);
	}
	bystander(t);
	scene_free(t);
}

/* 60 kB in one header, ten thousand headers, hundreds of Vias and Routes: by UDP and by TCP. */
TEST_NO_OOM(giant_headers)
{
	static char big[60000];
	struct addr_net all;
	CHECK(addr_net_parse(STR("10.0.0.0/8"), &all));
	const struct exc_cfg cfg = {/* who sends such things is banned soon: not here */
				    .realm = STR("sim"),
				    .product = STR("rung"),
				    .never_ban = &all,
				    .n_never_ban = 1};
	struct scene *t = scene_new_with(&cfg);
	int tcp = raw_connect(t->a);
	size_t before = in_use();
	for (unsigned kind = 0; kind < 10; kind++) {
		static const char *const lines[] = {
			"X: y\n", "Via: SIP/2.0/UDP 10.1.1.1;branch=z9\n",
			"Route: <sip:10.1.1.1;lr>\n", "Contact: <sip:a@10.1.1.1>\n"};
		size_t n = 0;
		if (kind / 2 == 4) {
			n = (size_t)snprintf(big, sizeof(big), "Subject: ");
			memset(big + n, 'x', sizeof(big) - n - 2);
			memcpy(big + sizeof(big) - 2, "\n", 2);
		} else {
			const char *line = lines[kind / 2];
			size_t most = kind / 2 == 0 ? 50000 : 12000;
			for (size_t k = strlen(line); n + k < most; n += k)
				memcpy(big + n, line, k + 1);
		}
		for (unsigned i = 0; i < 50; i++) {
			struct raw_req q = {
				.method = "OPTIONS", .uri = "sip:" STAGE_SERVER, .extra = big};
			int sock = kind % 2 ? tcp : 0;
			if (sock && t->a->socks[sock].has_ended)
				sock = tcp = raw_connect(t->a);
			raw_request(t->a, sock, &q);
			stage_run(t->s, 0.05);
			forget(t->a);
		}
		bystander(t);
	}
	stage_run(t->s, 40);
	grew_at_most(before, 4 << 20);
	scene_free(t);
}
