#pragma once
/* One request of a user agent and its answer: message, options, publish. */

#include "cmd/agent.h"

struct request {
	struct agent agent;
	struct str method, lines, type, body; /* lines: further header lines, each with its end */
	char uri[512];
};
/* Sends it to whom `word` means; returns the exit code. */
int request_run(struct request *r, const struct opt_spec *spec, const char *word);
