#pragma once
/* The echo test: a number that answers and sends back what it hears, so that one phone alone can
 * check its audio both ways. */

#include "dialog/session.h"
#include "media/session.h"
#include "service/sign.h"

struct echo;
struct echo_config {
	uint32_t max_calls; /* 0: the default of limits.h */
	uint64_t max_us;    /* a test is ended after it; 0: 10 minutes */
	void (*on_sign)(void *ctx, const struct sign *s); /* may be NULL */
	void *ctx;
};
enum err echo_new(struct ev_loop *loop, struct tsx_mgr *tsx, struct dlg_mgr *dlg,
		  const struct echo_config *cfg, struct echo **out);
void echo_free(struct echo *e);
void echo_stop(struct echo *e); /* hangs all up */
/* Answers the INVITE of st; `caller_aor` is whose phone it comes from, empty: none of ours. */
void echo_on_invite(struct echo *e, tsx_id st, struct tp_rx *rx, struct str caller_aor);
