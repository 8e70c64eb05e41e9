/* rung register URI: one registration, one verdict, one exit code. */
#include "base/assert.h"
#include "cmd/agent.h"

#include <string.h>

struct register_cmd {
	struct agent agent;
	uint32_t expires_s;
	bool is_kept, is_removal;
	char uri[512];
};

static void on_ready(struct agent *a)
{
	struct register_cmd *c = a->ctx;
	ph_register(a->ph, c->expires_s, !c->is_kept);
}

static void on_event(struct agent *a, const struct ph_event *ev)
{
	struct register_cmd *c = a->ctx;
	if (!ev->is_end)
		return;
	if (strcmp(ev->name, "registered") == 0 && c->is_removal)
		ph_unregister(a->ph);
	else if (!c->is_kept || strcmp(ev->name, "unregistered") == 0)
		agent_finish(a, agent_exit_code(ev->outcome));
}

static bool on_stop(struct agent *a)
{
	struct register_cmd *c = a->ctx;
	return c->is_kept && ph_unregister(a->ph);
}

int cmd_register(int argc, char **argv)
{
	static struct register_cmd c;
	c.expires_s = 3600;
	struct opt opts[] = {
		AGENT_OPTS(&c.agent),
		{0, "expires", OPT_U32,  &c.expires_s,  "S",
			    "how long the registration shall last (3600)"                          },
		{0, "keep",    OPT_FLAG, &c.is_kept,    NULL,
			    "refresh it until interrupted, then unregister"                        },
		{0, "remove",  OPT_FLAG, &c.is_removal, NULL, "unregister again at once"},
	};
	struct opt_spec spec = {
		.command = "register",
		.words = "URI",
		.about = "Registers URI (an address of record such as sip:100@192.0.2.1) once and "
			 "tells what came of it.",
		.examples = "  rung register sip:100@192.0.2.1 --password P\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 1,
	};
	const char *words[1];
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	code = agent_target(&c.agent, &spec, words[0], c.uri);
	if (code >= 0)
		return code;
	c.agent.from = c.uri;
	c.agent.ctx = &c;
	c.agent.on_ready = on_ready;
	c.agent.on_event = on_event;
	c.agent.on_stop = on_stop;
	return agent_run(&c.agent, &spec, c.uri);
}
