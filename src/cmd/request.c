/* One request, one answer, one exit code: rung message URI TEXT, rung options URI, and what rung
 * publish sends. */
#include "cmd/request.h"

#include "base/assert.h"

static void on_ready(struct agent *a)
{
	struct request *r = a->ctx;
	if (ph_request(a->ph, r->method, str_c(r->uri), r->lines, r->type, r->body))
		agent_finish(a, EXIT_FAILED);
}

int request_run(struct request *r, const struct opt_spec *spec, const char *word)
{
	int code = agent_target(&r->agent, spec, word, r->uri);
	if (code >= 0)
		return code;
	r->agent.ctx = r;
	r->agent.on_ready = on_ready;
	return agent_run(&r->agent, spec, r->uri);
}

/* "text/plain", with or without parameters [RFC3261 20.15] */
static bool is_media_type(struct str s)
{
	struct str rest, parameters, type = str_cut(s, '/', &rest),
				     subtype = str_trim(str_cut(rest, ';', &parameters));
	for (size_t i = 0; i < parameters.n; i++)
		if ((unsigned char)parameters.p[i] < ' ')
			return false;
	return agent_is_token(type) && agent_is_token(subtype);
}

int cmd_message(int argc, char **argv)
{
	static struct request c;
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
	if (!is_media_type(str_c(type)))
		return opt_usage(&spec, "--type wants a media type such as text/plain, not `%s`",
				 type);
	c.method = STR("MESSAGE");
	c.type = str_c(type);
	c.body = str_c(words[1]);
	return request_run(&c, &spec, words[0]);
}

int cmd_options(int argc, char **argv)
{
	static struct request c;
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
	return request_run(&c, &spec, words[0]);
}
