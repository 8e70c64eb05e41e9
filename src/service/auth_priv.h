#pragma once
/* Seen only by auth.c (credentials, verification, life), auth_nonce.c (nonces and their counts) and
 * auth_challenge.c (what is asked). */

#include "service/auth.h"

#define AUTH_RING       (1u << 18)
#define AUTH_SERIALS    (1u << 24)
#define AUTH_NONCE_TEXT 24 /* characters */

struct nonce {
	uint8_t shard;
	uint16_t boot;
	uint32_t time_s, serial;
	uint64_t mac;
};

struct window { /* zeroed: not used yet */
	uint32_t high;
	uint32_t seen; /* bit i: high - i was used */
};

struct old_place {    /* a nonce of an earlier boot */
	uint64_t mac; /* 0: free */
	uint32_t time_s;
	struct window w;
};

struct auth_nonce_msg {
	struct inbox_msg inbox;
	struct auth_check *check; /* NULL: cancelled. Touched by the asking shard alone. */
	struct nonce nonce;
	uint32_t nc; /* 0: without qop */
	uint16_t from_shard;
	enum auth_verdict verdict;
};

struct challenge { /* the header lines, without the nonce */
	struct buf text;
	size_t cut[MD__N]; /* where the nonce goes, once per line */
	size_t end[MD__N]; /* of each line */
};

struct auth {
	struct ev_shards *shards;
	struct ev_loop *loop;
	size_t shard, n_shards;
	struct acc *acc;
	struct auth_cfg cfg;
	uint16_t boot;
	uint32_t next_serial;
	struct window *ring;
	struct old_place *old;            /* made when the first one is met */
	struct challenge challenge[2][2]; /* [is_proxy][is_stale] */
	struct auth_stats stats;
	uint64_t blur;
};

/* auth_nonce.c */
void auth_nonce_make(struct auth *a, struct buf *out);
bool auth_nonce_read(const struct auth *a, struct str text, struct nonce *n); /* false: not ours */
/* On the shard that the nonce names: AUTH_OK, STALE or REPLAYED; nc 0: without qop. */
enum auth_verdict auth_nonce_take(struct auth *a, const struct nonce *n, uint32_t nc);

/* auth_challenge.c */
enum err auth_challenges_init(struct auth *a);
void auth_challenges_fini(struct auth *a);
