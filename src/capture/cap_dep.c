/* Frames that messages need.
 *
 *	parts   hash by key ─► struct part: the unfinished frames of one datagram in fragments
 *	                       (addresses, id, protocol), or of one TCP direction (addresses, ports)
 *
 * A fragment waits in its datagram's part until the last one completes it. A TCP segment with
 * payload waits in its direction's part; when a message is completed, those from its first_no on
 * are needed (cap_tcp.c tells), and what is older is forgotten. The completing segment waits on:
 *the next message may begin in it.
 *
 * Bounds: CAP_DEP_MAX frames a part, MAX_PARTS parts, MAX_BYTES of frames; the part silent longest
 * makes room.
 */
#include "capture/cap_dep.h"

#include "base/grow.h"
#include "base/hash.h"
#include "base/list.h"
#include "event/env.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PARTS 8'192u
#define MAX_BYTES (16u << 20)

struct key {
	struct addr from, to;
	uint32_t id;
	uint8_t proto;
};

struct kept {
	struct cap_rec rec; /* p: our copy, or NULL */
	bool is_given;
};

struct part {
	struct hnode node;
	struct link lru;
	struct key key;
	uint32_t n;
	size_t cap;
	struct kept *frames;
};

struct cap_dep {
	struct htab parts;
	uint8_t hash_key[16];
	struct link lru; /* longest silence first */
	bool keeps_bytes;
	size_t n_bytes;
};

struct cap_dep *cap_dep_new(bool keeps_bytes)
{
	struct cap_dep *d = calloc(1, sizeof *d);
	if (!d || htab_init(&d->parts, 64)) {
		free(d);
		return NULL;
	}
	env_entropy(d->hash_key, sizeof d->hash_key);
	d->keeps_bytes = keeps_bytes;
	list_init(&d->lru);
	return d;
}

/* Forgets the first n frames. */
static void part_drop(struct cap_dep *d, struct part *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (t->frames[i].rec.p)
			d->n_bytes -= t->frames[i].rec.n;
		free((void *)(uintptr_t)t->frames[i].rec.p);
	}
	t->n -= n;
	memmove(t->frames, t->frames + n, t->n * sizeof *t->frames);
}

static void part_free(struct cap_dep *d, struct part *t)
{
	if (t->n)
		part_drop(d, t, t->n);
	htab_del(&d->parts, &t->node);
	list_del(&t->lru);
	free(t->frames);
	free(t);
}

void cap_dep_free(struct cap_dep *d)
{
	if (!d)
		return;
	while (!list_is_empty(&d->lru))
		part_free(d, LIST_ENTRY(d->lru.next, struct part, lru));
	htab_fini(&d->parts);
	free(d);
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->id == b->id && a->proto == b->proto && addr_eq(&a->from, &b->from) &&
	       addr_eq(&a->to, &b->to);
}

static struct part *part_get(struct cap_dep *d, const struct key *k, bool makes)
{
	uint64_t hash = addr_hash(d->hash_key, &k->from) * 3 + addr_hash(d->hash_key, &k->to) +
			k->id * 0x9e3779b97f4a7c15u;
	for (struct hnode *n = htab_first(&d->parts, hash); n; n = htab_next(n)) {
		struct part *t = CONTAINER_OF(n, struct part, node);
		if (same_key(&t->key, k)) {
			list_del(&t->lru);
			list_push(&d->lru, &t->lru);
			return t;
		}
	}
	if (!makes)
		return NULL;
	if (d->parts.n >= MAX_PARTS)
		part_free(d, LIST_ENTRY(d->lru.next, struct part, lru));
	struct part *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->key = *k;
	htab_add(&d->parts, &t->node, hash);
	list_push(&d->lru, &t->lru);
	return t;
}

static void keep(struct cap_dep *d, struct part *t, const struct cap_rec *r)
{
	if (t->n == CAP_DEP_MAX)
		part_drop(d, t, 1);
	struct kept *f = grow(t->frames, &t->cap, t->n, sizeof *f);
	if (!f)
		return;
	t->frames = f;
	f += t->n;
	*f = (struct kept){.rec = *r};
	f->rec.comment = STR_NONE;
	f->rec.p = NULL;
	if (d->keeps_bytes && r->n) {
		uint8_t *p = malloc(r->n);
		if (!p)
			return;
		memcpy(p, r->p, r->n);
		f->rec.p = p;
		d->n_bytes += r->n;
	}
	t->n++;
	while (d->n_bytes > MAX_BYTES && d->lru.next != &t->lru)
		part_free(d, LIST_ENTRY(d->lru.next, struct part, lru));
}

static void give(struct part *t, uint32_t from_no, uint32_t before_no, cap_dep_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct kept *f = &t->frames[i];
		if (f->is_given || f->rec.no < from_no || f->rec.no >= before_no)
			continue;
		f->is_given = true;
		fn(arg, &f->rec);
	}
}

static void on_fragment(struct cap_dep *d, const struct cap_frame *fr, bool is_wanted,
			cap_dep_fn *fn, void *arg)
{
	const struct cap_pkt *k = &fr->pkt;
	if (!k->n_ips)
		return;
	const struct cap_ip *ip = &k->ips[k->n_ips - 1];
	struct key key = {.from = ip->src, .to = ip->dst, .id = ip->id, .proto = ip->proto};
	struct part *t = part_get(d, &key, !fr->is_whole);
	if (!t)
		return;
	if (!fr->is_whole) {
		keep(d, t, &fr->rec);
		return;
	}
	if (is_wanted)
		give(t, 0, fr->rec.no, fn, arg);
	part_free(d, t);
}

static uint32_t first_no(const struct cap_frame *fr)
{
	uint32_t first = fr->rec.no;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].first_no && fr->msgs[i].first_no < first)
			first = fr->msgs[i].first_no;
	return first;
}

static void on_segment(struct cap_dep *d, const struct cap_frame *fr, bool is_wanted,
		       cap_dep_fn *fn, void *arg)
{
	/* behind a gap a message may be the other direction's: its own addresses say */
	const struct trk_packet *m = fr->n_msgs ? &fr->msgs[0].pkt : NULL;
	struct key key = {.from = fr->pkt.src, .to = fr->pkt.dst, .proto = CAP_TCP};
	if (m) {
		struct key of_msg = {.from = m->from, .to = m->to, .proto = CAP_TCP};
		struct part *t = part_get(d, fr->pkt.is_hep ? &key : &of_msg, false);
		if (t && is_wanted)
			give(t, first_no(fr), fr->rec.no, fn, arg);
		if (t) {
			uint32_t n = 0;
			while (n < t->n && t->frames[n].rec.no < fr->rec.no)
				n++;
			part_drop(d, t, n);
		}
	}
	if (fr->is_late || !fr->pkt.n)
		return;
	struct part *t = part_get(d, &key, true);
	if (t) {
		uint32_t n = t->n;
		keep(d, t, &fr->rec);
		if (t->n > n)
			t->frames[t->n - 1].is_given = is_wanted;
	}
}

void cap_dep_frame(struct cap_dep *d, const struct cap_frame *fr, bool is_wanted, cap_dep_fn *fn,
		   void *arg)
{
	if (fr->pkt.is_fragment || fr->is_whole)
		on_fragment(d, fr, is_wanted, fn, arg);
	else if (fr->pkt.proto == CAP_TCP && !fr->pkt.is_quoted && !fr->pkt.is_pdu)
		on_segment(d, fr, is_wanted, fn, arg);
}
