#pragma once
/* Two parties on a simulated network, each with a loop and a media session; what a session tells is
 * kept as a text. */

#include "event/sim.h"
#include "media/session.h"
#include "test.h"

struct party {
	struct sim_host *host;
	struct env *env;
	struct ev_loop loop;
	struct md_session *s;
	struct sdp_stream st; /* as last applied */
	char told[4000];
	void (*hook)(struct party *p, const struct md_event *ev);
};

extern struct sim *rig_sim;
extern struct party rig_a, rig_b;

void rig_open(uint64_t seed, const struct sim_link *link);
void rig_close(void);
/* A session for p; NULL: PCMU, latching, detector. */
void rig_session(struct party *p, const struct md_config *c);
/* Tells p what SDP agreed: to is the other party's address. */
void rig_apply(struct party *p, enum sdp_dir dir, const struct addr *to);
/* Both sessions, both directions. */
void rig_connect(void);
void rig_run(uint32_t ms);
struct md_stats rig_stats(const struct party *p);
bool rig_told(const struct party *p, const char *what);
struct addr rig_addr(const char *text);
/* Name of a file of this process, valid until the next call. */
const char *rig_path(const char *name);
