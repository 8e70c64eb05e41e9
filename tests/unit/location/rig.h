#pragma once
/* Bindings of n shards in virtual time, over a disk in memory that outlives them. */

#include "event/sim.h"
#include "location/location.h"
#include "store/mem.h"

struct rig {
	struct sim *sim;
	struct sim_host *host;
	struct env *env[4];
	struct ev_shards *shards;
	struct st *st;
	struct loc *loc;
	size_t n;
	char log[4000]; /* what the listener heard: "+aor uri", "=", "-", "x" (expired) */
	size_t log_n;
};

/* False, with everything freed, when it cannot be started (crashed disk, no memory). disk NULL:
 * nothing is durable. The clock stands at wall_s. */
bool rig_start(struct rig *r, struct st_mem *disk, size_t n, uint64_t wall_s, size_t max_contacts);
void rig_stop(struct rig *r);
void rig_run(struct rig *r, uint64_t us); /* lets time pass */

struct rig_change {
	struct loc_change c;
	struct loc_contact contact[8];
	bool is_done;
};
/* Fills a change with one contact; more by rig_contact. Strings are the caller's. */
void rig_change(struct rig_change *k, const char *aor, const char *call_id, uint32_t cseq,
		const char *uri, uint32_t expires_s);
void rig_contact(struct rig_change *k, const char *uri, uint32_t expires_s, uint16_t q);
/* Sends it from a shard and runs until it is done. */
enum loc_outcome rig_do(struct rig *r, size_t shard, struct rig_change *k);
enum loc_outcome rig_register(struct rig *r, const char *aor, const char *call_id, uint32_t cseq,
			      const char *uri, uint32_t expires_s);
/* The targets of an AOR as text: "uri;q=500 uri ...", "-" when there are none, "none". */
struct str rig_targets(struct rig *r, const char *aor);
