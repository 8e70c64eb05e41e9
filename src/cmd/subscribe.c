/* rung subscribe URI: one subscription; its notifications are printed. */
#include "base/assert.h"
#include "cmd/agent.h"

#include <string.h>

struct subscribe_cmd {
	struct agent agent;
	const char *event, *accept;
	uint32_t expires_s, n_wanted, n_seen;
	bool is_kept;
	char uri[512];
};

/* The media type of a package's bodies, where we know it. */
static const char *type_of(const char *event)
{
	static const char *const all[][2] = {
#define PACKAGE(id, name, type, who, base, gap, rfc) {name, type},
#include "service/packages.def"
#undef PACKAGE
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(all[i][0], event) == 0)
			return all[i][1];
	return "";
}

static void on_ready(struct agent *a)
{
	struct subscribe_cmd *c = a->ctx;
	if (ph_subscribe(a->ph, str_c(c->uri), str_c(c->event), str_c(c->accept), c->expires_s))
		agent_finish(a, EXIT_FAILED);
}

static void on_event(struct agent *a, const struct ph_event *ev)
{
	struct subscribe_cmd *c = a->ctx;
	if (strcmp(ev->name, "notify") == 0 && ++c->n_seen >= c->n_wanted && !c->is_kept)
		ph_unsubscribe(a->ph);
	if (ev->is_end)
		agent_finish(a, agent_exit_code(ev->outcome));
}

static bool on_stop(struct agent *a)
{
	return ph_unsubscribe(a->ph);
}

int cmd_subscribe(int argc, char **argv)
{
	static struct subscribe_cmd c;
	c.event = "message-summary";
	c.expires_s = 3600;
	c.n_wanted = 1;
	struct opt opts[] = {
		AGENT_OPTS(&c.agent),
		{0, "event",   OPT_STR,  &c.event,     "NAME",
			    "event package: presence, dialog, reg, ... (message-summary)"                        },
		{0, "accept",  OPT_STR,  &c.accept,    "TYPE",
			    "media type of the notifications (that of the package)"                              },
		{0, "expires", OPT_U32,  &c.expires_s, "S",    "asked for; 0 asks once (3600)"        },
		{0, "count",   OPT_U32,  &c.n_wanted,  "N",    "unsubscribe after N notifications (1)"},
		{0, "keep",    OPT_FLAG, &c.is_kept,   NULL,   "stay subscribed until interrupted"    },
	};
	struct opt_spec spec = {
		.command = "subscribe",
		.words = "URI",
		.about = "Subscribes to URI (by default to its message-waiting state) and prints "
			 "the notifications.\n"
			 "Without --from the subscriber is URI itself.",
		.examples = "  rung subscribe sip:100@192.0.2.1 --password P\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 1,
	};
	const char *words[1];
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	if (!agent_is_token(str_c(c.event)))
		return opt_usage(&spec, "`%s` is no name of an event package", c.event);
	code = agent_target(&c.agent, &spec, words[0], c.uri);
	if (code >= 0)
		return code;
	if (!c.accept)
		c.accept = type_of(c.event);
	if (!c.agent.from)
		c.agent.from = c.uri;
	c.agent.ctx = &c;
	c.agent.on_ready = on_ready;
	c.agent.on_event = on_event;
	c.agent.on_stop = on_stop;
	return agent_run(&c.agent, &spec, c.uri);
}
