#pragma once
/* Bans: who has done what against the exchange, and who is not listened to any more.
 *
 * One book per exchange, kept by shard 0; each shard gathers what it sees in a table of its own and
 * reports it five times a second; who is banned is a snapshot that all shards read. An address is
 * an IPv4 address or an IPv6 /64. Its points decay, a hundred of them are a ban: a minute, then
 * longer each time. What came by UDP speaks against UDP only, since a sender by UDP may lie about
 * who he is: the address can still come by TCP or TLS.
 *
 * Where a user has logged in lately, or has a registration, an address is ten times as hard to ban,
 * and its points decay in a minute or two: a phone with an old password keeps the office behind the
 * same NAT from nothing. Trusted networks and those of `never` are not judged at all. */

#include "base/addr.h"
#include "event/shard.h"

#define DEED(id, points, text) BAN_##id,
enum ban_deed {
#include "service/ban.def"
	BAN_DEEDS
};
#undef DEED

struct acc;
struct st;
struct ban;

struct ban_cfg {
	const struct addr_net *trust, *never; /* copied */
	size_t n_trust, n_never;
	uint8_t key[16]; /* of the tables; random */
	/* Tells the operator, on shard 0, that an address was banned; text is borrowed. */
	void (*on_ban)(void *ctx, const struct addr *who, struct str text);
	void *ctx;
};
/* Before the shards start; borrows shards and acc, through which it writes. Bans of an hour that
 * stood at the last end stand again. */
enum err ban_new(struct ev_shards *shards, struct st *st, struct acc *acc,
		 const struct ban_cfg *cfg, struct ban **out);
void ban_free(struct ban *b); /* after the shards have stopped */

/* ---- on the shard that saw it ---- */

struct ban_sight { /* a request, as evidence; texts are borrowed and cut */
	struct addr from;
	bool is_stream; /* by a connection: the address is real */
	struct str user, agent, request;
};
/* The address that is judged: without port, IPv6 as its /64. */
struct addr ban_key(const struct addr *a);
/* False: nothing of it is to be read or answered. Also of connections. */
bool ban_may(struct ban *b, size_t shard, const struct addr *from, bool is_stream);
void ban_deed(struct ban *b, size_t shard, enum ban_deed what, const struct ban_sight *by);
/* Was challenged: as which user; scans are those that never log in. */
void ban_asked(struct ban *b, size_t shard, const struct ban_sight *by);
void ban_logged_in(struct ban *b, size_t shard, const struct ban_sight *by);
bool ban_is_trusted(const struct ban *b, const struct addr *from);
/* Trusted, or never banned: not judged at all. */
bool ban_is_exempt(const struct ban *b, const struct addr *from);
/* A registration stands from there. Before the shards start. */
void ban_is_good(struct ban *b, const struct addr *from);
/* Does the text name a program of scanners.def? */
bool ban_is_scanner(struct str agent);

/* ---- operators; on shard 0 ---- */

struct ban_row {                     /* texts are borrowed during the call, and masked */
	struct str who;              /* "192.0.2.7", "2001:db8::/64", "198.51.100.0/24" */
	struct str why;              /* what it did, or what the operator said */
	uint64_t since_us, until_us; /* of the shard's clock; until_us UINT64_MAX: for ever */
	bool is_for_udp_only, is_manual;
	uint64_t n_dropped;
	struct str request, user, agent; /* of its last request that spoke against it */
};
/* fn returns false to stop. */
void ban_each(struct ban *b, bool (*fn)(void *arg, const struct ban_row *r), void *arg);
/* All that is known of an address, in lines of text; ERR_SYNTAX: it is none. */
enum err ban_explain(struct ban *b, struct str who, struct buf *out);
/* `who`: address or network; for_s 0: for ever. Errors with a sentence in *why. */
enum err ban_add(struct ban *b, struct str who, uint32_t for_s, struct str reason,
		 const char **why);
/* "all": all bans. The number of bans that were lifted. */
size_t ban_del(struct ban *b, struct str who);

struct ban_stats { /* or when all stand still */
	size_t n_suspects, n_banned;
	uint64_t n_bans;
};
void ban_stats(const struct ban *b, struct ban_stats *out);
