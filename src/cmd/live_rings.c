/* The rings that shards tell their messages by (live_tap.c), and their files.
 *
 * Each lies in the data folder as tap.SHARD, all of its blocks taken at the start, so that a full
 * disk is met there and not in the middle of a call; where there is no room it lies in memory, and
 * a kill costs what it held. Files of more shards than there are now are read once and removed.
 * [docs/adr/011] */
#include "cmd/live_priv.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool live_is_sound(struct str s)
{
	const struct rec *r = live_rec(s);
	return s.n >= offsetof(struct rec, bytes) && r->n <= s.n - offsetof(struct rec, bytes) &&
	       r->n_call_id <= r->n && r->kind <= REC_BANNED && r->proto <= TP_WSS;
}

uint64_t live_n_dropped(const struct live *l)
{
	uint64_t n = 0;
	for (size_t i = 0; i < l->n_shards; i++)
		n += ev_ring_dropped(l->rings[i]);
	return n;
}

static const char *ring_path(const struct live *l, size_t i, char path[DIR_MAX + 32])
{
	snprintf(path, DIR_MAX + 32, "%s/tap.%zu", l->dir, i);
	return path;
}

void live_drop_spare_rings(struct live *l)
{
	char path[DIR_MAX + 32];
	while (l->n_rings > l->n_shards) {
		size_t i = --l->n_rings;
		ev_ring_close(l->rings[i]);
		l->rings[i] = NULL;
		unlink(ring_path(l, i, path));
	}
}

enum err live_open_rings(struct live *l, size_t n_shards)
{
	char path[DIR_MAX + 32];
	l->rings = calloc(RINGS_MAX, sizeof(*l->rings));
	l->is_file = calloc(RINGS_MAX, sizeof(*l->is_file));
	enum err e = l->rings && l->is_file ? OK : ERR_NOMEM;
	for (size_t i = 0; i < n_shards && e == OK; i++, l->n_rings++) {
		l->is_file[i] = l->dir[0] && ev_ring_open(ring_path(l, i, path), RING_BYTES,
							  REC_LAYOUT, true, &l->rings[i]) == OK;
		if (!l->is_file[i])
			e = ev_ring_new(RING_BYTES, &l->rings[i]);
	}
	for (size_t i = n_shards; i < RINGS_MAX && e == OK && l->dir[0]; i++, l->n_rings++) {
		if (ev_ring_open(ring_path(l, i, path), RING_BYTES, REC_LAYOUT, false,
				 &l->rings[i]))
			break;
		l->is_file[i] = true;
	}
	return e;
}

void live_close_rings(struct live *l)
{
	for (size_t i = 0; i < l->n_rings; i++)
		(l->is_file[i] ? ev_ring_close : ev_ring_free)(l->rings[i]);
	free(l->rings);
	free(l->is_file);
}
