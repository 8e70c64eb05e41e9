/* Real threads: every shard changes its own AORs (wherever they live) and reads everybody's, with
 * journals on disk. What is checked is that a reader never sees a mixture; the thread sanitizer
 * checks the rest. */
#include "location/location.h"
#include "test.h"

#include "base/assert.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARDS  3u
#define AORS    40u /* per shard */
#define CHANGES 4000u
#define READS   20u

struct worker {
	struct loc *loc;
	struct ev_shards *shards;
	size_t shard;
	struct tmr timer;
	struct loc_change change;
	struct loc_contact contact;
	char aor[32], uri[64], call_id[32];
	uint32_t n_done, seed, n_found;
	bool is_bad;
};

static _Atomic(unsigned) n_finished;

static void next_change(struct worker *w);

/* The URI, the Call-ID and the CSeq of a binding come from one change. */
static void read_some(struct worker *w)
{
	for (unsigned i = 0; i < READS; i++) {
		struct loc_scratch scratch;
		struct loc_binding b;
		char aor[32], want[64];
		size_t at = 0;
		w->seed = w->seed * 1664525 + 1013904223;
		int n = snprintf(aor, sizeof(aor), "%u-%u@rung", (w->seed >> 8) % SHARDS,
				 (w->seed >> 16) % AORS);
		const struct loc_rec *r = loc_get(w->loc, str_of(aor, (size_t)n));
		while (r && loc_next(w->loc, w->shard, r, &at, &b, &scratch)) {
			n = snprintf(want, sizeof(want), "sip:%u@h", b.cseq);
			w->is_bad |= !str_eq(b.uri, str_of(want, (size_t)n));
			n = snprintf(want, sizeof(want), "call-%u", b.cseq);
			w->is_bad |= !str_eq(b.call_id, str_of(want, (size_t)n));
			w->n_found++;
		}
	}
}

static void on_done(struct loc_change *c)
{
	struct worker *w = CONTAINER_OF(c, struct worker, change);
	w->is_bad |= c->outcome != LOC_OK;
	read_some(w);
	if (++w->n_done < CHANGES)
		next_change(w);
	else
		atomic_fetch_add(&n_finished, 1);
}

static void next_change(struct worker *w)
{
	uint32_t cseq = w->n_done + 1;
	snprintf(w->aor, sizeof(w->aor), "%zu-%u@rung", w->shard, w->n_done % AORS);
	snprintf(w->uri, sizeof(w->uri), "sip:%u@h", cseq);
	snprintf(w->call_id, sizeof(w->call_id), "call-%u", cseq);
	w->contact = (struct loc_contact){.uri = str_c(w->uri), .expires_s = 600, .q = 1000};
	w->is_bad |= sip_uri_parse(w->contact.uri, &w->contact.parsed) != OK;
	w->change = (struct loc_change){.aor = str_c(w->aor),
					.call_id = str_c(w->call_id),
					.cseq = cseq,
					.proto = TP_UDP,
					.contacts = &w->contact,
					.n_contacts = 1,
					.done = on_done};
	/* every other time all is removed first: places come and go */
	if (w->n_done % 2) {
		w->change.is_star = true;
		w->change.n_contacts = 0;
	}
	loc_change(w->loc, w->shard, &w->change);
}

static void on_timer(struct tmr *t)
{
	next_change(CONTAINER_OF(t, struct worker, timer));
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[600];
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

TEST_NO_OOM(many_shards_read_while_one_writes)
{
	struct env *env[SHARDS];
	struct ev_shards *shards;
	struct st *st;
	struct loc *loc;
	struct buf why;
	static struct worker w[SHARDS];
	char dir[] = "/tmp/rung-unit-XXXXXX";
	CHECK(mkdtemp(dir) != NULL);
	buf_init(&why);
	atomic_store(&n_finished, 0);
	for (size_t i = 0; i < SHARDS; i++)
		CHECK_EQ(env_os_new(&env[i]), OK);
	CHECK_EQ(ev_shards_new(env, SHARDS, &shards), OK);
	CHECK_EQ(st_open(dir, ST_SERVER | ST_CREATE, &st, &why), OK);
	CHECK_EQ(loc_new(shards, st, &(struct loc_cfg){.max_contacts = 3}, &loc), OK);
	for (size_t i = 0; i < SHARDS; i++) {
		w[i] = (struct worker){
			.loc = loc, .shards = shards, .shard = i, .seed = (uint32_t)i + 1};
		ev_timer(ev_shard(shards, i), &w[i].timer, 1000, on_timer);
	}
	CHECK_EQ(ev_workers_start(shards, 1), OK);
	CHECK_EQ(ev_shards_start(shards, NULL, NULL), OK);
	for (unsigned i = 0; i < 3000 && atomic_load(&n_finished) < SHARDS; i++)
		usleep(10000); /* a bound for a test that hangs, not a wait */
	ev_workers_stop(shards);
	ev_shards_stop(shards);
	CHECK_EQ(atomic_load(&n_finished), SHARDS);
	for (size_t i = 0; i < SHARDS; i++) {
		CHECK(!w[i].is_bad);
		CHECK(w[i].n_found > 0);
	}
	loc_free(loc);
	st_close(st);
	ev_shards_free(shards);
	for (size_t i = 0; i < SHARDS; i++)
		env_free(env[i]);
	remove_folder(dir);
	buf_fini(&why);
}
