/* The ladder: which lanes, which rows, in what words.
 *
 * Lanes are hosts. A host gets one lane per port only where it plays two roles: when it talks to
 * itself, or when a request that it sent comes back to it at another port (two phones on one
 * machine). A proxy that receives on one port and sends from another keeps one lane.
 *
 * Rows are the messages in order; resent ones are folded into the first ("INVITE ×7 in 31.5 s"),
 * what the sniffer saw twice is left out. Media is one row per direction at the time of its first
 * packet, with packets, codec, loss; where one direction has packets and the other, though agreed,
 * has none, the absence is a row too.
 *
 * Times are differences to the row before: that is what one looks for.
 */
#include "scope/lad_priv.h"
#include "scope/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BANDS 32

struct band { /* media in one direction */
	uint64_t at_us, end_us;
	unsigned from, to;
	uint64_t received, expected;
	bool is_absent;
	char codec[16];
	char digits[32];
};

struct ladder {
	struct canvas k;
	const struct trk *t;
	const struct lad_item *items;
	size_t n;
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n_legs;  /* more than one: messages say whose they are */
	uint64_t last_us; /* of the row before */
	bool is_begun;
	struct band bands[MAX_BANDS];
	unsigned n_bands, next_band;
};

/* --- lanes ------------------------------------------------------------------------------------ */

static const struct trk_ev *ev_of(const struct ladder *l, size_t i)
{
	return trk_ev(l->t, l->items[i].ev);
}

static const struct addr *peer_addr(const struct lad_item *it, uint8_t peer)
{
	return &it->call->peers[peer].addr;
}

/* Whether the request that e received had been sent before by the same host from another port. */
static bool came_back(const struct ladder *l, size_t i)
{
	const struct trk_ev *e = ev_of(l, i);
	const struct addr *to = peer_addr(&l->items[i], e->to);
	for (size_t k = 0; k < i; k++) {
		if (l->items[k].call != l->items[i].call)
			continue;
		const struct trk_ev *s = ev_of(l, k);
		const struct addr *from = peer_addr(&l->items[k], s->from);
		if (s->flags & TRK_EV_REQUEST && s->method == e->method && s->cseq == e->cseq &&
		    addr_ip_eq(from, to) && from->port != to->port)
			return true;
	}
	return false;
}

static bool plays_two_roles(const struct ladder *l, const struct addr *host)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct trk_ev *e = ev_of(l, i);
		const struct addr *from = peer_addr(&l->items[i], e->from);
		const struct addr *to = peer_addr(&l->items[i], e->to);
		if (!addr_ip_eq(to, host))
			continue;
		if (addr_ip_eq(from, to) || (e->flags & TRK_EV_REQUEST && came_back(l, i)))
			return true;
	}
	return false;
}

/* The lane of an address; a new one when there is room, else the last. */
static unsigned lane_of(struct ladder *l, const struct addr *a)
{
	struct canvas *k = &l->k;
	for (unsigned i = 0; i < k->n_lanes; i++)
		if (addr_ip_eq(&k->lanes[i].addr, a) &&
		    (!k->lanes[i].addr.port || k->lanes[i].addr.port == a->port))
			return i;
	if (k->n_lanes == LAD_MAX_LANES)
		return k->n_lanes - 1;
	struct lane *n = &k->lanes[k->n_lanes];
	n->addr = *a;
	if (!plays_two_roles(l, a))
		n->addr.port = 0;
	return k->n_lanes++;
}

static void find_lanes(struct ladder *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct trk_ev *e = ev_of(l, i);
		lane_of(l, peer_addr(&l->items[i], e->from));
		lane_of(l, peer_addr(&l->items[i], e->to));
	}
}

/* --- media ------------------------------------------------------------------------------------ */

/* Media goes to and from ports of its own: on a host with several lanes the side tells which. */
static unsigned media_lane(struct ladder *l, const struct trk_call *c, const struct addr *a,
			   bool is_caller)
{
	unsigned n = 0, found = 0;
	for (unsigned i = 0; i < l->k.n_lanes; i++)
		if (addr_ip_eq(&l->k.lanes[i].addr, a)) {
			found = i;
			n++;
		}
	if (n == 1)
		return found;
	uint8_t peer = is_caller ? c->caller : c->callee;
	if (n > 1 && peer < c->n_peers)
		return lane_of(l, &c->peers[peer].addr);
	struct addr host = *a;
	host.port = 0;
	return lane_of(l, &host);
}

static struct band *band_of(struct ladder *l, unsigned from, unsigned to, uint64_t at_us)
{
	for (unsigned i = 0; i < l->n_bands; i++)
		if (l->bands[i].from == from && l->bands[i].to == to)
			return &l->bands[i];
	if (l->n_bands == MAX_BANDS)
		return NULL;
	struct band *b = &l->bands[l->n_bands++];
	*b = (struct band){.from = from, .to = to, .at_us = at_us};
	return b;
}

static int by_time(const void *a, const void *b)
{
	const struct band *x = a, *y = b;
	return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void find_bands(struct ladder *l, const struct trk_call *c)
{
	for (const struct trk_stream *s = c->streams; s; s = s->next) {
		bool to_caller = s->side == TRK_SIDE_CALLER;
		unsigned from = media_lane(l, c, &s->from, !to_caller);
		unsigned to = media_lane(l, c, &s->to, to_caller);
		struct band *b = from == to ? NULL : band_of(l, from, to, s->stats.first_us);
		if (!b)
			continue;
		if (s->stats.first_us < b->at_us)
			b->at_us = s->stats.first_us;
		if (s->stats.last_us > b->end_us)
			b->end_us = s->stats.last_us;
		b->received += s->stats.received - s->stats.dup;
		b->expected += rtp_stats_expected(&s->stats);
		if (s->codec[0])
			str_copy(b->codec, sizeof b->codec, str_c(s->codec));
		if (s->digits[0])
			str_copy(b->digits, sizeof b->digits, str_c(s->digits));
	}
}

/* The verdict knows whether the other direction was agreed. */
static void find_absence(struct ladder *l, const struct vrd *v)
{
	bool is_one_way = false;
	for (unsigned i = 0; v && i < v->n; i++)
		is_one_way = is_one_way || v->f[i].rule == VRD_ONE_WAY;
	unsigned n = l->n_bands;
	for (unsigned i = 0; is_one_way && i < n; i++) {
		struct band *b = band_of(l, l->bands[i].to, l->bands[i].from, l->bands[i].at_us);
		if (b && !b->received)
			b->is_absent = true;
	}
	qsort(l->bands, l->n_bands, sizeof l->bands[0], by_time);
}

/* --- rows ------------------------------------------------------------------------------------- */

static struct str gutter(struct ladder *l, uint64_t at_us, uint32_t frame, char mem[32])
{
	struct buf b;
	buf_init_fixed(&b, mem, 32);
	if (l->k.o->hide_time)
		return STR_NONE;
	uint64_t us = at_us > l->last_us ? at_us - l->last_us : 0;
	char time[24] = "0.000";
	if (l->is_begun)
		snprintf(time, sizeof time, "+%llu.%03llu", (unsigned long long)(us / 1'000'000),
			 (unsigned long long)(us / 1'000 % 1'000));
	buf_fmt(&b, "%9s", time);
	if (frame)
		buf_fmt(&b, " %5u", frame);
	l->last_us = at_us;
	l->is_begun = true;
	return buf_view(&b);
}

static void draw_band(struct ladder *l, const struct band *d)
{
	char left[32], text[200];
	struct buf b;
	buf_init_fixed(&b, text, sizeof text);
	if (d->is_absent) {
		buf_str(&b, STR("no RTP seen"));
	} else {
		buf_fmt(&b, "RTP%s%s, %llu packets", d->codec[0] ? " " : "", d->codec,
			(unsigned long long)d->received);
		uint64_t dur = d->end_us > d->at_us ? d->end_us - d->at_us : 0;
		if (!l->k.o->hide_time)
			buf_fmt(&b, " in %llu.%llu s", (unsigned long long)(dur / 1'000'000),
				(unsigned long long)(dur / 100'000 % 10));
		if (d->expected > d->received)
			buf_fmt(&b, ", %llu lost", (unsigned long long)(d->expected - d->received));
		if (d->digits[0])
			buf_fmt(&b, ", DTMF %s", d->digits);
	}
	struct str g = gutter(l, d->at_us, 0, left);
	canvas_arrow(&l->k, g, d->from, d->to, buf_view(&b), d->is_absent ? LINE_ABSENT : LINE_RTP,
		     TONE_RTP);
}

static void draw_bands_until(struct ladder *l, uint64_t at_us)
{
	while (l->next_band < l->n_bands && l->bands[l->next_band].at_us <= at_us)
		draw_band(l, &l->bands[l->next_band++]);
}

/* How often the message was sent in all, and over which time; only copies that are items count. */
static unsigned sends(const struct ladder *l, size_t i, uint64_t *span_us)
{
	const struct trk_ev *e = ev_of(l, i);
	unsigned n = 1;
	for (size_t k = i + 1; k < l->n; k++) {
		const struct trk_ev *o = ev_of(l, k);
		if (o->copy_of != e->id || o->flags & TRK_EV_DUPLICATE ||
		    l->items[k].call != l->items[i].call)
			continue;
		n++;
		*span_us = o->at_us - e->at_us;
	}
	return n;
}

static void put_details(struct buf *b, const struct trk_ev *e)
{
	const struct trk_fact *sdp = trk_fact(e, TRK_F_SDP);
	const struct trk_fact *body = trk_fact(e, TRK_F_BODY);
	const struct trk_fact *refer = trk_fact(e, TRK_F_REFER_TO);
	unsigned both = TRK_SD_SENDS | TRK_SD_RECVS;
	if (e->flags & TRK_EV_SDP) {
		unsigned dir = sdp ? sdp->flags & both : both;
		buf_str(b, dir == both           ? STR(" (SDP)")
			   : dir == TRK_SD_SENDS ? STR(" (SDP sendonly)")
			   : dir == TRK_SD_RECVS ? STR(" (SDP recvonly)")
						 : STR(" (SDP inactive)"));
	}
	if (e->method == SIP_REGISTER && e->flags & TRK_EV_REQUEST) {
		const struct trk_fact *x = trk_fact(e, TRK_F_EXPIRES);
		if (x && !x->num)
			buf_str(b, STR(" (expires 0)"));
	}
	if (e->flags & TRK_EV_AUTH && e->flags & TRK_EV_REQUEST)
		buf_str(b, STR(" (auth)"));
	if (refer)
		buf_fmt(b, " (to " STR_FMT ")", STR_ARG(trk_fact_text(refer)));
	if (body && e->flags & TRK_EV_REQUEST) {
		struct str s = trk_fact_text(body);
		if (str_starts(s, STR("SIP/2.0 ")))
			s = str_skip(s, 8);
		buf_fmt(b, " (" STR_FMT ")", STR_ARG(s));
	}
}

static enum lad_tone tone_of(const struct trk_ev *e)
{
	if (e->flags & TRK_EV_REQUEST)
		return TONE_REQUEST;
	return e->status < 200   ? TONE_1XX
	       : e->status < 300 ? TONE_2XX
	       : e->status < 400 ? TONE_3XX
				 : TONE_ERROR;
}

static bool is_item_before(const struct ladder *l, size_t i, uint32_t id)
{
	for (size_t k = i; k-- > 0;)
		if (l->items[k].ev == id)
			return true;
	return false;
}

static void draw_message(struct ladder *l, size_t i)
{
	const struct trk_ev *e = ev_of(l, i);
	if (e->copy_of && is_item_before(l, i, e->copy_of))
		return;
	draw_bands_until(l, e->at_us);
	char left[32], text[600];
	struct buf b;
	buf_init_fixed(&b, text, sizeof text);
	trk_ev_put(&b, e);
	put_details(&b, e);
	if (l->n_legs > 1)
		buf_fmt(&b, " [%u]", l->items[i].call->no);
	uint64_t over = 0;
	unsigned n = sends(l, i, &over);
	if (n > 1) {
		buf_fmt(&b, l->k.o->is_ascii ? " x%u" : " ×%u", n);
		if (!l->k.o->hide_time)
			buf_fmt(&b, " in %llu.%llu s", (unsigned long long)(over / 1'000'000),
				(unsigned long long)(over / 100'000 % 10));
	}
	struct str g = gutter(l, e->at_us, e->frame_no, left);
	canvas_arrow(&l->k, g, lane_of(l, peer_addr(&l->items[i], e->from)),
		     lane_of(l, peer_addr(&l->items[i], e->to)), buf_view(&b), LINE_SIP,
		     tone_of(e));
}

static void canvas_init(struct ladder *l, struct buf *b, const struct trk *t,
			const struct lad_item *items, size_t n, const struct lad_opts *o)
{
	l->t = t;
	l->items = items;
	l->n = n;
	l->k.b = b;
	l->k.o = o;
	l->k.width = o->width ? o->width : 80;
	if (l->k.width < 60)
		l->k.width = 60;
	if (l->k.width > LAD_MAX_WIDTH)
		l->k.width = LAD_MAX_WIDTH;
	find_lanes(l);
}

static void draw_all(struct ladder *l)
{
	canvas_heads(&l->k);
	for (size_t i = 0; i < l->n; i++)
		draw_message(l, i);
	draw_bands_until(l, UINT64_MAX);
}

void lad_put_items(struct buf *b, const struct trk *t, const struct lad_item *items, size_t n,
		   const struct lad_opts *o)
{
	struct ladder *l = calloc(1, sizeof *l);
	if (!l) {
		b->err = ERR_NOMEM;
		return;
	}
	canvas_init(l, b, t, items, n, o);
	draw_all(l);
	free(l);
}

/* Text in lines of at most `width` columns; the first has `first` before it, the others blanks. */
static void put_wrapped(struct buf *b, struct str s, int width, int indent)
{
	int col = indent;
	while (s.n) {
		struct str word = str_cut(s, ' ', &s);
		int n = 0;
		for (size_t i = 0; i < word.n; i++)
			n += ((unsigned char)word.p[i] & 0xc0) != 0x80;
		if (col > indent && col + 1 + n > width) {
			buf_chr(b, '\n');
			buf_fill(b, ' ', (size_t)indent);
			col = indent;
		} else if (col > indent) {
			buf_chr(b, ' ');
			col++;
		}
		buf_str(b, word);
		col += n;
	}
	buf_chr(b, '\n');
}

static void put_verdict(struct buf *b, const struct trk_call *c, const struct vrd *v,
			const struct lad_opts *o, int width)
{
	struct buf text;
	buf_init(&text);
	vrd_put_parties(&text, c, o->is_ascii);
	for (unsigned i = 0; i < v->n; i++) {
		if (i) {
			buf_clear(&text);
			buf_fmt(&text,
				"%s: ", vrd_severity_name((enum vrd_severity)v->f[i].severity));
		} else {
			buf_str(&text, STR(": "));
		}
		buf_plain(&text, v->f[i].text);
		buf_fill(b, ' ', i ? 2 : 0);
		put_wrapped(b, buf_view(&text), width, i ? 2 : 0);
	}
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
}

struct timed {
	uint64_t at_us;
	struct lad_item item;
};

static int by_at(const void *a, const void *b)
{
	const struct timed *x = a, *y = b;
	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->item.ev < y->item.ev ? -1 : x->item.ev > y->item.ev;
}

/* The messages of all legs in order, *n of them; NULL without memory. */
static struct lad_item *items_of(struct trk *t, const struct ladder *l, size_t *n)
{
	size_t total = 0;
	*n = 0;
	for (unsigned i = 0; i < l->n_legs; i++)
		total += l->legs[i]->n_ev;
	struct lad_item *items = malloc((total + 1) * sizeof *items);
	struct timed *all = malloc((total + 1) * sizeof *all);
	for (unsigned k = 0; items && all && k < l->n_legs; k++) {
		uint32_t n_ids;
		const uint32_t *ids = trk_history(t, l->legs[k], &n_ids);
		for (uint32_t i = 0; i < n_ids; i++)
			all[(*n)++] = (struct timed){
				trk_ev(t, ids[i])->at_us, {l->legs[k], ids[i]}
                        };
	}
	if (l->n_legs > 1 && all) /* one leg is shown as it was captured */
		qsort(all, *n, sizeof *all, by_at);
	for (size_t i = 0; items && i < *n; i++)
		items[i] = all[i].item;
	free(all);
	if (*n == total)
		return items;
	free(items);
	return NULL;
}

static void put_heads(struct buf *b, const struct ladder *l)
{
	for (unsigned i = 0; i < l->n_legs; i++) {
		const struct trk_call *c = l->legs[i];
		if (l->n_legs > 1)
			buf_fmt(b, "[%u] ", c->no);
		buf_str(b, STR("Call-ID "));
		buf_plain(b, c->call_id);
		for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));)
			if (j->b == c) {
				buf_str(b, STR(", "));
				view_join(b, j, c);
			}
		buf_chr(b, '\n');
	}
}

void lad_put(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	     const struct lad_opts *o)
{
	size_t n;
	struct lad_item *items = NULL;
	struct ladder *l = calloc(1, sizeof *l);
	if (l) {
		l->legs[0] = c;
		l->n_legs = o->is_leg ? 1 : trk_join_legs(c, l->legs, TRK_MAX_LEGS);
		items = items_of(t, l, &n);
	}
	if (!items) {
		b->err = ERR_NOMEM;
		free(l);
		return;
	}
	canvas_init(l, b, t, items, n, o);
	for (unsigned i = 0; i < l->n_legs; i++)
		find_bands(l, l->legs[i]);
	find_absence(l, v);
	if (v)
		put_verdict(b, c, v, o, l->k.width);
	put_heads(b, l);
	draw_all(l);
	free(items);
	free(l);
}
