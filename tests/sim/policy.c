/* The routing policy in the exchange, with peers of text: groups, hunts, forwards, redirects,
 * trunks, loops, what must not get out, and a new policy during a call. [RFC3261 16.6, 16.7]
 * [RFC5806] [RFC7044] [RFC3325] */
#include "scene.h"

#define C3_CONTACT "<sip:1003@10.0.0.23:5060>"
#define TO(user)   "sip:" user "@" STAGE_SERVER

/* b is 1002, c is 1003, both registered; x is a trunk or a stranger. */
static struct scene *scene(const char *text)
{
	struct scene *t = scene_new();
	stage_account(t->s, "1003");
	snprintf(t->c->user, sizeof(t->c->user), "1003");
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C3_CONTACT);
	scene_policy(t, text);
	return t;
}

static void call(struct scene *t, const char *uri)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri};
	raw_ask(t->a, 0, &t->call);
}

static void refuse(struct raw *r, const struct raw_msg *invite, const char *status)
{
	raw_reply(r, invite, status, "callee", NULL, NULL);
	raw_get(r, "ACK ", 1);
}

/* The present call rings there and is given up after `seconds`. */
static void ring_out(struct raw *r, double seconds)
{
	struct raw_msg *m = raw_get(r, "INVITE ", 1);
	raw_reply(r, m, "180 Ringing", "callee", NULL, NULL);
	raw_none(r, "CANCEL ", seconds - 0.1);
	struct raw_msg *cancel = raw_get(r, "CANCEL ", 0.2);
	raw_reply(r, cancel, "200 OK", "callee", NULL, NULL);
	refuse(r, m, "487 Request Terminated");
}

TEST_NO_OOM(policy_group_rings_all_at_once)
{
	struct scene *t = scene("groups: {sales: {numbers: ['200'], members: ['1002', '1003']}}");
	call(t, TO("200"));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_STR(raw_uri(at_b), "sip:1002@10.0.0.22:5060");
	CHECK_STR(raw_uri(at_c), "sip:1003@10.0.0.23:5060");
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	raw_reply(t->c, at_c, "200 OK", "c", NULL, NULL);
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 1);
	raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
	refuse(t->b, at_b, "487 Request Terminated");
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* One after the other: who declines, who does not answer; then what comes otherwise. */
TEST_NO_OOM(policy_hunt_goes_on)
{
	struct scene *t = scene("groups:\n"
				"  hunt:\n"
				"    ring: in-turn\n"
				"    time: 10s\n"
				"    members: ['1002', '1003']\n"
				"    otherwise: '1002'\n");
	call(t, TO("hunt"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "603 Decline");
	ring_out(t->c, 10);
	struct raw_msg *last = raw_get(t->b, "INVITE ", 1);
	CHECK_STR(raw_header(last, "Diversion", 0),
		  "<sip:hunt@10.0.0.1>;reason=no-answer;counter=1");
	raw_reply(t->b, last, "180 Ringing", "callee", NULL, NULL);
	raw_none(t->b, "CANCEL ", 60); /* the last one rings as long as the caller waits */
	refuse(t->b, last, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 603", 1); /* the best of all [RFC3261 16.7 step 6] */
	scene_free(t);
}

static const char forwards[] = "users:\n"
			       "  '1002':\n"
			       "    forward: {busy: '1003', no_answer: echo2, after: 12s}\n"
			       "  '1003': {aliases: [echo2]}\n";

TEST_NO_OOM(policy_forward_on_busy)
{
	struct scene *t = scene(forwards);
	call(t, TO("1002"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here");
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_STR(raw_uri(at_c), "sip:1003@10.0.0.23:5060");
	CHECK_STR(raw_header(at_c, "Diversion", 0),
		  "<sip:1002@10.0.0.1>;reason=user-busy;counter=1");
	CHECK_STR(
		raw_header(at_c, "History-Info", 0),
		"<sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D486>;index=1, "
		"<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1, "
		"<sip:1003@10.0.0.1>;index=1.2;mp=1, <sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
	raw_none(t->a, "SIP/2.0 4", 0.1);
	raw_reply(t->c, at_c, "200 OK", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

TEST_NO_OOM(policy_forward_on_no_answer)
{
	struct scene *t = scene(forwards);
	call(t, TO("1002"));
	ring_out(t->b, 12);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK(raw_has(at_c, "reason=no-answer"));
	refuse(t->c, at_c, "480 Nobody");
	raw_get(t->a, "SIP/2.0 480", 1);
	scene_free(t);
}

/* A phone that rang, and then left its network, is not waited for until its CANCEL has timed out
 * [RFC3261 16.7 step 10, 9.1] */
static void vanish(const char *config)
{
	struct scene *t = scene(config);
	call(t, TO("1002"));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "callee", NULL, NULL);
	raw_none(t->c, "INVITE ", 13);
	CHECK(raw_has(raw_get(t->b, "CANCEL ", 1), "Reason: SIP;cause=408;"));
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 5);
	CHECK(raw_has(at_c, "reason=no-answer"));
	refuse(t->c, at_c, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

TEST_NO_OOM(policy_forward_past_who_vanished)
{
	vanish(forwards);
}

TEST_NO_OOM(policy_forward_past_who_vanished_b2bua)
{
	vanish("mode: b2bua\n"
	       "users: {'1002': {forward: {no_answer: '1003', after: 12s}}}\n");
}

/* Who had said nothing is not waited for, yet answers: that ends what follows like any 2xx, and no
 * refusal comes behind it. [RFC3261 16.7 steps 5, 10] */
TEST_NO_OOM(policy_late_answer_of_who_was_given_up)
{
	struct scene *t = scene(forwards);
	call(t, TO("1002"));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 14);
	raw_reply(t->c, at_c, "180 Ringing", "callee", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_reply(t->b, at_b, "200 OK", "b", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	raw_reply(t->c, raw_get(t->c, "CANCEL ", 1), "200 OK", "callee", NULL, NULL);
	refuse(t->c, at_c, "603 Decline");
	raw_none(t->a, "SIP/2.0 603", 10);
	scene_free(t);
}

TEST_NO_OOM(policy_forward_when_offline)
{
	struct scene *t = scene("users: {'1001': {forward: {offline: '1002', busy: '1003'}}}");
	call(t, TO("1001")); /* has not registered */
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	CHECK(raw_has(at_b, "Diversion: <sip:1001@10.0.0.1>;reason=unavailable;counter=1"));
	refuse(t->b, at_b, "486 Busy Here"); /* 1001's busy is not 1002's */
	raw_get(t->a, "SIP/2.0 486", 1);
	raw_none(t->c, "INVITE ", 3);
	scene_free(t);
}

/* Declined is declined: no forward. A Diversion that came stays below ours. */
TEST_NO_OOM(policy_forward_and_decline)
{
	struct scene *t = scene(forwards);
	call(t, TO("1002"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "603 Decline");
	raw_get(t->a, "SIP/2.0 603", 1);
	raw_none(t->c, "INVITE ", 3);
	t->call = (struct raw_req){.method = "INVITE",
				   .uri = TO("1002"),
				   .extra = "Diversion: <sip:9@elsewhere>;reason=user-busy\n"
					    "History-Info: <sip:9@elsewhere>;index=1\n"};
	raw_ask(t->a, 0, &t->call);
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here");
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK(raw_has(at_c, "Diversion: <sip:1002@10.0.0.1>;reason=user-busy;counter=1\r\n"
			    "Diversion: <sip:9@elsewhere>;reason=user-busy\r\n"));
	CHECK_STR(raw_header(at_c, "History-Info", 0), "<sip:9@elsewhere>;index=1");
	/* of the hop before nothing is known: a gap [RFC7044 10.3 rule 6] */
	CHECK_STR(raw_header(at_c, "History-Info", 1),
		  "<sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D486>;index=1.0, "
		  "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D486>;index=1.0.1;rc=1.0, "
		  "<sip:1003@10.0.0.1>;index=1.0.2;mp=1.0, "
		  "<sip:1003@10.0.0.23:5060>;index=1.0.2.1;rc=1.0.2");
	refuse(t->c, at_c, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* [RFC3261 8.3]: where to call instead, the better first; nobody is called. */
TEST_NO_OOM(policy_redirects)
{
	struct scene *t = scene("users: {'1002': {mode: redirect}}\n"
				"routes:\n"
				"  - {to: two, redirect: ['1003', 'sip:x@example.net']}\n"
				"  - {to: moved, redirect: 'sip:y@example.net', permanent: yes}\n");
	call(t, TO("1002"));
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 302", 1);
	CHECK_STR(raw_header(end, "Contact", 0), "<sip:1002@10.0.0.22:5060>;q=1.000");
	CHECK(raw_has(end, "4031 call there instead"));
	raw_ack(t->a, 0, &t->call, end);
	call(t, TO("two"));
	end = raw_get(t->a, "SIP/2.0 300", 1);
	CHECK_STR(raw_header(end, "Contact", 0), "<sip:1003@10.0.0.23:5060>;q=1.000");
	CHECK_STR(raw_header(end, "Contact", 1), "<sip:x@example.net>;q=0.950");
	raw_ack(t->a, 0, &t->call, end);
	call(t, TO("moved"));
	end = raw_get(t->a, "SIP/2.0 301", 1);
	CHECK_STR(raw_header(end, "Contact", 0), "<sip:y@example.net>;q=1.000");
	raw_ack(t->a, 0, &t->call, end);
	raw_none(t->b, "INVITE ", 1);
	scene_free(t);
}

/* [RFC3261 8.3]: not to itself; and whatever the request is, a redirect server need not understand
 * it. */
TEST_NO_OOM(policy_redirects_elsewhere)
{
	struct scene *t = scene("routes:\n"
				"  - {to: self, redirect: ['sip:self@10.0.0.1', '1003']}\n"
				"  - {to: only, redirect: 'sip:only@10.0.0.1'}\n"
				"  - {to: two, redirect: '1003'}\n");
	call(t, TO("self"));
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 30", 1);
	CHECK_EQ(raw_count(end, "Contact"), 1);
	CHECK_STR(raw_header(end, "Contact", 0), "<sip:1003@10.0.0.23:5060>;q=1.000");
	raw_ack(t->a, 0, &t->call, end);
	call(t, TO("only"));
	end = raw_get(t->a, "SIP/2.0 482", 1);
	raw_ack(t->a, 0, &t->call, end);
	struct raw_req odd = {.method = "FROB",
			      .uri = TO("two"),
			      .contact = "",
			      .extra = "Require: x-unknown\nX-New: y\n"};
	raw_ask(t->a, 0, &odd);
	raw_get(t->a, "SIP/2.0 302", 1);
	scene_free(t);
}

/* [RFC3261 16.7 step 4]: the Contacts of a 3xx are called, by q, each once. */
TEST_NO_OOM(policy_follows_3xx)
{
	struct scene *t = scene("recurse: yes");
	call(t, TO("1002"));
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "302 Moved", "b",
		  "Contact: <sip:nobody@10.0.0.99:5060>;q=0.5, <sip:1003@10.0.0.1>;q=0.9, "
		  "<sip:1002@10.0.0.22:5060>, <tel:+4930>, <sip:999@10.0.0.1>\n",
		  NULL);
	raw_get(t->b, "ACK ", 1);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	CHECK_STR(raw_uri(at_c), "sip:1003@10.0.0.23:5060");
	raw_none(t->x, "INVITE ", 0.1);
	raw_reply(t->c, at_c, "302 Moved", "c", "Contact: <sip:1002@10.0.0.1>\n", NULL);
	raw_get(t->c, "ACK ", 1);
	struct raw_msg *at_x = raw_get(t->x, "INVITE ", 1);
	raw_none(t->b, "INVITE ", 1);
	raw_reply(t->x, at_x, "404 Not Found", "x", NULL, NULL);
	/* of c: it led nowhere, and is better than a 404; that of b was followed */
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 302", 1), ";tag=c\r\n"));
	scene_free(t);
}

TEST_NO_OOM(policy_passes_3xx_back)
{
	struct scene *t = scene("recurse: no");
	call(t, TO("1002"));
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "302 Moved", "b",
		  "Contact: <sip:1003@10.0.0.1>\n", NULL);
	raw_get(t->a, "SIP/2.0 302", 1);
	raw_none(t->c, "INVITE ", 1);
	scene_free(t);
}

static const char office[] =
	"users: {'1001': {caller_id: '+49301001'}, '1002': {numbers: ['+49302']}}\n"
	"trunks:\n"
	"  out:\n"
	"    hosts: [{host: '10.0.0.98:5060', priority: 1}, {host: 10.0.0.99, "
	"priority: 2}]\n"
	"    sources: 10.0.0.99\n"
	"    out: {'0...': '+49...'}\n"
	"    in: {'0...': '+49...'}\n"
	"    otherwise: '1003'\n"
	"routes:\n"
	"  - {to: '0900...', reject: 403, reason: Not from here}\n"
	"  - {to: '0...', trunk: out, remove: [Subject, X-Secret], set: "
	"{X-Line: '1'}}\n";

/* The first host is dead: the second one; number, asserted caller, headers. */
TEST_NO_OOM(policy_out_by_a_trunk)
{
	struct scene *t = scene(office);
	t->call = (struct raw_req){.method = "INVITE",
				   .uri = TO("030123"),
				   .extra = "s: private\nx-secret: 1\nX-Line: 7\n"
					    "P-Asserted-Identity: <sip:boss@10.0.0.1>\n"};
	raw_ask(t->a, 0, &t->call);
	raw_none(t->x, "INVITE ", 4.9);
	struct raw_msg *m = raw_get(t->x, "INVITE ", 0.2);
	CHECK_STR(raw_uri(m), "sip:+4930123@10.0.0.99");
	CHECK_STR(raw_header(m, "P-Asserted-Identity", 0), "<sip:+49301001@10.0.0.1>");
	CHECK_EQ(raw_count(m, "P-Asserted-Identity"), 1);
	CHECK(!raw_has(m, "private") && !raw_has(m, "x-secret") && !raw_has(m, "X-Line: 7"));
	CHECK(raw_has(m, "\r\nX-Line: 1\r\n"));
	raw_reply(t->x, m, "404 Not Found", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 404", 1);
	scene_free(t);
}

/* A phone that is registered and gone: the hunt goes on when its time is over, not at Timer B. When
 * it rings after all it is cancelled. */
TEST_NO_OOM(policy_hunt_past_a_dead_phone)
{
	struct scene *t =
		scene("groups: {h: {ring: in-turn, time: 8s, members: ['1002', '1003']}}");
	call(t, TO("h"));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	raw_none(t->c, "INVITE ", 7.8);
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 0.4);
	raw_reply(t->b, at_b, "180 Ringing", "b", NULL, NULL);
	struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 1);
	raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
	raw_reply(t->b, at_b, "487 Request Terminated", "b", NULL, NULL);
	raw_get(t->b, "ACK ", 1);
	raw_reply(t->c, at_c, "200 OK", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

TEST_NO_OOM(policy_rejects)
{
	struct scene *t = scene(office);
	call(t, TO("0900555"));
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 403 Not from here", 1);
	CHECK(raw_has(end, "4030 refused by a rule"));
	raw_none(t->x, "INVITE ", 1);
	scene_free(t);
}

/* A trunk's address needs no digest; it reaches numbers of ours. */
TEST_NO_OOM(policy_in_by_a_trunk)
{
	struct scene *t = scene(office);
	struct raw_req q = {.method = "INVITE", .uri = TO("0302")};
	raw_request(t->x, 0, &q);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
	raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->x, "SIP/2.0 486", 1);
	q = (struct raw_req){.method = "INVITE", .uri = TO("77")};
	raw_request(t->x, 0, &q);
	m = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, m, "486 Busy Here", "b", NULL, NULL);
	raw_get(t->x, "SIP/2.0 486", 1);
	scene_free(t);
}

/* Toll fraud: a stranger gets a challenge, whatever he calls; a trunk gets neither out again, nor
 * to another domain, nor past us by a Route, nor to anybody's mailbox; a phone that answers 302
 * does not reach the trunk. */
TEST_NO_OOM(policy_lets_nobody_out)
{
	struct scene *t = scene(office);
	struct raw *stranger = raw_new(t->s, "10.0.0.77", 5060, "1001");
	struct raw_req q = {.method = "INVITE", .uri = TO("030123")};
	raw_request(stranger, 0, &q);
	raw_ack(stranger, 0, &q, raw_get(stranger, "SIP/2.0 407", 1));
	q = (struct raw_req){.method = "INVITE", .uri = TO("030123")};
	raw_request(t->x, 0, &q);
	struct raw_msg *m = raw_get(t->c, "INVITE ", 1); /* otherwise: 1003 */
	raw_reply(t->c, m, "486 Busy Here", "c", NULL, NULL);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 486", 1));
	q = (struct raw_req){.method = "INVITE", .uri = "sip:bob@10.0.0.77"};
	raw_request(t->x, 0, &q);
	m = raw_get(t->x, "SIP/2.0 403", 1);
	CHECK(raw_has(m, "4032"));
	raw_ack(t->x, 0, &q, m);
	q = (struct raw_req){
		.method = "INVITE", .uri = TO("1002"), .route = "Route: <sip:10.0.0.77;lr>\n"};
	raw_request(t->x, 0, &q);
	raw_ack(t->x, 0, &q, raw_get(t->x, "SIP/2.0 403", 1));
	q = (struct raw_req){
		.method = "SUBSCRIBE", .uri = TO("1002"), .extra = "Event: message-summary\n"};
	raw_request(t->x, 0, &q);
	raw_get(t->x, "SIP/2.0 403", 1);
	raw_none(stranger, "INVITE ", 1);
	scene_policy(
		t,
		"recurse: yes\ntrunks: {out: [10.0.0.99]}\nroutes: [{to: '0...', trunk: out}]\n");
	call(t, TO("1002"));
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "302 Moved", "b",
		  "Contact: <sip:0900@10.0.0.1>\n", NULL);
	raw_get(t->a, "SIP/2.0 302", 1);
	raw_none(t->x, "INVITE ", 1);
	raw_free(stranger);
	scene_free(t);
}

TEST_NO_OOM(policy_forwards_that_lead_back)
{
	struct scene *t = scene("users: {'1002': {forward: '1003'}, '1003': {forward: '1002'}}");
	call(t, TO("1002"));
	struct raw_msg *end = raw_get(t->a, "SIP/2.0 482", 1);
	CHECK(raw_has(end, "4033 forwards lead back"));
	scene_free(t);
}

TEST_NO_OOM(policy_wants_a_b2bua)
{
	struct scene *t = scene("mode: b2bua");
	call(t, TO("1002"));
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK(!raw_has(m, t->call.call_id)); /* a dialog of its own */
	CHECK_EQ(raw_count(m, "Via"), 1);
	refuse(t->b, m, "486 Busy Here");
	raw_get(t->a, "SIP/2.0 486", 1);
	scene_free(t);
}

/* The caller gives up in the second step: that one is cancelled, no other begins. */
TEST_NO_OOM(policy_cancel_in_a_later_step)
{
	struct scene *t = scene("groups: {h: {ring: in-turn, members: ['1002', '1003', '1002']}}");
	call(t, TO("h"));
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here");
	struct raw_msg *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->c, at_c, "180 Ringing", "c", NULL, NULL);
	raw_get(t->a, "SIP/2.0 180", 1);
	raw_cancel(t->a, 0, &t->call, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	struct raw_msg *cancel = raw_get(t->c, "CANCEL ", 1);
	raw_reply(t->c, cancel, "200 OK", "c", NULL, NULL);
	refuse(t->c, at_c, "487 Request Terminated");
	raw_get(t->a, "SIP/2.0 487", 1);
	raw_none(t->b, "INVITE ", 30);
	scene_free(t);
}

/* A new policy while a call rings by the old one: its steps go on, the next call goes by the new.
 */
TEST_NO_OOM(policy_reload_during_a_call)
{
	struct scene *t = scene(forwards);
	struct scene_dialog d;
	call(t, TO("1002"));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1);
	scene_policy(t, "routes: [{to: '1002', reject: 480}]");
	stage_run(t->s, 5);
	refuse(t->b, at_b, "486 Busy Here");
	scene_answer(t, t->c, &d);
	struct raw_req q = {.method = "MESSAGE", .uri = TO("1002"), .contact = ""};
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 480", 1);
	CHECK_EQ(exc_set_policy(t->s->exc, NULL), OK);
	stage_run(t->s, 5);
	q = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, d.a_sock, &q);
	raw_reply(t->c, raw_get(t->c, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

/* No memory for the steps: 503, and nothing is left behind. */
TEST_NO_OOM(policy_without_memory)
{
	for (size_t k = 1; k < 8; k++) {
		struct scene *t = scene("groups: {h: {ring: in-turn, members: ['1002', '1003']}}");
		t->call = (struct raw_req){.method = "INVITE", .uri = TO("h")};
		raw_request(t->a, 0, &t->call);
		raw_answer_challenge(t->a, &t->call, raw_get(t->a, "SIP/2.0 407", 1));
		test_fail_alloc(k);
		raw_request(t->a, 0, &t->call);
		test_fail_alloc(0);
		stage_run(t->s, 1);
		scene_free(t);
	}
}
