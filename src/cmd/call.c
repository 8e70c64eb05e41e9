/* rung call URI: one call by a plan, one exit code. */
#include "base/assert.h"
#include "cmd/agent.h"

struct call_cmd {
	struct agent agent;
	struct ph_plan plan;
	char uri[512];
};

static void on_ready(struct agent *a)
{
	struct call_cmd *c = a->ctx;
	if (ph_call(a->ph, str_c(c->uri), &c->plan))
		agent_finish(a, EXIT_FAILED);
}

static bool on_stop(struct agent *a)
{
	return ph_hangup_all(a->ph);
}

int cmd_call(int argc, char **argv)
{
	static struct call_cmd c;
	struct ph_plan *p = &c.plan;
	uint32_t tone_hz = 0, expect_hz = 0;
	ph_plan_init(p);
	struct opt opts[] = {
		AGENT_OPTS(&c.agent),
		{0, "play",         OPT_STR,     &p->play,          "F.wav",
			    "send this file once answered; hang up at its end"                                             },
		{0, "tone",         OPT_U32,     &tone_hz,          "HZ",     "send a tone instead, e.g. 440"   },
		{0, "record",       OPT_STR,     &p->record,        "F.wav",  "write what is heard"             },
		{0, "codecs",       OPT_STR,     &c.agent.codecs,   "LIST",   "PCMU,PCMA in order of preference"},
		{0, "dtmf",         OPT_STR,     &p->dtmf,          "DIGITS",
			    "press these keys once answered (a comma pauses a second)"                                     },
		{0, "cancel-after", OPT_SECONDS, &p->cancel_s,      "S",
			    "give up that long after it begins to ring"                                                    },
		{0, "hangup-after", OPT_SECONDS, &p->hangup_s,      "S",
			    "hang up that long after the answer"							   },
		{0, "hold-after",   OPT_SECONDS, &p->hold_s,        "S",
			    "hold (re-INVITE) that long after the answer"                                                  },
		{0, "resume-after", OPT_SECONDS, &p->resume_s,      "S",
			    "resume that long after the answer"							    },
		{0, "late-offer",   OPT_FLAG,    &p->is_late_offer, NULL,
			    "INVITE without SDP: the answer goes into the ACK"                                             },
		{0, "history",      OPT_FLAG,    &p->tells_way,     NULL,     "ask where it went (History-Info)"},
		{0, "expect-tone",  OPT_U32,     &expect_hz,        "HZ",     "exit 8 unless this tone is heard"},
		{0, "expect-audio", OPT_FLAG,    &p->expect_audio,  NULL,
			    "exit 8 unless audio packets arrive"							   },
	};
	struct opt_spec spec = {
		.command = "call",
		.words = "URI",
		.about = "Calls somebody and follows a plan: what to say, when to hang up, what "
			 "must be heard.\n"
			 "URI is a SIP address; a bare number is called at the host of --from.",
		.examples =
			"  rung call 101 --from sip:100@192.0.2.1 --password P --hangup-after 5\n"
			"  rung call sip:echo@192.0.2.1 --from sip:100@192.0.2.1 --password P "
			"--tone 440 --expect-tone 440 "
			"--hangup-after 2\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 1,
		.max_words = 1,
	};
	const char *words[1];
	int code = opt_parse(&spec, argc, argv, words, NULL);
	if (code >= 0)
		return code;
	code = agent_plan_sound(&spec, p, tone_hz, expect_hz);
	if (code >= 0)
		return code;
	code = agent_target(&c.agent, &spec, words[0], c.uri);
	if (code >= 0)
		return code;
	c.agent.ctx = &c;
	c.agent.on_ready = on_ready;
	c.agent.on_stop = on_stop;
	return agent_run(&c.agent, &spec, c.uri);
}
