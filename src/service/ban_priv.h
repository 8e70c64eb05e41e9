#pragma once
/* Seen only by ban.c (what each shard sees), ban_book.c (what follows from it, on shard 0) and
 * ban_text.c (what is told and kept of it). */

#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "service/accounts.h"
#include "service/ban.h"

struct ban_last { /* the last request that spoke against it; masked, NUL-terminated */
	char request[20], user[40], agent[52];
};

struct ban_report { /* of one address by one kind of transport: what is new */
	struct addr key;
	bool is_stream;
	uint32_t n[BAN_DEEDS], n_dropped, n_ok;
	uint64_t asked; /* a bit for each user that was tried, by hash */
	struct ban_last last;
};

struct ban_entry {       /* of the snapshot */
	struct addr key; /* family 0: free */
	bool is_for_udp_only;
	uint64_t until_us;
};
struct ban_net { /* by hand */
	struct addr_net net;
	uint64_t since_us, until_us;
	char why[80];
};
struct ban_set { /* immutable */
	struct ev_retired retired;
	size_t n_slots, n_nets; /* n_slots: power of two */
	struct ban_net nets[LIMIT_BAN_NETS];
	struct ban_entry slot[];
};

struct ban_suspect {
	struct hnode node;
	struct link lru, banned; /* banned: on book.banned while until_us is not 0 */
	struct addr key;
	uint64_t first_us, last_us, scored_us;
	uint64_t score[2]; /* thousandths of points; [is_stream] */
	uint64_t n[BAN_DEEDS], n_dropped;
	/* the window in which those who try users may log in */
	uint64_t window_us, asked; /* window_us 0: none is open */
	uint32_t n_ok;
	bool is_window_stream;
	struct ban_last last;
	/* the ban */
	uint64_t since_us, until_us; /* until_us 0: not banned; UINT64_MAX: for ever */
	bool is_manual, is_for_udp_only;
	uint8_t level; /* bans so far, forgotten after a day without */
	uint64_t level_us;
	char why[80];
};

struct ban_good { /* where a user logged in */
	uint64_t hash;
	uint64_t until_us;
};

struct ban_book { /* shard 0's */
	struct htab suspects;
	struct link lru, banned; /* lru: latest last */
	size_t n_nets;
	struct ban_net nets[LIMIT_BAN_NETS];
	struct ban_good *good;
	struct tmr tick, soon;
	bool is_soon;  /* soon runs */
	bool is_stale; /* the snapshot does not say what the book says */
	bool is_unsaved, is_saving;
	struct acc_setting saved;
	uint64_t n_bans;
	size_t n_banned;
};

struct ban_shard;
struct ban {
	struct ev_shards *shards;
	struct ev_loop *loop; /* of shard 0 */
	struct acc *acc;
	struct ban_cfg cfg;
	ev_snap set; /* struct ban_set, NULL: nobody is banned */
	struct ban_book book;
	size_t n_shards;
	struct ban_shard *by_shard;
};

/* ---- ban_book.c ---- */
enum err ban_book_init(struct ban *b);
void ban_book_fini(struct ban *b);
void ban_book_take(struct ban *b, const struct ban_report *r);
void ban_book_publish(struct ban *b); /* when it is stale */
/* The same, together with what else comes within some milliseconds. */
void ban_book_publish_soon(struct ban *b);
struct ban_suspect *ban_book_find(struct ban *b, const struct addr *key);
/* The suspect, made if need be; NULL without memory. */
struct ban_suspect *ban_book_get(struct ban *b, const struct addr *key);
void ban_book_put(struct ban *b, struct ban_suspect *s, uint64_t until_us, bool is_udp_only);
void ban_book_lift(struct ban *b, struct ban_suspect *s);
bool ban_book_is_good(const struct ban *b, const struct addr *key);
uint64_t ban_book_points(const struct ban *b, const struct ban_suspect *s, bool is_stream);

/* ---- ban_text.c ---- */
void ban_put_deeds(struct buf *b, const struct ban_suspect *s);
/* "for 10 min", "for ever" */
void ban_put_span(struct buf *b, uint64_t from_us, uint64_t until_us);
void ban_write(const struct ban *b, struct buf *out); /* what survives a restart, as lines */
void ban_read(struct ban *b, struct str lines);
