/* rung message URI TEXT and rung options URI: one request, one answer, one exit code. */
#include "base/assert.h"
#include "cmd/agent.h"

struct request_cmd {
	struct agent agent;
	struct str method, type, body;
	char uri[512];
};

static void on_ready(struct agent *a)
{
	struct request_cmd *c = a->ctx;
	if (ph_request(a->ph, c->method, str_c(c->uri), STR_NONE, c->type, c->body))
		agent_finish(a, EXIT_FAILED);
}

static int run(struct request_cmd *c, const struct opt_spec *spec, const char *word)
{
	struct str uri = agent_uri(&c->agent, word, c->uri);
	if (!uri.n)
		return opt_usage(spec, "`%s` is too long", word);
	c->uri[uri.n] = 0;
	c->agent.ctx = c;
	c->agent.on_ready = on_ready;
	return agent_run(&c->agent, spec, c->uri);
}

int cmd_message(int argc, char **argv)
{
	static struct request_cmd c;
	const char *type = "text/plain";
	struct opt opts[] = {
		AGENT_OPTS(&c.agent),
		{0, "type", OPT_STR, &type, "TYPE", "media type of the text (text/plain)"},
	};
	struct opt_spec spec = {
		.command = "message",
		.words = "URI TEXT",
		.about = "Sends an instant message (RFC 3428) and tells the answer.",
		.examples = "  rung message 101 'Coffee is ready' --from sip:100@192.0.2.1 "
			    "--password P\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 2,
		.max_words = 2,
	};
	const char *words[2];
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	c.method = STR("MESSAGE");
	c.type = str_c(type);
	c.body = str_c(words[1]);
	return run(&c, &spec, words[0]);
}

int cmd_options(int argc, char **argv)
{
	static struct request_cmd c;
	struct opt opts[] = {AGENT_OPTS(&c.agent)};
	struct opt_spec spec = {
		.command = "options",
		.words = "URI",
		.about = "Asks a server or a phone what it can do (RFC 3261 11): is it there, how "
			 "fast does it answer?",
		.examples = "  rung options sip:192.0.2.1\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 1,
	};
	const char *words[1];
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	c.method = STR("OPTIONS");
	return run(&c, &spec, words[0]);
}
