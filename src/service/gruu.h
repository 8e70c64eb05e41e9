#pragma once
/* URIs that reach one instance of a user's phones and no other [RFC5627]. Nothing is stored for
 * them: the public one is the address of record with the instance in `gr`, a temporary one holds
 * all that it stands for, sealed. */

#include "base/str.h"
#include "location/location.h"

struct gruu_self {
	uint8_t key[16]; /* equal on all shards and after a restart */
};

/* `aor_uri`: the address of record as the phone writes it; `user`: its account. `nonce` makes each
 * temporary one another. Both are sips URIs for a sips Contact, and both can be called either way
 * [RFC5630 5.2.1]. */
struct gruu_of {
	const struct sip_uri *aor_uri;
	struct str user, instance, call_id;
	bool is_sips;
	uint64_t nonce;
};
/* Appends the URIs: they have no quotes. Nothing where the account's name is too long. */
void gruu_put_public(struct buf *b, const struct gruu_of *of);
void gruu_put_temporary(const struct gruu_self *self, struct buf *b, const struct gruu_of *of);
/* Appends ";pub-gruu=\"...\";temp-gruu=\"...\"" for a Contact of a 200. */
void gruu_put(const struct gruu_self *self, struct buf *b, const struct gruu_of *of);

#define GRUU_USER_MAX 64
struct gruu {          /* what a request-URI says */
	struct str gr; /* public: the instance without its brackets, still escaped */
	bool is_temp;
	uint64_t instance_hash;
	uint32_t call_id_hash;
	const struct gruu_self *self;
	size_t n_user;
	char user[GRUU_USER_MAX]; /* temporary: the account */
};
/* False: an ordinary URI. A temporary one that we have not made is read as one without user, which
 * nobody has. */
bool gruu_read(const struct gruu_self *self, const struct sip_uri *u, struct gruu *out);
/* A loc_pick_fn; ctx is a struct gruu. */
bool gruu_is_meant(void *ctx, struct str instance, struct str call_id);
