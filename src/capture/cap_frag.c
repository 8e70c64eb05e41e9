/* Reassembly of IP fragments.
 *
 * A small table of unfinished datagrams, searched in order: fragments are rare, and a SIP message
 * is two or three of them. A datagram keeps its bytes and one bit per 8 bytes received, for
 * fragment offsets count in units of 8. It is complete when the last fragment has told the length
 * and all bits below it are set.
 *
 * Overlaps: in IPv4 the bytes that came first stay; in IPv6 overlapping pieces that differ make the
 * datagram worthless. [RFC5722 3] Equal ones are duplicates of the sniffer.
 *
 * What did not become whole within a second is told once by its first piece: a request of which
 * only half arrives is never answered. [RFC3261 18.1.1]
 *
 * A piece that reaches beyond the end which the last one told makes the datagram worthless, too:
 * otherwise its bits would stand for bytes below the end that never came.
 *
 * Invariants: n_units counts the set bits; a datagram is dropped 30 s after its first piece
 * [RFC791 3.2: the sender's time to live bounds it too], or when MAX_OPEN newer ones are open.
 *
 * [RFC791 3.2] [RFC8200 4.5] [RFC5722]
 */
#include "capture/cap_frag.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPEN 64
#define MAX_SIZE 65'535u
#define LIFE_NS  30'000'000'000
#define PATIENCE 1'000'000'000 /* ns: pieces follow each other within milliseconds */

struct datagram {
	struct addr src, dst;
	uint32_t id;
	uint8_t proto;
	bool is_used, is_spoilt;
	bool is_told;  /* its first piece was given out as all that there is */
	uint32_t head; /* bytes of the first piece, 0 while that is missing */
	uint32_t head_frame;
	int64_t head_ns;
	uint64_t head_off;
	int64_t first_ns;
	uint32_t total; /* bytes; 0 while the last piece is missing */
	uint32_t end;   /* of the piece that reaches farthest */
	uint32_t n_units, cap, n_pieces;
	uint32_t frames[CAP_MAX_PIECES], offs[CAP_MAX_PIECES]; /* of the first pieces, by offs */
	uint8_t *bytes;
	uint64_t have[(MAX_SIZE + 7) / 8 / 64 + 1];
};

struct cap_frags {
	struct datagram *open[MAX_OPEN]; /* made when first needed, then used again */
	int64_t due_ns;                  /* nothing is to be told before, 0: nothing at all */
};

struct cap_frags *cap_frags_new(void)
{
	return calloc(1, sizeof(struct cap_frags));
}

void cap_frags_free(struct cap_frags *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < MAX_OPEN && f->open[i]; i++) {
		free(f->open[i]->bytes);
		free(f->open[i]);
	}
	free(f);
}

static bool is_same(const struct datagram *d, const struct cap_ip *ip, uint8_t proto)
{
	return d->is_used && d->id == ip->id && d->proto == proto &&
	       addr_ip_eq(&d->src, &ip->src) && addr_ip_eq(&d->dst, &ip->dst);
}

/* The datagram that k is a piece of; a new one in a free place, or in that of the oldest. */
static struct datagram *find(struct cap_frags *f, const struct cap_pkt *k, int64_t at_ns)
{
	const struct cap_ip *ip = &k->ips[k->n_ips - 1];
	struct datagram *place = NULL;
	size_t i = 0;
	for (; i < MAX_OPEN && f->open[i]; i++) {
		struct datagram *d = f->open[i];
		if (d->is_used && at_ns - d->first_ns > LIFE_NS)
			d->is_used = false;
		if (is_same(d, ip, k->proto))
			return d;
		if (!place || (place->is_used && (!d->is_used || d->first_ns < place->first_ns)))
			place = d;
	}
	if ((!place || place->is_used) && i < MAX_OPEN) {
		struct datagram *d = calloc(1, sizeof *d);
		if (!d)
			return NULL;
		place = f->open[i] = d;
	}
	uint8_t *bytes = place->bytes;
	uint32_t cap = place->cap;
	*place = (struct datagram){.src = ip->src,
				   .dst = ip->dst,
				   .id = ip->id,
				   .proto = k->proto,
				   .is_used = true,
				   .first_ns = at_ns,
				   .bytes = bytes,
				   .cap = cap};
	return place;
}

static bool reserve(struct datagram *d, uint32_t n)
{
	if (n <= d->cap)
		return true;
	uint32_t cap = n < 4'096 ? 4'096 : MAX_SIZE + 1;
	uint8_t *p = realloc(d->bytes, cap);
	if (!p)
		return false;
	d->bytes = p;
	d->cap = cap;
	return true;
}

static void store(struct datagram *d, const struct cap_pkt *k)
{
	bool is_v6 = k->src.family == ADDR_V6;
	for (uint32_t at = 0; at < k->n; at += 8) {
		uint32_t off = k->frag.off + at, unit = off / 8;
		uint32_t n = k->n - at < 8 ? k->n - at : 8;
		uint64_t bit = 1ull << (unit % 64);
		if (!(d->have[unit / 64] & bit)) {
			d->have[unit / 64] |= bit;
			d->n_units++;
			memcpy(d->bytes + off, k->p + at, n);
		} else if (is_v6 && memcmp(d->bytes + off, k->p + at, n) != 0) {
			d->is_spoilt = true;
		}
	}
}

/* A TCP segment is sent again by TCP: only UDP is worth telling. */
static void note_head(struct cap_frags *f, struct datagram *d, const struct cap_pkt *k,
		      const struct cap_rec *r)
{
	if (k->frag.off || d->head || k->proto != CAP_UDP)
		return;
	d->head = k->n;
	d->head_frame = r->no;
	d->head_ns = r->at_ns;
	bool is_here = k->p >= r->p && k->p < r->p + r->n; /* else of a datagram put together */
	d->head_off = r->off && is_here ? r->off + (uint64_t)(k->p - r->p) : 0;
	if (!f->due_ns)
		f->due_ns = r->at_ns + PATIENCE;
}

static bool is_due(const struct datagram *d, int64_t now_ns, struct str text)
{
	return now_ns - d->head_ns >= PATIENCE ||
	       (text.n && str_find(str_of((const char *)d->bytes, d->head), text) != SIZE_MAX);
}

bool cap_frags_lost(struct cap_frags *f, int64_t now_ns, struct str text, struct cap_piece *out)
{
	if (!f->due_ns || (now_ns < f->due_ns && !text.n))
		return false;
	f->due_ns = 0;
	for (size_t i = 0; i < MAX_OPEN && f->open[i]; i++) {
		struct datagram *d = f->open[i];
		if (!d->is_used || !d->head || d->is_told)
			continue;
		if (!is_due(d, now_ns, text)) {
			if (!f->due_ns || d->head_ns + PATIENCE < f->due_ns)
				f->due_ns = d->head_ns + PATIENCE;
			continue;
		}
		d->is_told = true;
		f->due_ns = now_ns; /* there may be more */
		*out = (struct cap_piece){.src = d->src,
					  .dst = d->dst,
					  .id = d->id,
					  .frame_no = d->head_frame,
					  .n = d->head,
					  .at_ns = d->head_ns,
					  .off = d->head_off,
					  .p = d->bytes};
		return true;
	}
	return false;
}

static void note_piece(struct datagram *d, uint32_t off, uint32_t frame_no)
{
	if (d->n_pieces++ >= CAP_MAX_PIECES)
		return;
	uint32_t i = d->n_pieces - 1;
	for (; i && d->offs[i - 1] > off; i--) {
		d->offs[i] = d->offs[i - 1];
		d->frames[i] = d->frames[i - 1];
	}
	d->offs[i] = off;
	d->frames[i] = frame_no;
}

/* The datagram that k makes whole, or NULL. */
static struct datagram *add(struct cap_frags *f, const struct cap_pkt *k, const struct cap_rec *r)
{
	uint32_t end = k->frag.off + k->n;
	if (!k->n || end > MAX_SIZE || !k->n_ips)
		return NULL;
	if (!k->frag.is_last && k->n % 8)
		return NULL; /* cut by the snap length: its datagram can never be whole */
	struct datagram *d = find(f, k, r->at_ns);
	if (!d || !reserve(d, end))
		return NULL;
	if (k->frag.is_last && !d->total)
		d->total = end;
	if (end > d->end)
		d->end = end;
	if (d->total && d->end > d->total)
		d->is_spoilt = true;
	store(d, k);
	note_piece(d, k->frag.off, r->no);
	note_head(f, d, k, r);
	return !d->total || d->is_spoilt || d->n_units != (d->total + 7) / 8 ? NULL : d;
}

/* What a tunnel carries may be a piece, too: the outer datagram keeps its place until the inner one
 * has taken its bytes. */
bool cap_frags_add(struct cap_frags *f, struct cap_pkt *k, const struct cap_rec *r)
{
	struct datagram *whole[CAP_MAX_IPS];
	size_t n = 0;
	while (k->is_fragment && n < ARRAY_LEN(whole) && (whole[n] = add(f, k, r))) {
		k->frag.is_v6 = whole[n]->src.family == ADDR_V6;
		k->frag.n = whole[n]->total;
		k->frag.n_pieces = whole[n]->n_pieces;
		k->frag.p = whole[n]->bytes;
		k->frag.frames = whole[n]->frames;
		cap_pkt_transport(k, whole[n]->bytes, whole[n]->total);
		n++;
	}
	bool is_whole = n && !k->is_fragment;
	while (n)
		whole[--n]->is_used = false;
	return is_whole;
}
