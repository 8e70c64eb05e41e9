#pragma once
/* The echo test: a number that answers and sends back what it hears, so that one phone alone can
 * check its audio both ways. */

#include "dialog/session.h"
#include "media/session.h"

struct echo;
struct echo_config {
	uint32_t max_calls; /* 0: the default of limits.h */
	uint64_t max_us;    /* a test is ended after it; 0: 10 minutes */
};
enum err echo_new(struct ev_loop *loop, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		  const struct echo_config *cfg, struct echo **out);
void echo_free(struct echo *e);
/* Answers the INVITE of st. */
void echo_on_invite(struct echo *e, tsx_id st, struct tp_rx *rx);
