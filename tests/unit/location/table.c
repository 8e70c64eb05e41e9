/* Many AORs against a model: growth, deletion, tombstones, iteration. */
#include "rig.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define N 6000u

static bool count(void *arg, struct str aor, const struct loc_rec *r)
{
	++*(unsigned *)arg;
	return true;
}

static bool stop_at_ten(void *arg, struct str aor, const struct loc_rec *r)
{
	return ++*(unsigned *)arg < 10;
}

TEST_NO_OOM(many_aors_come_and_go)
{
	struct rig r;
	uint32_t seed = 7;
	uint32_t *cseq = calloc(N, sizeof(*cseq)); /* 0: not there */
	unsigned n_there = 0, n_seen = 0;
	CHECK(cseq != NULL);
	CHECK(rig_start(&r, NULL, 2, 0, 0));
	struct rig_change *k = calloc(64, sizeof(*k));
	CHECK(k != NULL);
	char aor[64][24];
	for (uint32_t round = 1; round <= 600; round++) {
		for (unsigned i = 0; i < 64; i++) {
			seed = seed * 1664525 + 1013904223;
			uint32_t who = (seed >> 8) % (round < 300 ? N : N / 8);
			bool is_gone = round % 4 == 3;
			snprintf(aor[i], sizeof(aor[i]), "%u@rung", who);
			rig_change(&k[i], aor[i], "a", round * 64 + i, "sip:1@h",
				   is_gone ? 0 : 100000);
			loc_change(r.loc, who % 2, &k[i].c); /* one sender per AOR: order is kept */
			n_there += (unsigned)(!is_gone - !!cseq[who]);
			cseq[who] = is_gone ? 0 : round * 64 + i;
		}
		rig_run(&r, 1000);
		for (unsigned i = 0; i < 64; i++)
			CHECK(k[i].is_done && k[i].c.outcome == LOC_OK);
	}
	for (uint32_t who = 0; who < N; who++) {
		struct loc_scratch scratch;
		struct loc_binding b;
		size_t at = 0;
		int n = snprintf(aor[0], sizeof(aor[0]), "%u@rung", who);
		const struct loc_rec *rec = loc_get(r.loc, str_of(aor[0], (size_t)n));
		CHECK_EQ(rec != NULL, cseq[who] != 0);
		if (!rec)
			continue;
		CHECK(loc_next(r.loc, 1, rec, &at, &b, &scratch));
		CHECK_EQ(b.cseq, cseq[who]);
	}
	struct loc_stats s[2];
	loc_stats(r.loc, 0, &s[0]);
	loc_stats(r.loc, 1, &s[1]);
	CHECK_EQ(s[0].n_aors + s[1].n_aors, n_there);
	CHECK_EQ(s[0].n_bindings + s[1].n_bindings, n_there);
	loc_each(r.loc, 0, count, &n_seen);
	loc_each(r.loc, 1, count, &n_seen);
	CHECK_EQ(n_seen, n_there);
	n_seen = 0;
	loc_each(r.loc, 0, stop_at_ten, &n_seen);
	CHECK_EQ(n_seen, 10);
	rig_stop(&r);
	free(cseq);
	free(k);
}
