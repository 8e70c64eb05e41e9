/* PUBLISH step by step, and documents that every program must be able to read. [RFC3903 6]
 * [RFC3680 5.1] [RFC3858 3] [RFC3863 4.1] [RFC4235 4] */
#include "scene.h"

#include <expat.h>

#define MINE "sip:1001@" STAGE_SERVER
#define PIDF                                                                                       \
	"<?xml version='1.0'?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf' "                    \
	"entity='sip:1001@sim'>\n<tuple id='t1'><status><basic>open</basic></status></tuple>\n"    \
	"</presence>\n"

static struct raw_msg *publish(struct scene *t, const char *uri, const char *extra,
			       const char *body)
{
	struct raw_req q = {.method = "PUBLISH", .uri = uri, .extra = extra, .body = body};
	raw_ask(t->a, 0, &q);
	return raw_get(t->a, "SIP/2.0 ", 1);
}

/* The steps of the server, in their order */
TEST_NO_OOM(publish_is_checked)
{
	static const struct {
		const char *uri, *extra, *body, *status;
	} rows[] = {
		{"sip:nobody@" STAGE_SERVER,
		 "Event: presence\nContent-Type: application/pidf+xml\n",                                           PIDF,     "404"},
		{MINE,		       "Event: weather\nContent-Type: application/pidf+xml\n",                PIDF,     "489"},
		{MINE,		       "Content-Type: application/pidf+xml\n",                                PIDF,     "489"},
		{MINE,		       "Event: presence\nSIP-If-Match: 0000000000000001, 0000000000000002\n", NULL,
		 "400"													     },
		{MINE,
		 "Event: presence\nSIP-If-Match: 0000000000000001\nSIP-If-Match: "
		 "0000000000000002\n",									      NULL,     "400"},
		{MINE,		       "Event: presence\nSIP-If-Match: 0000000000000001\n",                   NULL,     "412"},
		{MINE,		       "Event: presence\nContent-Type: application/pidf+xml\nExpires: 30\n",  PIDF,
		 "423"													     },
		{MINE,		       "Event: presence\nContent-Type: application/pidf+xml\nRequire: foo\n", PIDF,
		 "420"													     },
		{MINE,		       "Event: presence\nContent-Type: text/plain\n",                         "open\n", "415"},
	};
	struct scene *t = scene_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw_msg *m = publish(t, rows[i].uri, rows[i].extra, rows[i].body);
		if (!str_starts(str_skip(m->text, 8), str_c(rows[i].status)))
			test_fail(__FILE__, __LINE__, "row %zu: %s", i, m->bytes);
		CHECK_EQ(raw_count(m, "SIP-ETag"), 0);
		if (strcmp(rows[i].status, "423") == 0)
			CHECK_STR(raw_header(m, "Min-Expires", 0), "60");
		if (strcmp(rows[i].status, "415") == 0)
			CHECK_STR(raw_header(m, "Accept", 0), "application/pidf+xml");
		if (strcmp(rows[i].status, "420") == 0)
			CHECK_STR(raw_header(m, "Unsupported", 0), "foo");
	}
	scene_free(t);
}

/* How long, and under which name; no dialog comes of it, whatever its headers look like. */
TEST_NO_OOM(publish_is_answered)
{
	struct scene *t = scene_new();
	struct raw_msg *m = publish(t, MINE,
				    "Event: presence\nContent-Type: application/pidf+xml\n"
				    "Record-Route: <sip:10.0.0.99;lr>\nExpires: 120\n",
				    PIDF);
	char etag[32], line[80];
	CHECK(raw_has(m, "SIP/2.0 200"));
	CHECK_STR(raw_header(m, "Expires", 0), "120");
	CHECK_EQ(raw_count(m, "SIP-ETag"), 1);
	CHECK_EQ(raw_count(m, "Record-Route"), 0);
	raw_cstr(raw_header(m, "SIP-ETag", 0), etag, sizeof(etag));
	snprintf(line, sizeof(line), "Event: presence\nSIP-If-Match: %s\n", etag);
	m = publish(t, MINE, line, NULL); /* without Expires: our own */
	CHECK_STR(raw_header(m, "Expires", 0), "3600");
	CHECK(!raw_has(m, etag));
	raw_none(t->x, "", 1);
	scene_free(t);
}

/* ---- documents ------------------------------------------------------------------------------- */

static struct raw_msg *document(struct scene *t, struct raw *r, const char *uri, const char *event)
{
	char line[80];
	snprintf(line, sizeof(line), "Event: %s\n", event);
	struct raw_req q = {.method = "SUBSCRIBE", .uri = uri, .extra = line};
	raw_ask(r, 0, &q);
	raw_get(r, "SIP/2.0 200", 1);
	struct raw_msg *m = raw_get(r, "NOTIFY ", 1);
	raw_reply(r, m, "200 OK", NULL, NULL, NULL);
	return m;
}

static void check_xml(const struct raw_msg *m)
{
	struct str body = raw_body(m);
	XML_Parser p = XML_ParserCreate(NULL);
	CHECK(p);
	enum XML_Status e = XML_Parse(p, body.p, (int)body.n, true);
	XML_ParserFree(p);
	if (e != XML_STATUS_OK)
		test_fail(__FILE__, __LINE__, "not well-formed: %s", m->bytes);
	CHECK(str_starts(body, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")));
}

/* Names that XML would trip over: a User-Agent, tags, a Call-ID */
TEST_NO_OOM(documents_are_well_formed)
{
	static const char *const events[] = {"presence", "dialog", "reg", "presence.winfo",
					     "dialog.winfo"};
	struct scene *t = scene_new();
	struct scene_dialog d;
	raw_register(t->b, 0, B_CONTACT ";+sip.instance=\"<urn:x:a&b>\"", "User-Agent: <&\">\n");
	t->call = (struct raw_req){.method = "INVITE", .uri = TO_B};
	snprintf(t->call.call_id, sizeof(t->call.call_id), "<a&b\"c>@'d");
	scene_invite(t);
	scene_answer(t, t->b, &d);
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		check_xml(document(t, t->b, TO_B, events[i]));
	scene_free(t);
}

static struct str id_of(struct str *rest, const char *element)
{
	size_t at = str_find(*rest, str_c(element));
	CHECK(at != SIZE_MAX);
	*rest = str_skip(*rest, at + strlen(element));
	return str_cut(*rest, '"', rest);
}

/* [RFC3680 5.1]: two bindings are two, also with one URI; ids stay while the subscription does */
TEST_NO_OOM(contacts_have_ids_of_their_own)
{
	struct scene *t = scene_new();
	static const char *const flows[] = {"1", "2"};
	for (size_t i = 0; i < 2; i++) {
		char contact[200];
		snprintf(contact, sizeof(contact),
			 "<sip:1002@10.0.0.22>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-"
			 "00a0c91e6bf6>\";reg-id=%s",
			 flows[i]);
		raw_register(t->b, 0, contact, "Supported: outbound, path\n");
	}
	struct raw_msg *m = document(t, t->b, TO_B, "reg");
	struct str rest = raw_body(m);
	struct str reg = id_of(&rest, "<registration id=\""), one = id_of(&rest, "<contact id=\""),
		   two = id_of(&rest, "<contact id=\"");
	CHECK(!str_eq(one, two));
	raw_register(t->b, 0, "<sip:1002@10.0.0.22:5099>", NULL);
	m = raw_get(t->b, "NOTIFY ", 2);
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	rest = raw_body(m);
	CHECK_STR_EQ(id_of(&rest, "<registration id=\""), reg);
	CHECK(str_find(rest, one) != SIZE_MAX && str_find(rest, two) != SIZE_MAX);
	scene_free(t);
}

/* What stands in that attribute, as a URI. */
static void uri_of(struct raw_msg *m, const char *start, char *out, size_t cap)
{
	struct str rest = raw_body(m);
	raw_cstr(id_of(&rest, start), out, cap);
}

/* [RFC5628 5]: a phone's GRUUs are told, and lead to it; one without an instance has none */
TEST_NO_OOM(registrations_have_gruus)
{
	struct scene *t = scene_new();
	char uri[2][300];
	raw_register(t->b, 0,
		     B_CONTACT ";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"",
		     NULL);
	struct raw_msg *m = document(t, t->b, TO_B, "reg");
	CHECK(raw_has(m, " xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\""));
	CHECK(raw_has(m, "<unknown-param name=\"+sip.instance\">\"&lt;urn:uuid:f81d4fae-"));
	CHECK(raw_has(m, "\" first-cseq=\"0\"/></contact>"));
	uri_of(m, "<gr:pub-gruu uri=\"", uri[0], sizeof(uri[0]));
	uri_of(m, "<gr:temp-gruu uri=\"", uri[1], sizeof(uri[1]));
	CHECK_STR(str_c(uri[0]), TO_B ";gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
	for (size_t i = 0; i < 2; i++) {
		t->call = (struct raw_req){.method = "INVITE", .uri = uri[i]};
		scene_invite(t);
		m = raw_get(t->b, "INVITE ", 1);
		CHECK_STR(raw_uri(m), "sip:1002@10.0.0.22:5060");
		raw_reply(t->b, m, "486 Busy Here", "b", NULL, NULL);
		raw_get(t->b, "ACK ", 1);
		raw_ack(t->a, 0, &t->call, raw_get(t->a, "SIP/2.0 486", 1));
		raw_flush(t->b);
	}
	raw_register(t->b, 0, "<sip:1002@10.0.0.22:5099>", NULL);
	m = raw_get(t->b, "NOTIFY ", 2);
	raw_reply(t->b, m, "200 OK", NULL, NULL, NULL);
	size_t at = str_find(raw_body(m), STR(":5099</uri>"));
	CHECK(str_starts(str_skip(raw_body(m), at), STR(":5099</uri></contact>")));
	scene_free(t);
}

/* A body that the watcher cannot read is not sent. */
TEST_NO_OOM(documents_that_are_not_accepted)
{
	static const char *const events[] = {"presence", "dialog", "reg", "presence.winfo",
					     "message-summary"};
	struct scene *t = scene_new();
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		char line[80];
		snprintf(line, sizeof(line), "Event: %s\nAccept: text/plain\n", events[i]);
		struct raw_req q = {.method = "SUBSCRIBE", .uri = TO_B, .extra = line};
		raw_ask(t->b, 0, &q);
		raw_get(t->b, "SIP/2.0 406", 1);
	}
	raw_none(t->b, "NOTIFY ", 1);
	scene_free(t);
}
