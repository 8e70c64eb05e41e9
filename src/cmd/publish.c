/* rung publish: says once what somebody is doing, as a phone does by itself (RFC 3903). What it
 * says lasts for --expires; nothing refreshes it. */
#include "base/assert.h"
#include "cmd/request.h"
#include "service/pidf.h"

#include <stdio.h>
#include <string.h>

struct publish_cmd {
	struct request request;
	const char *activity, *note;
	uint32_t expires_s;
	bool is_open;
};

static void put_body(const struct publish_cmd *c, const char *uri, struct buf *b)
{
	buf_str(b, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		       "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\""
		       " xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\""
		       " xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\""));
	xml_put(b, str_c(uri));
	buf_fmt(b, "\">\n<tuple id=\"rung\"><status><basic>%s</basic></status></tuple>\n",
		c->is_open ? "open" : "closed");
	if (c->activity || c->note) {
		buf_str(b, STR("<dm:person id=\"p\">"));
		if (c->activity) {
			buf_str(b, STR("<rpid:activities><rpid:"));
			xml_put(b, str_c(c->activity));
			buf_str(b, STR("/></rpid:activities>"));
		}
		if (c->note) {
			buf_str(b, STR("<dm:note>"));
			xml_put(b, str_c(c->note));
			buf_str(b, STR("</dm:note>"));
		}
		buf_str(b, STR("</dm:person>\n"));
	}
	buf_str(b, STR("</presence>\n"));
}

static int publish(struct publish_cmd *c, const struct opt_spec *spec, struct buf *body)
{
	struct request *r = &c->request;
	char lines[80];
	int code = agent_target(&r->agent, spec, r->agent.from, r->uri);
	if (code >= 0)
		return code;
	put_body(c, r->uri, body);
	if (body->err)
		return EXIT_FAILED;
	int n = snprintf(lines, sizeof(lines), "Event: presence\r\nExpires: %u\r\n", c->expires_s);
	r->method = STR("PUBLISH");
	r->lines = str_of(lines, (size_t)n);
	r->type = STR("application/pidf+xml");
	r->body = buf_view(body);
	return request_run(r, spec, r->agent.from);
}

static bool is_word(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz-")] == 0;
}

int cmd_publish(int argc, char **argv)
{
	static struct publish_cmd c;
	const char *words[1];
	c.expires_s = 3600;
	struct opt opts[] = {
		AGENT_OPTS(&c.request.agent),
		{0, "activity", OPT_STR, &c.activity,  "NAME",
				    "what he does: away, busy, meeting, on-the-phone, ... (RFC 4480)"       },
		{0, "note",     OPT_STR, &c.note,      "TEXT", "a line for people"       },
		{0, "expires",  OPT_U32, &c.expires_s, "S",    "how long it lasts (3600)"},
	};
	struct opt_spec spec = {
		.command = "publish",
		.words = "open|closed",
		.about = "Publishes the presence of --from, once: whoever watches him is notified.",
		.examples = "  rung publish open --activity meeting --from sip:100@192.0.2.1 "
			    "--password P\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 1,
	};
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	c.is_open = strcmp(words[0], "open") == 0;
	if (!c.is_open && strcmp(words[0], "closed") != 0)
		return opt_usage(&spec, "`%s` is neither open nor closed", words[0]);
	if (!c.request.agent.from)
		return opt_usage(&spec, "--from is needed: whose presence?");
	if (c.activity && !is_word(c.activity))
		return opt_usage(&spec, "`%s` is no activity of RFC 4480", c.activity);
	struct buf body;
	buf_init(&body);
	code = publish(&c, &spec, &body);
	buf_fini(&body);
	return code;
}
