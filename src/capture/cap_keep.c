/* A frame borrows its bytes from the reader, from the datagram that was put together, from the
 * walk; its messages lie in the walk's blocks, all of which the next frame takes. A kept frame has
 * one block of memory: the frame, its messages, and a copy of each place that it points into.
 *
 *	record │ datagram of fragments, or a header made up for a late frame │ the packet itself
 *
 * A pointer into one of these ranges moves with it. Messages that lie in the record or the datagram
 * move with that, others (of TCP) have a copy of their own. They are indexed again only when the
 * frame is opened, because an index is larger than its message and most frames that wait are never
 * opened.
 *
 * Invariant: nothing in the block points out of it, but for words and walk, which stay the walk's,
 * and calls, streams and the tracker, which are the tracker's.
 */
#include "capture/cap_keep.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM_BYTES 32

struct range { /* bytes that are copied */
	const uint8_t *from;
	size_t n;
	uint8_t *to;
};

struct cap_kept {
	struct cap_frame fr;
	size_t n_bytes;
	void **indexed; /* of each message a block, or NULL; made when the frame is opened */
	struct range rec, more;
	_Alignas(16) uint8_t mem[];
};

/* --- what is copied --------------------------------------------------------------------------- */

static bool is_in(const uint8_t *p, const uint8_t *from, size_t n)
{
	return p && from && p >= from && p < from + n;
}

/* Every header of a packet; beyond their counts the arrays hold nothing. */
static unsigned headers_of(struct cap_pkt *k, struct cap_hdr *out[])
{
	unsigned n = 0;
	for (unsigned i = 0; i < k->n_vlans; i++)
		out[n++] = &k->tags[i];
	for (unsigned i = 0; i < k->n_eths; i++)
		out[n++] = &k->eths[i];
	for (unsigned i = 0; i < k->n_ips; i++)
		out[n++] = &k->ips[i].hdr;
	for (unsigned i = 0; i < k->n_ports; i++)
		out[n++] = &k->ports[i].hdr;
	out[n++] = &k->icmp;
	out[n++] = &k->arp;
	return n;
}
#define MAX_HEADERS (CAP_MAX_VLANS + CAP_MAX_ETHS + 2 * CAP_MAX_IPS + 2)

static void widen(struct range *r, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	if (!r->from) {
		*r = (struct range){p, n, NULL};
		return;
	}
	if (r->from + r->n > end)
		end = r->from + r->n;
	r->from = p < r->from ? p : r->from;
	r->n = (size_t)(end - r->from);
}

/* The one other buffer that a packet points into, if any. */
static struct range other_buffer(const struct cap_frame *fr)
{
	struct cap_pkt copy = fr->pkt; /* whose headers may be pointed to */
	struct cap_hdr *h[MAX_HEADERS];
	struct range r = {0};
	unsigned n = headers_of(&copy, h);
	for (unsigned i = 0; i < n; i++)
		if (h[i]->p && !is_in(h[i]->p, fr->rec.p, fr->rec.n) &&
		    !is_in(h[i]->p, (const uint8_t *)&fr->pkt, sizeof fr->pkt))
			widen(&r, h[i]->p, h[i]->n);
	if (fr->pkt.p && fr->pkt.n && !is_in(fr->pkt.p, fr->rec.p, fr->rec.n))
		widen(&r, fr->pkt.p, fr->pkt.n);
	return r;
}

/* --- room ------------------------------------------------------------------------------------- */

struct room { /* first the sum of what is wanted, then places in it */
	uint8_t *at;
	size_t n;
};

static void *put(struct room *r, const void *p, size_t n)
{
	uint8_t *to = r->at ? r->at + r->n : NULL;
	if (to && n && p)
		memcpy(to, p, n);
	r->n += (n + 15) & ~(size_t)15;
	return to;
}

static const uint8_t *moved(const struct cap_kept *k, const struct cap_frame *was, const uint8_t *p)
{
	const uint8_t *pkt = (const uint8_t *)&was->pkt;
	if (is_in(p, k->rec.from, k->rec.n))
		return k->rec.to + (p - k->rec.from);
	if (is_in(p, k->more.from, k->more.n))
		return k->more.to + (p - k->more.from);
	if (is_in(p, pkt, sizeof was->pkt))
		return (const uint8_t *)&k->fr.pkt + (p - pkt);
	return NULL;
}

static void put_packet(struct cap_kept *k, const struct cap_frame *was)
{
	struct cap_pkt *pkt = &k->fr.pkt;
	struct cap_hdr *h[MAX_HEADERS];
	unsigned n = headers_of(pkt, h);
	for (unsigned i = 0; i < n; i++)
		h[i]->p = moved(k, was, h[i]->p);
	pkt->l4 = moved(k, was, pkt->l4);
	if (pkt->p)
		pkt->p = moved(k, was, pkt->p);
	if (!pkt->p)
		pkt->n = 0;
	k->fr.rec.p = k->rec.to;
}

/* What a frame tells beside its bytes. k NULL: only the room is counted. */
static void put_rest(struct cap_kept *k, struct room *r, const struct cap_frame *was)
{
	const char *name = was->rec.if_name;
	name = name ? put(r, name, strlen(name) + 1) : NULL;
	const char *desc = was->rec.if_desc;
	desc = desc ? put(r, desc, strlen(desc) + 1) : NULL;
	const char *comment = put(r, was->rec.comment.p, was->rec.comment.n);
	const struct cap_seen *seen =
		was->seen ? put(r, was->seen, CAP_MAX_IPS * sizeof *seen) : NULL;
	const uint8_t *random = was->tls_random ? put(r, was->tls_random, RANDOM_BYTES) : NULL;
	struct cap_tls_seen *tls = was->tls ? put(r, was->tls, sizeof *tls) : NULL;
	const struct cap_frag *was_of = &was->pkt.frag;
	uint32_t n_frames = was_of->n_pieces < CAP_MAX_PIECES ? was_of->n_pieces : CAP_MAX_PIECES;
	struct cap_frag of = *was_of;
	of.frames = of.p ? put(r, of.frames, n_frames * sizeof *of.frames) : NULL;
	of.p = of.p ? put(r, of.p, of.n) : NULL;
	const char *hellos = was->tls ? put(r, was->tls->hellos.p, was->tls->hellos.n) : NULL;
	if (!k)
		return;
	if (tls)
		tls->hellos.p = hellos;
	k->fr.pkt.frag = of;
	k->fr.rec.if_name = name;
	k->fr.rec.if_desc = desc;
	k->fr.rec.comment.p = comment;
	k->fr.seen = seen;
	k->fr.tls_random = random;
	k->fr.tls = tls;
}

static void put_messages(struct cap_kept *k, struct room *r, const struct cap_frame *was,
			 const struct range *rec, const struct range *more)
{
	struct cap_msg *msgs = put(r, was->msgs, was->n_msgs * sizeof *msgs);
	for (size_t i = 0; i < was->n_msgs; i++) {
		struct str s = was->msgs[i].pkt.bytes;
		const uint8_t *p = (const uint8_t *)s.p;
		bool is_there = is_in(p, rec->from, rec->n) || is_in(p, more->from, more->n);
		const char *own = is_there ? NULL : put(r, s.p, s.n);
		if (!k)
			continue;
		msgs[i].pkt.bytes.p = is_there ? (const char *)moved(k, was, p) : own;
		msgs[i].pkt.msg = NULL;
		msgs[i].pkt.skim = NULL;
	}
	if (k)
		k->fr.msgs = msgs;
}

struct cap_kept *cap_keep_frame(const struct cap_frame *fr)
{
	struct range rec = {fr->rec.p, fr->rec.p ? fr->rec.n : 0, NULL}, more = other_buffer(fr);
	struct room r = {0};
	put(&r, rec.from, rec.n);
	put(&r, more.from, more.n);
	put_rest(NULL, &r, fr);
	put_messages(NULL, &r, fr, &rec, &more);
	struct cap_kept *k = malloc(sizeof *k + r.n);
	if (!k)
		return NULL;
	*k = (struct cap_kept){.fr = *fr, .n_bytes = sizeof *k + r.n, .rec = rec, .more = more};
	r = (struct room){.at = k->mem};
	k->rec.to = put(&r, rec.from, rec.n);
	k->more.to = put(&r, more.from, more.n);
	put_packet(k, fr);
	put_rest(k, &r, fr);
	put_messages(k, &r, fr, &rec, &more);
	ASSERT(sizeof *k + r.n <= k->n_bytes);
	return k;
}

void cap_keep_free(struct cap_kept *k)
{
	if (!k)
		return;
	for (size_t i = 0; k->indexed && i < k->fr.n_msgs; i++)
		free(k->indexed[i]);
	free(k->indexed);
	free(k);
}

size_t cap_keep_n_bytes(const struct cap_kept *k)
{
	return k->n_bytes;
}

struct cap_frame *cap_keep_open(struct cap_kept *k)
{
	if (!k->indexed && !(k->indexed = calloc(k->fr.n_msgs, sizeof *k->indexed)))
		return NULL;
	for (size_t i = 0; i < k->fr.n_msgs; i++) {
		struct trk_packet *p = &k->fr.msgs[i].pkt;
		size_t size = sip_msg_block_size(p->bytes.n), used;
		if (p->msg)
			continue;
		if (!(k->indexed[i] = malloc(size)))
			return NULL;
		struct sip_msg *m = sip_msg_init(k->indexed[i], size);
		memcpy(m->bytes, p->bytes.p, p->bytes.n);
		enum err e = sip_msg_index(m, p->bytes.n, false, &used);
		ASSERT(e == OK || e == ERR_LIMIT); /* it was one before */
		p->msg = m;
	}
	cap_frame_is_next(&k->fr);
	return &k->fr;
}
