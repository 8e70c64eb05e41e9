/* What calls tell of their way, between peers of text: History-Info of the proxy and the redirect
 * server. [RFC7044] */
#include "scene.h"

#define ROOT "<sip:1002@10.0.0.1>;index=1"
#define B1   "<sip:1002@10.0.0.22:5060>;index=1.1;rc=1"
#define ASKS "Supported: histinfo\n"

/* b is 1002, c is 1003, both registered; x is a trunk, or another domain. */
static struct scene *scene(const char *text)
{
	struct scene *t = scene_new();
	stage_account(t->s, "1003");
	snprintf(t->c->user, sizeof(t->c->user), "1003");
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, "<sip:1003@10.0.0.23:5060>");
	if (text)
		scene_policy(t, text);
	return t;
}

static void call(struct scene *t, const char *uri, const char *extra)
{
	t->call = (struct raw_req){.method = "INVITE", .uri = uri, .extra = extra};
	raw_ask(t->a, 0, &t->call);
}

static void refuse(struct raw *r, const struct raw_msg *invite, const char *status,
		   const char *extra)
{
	raw_reply(r, invite, status, "callee", extra, NULL);
	raw_get(r, "ACK ", 1);
}

/* The entries of all lines, as one text. */
static struct str way(const struct raw_msg *m)
{
	static char mem[4096];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	for (unsigned i = 0; i < raw_count(m, "History-Info"); i++) {
		buf_str(&b, i ? STR(", ") : STR_NONE);
		buf_str(&b, raw_header(m, "History-Info", i));
	}
	CHECK_EQ(b.err, OK);
	return buf_view(&b);
}

#define CHECK_WAY(m, text) CHECK_STR(way(m), text)

/* Nobody takes part: nothing is told, and what the phone tells nobody hears. */
TEST_NO_OOM(history_is_not_asked_for)
{
	struct scene *t = scene(NULL);
	call(t, TO_B, NULL);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, "");
	raw_reply(t->b, m, "200 OK", "b", "History-Info: <sip:x@y>;index=1\n", NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 200", 1), "");
	scene_free(t);
}

/* The hop before wrote nothing: its entry is added; the phone is a binding [9.1, 9.2]; all comes
 * back, without a Reason [9.3, 9.4]. */
TEST_NO_OOM(history_of_a_plain_call)
{
	struct scene *t = scene(NULL);
	call(t, TO_B, ASKS);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, ROOT ", " B1);
	raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 180", 1), ROOT ", " B1);
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 200", 1), ROOT ", " B1);
	scene_free(t);
}

/* What came is kept as it is, in its order, and the last of it is the request-URI: the next level
 * counts from 1 [10.3 rule 1]. */
TEST_NO_OOM(history_goes_on_with_what_came)
{
	struct scene *t = scene(NULL);
	call(t, TO_B,
	     "History-Info: \"A\" <sip:1002@a.example>;index=1;x=y\n"
	     "History-Info:  <sip:1002@10.0.0.1?Privacy=none>;np=1;index=1.1\n");
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK(raw_has(m, "History-Info: \"A\" <sip:1002@a.example>;index=1;x=y\r\n"
			 "History-Info:  <sip:1002@10.0.0.1?Privacy=none>;np=1;index=1.1\r\n"));
	CHECK_STR(raw_header(m, "History-Info", 2), "<sip:1002@10.0.0.22:5060>;index=1.1.1;rc=1.1");
	/* the phone's own branches, of which one has failed, and a gap, which is no error [11] */
	refuse(t->b, m, "480 Nobody",
	       "History-Info: <sip:1002@a.example>;index=1, "
	       "<sip:1002@10.0.0.22:5060>;index=1.1.1;rc=1.1, "
	       "<sip:l2@h>;index=1.1.1.2;rc=1.1.1, <sip:l0@h>;index=1.1.1.0.1\n"
	       "Reason: Q.850;cause=20;text=\"no \"\n");
	CHECK_WAY(raw_get(t->a, "SIP/2.0 480", 1),
		  "\"A\" <sip:1002@a.example>;index=1;x=y, "
		  "<sip:1002@10.0.0.1?Privacy=none>;np=1;index=1.1, "
		  "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D480&"
		  "Reason=Q.850%3Bcause%3D20%3Btext%3D%22no%20%22>;index=1.1.1;rc=1.1, "
		  "<sip:l0@h>;index=1.1.1.0.1, <sip:l2@h>;index=1.1.1.2;rc=1.1.1");
	scene_free(t);
}

/* A refusal of ours has it, too; silence is a 408 [10.2]. */
TEST_NO_OOM(history_of_silence)
{
	struct scene *t = scene(NULL);
	call(t, TO_B, ASKS);
	raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 408", 40),
		  ROOT ", <sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D408>;index=1.1;rc=1");
	scene_free(t);
}

/* In parallel each hears of itself only; the numbers follow each other [10.3 rule 5]. Members of a
 * group are targets inside: an entry each [7]. */
TEST_NO_OOM(history_of_a_fork)
{
	struct scene *t = scene("groups: {sales: {numbers: ['200'], members: ['1002', '1003']}}");
	call(t, "sip:200@10.0.0.1", ASKS);
	struct raw_msg *b = raw_get(t->b, "INVITE ", 1), *c = raw_get(t->c, "INVITE ", 1);
	CHECK_WAY(b, "<sip:200@10.0.0.1>;index=1, <sip:1002@10.0.0.1>;index=1.1;mp=1, "
		     "<sip:1002@10.0.0.22:5060>;index=1.1.1;rc=1.1");
	CHECK_WAY(c, "<sip:200@10.0.0.1>;index=1, <sip:1003@10.0.0.1>;index=1.2;mp=1, "
		     "<sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
	raw_reply(t->c, c, "180 Ringing", "c", NULL, NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 180", 1),
		  "<sip:200@10.0.0.1>;index=1, <sip:1003@10.0.0.1>;index=1.2;mp=1, "
		  "<sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
	refuse(t->c, c, "480 Nobody", NULL);
	refuse(t->b, b, "486 Busy Here", NULL);
	/* in the order of the indexes, whoever came first [9.3] */
	CHECK_WAY(raw_get(t->a, "SIP/2.0 486", 1),
		  "<sip:200@10.0.0.1>;index=1, <sip:1002@10.0.0.1>;index=1.1;mp=1, "
		  "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D486>;index=1.1.1;rc=1.1, "
		  "<sip:1003@10.0.0.1>;index=1.2;mp=1, "
		  "<sip:1003@10.0.0.23:5060?Reason=SIP%3Bcause%3D480>;index=1.2.1;rc=1.2");
	scene_free(t);
}

/* A Contact of a 3xx is a branch of its own beside the one that was answered so, and says itself
 * what it is [10.3 rule 4, 10.4]. */
TEST_NO_OOM(history_of_a_3xx)
{
	struct scene *t = scene("recurse: yes");
	call(t, TO_B, ASKS);
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "302 Moved",
	       "Contact: <sip:1003@10.0.0.1>;q=0.9;mp=1.1, <sip:n@10.0.0.99:5060>;q=0.5\n");
	struct raw_msg *m = raw_get(t->c, "INVITE ", 1);
	CHECK_WAY(m, ROOT ", <sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, "
			  "<sip:1003@10.0.0.1>;index=1.2;mp=1.1, "
			  "<sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
	refuse(t->c, m, "404 Not Found", NULL);
	m = raw_get(t->x, "INVITE ", 1);
	CHECK_STR(way(m),
		  ROOT ", <sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, "
		       "<sip:1003@10.0.0.1>;index=1.2;mp=1.1, "
		       "<sip:1003@10.0.0.23:5060?Reason=SIP%3Bcause%3D404>;index=1.2.1;rc=1.2, "
		       "<sip:n@10.0.0.99:5060>;index=1.3");
	raw_reply(t->x, m, "200 OK", "x", NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	scene_free(t);
}

static struct raw_msg *diverted(struct scene *t, struct raw *r, const char *want)
{
	struct raw_msg *m = raw_get(r, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Diversion"), 1);
	CHECK_STR_EQ(raw_header(m, "Diversion", 0), str_c(want));
	return m;
}

/* Who follows a 3xx says who sent the call on; so does the next one, above; what a phone says of
 * itself stands. The caller's own is below. [RFC5806 4, 5] */
static void diversion_of_a_3xx(bool is_b2bua)
{
	struct scene *t = scene(is_b2bua ? "mode: b2bua\nrecurse: yes" : "recurse: yes");
	call(t, TO_B, NULL);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_EQ(raw_count(m, "Diversion"), 0);
	raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
	refuse(t->b, m, "302 Moved", "Contact: <sip:1003@10.0.0.1>\n");
	m = diverted(t, t->c, "<sip:1002@10.0.0.1>;reason=deflection;counter=1");
	refuse(t->c, m, "302 Moved", "Contact: <sip:n@10.0.0.99:5060>\n");
	m = raw_get(t->x, "INVITE ", 1);
	CHECK(raw_has(m, "\r\nDiversion: <sip:1003@10.0.0.1>;reason=unknown;counter=1\r\n"
			 "Diversion: <sip:1002@10.0.0.1>;reason=deflection;counter=1\r\n"));
	refuse(t->x, m, "302 Moved",
	       "Contact: <sip:m@10.0.0.99:5060>\n"
	       "Diversion: <sip:own@x>;reason=time-of-day, <sip:before@x>;reason=away\n");
	m = raw_get(t->x, "INVITE ",
		    1); /* to the Contact that raw.c writes; that of the test follows */
	CHECK(raw_has(m, "\r\nDiversion: <sip:own@x>;reason=time-of-day, <sip:before@x>;reason=away"
			 "\r\nDiversion: <sip:1003@10.0.0.1>;"));
	refuse(t->x, m, "486 Busy Here", NULL);
	refuse(t->x, raw_get(t->x, "INVITE ", 1), "486 Busy Here", NULL);
	raw_get(t->a, "SIP/2.0 486", 2);
	scene_free(t);
}

TEST_NO_OOM(diversion_of_a_3xx_by_the_proxy)
{
	diversion_of_a_3xx(false);
}

TEST_NO_OOM(diversion_of_a_3xx_in_two_dialogs)
{
	diversion_of_a_3xx(true);
}

/* Who did not ask is not told; who is called after a forward is [9.4]. */
TEST_NO_OOM(history_of_a_forward)
{
	struct scene *t = scene("users: {'1002': {aliases: [boss], forward: {busy: '1003'}}}");
	call(t, "sip:boss@10.0.0.1", NULL);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, "");
	refuse(t->b, m, "486 Busy Here", NULL);
	m = raw_get(t->c, "INVITE ", 1);
	CHECK_WAY(m, "<sip:boss@10.0.0.1?Reason=SIP%3Bcause%3D486>;index=1, "
		     "<sip:1002@10.0.0.1>;index=1.1;rc=1, "
		     "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D486>;index=1.1.1;rc=1.1, "
		     "<sip:1003@10.0.0.1>;index=1.2;mp=1, "
		     "<sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
	CHECK(raw_has(m, "Diversion: <sip:1002@10.0.0.1>;reason=user-busy"));
	raw_reply(t->c, m, "200 OK", "c", "History-Info: <sip:x@y>;index=1\n", NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 200", 1), "");
	scene_free(t);
}

TEST_NO_OOM(history_may_be_off_or_always)
{
	struct scene *t = scene("history: off\n"
				"users: {'1002': {forward: {busy: '1003'}}}");
	call(t, TO_B, ASKS "History-Info: <sip:z@z>;index=1\n");
	refuse(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here", NULL);
	struct raw_msg *m = raw_get(t->c, "INVITE ", 1);
	CHECK_WAY(m, "<sip:z@z>;index=1");
	raw_reply(t->c, m, "480 Nobody", "c", "History-Info: <sip:x@y>;index=1\n", NULL);
	raw_get(t->c, "ACK ", 1);
	raw_get(t->a, "SIP/2.0 48", 1);
	scene_policy(t, "history: always");
	call(t, TO_B, NULL);
	m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, ROOT ", " B1);
	refuse(t->b, m, "486 Busy Here", NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 486", 1), "");
	scene_free(t);
}

/* Who redirects says how he came to each Contact, and tells what was told him [8]; so does who
 * refuses. */
TEST_NO_OOM(history_of_a_redirect)
{
	struct scene *t = scene("users: {'1002': {mode: redirect, aliases: [boss]}}\n"
				"routes:\n"
				"  - {to: two, redirect: ['1003', 'sip:x@example.net']}\n"
				"  - {to: no, reject: 403}\n");
	call(t, TO_B, NULL);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 302", 1);
	CHECK_STR(raw_header(m, "Contact", 0), "<sip:1002@10.0.0.22:5060>;q=1.000");
	CHECK_WAY(m, "");
	call(t, TO_B, "History-Info: <sip:1002@10.0.0.1>;index=1.2\n");
	m = raw_get(t->a, "SIP/2.0 302", 1);
	CHECK_STR(raw_header(m, "Contact", 0), "<sip:1002@10.0.0.22:5060>;q=1.000;rc=1.2");
	CHECK_WAY(m, "<sip:1002@10.0.0.1>;index=1.2");
	call(t, "sip:boss@10.0.0.1", ASKS);
	m = raw_get(t->a, "SIP/2.0 302", 1);
	CHECK_STR(raw_header(m, "Contact", 0), "<sip:1002@10.0.0.22:5060>;q=1.000;rc=1");
	call(t, "sip:two@10.0.0.1", ASKS);
	m = raw_get(t->a, "SIP/2.0 300", 1);
	CHECK_STR(raw_header(m, "Contact", 0), "<sip:1003@10.0.0.23:5060>;q=1.000;mp=1");
	CHECK_STR(raw_header(m, "Contact", 1), "<sip:x@example.net>;q=0.950;mp=1");
	CHECK_WAY(m, "<sip:two@10.0.0.1>;index=1");
	call(t, "sip:no@10.0.0.1", ASKS);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 403", 1), "<sip:no@10.0.0.1>;index=1");
	call(t, "sip:nobody@10.0.0.1", ASKS);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 404", 1), "<sip:nobody@10.0.0.1>;index=1");
	scene_free(t);
}

/* ---- in two dialogs -------------------------------------------------------------------------- */

TEST_NO_OOM(history_in_two_dialogs)
{
	struct scene *t = scene("mode: b2bua\n"
				"users: {'1002': {forward: {busy: '1003'}}}");
	call(t, TO_B, ASKS "History-Info: <sip:boss@b.example;a=\"1,2\">;index=1;z\n");
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, "<sip:boss@b.example;a=\"1,2\">;index=1;z, <sip:1002@10.0.0.1>;index=1.0, "
		     "<sip:1002@10.0.0.22:5060>;index=1.0.1;rc=1.0");
	refuse(t->b, m, "486 Busy Here", "History-Info: <sip:no@z>;index=1.0.1.1\n");
	m = raw_get(t->c, "INVITE ", 1);
	static const char all[] =
		"<sip:boss@b.example;a=\"1,2\">;index=1;z, "
		"<sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D486>;index=1.0, "
		"<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D486>;index=1.0.1;rc=1.0, "
		"<sip:no@z>;index=1.0.1.1, <sip:1003@10.0.0.1>;index=1.0.2;mp=1.0, "
		"<sip:1003@10.0.0.23:5060>;index=1.0.2.1;rc=1.0.2";
	CHECK_WAY(m, all);
	raw_reply(t->c, m, "180 Ringing", "c", NULL, NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 180", 1), all);
	refuse(t->c, m, "480 Nobody", NULL);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 4", 1),
		      "<sip:1003@10.0.0.23:5060?Reason=SIP%3Bcause%3D480>;index=1.0.2.1;rc=1.0.2"));
	scene_free(t);
}

/* Who rang his time is silent, though he has answered our CANCEL. Nobody asked: nobody hears. */
TEST_NO_OOM(history_of_who_rang_his_time)
{
	static const char *const modes[] = {"proxy", "b2bua"};
	for (size_t i = 0; i < 2; i++) {
		char text[200];
		snprintf(text, sizeof(text),
			 "mode: %s\n"
			 "users: {'1002': {forward: {no_answer: '1003', after: 9s}}}",
			 modes[i]);
		struct scene *t = scene(text);
		call(t, TO_B, NULL);
		struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
		CHECK_WAY(m, "");
		raw_reply(t->b, m, "180 Ringing", "b", NULL, NULL);
		struct raw_msg *cancel = raw_get(t->b, "CANCEL ", 9.5);
		raw_reply(t->b, cancel, "200 OK", "b", NULL, NULL);
		refuse(t->b, m, "487 Request Terminated", NULL);
		m = raw_get(t->c, "INVITE ", 1);
		CHECK_WAY(m, "<sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D408>;index=1, "
			     "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D408>;index=1.1;rc=1, "
			     "<sip:1003@10.0.0.1>;index=1.2;mp=1, "
			     "<sip:1003@10.0.0.23:5060>;index=1.2.1;rc=1.2");
		refuse(t->c, m, "480 Nobody", "History-Info: <sip:x@y>;index=1\n");
		CHECK_WAY(raw_get(t->a, "SIP/2.0 4", 1), "");
		scene_free(t);
	}
}

/* ---- privacy --------------------------------------------------------------------------------- */

#define OUT                                                                                        \
	"trunks: {out: {hosts: ['10.0.0.99:5060'], sources: 10.0.0.99}}\n"                         \
	"routes: [{to: '0...', trunk: out}]\n"                                                     \
	"numbers: {'77': '0123'}\n"
#define NOBODY "<sip:anonymous@anonymous.invalid"

/* Out by a trunk: what this house is called is hidden, another domain's entry is not; `history` is
 * done, what else was asked stays [10.1.2]. Inside nothing is hidden. */
TEST_NO_OOM(history_privacy_of_the_caller)
{
	static const struct {
		const char *mode, *privacy, *left;
	} rows[] = {
		{"proxy", "history",    ""      },
                {"proxy", "history;id", "id"    },
		{"proxy", "header",     "header"},
                {"b2bua", "history",    ""      },
		{"b2bua", "id;history", "id"    },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[400], extra[200];
		snprintf(text, sizeof(text), "mode: %s\n" OUT, rows[i].mode);
		snprintf(extra, sizeof(extra),
			 "Privacy: %s\nHistory-Info: <sip:z@z.example>;index=1\n", rows[i].privacy);
		struct scene *t = scene(text);
		call(t, "sip:77@10.0.0.1", extra);
		struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
		CHECK_WAY(m, "<sip:z@z.example>;index=1, " NOBODY "?Reason=SIP%3Bcause%3D302>;"
			     "index=1.0, " NOBODY ">;index=1.0.1;mp=1.0, "
			     "<sip:0123@10.0.0.99:5060>;index=1.0.1.1;rc=1.0.1");
		CHECK_STR_EQ(raw_header(m, "Privacy", 0), str_c(rows[i].left));
		refuse(t->x, m, "404 Not Found", NULL);
		m = raw_get(t->a, "SIP/2.0 404", 1); /* he is one of us */
		CHECK(raw_has(m, "<sip:77@10.0.0.1?Reason=SIP%3Bcause%3D302>;index=1.0, "));
		call(t, TO_B, extra);
		m = raw_get(t->b, "INVITE ", 1);
		CHECK(raw_has(m, "<sip:1002@10.0.0.1>;index=1.0"));
		CHECK_STR_EQ(raw_header(m, "Privacy", 0), str_c(rows[i].privacy));
		scene_free(t);
	}
}

/* An entry asks for itself, also in the answer, where the callee hides who he is; whatever else its
 * Privacy says; out of others Privacy goes, too [10.1.1, 10.1.2]. */
TEST_NO_OOM(history_privacy_of_an_entry)
{
	static const char *const modes[] = {"proxy", "b2bua"};
	for (size_t i = 0; i < 2; i++) {
		char text[400];
		snprintf(text, sizeof(text), "mode: %s\n" OUT, modes[i]);
		struct scene *t = scene(text);
		call(t, "sip:0123@10.0.0.1",
		     "History-Info: <sip:p@10.0.0.1?Privacy=history%3Bid&Reason=SIP%3Bcause%3D302>;"
		     "index=1;q=1, <sip:0123@10.0.0.1?privacy=none>;index=1.1\n");
		struct raw_msg *m = raw_get(t->x, "INVITE ", 1);
		CHECK_WAY(m, NOBODY "?Reason=SIP%3Bcause%3D302>;index=1;q=1, "
				    "<sip:0123@10.0.0.1>;index=1.1, "
				    "<sip:0123@10.0.0.99:5060>;index=1.1.1;rc=1.1");
		refuse(t->x, m, "404 Not Found", NULL);
		struct raw_req q = {.method = "INVITE", .uri = TO_B, .extra = ASKS};
		raw_get(t->a, "SIP/2.0 404", 1);
		raw_request(t->x, 0, &q);
		m = raw_get(t->b, "INVITE ", 1);
		raw_reply(t->b, m, "180 Ringing", "b",
			  "History-Info: <sip:1002@10.0.0.1>;index=1, "
			  "<sip:1002@10.0.0.22:5060?Privacy=history>;index=1.1;rc=1\n",
			  NULL);
		CHECK_WAY(raw_get(t->x, "SIP/2.0 180", 1),
			  "<sip:1002@10.0.0.1>;index=1, " NOBODY ">;index=1.1;rc=1");
		refuse(t->b, m, "480 Nobody", "Privacy: header;history\n");
		m = raw_get(t->x, "SIP/2.0 480", 1);
		CHECK_WAY(m,
			  NOBODY ">;index=1, " NOBODY "?Reason=SIP%3Bcause%3D480>;index=1.1;rc=1");
		CHECK_STR(raw_header(m, "Privacy", 0), "header");
		scene_free(t);
	}
}

/* What the house does not want told: marked inside, hidden outside. */
TEST_NO_OOM(history_privacy_of_the_house)
{
	struct scene *t = scene("private_history: yes\n" OUT);
	call(t, TO_B, ASKS);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 1);
	CHECK_WAY(m, ROOT ", <sip:1002@10.0.0.22:5060?Privacy=history>;index=1.1;rc=1");
	refuse(t->b, m, "486 Busy Here", NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 486", 1),
		  ROOT ", <sip:1002@10.0.0.22:5060?Privacy=history&Reason=SIP%3Bcause%3D486>;"
		       "index=1.1;rc=1");
	struct raw_req q = {.method = "INVITE", .uri = TO_B, .extra = ASKS};
	raw_request(t->x, 0, &q);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "480 Nobody", "b", NULL, NULL);
	CHECK_WAY(raw_get(t->x, "SIP/2.0 480", 1),
		  ROOT ", " NOBODY "?Reason=SIP%3Bcause%3D480>;index=1.1;rc=1");
	scene_free(t);
}

/* ---- phones ---------------------------------------------------------------------------------- */

/* Our phone says whom it called, follows a 3xx as a branch of its own, and tells what comes back
 * [6.1]. */
TEST_NO_OOM(history_of_our_caller)
{
	struct scene *t = scene(NULL);
	struct stage_phone *p = stage_phone(t->s, "1004", TP_UDP);
	struct ph_plan plan;
	ph_plan_init(&plan);
	stage_call(p, "1002", &plan);
	struct raw_msg *m = raw_get(t->b, "INVITE ", 2);
	CHECK_WAY(m, "");
	CHECK(!raw_has(m, "histinfo"));
	refuse(t->b, m, "486 Busy Here", NULL);
	stage_run(t->s, 1);
	plan.tells_way = true;
	stage_call(p, "1002", &plan);
	m = raw_get(t->b, "INVITE ", 2);
	CHECK(raw_has(m, "\r\nSupported: histinfo\r\n"));
	CHECK_WAY(m, ROOT ", " B1);
	refuse(t->b, m, "302 Moved", "Contact: <sip:1003@10.0.0.1>;mp=1.1\n");
	/* the peer adds a Contact of its own, which is no better and stands first */
	refuse(t->b, raw_get(t->b, "INVITE sip:1002@10.0.0.22", 2), "480 Nobody", NULL);
	m = raw_get(t->c, "INVITE ", 2);
	CHECK_WAY(m, "<sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D302>;index=1, "
		     "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1, "
		     "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D480>;index=2, "
		     "<sip:1002@10.0.0.22:5060?Reason=SIP%3Bcause%3D480>;index=2.1;np=2, "
		     "<sip:1003@10.0.0.1>;index=3;mp=1.1, "
		     "<sip:1003@10.0.0.23:5060>;index=3.1;rc=3");
	refuse(t->c, m, "480 Nobody", NULL);
	stage_run(t->s, 1);
	CHECK(strstr(p->log, "history <sip:1002@10.0.0.1?Reason=SIP%3Bcause%3D302>;index=1, "));
	CHECK(strstr(p->log, "<sip:1003@10.0.0.1?Reason=SIP%3Bcause%3D480>;index=3;mp=1.1, "
			     "<sip:1003@10.0.0.23:5060?Reason=SIP%3Bcause%3D480>;index=3.1;rc=3"));
	scene_free(t);
}

/* Our phone answers with the way that the call has come, if the caller wants it [6.2]. */
TEST_NO_OOM(history_of_our_callee)
{
	struct scene *t = scene(NULL);
	struct stage_phone *p = stage_phone(t->s, "1004", TP_UDP);
	stage_register(t->s, p);
	call(t, "sip:1004@10.0.0.1", NULL);
	CHECK_WAY(raw_get(t->a, "SIP/2.0 180", 1), "");
	CHECK(!strstr(p->log, "history"));
	p->plan.reject = 486;
	call(t, "sip:1004@10.0.0.1", ASKS);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 486", 1), ">;index=1, <sip:1004@10.0.0.10:5060?R"));
	CHECK(strstr(p->log, "history <sip:1004@10.0.0.1>;index=1, <sip:1004@10.0.0."));
	/* without a proxy that would say the same */
	struct addr to;
	CHECK(addr_parse(STR("10.0.0.10:5060"), 0, &to));
	raw_bytes_to(t->x, 0, &to,
		     STR("INVITE sip:1004@10.0.0.10 SIP/2.0\r\n"
			 "Via: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bK-direct\r\n"
			 "Max-Forwards: 70\r\nFrom: <sip:x@z>;tag=1\r\nTo: <sip:1004@z>\r\n"
			 "Call-ID: direct\r\nCSeq: 1 INVITE\r\nContact: <sip:x@10.0.0.99>\r\n"
			 "History-Info: <sip:far@z>;index=1.7\r\nContent-Length: 0\r\n\r\n"));
	CHECK_WAY(raw_get(t->x, "SIP/2.0 486", 1),
		  "<sip:far@z>;index=1.7, <sip:1004@10.0.0.10>;index=1.7.0");
	scene_free(t);
}
