#pragma once
/* Trunks at work: registrations at upstreams, OPTIONS probes, which hosts are up, how many calls
 * each trunk carries. Lines (one per host) live on shard 0; what all shards ask of them (up? a seat
 * free? whose address?) are words and a snapshot. [RFC3261 10, 11] */

#include "dialog/register.h"
#include "event/shard.h"
#include "policy/config.h"

struct trunks;
struct trunks_user {                                 /* on shard 0; both may be NULL */
	void (*on_news)(void *ctx, struct str text); /* a sentence for the operator */
	/* A host has answered: true when that changed the address that we name to it. */
	bool (*on_answer)(void *ctx, const struct uac_result *r);
	void *ctx;
	uint8_t instance_key[16]; /* outlives the process, as an instance must [RFC5626 4.1] */
};

/* Borrows all; m is the manager of shard 0. */
enum err trunks_new(struct ev_shards *shards, struct dlg_mgr *m, const struct trunks_user *user,
		    struct trunks **out);
/* On shard 0, the exchange ends: what is registered is taken out. */
void trunks_unregister(struct trunks *t);
size_t trunks_leaving(const struct trunks *t); /* of those, how many have no answer yet */
void trunks_stop(struct trunks *t);            /* forgets the lines; before m is freed */
void trunks_free(struct trunks *t);            /* when nobody asks any more */

/* A policy comes into force (NULL: none): on shard 0, or before the shards start. Lines that it has
 * as they were go on. `slot`: room for each trunk of it; filled with its number, which is a
 * trunk's own as long as its name is in force or a call goes over it. ERR_LIMIT, ERR_NOMEM: nothing
 * has changed. */
enum err trunks_set(struct trunks *t, const struct pol_config *c, uint16_t *slot);

/* From any shard: */
bool trunks_is_up(const struct trunks *t, uint16_t slot, size_t host);
bool trunks_take(struct trunks *t, uint16_t slot, uint32_t max_calls); /* false: all are taken */
void trunks_leave(struct trunks *t, uint16_t slot);
uint32_t trunks_calls(const struct trunks *t, uint16_t slot);
/* A call got nothing from a host of the trunk, or a 503: the host is down until a probe or
 * registration is answered, or, where there is none, for Retry-After or half a minute. A 503 of the
 * only host that is not down is passed over. `host`: hash_quick32 of its text. */
void trunks_doubt(struct trunks *t, uint16_t slot, uint32_t host, const struct sip_msg *refusal);
/* A registration of that trunk was accepted there. */
bool trunks_knows(struct trunks *t, uint16_t slot, const struct addr *from);

enum trunk_state { TRUNK_UNKNOWN, TRUNK_UP, TRUNK_DOWN };
struct trunk_line {                  /* borrowed until the end of the turn */
	struct str trunk, host, why; /* why: it is down, or not registered */
	enum trunk_state state;
	bool does_register, is_registered, is_probed;
	uint16_t slot;
	uint64_t since_us, expires_us; /* shard 0's clock; 0: not said */
	struct addr at;                /* where it was found last */
};
/* The lines one after the other, on shard 0; *at begins with 0. */
bool trunks_next(const struct trunks *t, size_t *at, struct trunk_line *out);
