/* The event server with watchers and phones of text: presence, publications, lamps through a forked
 * call, lists, mailboxes, offline messages, and all of it over a crash of the exchange. [RFC6665]
 * [RFC3856] [RFC3903] [RFC4235] [RFC4662] [RFC3428] */
#include "lookout.h"

static struct raw *third(struct scene *t)
{
	stage_account(t->s, "1003");
	return raw_new(t->s, "10.0.0.31", 5060, "1003");
}

static void end(struct scene *t, struct raw *w)
{
	raw_free(w);
	scene_free(t);
}

/* ---- presence -------------------------------------------------------------------------------- */

TEST_NO_OOM(events_presence_of_registration)
{
	struct scene *t = scene_new();
	struct watch w;
	lookout_start(&w, t->a, TO_B, "presence");
	CHECK(lookout_says(&w, "Subscription-State: active;expires=600"));
	CHECK(lookout_says(&w, "Content-Type: application/pidf+xml\r\n"));
	CHECK(lookout_says(&w,
			   "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"" TO_B "\">"));
	CHECK(lookout_says(&w, "<basic>closed</basic>"));
	scene_register(t->b, B_CONTACT);
	lookout_next(&w);
	CHECK(lookout_says(&w, "<basic>open</basic>"));
	scene_register(t->c, C_CONTACT); /* a second phone makes no difference */
	CHECK(lookout_is_quiet(&w, 3));
	scene_register(t->b, B_CONTACT ";expires=0");
	CHECK(lookout_is_quiet(&w, 3));
	scene_register(t->c, C_CONTACT ";expires=0");
	lookout_next(&w);
	CHECK(lookout_says(&w, "<basic>closed</basic>"));
	CHECK_EQ(lookout_again(&w, "0"), 200);
	lookout_next(&w);
	CHECK(lookout_says(&w, "Subscription-State: terminated"));
	scene_free(t);
}

/* [RFC3857 4.6]: nobody sees another's watchers, registrations, mailbox; nobody speaks for another
 */
TEST_NO_OOM(events_of_the_owner_only)
{
	static const struct {
		const char *method, *extra, *status, *code;
	} all[] = {
		{"SUBSCRIBE", "Event: reg\n",             "SIP/2.0 403", "5004"},
		{"SUBSCRIBE", "Event: presence.winfo\n",  "SIP/2.0 403", "5004"},
		{"SUBSCRIBE", "Event: message-summary\n", "SIP/2.0 403", "5002"},
		{"PUBLISH",   "Event: presence\n",        "SIP/2.0 403", "5004"},
		{"SUBSCRIBE", "Event: nothing\n",         "SIP/2.0 489", "5001"},
		{"SUBSCRIBE", "Event: refer\n",           "SIP/2.0 403", "5016"}, /* [RFC3515 2.4.4] */
	};
	struct scene *t = scene_new();
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct raw_req q = {.method = all[i].method, .uri = TO_B, .extra = all[i].extra};
		raw_ask(t->a, 0, &q);
		CHECK(raw_has(raw_get(t->a, all[i].status, 1), all[i].code));
	}
	struct raw_req q = {.method = "SUBSCRIBE",
			    .uri = "sip:nobody@" STAGE_SERVER,
			    .extra = "Event: presence\n"};
	raw_ask(t->a, 0, &q);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 404", 1), "4001"));
	raw_none(t->a, "NOTIFY ", 1);
	scene_free(t);
}

static void put_pidf(char *out, size_t cap, const char *note, const char *basic)
{
	snprintf(out, cap,
		 "<?xml version='1.0'?>\n<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' "
		 "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:1001@sim'>\n"
		 "<p:tuple id='t1'><p:status><p:basic>%s</p:basic></p:status>"
		 "<r:activities><r:%s/></r:activities></p:tuple></p:presence>\n",
		 basic, note);
}

/* PUBLISH of t->a; the ETag (or the status line) goes to etag, which is given in If-Match before.
 */
static unsigned publish(struct scene *t, char etag[32], const char *expires, const char *body)
{
	char extra[300];
	int n = snprintf(extra, sizeof(extra), "Event: presence\nExpires: %s\n", expires);
	if (etag[0])
		n += snprintf(extra + n, sizeof(extra) - (size_t)n, "SIP-If-Match: %s\n", etag);
	if (body)
		snprintf(extra + n, sizeof(extra) - (size_t)n,
			 "Content-Type: application/pidf+xml\n");
	struct raw_req q = {
		.method = "PUBLISH", .uri = "sip:1001@" STAGE_SERVER, .extra = extra, .body = body};
	raw_ask(t->a, 0, &q);
	struct raw_msg *m = raw_get(t->a, "SIP/2.0 ", 1);
	if (raw_has(m, "SIP/2.0 200"))
		raw_cstr(raw_header(m, "SIP-ETag", 0), etag, 32);
	else
		CHECK(raw_has(m, "Warning: 399 rung \"50"));
	return (unsigned)atoi(m->bytes + 8);
}

/* [RFC3903 4.1 to 4.5, 6] */
TEST_NO_OOM(events_publications_composed)
{
	struct scene *t = scene_new();
	struct watch w;
	char one[32] = "", two[32] = "", old[32], doc[1000];
	lookout_start(&w, t->b, "sip:1001@" STAGE_SERVER, "presence");
	put_pidf(doc, sizeof(doc), "meeting", "open");
	CHECK_EQ(publish(t, one, "100", doc), 200);
	lookout_next(&w);
	CHECK(lookout_says(&w, "<p:tuple xmlns:p=\"urn:ietf:params:xml:ns:pidf\" "
			       "xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" id='t1'>"));
	CHECK(lookout_says(&w, "<r:meeting/>"));
	put_pidf(doc, sizeof(doc), "on-the-phone", "open");
	CHECK_EQ(publish(t, two, "600", doc), 200); /* another device, with the same ids */
	lookout_next(&w);
	CHECK(lookout_says(&w, "<r:meeting/>") && lookout_says(&w, "<r:on-the-phone/>"));
	CHECK(lookout_says(&w, "id='t1'") && lookout_says(&w, "id='s1.t1'"));
	stage_run(t->s, 5);
	put_pidf(doc, sizeof(doc), "away", "open");
	snprintf(old, sizeof(old), "%s", two);
	CHECK_EQ(publish(t, two, "600", doc), 200); /* modified */
	lookout_next(&w);
	CHECK(lookout_says(&w, "<r:away/>") && !lookout_says(&w, "<r:on-the-phone/>"));
	CHECK(lookout_says(&w, "id='s1.t1'"));
	CHECK_EQ(publish(t, old, "600", doc), 412);
	CHECK_EQ(publish(t, two, "600", NULL), 200); /* refreshed: nothing to tell */
	CHECK(lookout_is_quiet(&w, 3));
	stage_run(t->s, 95); /* the first one expires */
	lookout_next(&w);
	CHECK(lookout_says(&w, "<r:away/>") && !lookout_says(&w, "<r:meeting/>"));
	CHECK_EQ(publish(t, two, "0", NULL), 200); /* removed */
	lookout_next(&w);
	CHECK(lookout_says(&w, "<basic>closed</basic>"));
	CHECK_EQ(publish(t, two, "600", NULL), 412);
	one[0] = 0;
	CHECK_EQ(publish(t, one, "600", NULL), 400);
	CHECK_EQ(publish(t, one, "600", "<presence"), 400);
	CHECK_EQ(publish(t, one, "30", doc), 423);
	for (int i = 0; i < 8; i++, one[0] = 0)
		CHECK_EQ(publish(t, one, "600", doc), 200);
	CHECK_EQ(publish(t, one, "600", doc), 503);
	scene_free(t);
}

/* Thirty changes in three seconds are a few NOTIFYs, and the last one is true. [RFC6665 5.4.11] */
TEST_NO_OOM(events_changes_are_throttled)
{
	struct scene *t = scene_new();
	struct watch w;
	char etag[32] = "", doc[1000];
	unsigned n = 0;
	lookout_start(&w, t->b, "sip:1001@" STAGE_SERVER, "presence");
	for (int i = 0; i < 30; i++) {
		put_pidf(doc, sizeof(doc), i == 29 ? "last" : "other", "open");
		CHECK_EQ(publish(t, etag, "600", doc), 200);
		stage_run(t->s, 0.096);
		while (lookout_has_next(&w))
			n++;
	}
	CHECK(n >= 3 && n <= 6);
	if (!lookout_says(&w, "<r:last/>"))
		lookout_next(&w);
	CHECK(lookout_says(&w, "<r:last/>"));
	CHECK(lookout_is_quiet(&w, 5));
	scene_free(t);
}

/* [RFC3680] [RFC3858] */
TEST_NO_OOM(events_reg_and_winfo)
{
	struct scene *t = scene_new();
	struct watch reg, info, other;
	lookout_start(&reg, t->b, TO_B, "reg");
	CHECK(lookout_says(&reg, "version=\"0\" state=\"full\"") &&
	      lookout_says(&reg, " state=\"init\""));
	scene_register(t->c, C_CONTACT);
	lookout_next(&reg);
	CHECK(lookout_says(&reg, "version=\"1\"") &&
	      lookout_says(&reg, "<uri>sip:1002@10.0.0.23:5060</uri>"));
	scene_register(t->c, C_CONTACT); /* a refresh is no news */
	CHECK(lookout_is_quiet(&reg, 3));
	lookout_start(&info, t->b, TO_B, "presence.winfo");
	CHECK(lookout_says(&info, "<watcher-list resource=\"" TO_B "\" package=\"presence\">"));
	CHECK(!lookout_says(&info, "<watcher id="));
	lookout_start(&other, t->a, TO_B, "presence");
	lookout_next(&info);
	CHECK(lookout_says(&info, "event=\"subscribe\">sip:1001@" STAGE_SERVER "</watcher>"));
	CHECK_EQ(lookout_again(&other, "0"), 200);
	lookout_next(&other);
	lookout_next(&info);
	CHECK(!lookout_says(&info, "<watcher id="));
	scene_free(t);
}

/* How a contact has ended is told once, to each who watches. [RFC3680 3, 5.1] */
TEST_NO_OOM(events_reg_of_an_end)
{
	struct scene *t = scene_new();
	struct watch reg, other;
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C_CONTACT ";expires=60");
	lookout_start(&reg, t->b, TO_B, "reg");
	lookout_start(&other, t->c, TO_B, "reg");
	CHECK(!lookout_says(&reg, "terminated\""));
	scene_register(t->b, B_CONTACT ";expires=0");
	lookout_next(&reg);
	CHECK(lookout_says(&reg, " state=\"active\">") &&
	      lookout_says(&reg, "state=\"terminated\" event=\"unregistered\">"
				 "<uri>sip:1002@10.0.0.22:5060</uri></contact>") &&
	      lookout_says(&reg, "<uri>sip:1002@10.0.0.23:5060</uri>"));
	lookout_next(&other);
	CHECK(lookout_says(&other, "event=\"unregistered\""));
	lookout_next_within(&reg, 70);
	CHECK(lookout_says(&reg, " state=\"terminated\">") &&
	      lookout_says(&reg, "event=\"expired\"><uri>sip:1002@10.0.0.23:5060</uri>") &&
	      !lookout_says(&reg, "event=\"unregistered\""));
	lookout_next(&other);
	scene_register(t->c, C_CONTACT);
	lookout_next(&reg);
	CHECK(lookout_says(&reg, " state=\"active\">") && !lookout_says(&reg, "terminated\""));
	scene_free(t);
}

/* The value of each `start`"..." is another one, and there are so many. */
static void check_ids(const struct watch *w, const char *start, size_t n)
{
	struct str all = w->notify->text, ids[8];
	size_t found = 0, at;
	while ((at = str_find(all, str_c(start))) != SIZE_MAX && found < ARRAY_LEN(ids)) {
		all = str_skip(all, at + strlen(start));
		ids[found] = str_sub(all, 0, str_chr(all, '"'));
		for (size_t i = 0; i < found; i++)
			CHECK(!str_eq(ids[i], ids[found]));
		CHECK(ids[found].n > 0);
		found++;
	}
	CHECK_EQ(found, n);
}

/* [RFC3858 3]: also two subscriptions of one watcher are two. */
TEST_NO_OOM(events_watchers_have_ids)
{
	struct scene *t = scene_new();
	struct watch info, one, two, three;
	lookout_start(&one, t->a, TO_B, "presence");
	lookout_start(&two, t->a, TO_B, "presence");
	lookout_start(&three, t->c, TO_B, "presence");
	lookout_start(&info, t->b, TO_B, "presence.winfo");
	CHECK(lookout_says(&info, "version=\"0\" state=\"full\""));
	check_ids(&info, "<watcher id=\"", 3);
	CHECK_EQ(lookout_again(&two, "0"), 200);
	lookout_next(&two);
	lookout_next(&info);
	CHECK(lookout_says(&info, "version=\"1\" state=\"full\""));
	check_ids(&info, "<watcher id=\"", 2);
	raw_flush(t->a);
	raw_flush(t->c);
	scene_free(t);
}

/* ---- lamps ----------------------------------------------------------------------------------- */

static unsigned count(const struct watch *w, const char *text)
{
	unsigned n = 0;
	for (const char *p = w->notify->bytes; (p = strstr(p, text)); p++)
		n++;
	return n;
}

/* A call to an address with two phones: both ring, one answers, the caller hangs up. What the lamps
 * of both parties see. */
TEST_NO_OOM(events_lamp_through_a_forked_call)
{
	struct scene *t = scene_new();
	struct raw *desk = third(t);
	struct watch b, a;
	scene_register(t->b, B_CONTACT);
	scene_register(t->c, C_CONTACT);
	lookout_start(&b, desk, TO_B, "dialog");
	CHECK(lookout_says(&b, "version=\"0\" state=\"full\" entity=\"" TO_B "\""));
	CHECK_EQ(count(&b, "<dialog "), 0);
	lookout_start(&a, desk, "sip:1001@" STAGE_SERVER, "dialog");
	stage_run(t->s, 5);
	scene_invite(t);
	stage_run(t->s, 0.2);
	lookout_next(&b);
	CHECK(lookout_says(&b, "version=\"1\" state=\"partial\"") &&
	      lookout_says(&b, "<state>trying</state>"));
	CHECK(lookout_says(&b, "direction=\"recipient\"") &&
	      lookout_says(&b, ">sip:1001@" STAGE_SERVER "<"));
	lookout_next(&a);
	CHECK(lookout_says(&a, "<state>trying</state>") &&
	      lookout_says(&a, "direction=\"initiator\""));
	struct raw_msg *at_b = raw_get(t->b, "INVITE ", 1), *at_c = raw_get(t->c, "INVITE ", 1);
	raw_reply(t->b, at_b, "180 Ringing", "callee", NULL, NULL);
	stage_run(t->s, 2);
	lookout_next(&b);
	CHECK(lookout_says(&b, "version=\"2\" state=\"partial\"") &&
	      lookout_says(&b, ">early</state>"));
	CHECK(lookout_says(&b, "local-tag=\"callee\""));
	CHECK_EQ(count(&b, "<dialog "), 1);
	lookout_next(&a);
	CHECK(lookout_says(&a, "remote-tag=\"callee\""));
	raw_reply(t->c, at_c, "180 Ringing", "other", NULL, NULL);
	stage_run(t->s, 2);
	lookout_next(&b);
	CHECK(lookout_says(&b, ">early</state>") && lookout_says(&b, "local-tag=\"other\""));
	CHECK_EQ(count(&b, "<dialog "), 1); /* the other one has not changed */
	lookout_next(&a);
	struct scene_dialog d = {0};
	raw_flush(t->a);
	at_b->is_taken = false;
	raw_reply(t->b, at_b, "180 Ringing", "callee", NULL, NULL);
	scene_answer(t, t->b, &d);
	raw_reply(t->c, raw_get(t->c, "CANCEL ", 1), "200 OK", "other", NULL, NULL);
	raw_reply(t->c, at_c, "487 Request Terminated", "other", NULL, NULL);
	lookout_next(&b);
	CHECK(lookout_says(&b, "<state code=\"200\">confirmed</state>"));
	CHECK(lookout_says(&b, "<state event=\"cancelled\" code=\"487\">terminated</state>"));
	CHECK_EQ(count(&b, "<dialog "), 2);
	check_ids(&b, "<dialog id=\"", 2);
	lookout_next(&a);
	CHECK(lookout_says(&a, ">confirmed</state>"));
	stage_run(t->s, 5);
	struct raw_req bye = scene_in_dialog(&d, true, "BYE");
	raw_request(t->a, d.a_sock, &bye);
	raw_reply(t->b, raw_get(t->b, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	raw_get(t->a, "SIP/2.0 200", 1);
	lookout_next(&b);
	CHECK(lookout_says(&b, "version=\"5\" state=\"partial\"") &&
	      lookout_says(&b, "<state>terminated</state>"));
	CHECK_EQ(count(&b, "<dialog "), 1);
	lookout_next(&a);
	CHECK(lookout_says(&a, "<state>terminated</state>"));
	CHECK_EQ(lookout_again(&b, "600"), 200); /* whole again, and nothing in it */
	lookout_next(&b);
	CHECK(lookout_says(&b, "version=\"6\" state=\"full\""));
	CHECK_EQ(count(&b, "<dialog "), 0);
	end(t, desk);
}

/* Who begins to watch during a call sees it; a call that is refused, and one given up, end. */
TEST_NO_OOM(events_lamp_of_a_call_under_way)
{
	struct scene *t = scene_new();
	struct raw *desk = third(t);
	struct watch b;
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	scene_invite(t);
	scene_answer(t, t->b, &d);
	lookout_start(&b, desk, TO_B, "dialog");
	if (!count(&b, "<dialog ")) /* on another shard: it tells of it at once */
		lookout_next(&b);
	CHECK(lookout_says(&b, ">confirmed</state>") && lookout_says(&b, "remote-tag=\""));
	struct raw_req bye = scene_in_dialog(&d, false, "BYE");
	raw_request(t->b, d.b_sock, &bye);
	raw_reply(t->a, raw_get(t->a, "BYE ", 1), "200 OK", NULL, NULL, NULL);
	lookout_next(&b);
	CHECK(lookout_says(&b, "<state>terminated</state>"));
	stage_run(t->s, 5);
	t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
	scene_invite(t);
	lookout_next(&b);
	raw_reply(t->b, raw_get(t->b, "INVITE ", 1), "486 Busy Here", "busy", NULL, NULL);
	raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
	lookout_next(&b);
	CHECK(lookout_says(&b, "<state event=\"rejected\" code=\"486\">terminated</state>"));
	raw_flush(t->b);
	end(t, desk);
}

/* ---- lists ----------------------------------------------------------------------------------- */

TEST_NO_OOM(events_list_of_colleagues)
{
	struct scene *t = scene_new();
	struct raw *w = third(t);
	struct watch list;
	struct raw_req q = {.method = "SUBSCRIBE",
			    .uri = "sip:colleagues@" STAGE_SERVER,
			    .extra = "Event: presence\n"};
	raw_ask(w, 0, &q);
	CHECK(raw_has(raw_get(w, "SIP/2.0 421", 1), "Require: eventlist"));
	scene_register(t->b, B_CONTACT);
	lookout_start(&list, w, "sip:colleagues@" STAGE_SERVER, "presence\nSupported: eventlist");
	CHECK(lookout_says(&list, "Require: eventlist\r\n"));
	CHECK(lookout_says(&list, "Content-Type: multipart/related;type=\"application/rlmi+xml\""));
	CHECK(lookout_says(&list, "uri=\"sip:colleagues@" STAGE_SERVER "\" version=\"0\" "
				  "fullState=\"true\""));
	CHECK(lookout_says(&list, "<resource uri=\"sip:1001@" STAGE_SERVER "\">"));
	CHECK(lookout_says(&list, "<resource uri=\"" TO_B "\">"));
	CHECK(!lookout_says(&list, "<resource uri=\"sip:1003@"));
	CHECK_EQ(count(&list, "Content-Type: application/pidf+xml"), 2);
	CHECK_EQ(count(&list, "state=\"active\" cid=\"m"), 2); /* [RFC4662 5.5] */
	CHECK(lookout_says(&list, "Content-ID: <m0@rung>") &&
	      lookout_says(&list, "Content-ID: <m1@rung>"));
	CHECK_EQ(count(&list, "<basic>open</basic>"), 1);
	scene_register(t->a, "<sip:1001@10.0.0.21:5060>");
	lookout_next(&list);
	CHECK(lookout_says(&list, "version=\"1\" fullState=\"false\""));
	CHECK_EQ(count(&list, "Content-Type: application/pidf+xml"), 1);
	CHECK(lookout_says(&list, "<basic>open</basic>") && !lookout_says(&list, TO_B));
	stage_account(t->s, "1004"); /* seen at the next refresh */
	char old[80];
	snprintf(old, sizeof(old), "%s", list.event);
	CHECK_EQ(lookout_again(&list, "600"), 200);
	lookout_next(&list);
	CHECK_EQ(count(&list, "Content-Type: application/pidf+xml"), 3);
	end(t, w);
}

/* ---- over a crash ---------------------------------------------------------------------------- */

static void crash(struct scene *t)
{
	stage_crash(t->s);
	stage_open_exchange(t->s);
}

/* Lamps stay lit: the subscription goes on with a higher CSeq, and can be refreshed and ended. */
TEST_NO_OOM(events_subscriptions_survive)
{
	struct scene *t = scene_new();
	struct raw *desk = third(t);
	struct watch b, m;
	struct scene_dialog d;
	scene_register(t->b, B_CONTACT);
	lookout_start(&b, desk, TO_B, "dialog");
	lookout_start(&m, desk, "sip:1003@" STAGE_SERVER, "message-summary;id=7");
	stage_run(t->s, 1);
	crash(t);
	/* each says all that there is, within a second or so */
	for (int i = 0; i < 2; i++) {
		struct raw_msg *n = raw_get(desk, "NOTIFY ", 3);
		struct watch *w = raw_has(n, "Event: dialog") ? &b : &m;
		CHECK(lookout_cseq(n) > w->cseq);
		CHECK(raw_has(n, w == &b ? "state=\"full\"" : "Event: message-summary;id=7\r\n"));
		CHECK(raw_has(n, "Subscription-State: active;expires=59"));
		w->cseq = lookout_cseq(n);
		raw_reply(desk, n, "200 OK", NULL, NULL, NULL);
	}
	scene_invite(t);
	lookout_next(&b);
	scene_answer(t, t->b, &d);
	while (!lookout_says(&b, ">confirmed</state>"))
		lookout_next(&b);
	CHECK_EQ(lookout_again(&b, "600"), 200);
	lookout_next(&b);
	crash(t);
	lookout_next_within(&b, 3);
	CHECK_EQ(lookout_again(&b, "0"), 200);
	lookout_next(&b);
	CHECK(lookout_says(&b, "Subscription-State: terminated"));
	stage_run(t->s, 0.1);
	raw_flush(desk);
	crash(t); /* the other one only */
	struct raw_msg *n = raw_get(desk, "NOTIFY ", 5);
	CHECK(raw_has(n, "message-summary"));
	raw_reply(desk, n, "481 Gone", NULL, NULL, NULL);
	stage_run(t->s, 1);
	crash(t);
	raw_none(desk, "NOTIFY ", 5);
	raw_flush(t->a);
	end(t, desk);
}

/* A phone goes on with its publication: refreshes, changes and removes it by the tag that it has;
 * what has expired meanwhile is gone. [RFC3903 4.2 to 4.5] */
TEST_NO_OOM(events_publications_survive)
{
	struct scene *t = scene_new();
	struct watch w;
	char one[32] = "", two[32] = "", brief[32] = "", doc[1000];
	put_pidf(doc, sizeof(doc), "meeting", "open");
	CHECK_EQ(publish(t, one, "600", doc), 200);
	put_pidf(doc, sizeof(doc), "on-the-phone", "open");
	CHECK_EQ(publish(t, two, "600", doc), 200);
	put_pidf(doc, sizeof(doc), "away", "open");
	CHECK_EQ(publish(t, brief, "60", doc), 200);
	CHECK_EQ(publish(t, one, "600", NULL), 200); /* refreshed: another tag */
	stage_crash(t->s);
	stage_run(t->s, 61);
	stage_open_exchange(t->s);
	lookout_start(&w, t->b, "sip:1001@" STAGE_SERVER, "presence");
	CHECK(lookout_says(&w, "<r:meeting/>") && lookout_says(&w, "<r:on-the-phone/>"));
	CHECK(lookout_says(&w, "id='t1'") && lookout_says(&w, "id='s1.t1'"));
	CHECK(!lookout_says(&w, "<r:away/>"));
	CHECK_EQ(publish(t, brief, "600", NULL), 412);
	put_pidf(doc, sizeof(doc), "meal", "open");
	CHECK_EQ(publish(t, one, "600", doc), 200);
	lookout_next(&w);
	CHECK(lookout_says(&w, "<r:meal/>") && !lookout_says(&w, "<r:meeting/>"));
	CHECK_EQ(publish(t, two, "0", NULL), 200);
	lookout_next(&w);
	crash(t);
	lookout_next_within(&w, 3);
	CHECK(lookout_says(&w, "<r:meal/>") && !lookout_says(&w, "<r:on-the-phone/>"));
	CHECK_EQ(publish(t, two, "600", NULL), 412);
	stage_run(t->s, 600); /* expiry goes on as before */
	CHECK_EQ(publish(t, one, "600", NULL), 412);
	raw_flush(t->b);
	scene_free(t);
}

/* [RFC3903 6]: what we have no room for is not published, and whoever asked is told. */
TEST_NO_OOM(events_publication_refused)
{
	struct scene *t = scene_new();
	struct watch w;
	char tag[32] = "", last[32] = "", doc[1000];
	put_pidf(doc, sizeof(doc), "meeting", "open");
	for (int i = 0; i < 8; i++, tag[0] = 0) {
		CHECK_EQ(publish(t, tag, "600", doc), 200);
		snprintf(last, sizeof(last), "%s", tag);
	}
	lookout_start(&w, t->b, "sip:1001@" STAGE_SERVER, "presence");
	put_pidf(doc, sizeof(doc), "away", "open");
	CHECK_EQ(publish(t, tag, "600", doc), 503);
	CHECK(lookout_is_quiet(&w, 3));
	CHECK_EQ(lookout_again(&w, "600"), 200);
	lookout_next(&w);
	CHECK(!lookout_says(&w, "<r:away/>"));
	CHECK_EQ(publish(t, last, "600", NULL), 200); /* those that were there are there */
	scene_free(t);
}

/* A 200 that cannot be kept is not given. */
TEST_NO_OOM(events_subscription_needs_the_disk)
{
	struct scene *t = scene_new();
	struct raw_req q = {.method = "SUBSCRIBE", .uri = TO_B, .extra = "Event: presence\n"};
	st_mem_full(t->s->disk, true);
	raw_ask(t->a, 0, &q);
	raw_get(t->a, "SIP/2.0 500", 1);
	raw_none(t->a, "NOTIFY ", 1);
	st_mem_full(t->s->disk, false);
	struct watch w;
	lookout_start(&w, t->a, TO_B, "presence");
	scene_free(t);
}

/* ---- mailbox --------------------------------------------------------------------------------- */

static void set_mailbox(struct scene *t, const char *user, unsigned n_new, unsigned n_old)
{
	char mem[64];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	dom_aor_of_user(exc_domains(t->s->exc), str_c(user), &b);
	CHECK_EQ(evt_set_mailbox(exc_events(t->s->exc), buf_view(&b), n_new, n_old), OK);
}

TEST_NO_OOM(events_mailbox_solicited)
{
	struct scene *t = scene_new();
	struct watch w;
	lookout_start(&w, t->a, "sip:1001@" STAGE_SERVER, "message-summary");
	CHECK(lookout_says(&w, "Messages-Waiting: no\r\n"));
	set_mailbox(t, "1001", 2, 5);
	lookout_next(&w);
	CHECK(lookout_says(&w, "Messages-Waiting: yes\r\n") &&
	      lookout_says(&w, "Voice-Message: 2/5 (0/0)\r\n"));
	set_mailbox(t, "1001", 2, 5); /* no news */
	CHECK(lookout_is_quiet(&w, 3));
	crash(t);
	lookout_next_within(&w, 3);
	CHECK(lookout_says(&w, "Voice-Message: 2/5 (0/0)\r\n"));
	scene_free(t);
}

/* A phone that does not subscribe is told all the same, when it changes and when it registers. */
TEST_NO_OOM(events_mailbox_unsolicited)
{
	struct scene *t = scene_new();
	set_mailbox(t, "1002", 1, 0);
	scene_register(t->b, B_CONTACT);
	struct raw_msg *m = raw_get(t->b, "NOTIFY ", 1);
	CHECK(raw_has(m, "Event: message-summary\r\nSubscription-State: terminated\r\n"));
	CHECK(raw_has(m, "Messages-Waiting: yes\r\n"));
	CHECK(raw_has(m, "Message-Account: sip:1002@" STAGE_SERVER "\r\n"));
	CHECK(raw_has(m, "To: <sip:1002@" STAGE_SERVER ">\r\n"));
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	set_mailbox(t, "1002", 0, 1);
	m = raw_get(t->b, "NOTIFY ", 1);
	CHECK(raw_has(m, "Messages-Waiting: no\r\n"));
	raw_reply(t->b, m, "200 OK", "b", NULL, NULL);
	scene_register(t->b, B_CONTACT); /* a refresh is no news */
	raw_none(t->b, "NOTIFY ", 2);
	scene_free(t);
}

/* ---- offline messages ------------------------------------------------------------------------ */

static unsigned message(struct scene *t, const char *text, const char *extra)
{
	char lines[200];
	snprintf(lines, sizeof(lines), "Content-Type: text/plain\n%s", extra);
	struct raw_req q = {.method = "MESSAGE", .uri = TO_B, .extra = lines, .body = text};
	raw_ask(t->a, 0, &q);
	return (unsigned)atoi(raw_get(t->a, "SIP/2.0 ", 1)->bytes + 8);
}

static void expect_message(struct scene *t, const char *text, const char *status)
{
	struct raw_msg *m = raw_get(t->b, "MESSAGE ", 2);
	CHECK(raw_has(m, "From: <sip:1001@" STAGE_SERVER ">;tag="));
	CHECK(raw_has(m, "To: <" TO_B ">\r\n"));
	CHECK(raw_header(m, "Date", 0).n > 20);
	if (!str_eq(raw_body(m), str_c(text)))
		test_fail(__FILE__, __LINE__, "not \"%s\": %s", text, m->bytes);
	raw_reply(t->b, m, status, "b", NULL, NULL);
}

TEST_NO_OOM(events_message_for_later)
{
	struct scene *t = scene_new();
	CHECK_EQ(message(t, "one", ""), 202);
	CHECK_EQ(message(t, "two", ""), 202);
	CHECK_EQ(message(t, "brief", "Expires: 60\n"), 202);
	CHECK_EQ(message(t, "now", "Expires: 0\n"), 480);
	CHECK_EQ(message(t, "secret", "Require: foo\n"),
		 420); /* nobody could understand it later */
	stage_run(t->s, 70);
	crash(t);
	CHECK_EQ(message(t, "three", ""), 202);
	scene_register(t->b, B_CONTACT);
	expect_message(t, "one", "200 OK");
	expect_message(t, "two", "500 Not Now");
	raw_none(t->b, "MESSAGE ", 5);
	crash(t);
	scene_register(t->b, B_CONTACT);
	expect_message(t, "two", "200 OK");
	expect_message(t, "three", "202 Accepted");
	raw_none(t->b, "MESSAGE ", 5);
	crash(t);
	scene_register(t->b, B_CONTACT);
	raw_none(t->b, "MESSAGE ", 5);
	scene_free(t);
}

TEST_NO_OOM(events_messages_are_bounded)
{
	struct scene *t = scene_new();
	unsigned n = 0, status;
	while ((status = message(t, "again", "")) == 202 && n < 200) {
		n++;
		stage_run(t->s, 0.1);
	}
	CHECK_EQ(n, 100);
	CHECK_EQ(status, 480);
	st_mem_full(t->s->disk, true);
	struct raw_req q = {.method = "MESSAGE", .uri = "sip:1001@" STAGE_SERVER, .body = "x"};
	raw_ask(t->a, 0, &q);
	CHECK(raw_has(raw_get(t->a, "SIP/2.0 500", 1), "7002"));
	st_mem_full(t->s->disk, false);
	scene_free(t);
}
