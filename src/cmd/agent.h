#pragma once
/* What call, answer, register, subscribe, message and options share: the flags of an account, one
 * phone on one loop, events printed as text or JSON, signals, the time-out over everything. */

#include "cmd/certs.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "phone/phone.h"

struct agent {
	/* flags */
	const char *from, *password, *auth_user, *transport, *bind, *codecs, *dns;
	struct opt_list proxy;
	struct certs certs;
	bool is_json, is_quiet, has_trace;
	double timeout_s;
	/* set by the command before agent_run */
	void (*on_ready)(struct agent *a); /* sockets are open: start */
	void (*on_event)(struct agent *a,
			 const struct ph_event *ev); /* may be NULL; every event but "ready" */
	bool (*on_stop)(struct agent *a); /* interrupted or timed out: end politely; false: nothing
					     to end */
	void *ctx;
	/* for the command's callbacks */
	struct env *env;
	struct ev_loop loop;
	struct ph *ph;
	int code; /* exit code so far */
	bool is_stopping;
	struct tmr timeout;
	struct env_sock *signals;
	int signal_fd;
};

#define AGENT_OPTS(a)                                                                                \
	{0, "from", OPT_STR, &(a)->from, "URI", "who you are: sip:1001@192.0.2.1"},                  \
		{0,       "password",                                                                \
		 OPT_STR, &(a)->password,                                                            \
		 "P",     "answers challenges (or the variable RUNG_PASSWORD)"},                     \
		{0,       "auth-user",                                                               \
		 OPT_STR, &(a)->auth_user,                                                           \
		 "NAME",  "user name for digest, when it is not that of --from"},                    \
		{0,                                                                                  \
		 "proxy",                                                                            \
		 OPT_LIST,                                                                           \
		 &(a)->proxy,                                                                        \
		 "ADDR",                                                                             \
		 "send everything there: address, host[:port] or SIP URI; several: register by "     \
		 "each"},                                                                            \
		{0,       "transport",                                                               \
		 OPT_STR, &(a)->transport,                                                           \
		 "T",     "udp (default), tcp, tls, ws or wss"},                                     \
		{0,       "tls-ca",                                                                  \
		 OPT_STR, &(a)->certs.ca,                                                            \
		 "FILE",  "PEM certificates to trust (the system's)"},                               \
		{0, "tls-cert", OPT_LIST, &(a)->certs.cert, "FILE", "PEM certificate to show"},      \
		{0, "tls-key", OPT_LIST, &(a)->certs.key, "FILE", "its PEM key"},                    \
		{0, "tls-insecure", OPT_FLAG, &(a)->certs.is_lax, NULL, "do not verify the server"}, \
		{0, "dns", OPT_STR, &(a)->dns, "ADDR", "name servers, not those of the system"},     \
		{0, "bind", OPT_STR, &(a)->bind, "ADDR", "local address for SIP and RTP"},           \
		{0,           "timeout",                                                             \
		 OPT_SECONDS, &(a)->timeout_s,                                                       \
		 "S",         "give up after it, whatever is going on"},                             \
		{0,        "json",                                                                   \
		 OPT_FLAG, &(a)->is_json,                                                            \
		 NULL,     "events as JSON, one line each, flushed"},                                \
		{0, "trace", OPT_FLAG, &(a)->has_trace, NULL, "print every SIP message"},            \
	{                                                                                            \
		'q', "quiet", OPT_FLAG, &(a)->is_quiet, NULL, "only the exit code"                   \
	}

/* Runs until agent_finish; returns the exit code. `uri` names the peer where no proxy is given.
 * `spec` is for messages about wrong flags. */
int agent_run(struct agent *a, const struct opt_spec *spec, const char *uri);
void agent_finish(struct agent *a, int code);
/* The tones to send and to expect (Hz; 0: none) into the plan, and whether its keys are some.
 * Returns -1, or an exit code after telling what is wrong. */
int agent_plan_sound(const struct opt_spec *spec, struct ph_plan *p, uint32_t tone_hz,
		     uint32_t expect_hz);
/* A token of SIP [RFC3261 25.1]: the name of a method, of an event package. */
bool agent_is_token(struct str s);
int agent_exit_code(enum ph_outcome outcome);
/* Whom a word of the command line means: "100" with --from sip:1@host is sip:100@host, a URI
 * without scheme gets sip:. Returns -1, or an exit code after telling that it is no address. */
int agent_target(const struct agent *a, const struct opt_spec *spec, const char *word,
		 char uri[512]);
