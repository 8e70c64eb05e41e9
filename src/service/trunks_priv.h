#pragma once
/* Seen only by trunks.c (slots, words, what all shards ask) and trunk_lines.c (registering and
 * asking). */

#include "base/limits.h"
#include "base/list.h"
#include "service/trunks.h"

#define TRUNK_WORDS (1 + LIMIT_TRUNK_HOSTS) /* calls; then 1 for each host that is down */

struct line {
	struct link link;
	struct trunks *t;
	uint16_t slot;
	uint8_t host_at; /* of the trunk's hosts */
	bool does_register, is_kept;
	uint32_t probe_s;
	struct str trunk, host, user, auth_user, password; /* in `text` */
	char *text;
	struct rgc *rgc; /* NULL: not registering now */
	struct uac *probe;
	struct tmr probe_timer, register_timer;
	struct tmr back_timer; /* down by a call: tried again then, where nobody asks it */
	enum trunk_state state;
	bool is_registered;
	char why[120];
	uint64_t since_us, expires_us, again_us; /* again_us: not before then for a new address */
	struct addr at;                          /* where it was reached last */
};

struct peer {
	uint16_t slot;
	struct addr at;
};
struct peers { /* immutable */
	struct ev_retired retired;
	size_t n;
	struct peer v[];
};

struct trunks {
	struct ev_shards *shards;
	struct ev_loop *loop;
	struct dlg_mgr *m;
	struct trunks_user user;
	struct ev_words *words;
	ev_snap peers;
	struct str name[LIMIT_TRUNKS]; /* heap; who has a slot */
	bool is_used[LIMIT_TRUNKS];    /* by the policy in force */
	struct link lines, leaving;    /* struct line; leaving: its last REGISTER is on its way */
};

static inline size_t trunk_word(uint16_t slot, size_t i)
{
	return (size_t)slot * TRUNK_WORDS + i;
}

/* trunk_lines.c */
struct line *line_new(struct trunks *t, uint16_t slot, const struct pol_trunk *p, size_t host);
void line_start(struct line *l);
/* A call found nobody there (status 0), or got a 503. */
void line_doubt(struct line *l, unsigned status, uint32_t for_s);
/* Ends it; `unregisters`: nobody else has its Contact now. */
void line_end(struct line *l, bool unregisters);
void line_free(struct line *l);
/* trunks.c: the addresses of registrations have changed. */
void trunks_publish(struct trunks *t);
