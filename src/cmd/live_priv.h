#pragma once
/* Seen only by live.c (what becomes of the records), live_rings.c (where they lie) and live_tap.c
 * (where they come from). */

#include "cmd/live.h"
#include "cmd/sample.h"

#define RING_BYTES   (1u << 20)
#define MAX_WATCHERS 8

enum rec_kind {
	REC_SENT,
	REC_RECEIVED,
	REC_STORM,
	REC_REGISTERED,
	REC_REFUSED,
	REC_LEG,
	REC_BANNED
};

struct rec {
	uint64_t at_us; /* the shard's clock; with a keeper: wall time */
	struct addr from, to;
	uint8_t kind, proto;
	uint16_t code;
	uint16_t n_call_id; /* notes: the Call-ID stands before the text */
	bool is_cut;        /* its body is left out */
	uint32_t n;
	char bytes[];
};
#define REC_LAYOUT ((uint32_t)(1u << 16 | sizeof(struct rec))) /* of what lies in files */
#define DIR_MAX    512
#define RINGS_MAX  256

struct tap_ctx {
	struct live *live;
	size_t shard;
	struct ev_loop *loop; /* NULL: what waits is looked after by the next message alone */
	struct waiting *first, **last;
	size_t n_bytes;
	struct tmr again;
};

struct live {
	size_t n_shards, n_rings; /* more rings than shards: of a process that had more */
	struct ev_ring **rings;
	bool *is_file;
	char dir[DIR_MAX]; /* empty: rings in memory */
	struct head {
		struct str next; /* record */
		size_t n;        /* bytes taken in this turn */
	} * heads;
	struct tap_ctx *taps;
	struct trk *trk;
	struct lint *lint;
	struct sample sample;
	uint64_t offset_us; /* wall time - monotonic time */
	uint64_t pace_us;
	uint64_t dropped_told, line_second, last_us;
	uint32_t lines, lines_left_out, frame_no;
	void (*print)(void *ctx, uint64_t wall_us, struct str line);
	void *print_ctx;
	struct watcher {
		int fd;
		uint64_t n_before; /* drops, when he came */
	} watchers[MAX_WATCHERS];
	void (*copy)(void *ctx, const struct trk_packet *p);
	void *copy_ctx;
	bool (*on_call)(void *arg, const struct trk_call *c, const struct vrd *v);
	void *on_call_arg;
	struct live_keeper keeper;
	bool is_replaying;
	size_t n_watchers;
};

/* live_tap.c */
void live_close_taps(struct live *l);
/* What waits goes into the ring as far as there is room; false: nothing did. */
bool live_push_waiting(struct tap_ctx *t);
/* live_rings.c */
enum err live_open_rings(struct live *l, size_t n_shards);
void live_close_rings(struct live *l);
/* Those of a process that had more shards: they are empty now. */
void live_drop_spare_rings(struct live *l);
/* What came out of a file may be anything. */
bool live_is_sound(struct str record);
static inline const struct rec *live_rec(struct str s)
{
	return (const struct rec *)(const void *)s.p;
}
