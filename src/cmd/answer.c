/* rung answer: registers and waits for calls, each of which follows the plan. */
#include "base/assert.h"
#include "cmd/agent.h"

#include <stdio.h>
#include <string.h>

struct answer_cmd {
	struct agent agent;
	struct ph_plan plan;
	bool no_register;
	uint32_t calls, n_ended, expires_s;
	int last_code;
};

static void on_ready(struct agent *a)
{
	struct answer_cmd *c = a->ctx;
	ph_accept(a->ph, &c->plan);
	if (!c->no_register)
		ph_register(a->ph, c->expires_s, false);
}

static void leave(struct answer_cmd *c, int code)
{
	c->agent.code = code;
	if (!ph_unregister(c->agent.ph))
		agent_finish(&c->agent, code);
}

static void on_event(struct agent *a, const struct ph_event *ev)
{
	struct answer_cmd *c = a->ctx;
	if (!ev->is_end)
		return;
	if (strcmp(ev->name, "unregistered") == 0)
		agent_finish(a, a->code);
	else if (strcmp(ev->name, "register-failed") == 0 && ev->outcome != PH_DONE &&
		 ev->outcome != PH_NO_ANSWER && ev->outcome != PH_UNREACHABLE)
		agent_finish(a, agent_exit_code(
					ev->outcome)); /* a refusal does not go away by waiting */
	else if (strcmp(ev->name, "ended") == 0) {
		c->last_code = agent_exit_code(ev->outcome);
		if (ev->outcome == PH_UNREACHABLE && !a->ph)
			agent_finish(a, c->last_code);
		else if (c->calls && ++c->n_ended >= c->calls)
			leave(c, c->last_code);
	}
}

static bool on_stop(struct agent *a)
{
	bool has_calls = ph_hangup_all(a->ph);
	return ph_unregister(a->ph) || has_calls;
}

int cmd_answer(int argc, char **argv)
{
	static struct answer_cmd c;
	struct ph_plan *p = &c.plan;
	uint32_t tone_hz = 0, expect_hz = 0, reject = 0;
	bool has_no_answer = false;
	ph_plan_init(p);
	c.expires_s = 3600;
	struct opt opts[] = {
		AGENT_OPTS(&c.agent),
		{0, "ring",         OPT_SECONDS, &p->ring_s,       "S",      "ring that long before the answer"        },
		{0, "no-answer",    OPT_FLAG,    &has_no_answer,   NULL,     "only ring, for 4 min at most"            },
		{0, "reject",       OPT_U32,     &reject,          "CODE",   "refuse with this status, e.g. 486 or 603"},
		{0, "echo",         OPT_FLAG,    &p->is_echo,      NULL,     "send back what is heard"                 },
		{0, "play",         OPT_STR,     &p->play,         "F.wav",
			    "send this file once answered; hang up at its end"                                                    },
		{0, "tone",         OPT_U32,     &tone_hz,         "HZ",     "send a tone instead, e.g. 660"           },
		{0, "record",       OPT_STR,     &p->record,       "F.wav",  "write what is heard"                     },
		{0, "dtmf",         OPT_STR,     &p->dtmf,         "DIGITS", "press these keys once answered"          },
		{0, "codecs",       OPT_STR,     &c.agent.codecs,  "LIST",   "PCMU,PCMA in order of preference"        },
		{0, "hangup-after", OPT_SECONDS, &p->hangup_s,     "S",
			    "hang up that long after the answer"								  },
		{0, "hold-after",   OPT_SECONDS, &p->hold_s,       "S",
			    "hold (re-INVITE) that long after the answer"                                                         },
		{0, "resume-after", OPT_SECONDS, &p->resume_s,     "S",
			    "resume that long after the answer"								   },
		{0, "expect-tone",  OPT_U32,     &expect_hz,       "HZ",     "exit 8 unless this tone is heard"        },
		{0, "expect-audio", OPT_FLAG,    &p->expect_audio, NULL,
			    "exit 8 unless audio packets arrive"								  },
		{0, "calls",        OPT_U32,     &c.calls,         "N",
			    "end after N calls, with the last one's exit code"                                                    },
		{0, "expires",      OPT_U32,     &c.expires_s,     "S",      "of the registration (3600)"              },
		{0, "no-register",  OPT_FLAG,    &c.no_register,   NULL,     "only listen at --bind"                   },
	};
	struct opt_spec spec = {
		.command = "answer",
		.words = "",
		.about = "Registers --from and answers the calls that come, until interrupted.",
		.examples = "  rung answer --from sip:101@192.0.2.1 --password P --echo\n"
			    "  rung answer --from sip:101@192.0.2.1 --password P --reject 486 "
			    "--calls 1\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	if (!c.agent.from)
		return opt_usage(&spec, "--from is needed: whose calls are to be answered?");
	if (reject && (reject < 300 || reject > 699))
		return opt_usage(&spec, "--reject wants a status from 300 to 699");
	code = agent_plan_sound(&spec, p, tone_hz, expect_hz);
	if (code >= 0)
		return code;
	p->reject = reject;
	if (has_no_answer)
		p->ring_s = -1;
	c.agent.ctx = &c;
	c.agent.on_ready = on_ready;
	c.agent.on_event = on_event;
	c.agent.on_stop = on_stop;
	char uri[512];
	struct sip_addr from;
	if (sip_addr_parse(str_c(c.agent.from), &from) ||
	    !str_copy(uri, sizeof(uri), from.uri_text))
		return opt_usage(&spec, "--from must be a SIP address, not `%s`", c.agent.from);
	return agent_run(&c.agent, &spec, uri);
}
