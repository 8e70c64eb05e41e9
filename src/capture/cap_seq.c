/* One TCP connection followed by its sequence numbers.
 *
 * The rules are Wireshark's, so that its filters find the same frames here: each segment is
 * compared with what its own direction sent (the number it goes on with, the segments not yet
 * acknowledged) and with what the other one acknowledged and when.
 *
 *	before anything else: zero window (probe), lost segment, keep-alive, window update or full,
 *	                      answers to probes, duplicate acknowledgement
 *	then:                 acknowledged though never seen
 *	of data, SYN, FIN:    spurious, fast, out of order, or plain retransmission
 *
 * Numbers are compared modulo 2^32 [RFC9293 3.4]. A number that is not known yet is 0, as there.
 *
 * Invariants: segs[0 .. n) are in the order in which they came; at most MAX_SEGS of a direction are
 * remembered, more are not followed.
 */
#include "capture/cap_seq.h"

#include "base/assert.h"
#include "base/grow.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SEGS   10'000u
#define MAX_SHIFT  14 /* [RFC7323 2.3] */
#define FAST_NS    20'000'000
#define REORDER_NS 3'000'000 /* of segments out of order, where the round trip is unknown */

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { OPT_END, OPT_NOP, OPT_SCALE = 3, OPT_SACK = 5 };

struct seg { /* sent, not acknowledged yet */
	uint32_t frame_no, seq, next;
	int64_t at_ns;
};

struct flow {            /* a direction */
	uint32_t base;   /* number that is 0 relatively */
	uint32_t next;   /* the highest number seen, and what it is expected to go on with */
	uint32_t to_ack; /* up to here all was seen */
	uint32_t window; /* of its last segment, as it stands there */
	uint32_t ack;    /* of its last segment */
	uint32_t flags;  /* enum cap_seq_flag of its last segment */
	int32_t n_dups;  /* -1: an unseen segment was said to be acknowledged */
	uint32_t ack_frame, next_frame;
	int64_t ack_ns, next_ns;
	uint32_t sacked; /* bytes that its last segment acknowledged selectively */
	uint32_t pushed; /* bytes since PSH */
	int8_t scale;
	bool has_base, has_flight, has_pushed, is_first_ack;
	struct seg *segs;
	uint32_t n;
	size_t cap;
};

struct cap_seq {
	struct flow d[2];
	int64_t syn_ns, irtt_ns;
	bool has_syn, has_irtt;
};

static bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

struct cap_seq *cap_seq_new(void)
{
	struct cap_seq *s = calloc(1, sizeof *s);
	for (int i = 0; s && i < 2; i++) {
		s->d[i].window = UINT32_MAX;
		s->d[i].scale = CAP_SEQ_UNKNOWN;
		s->d[i].has_flight = true;
	}
	return s;
}

void cap_seq_free(struct cap_seq *s)
{
	for (int i = 0; s && i < 2; i++)
		free(s->d[i].segs);
	free(s);
}

size_t cap_seq_n_bytes(const struct cap_seq *s)
{
	return sizeof *s + (s->d[0].cap + s->d[1].cap) * sizeof(struct seg);
}

bool cap_seq_is_new(const struct cap_seq *s, int way, const struct cap_seq_in *in)
{
	const struct flow *f = &s->d[way];
	if ((in->flags & (SYN | ACK)) != SYN || !f->has_base)
		return false;
	return in->seq != f->base;
}

/* --- a segment at work ------------------------------------------------------------------------ */

struct work {
	struct cap_seq *s;
	struct flow *fwd, *rev;
	const struct cap_seq_in *in;
	struct cap_seq_seen *out;
};

static void note(const struct work *w, uint32_t flag)
{
	w->out->flags |= flag;
	w->out->has_news = true;
}

/* A segment that is nothing but its payload, or an acknowledgement. */
static bool is_plain(const struct work *w)
{
	return !(w->in->flags & (SYN | FIN | RST));
}

/* It says again what the last one of its direction said. */
static bool repeats(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	return !in->n && in->window == w->fwd->window && in->seq == w->fwd->next &&
	       in->ack == w->fwd->ack && is_plain(w);
}

static unsigned shift_of(const struct flow *f)
{
	return f->is_first_ack || f->scale < 0 ? 0 : (unsigned)f->scale;
}

static void duplicate_ack(const struct work *w)
{
	struct flow *f = w->fwd;
	f->n_dups = f->n_dups < 0 ? 1 : f->n_dups + 1;
	note(w, CAP_SEQ_DUPLICATE_ACK);
	w->out->dup_no = (uint32_t)f->n_dups;
	w->out->dup_frame = f->ack_frame;
}

static void look_at_windows(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	const struct flow *f = w->fwd, *r = w->rev;
	if (in->n == 1 && in->seq == f->next && !r->window) {
		note(w, CAP_SEQ_ZERO_WINDOW_PROBE);
		return;
	}
	if (!in->window && is_plain(w))
		note(w, CAP_SEQ_ZERO_WINDOW);
	if (f->next && is_after(in->seq, f->next) && !(in->flags & RST)) {
		note(w, CAP_SEQ_LOST_SEGMENT);
		w->fwd->has_flight = false;
	}
	if (in->n <= 1 && in->seq == f->next - 1 && is_plain(w))
		note(w, CAP_SEQ_KEEP_ALIVE);
	if (!in->n && in->window && in->window != f->window && in->seq == f->next &&
	    in->ack == f->ack && is_plain(w))
		note(w, CAP_SEQ_WINDOW_UPDATE);
	if (in->n && r->scale != CAP_SEQ_UNKNOWN && is_plain(w) &&
	    in->seq + in->n == r->ack + (r->window << shift_of(r)))
		note(w, CAP_SEQ_WINDOW_FULL);
	if (!repeats(w))
		return;
	if (in->window && r->flags & CAP_SEQ_KEEP_ALIVE)
		note(w, CAP_SEQ_KEEP_ALIVE_ACK);
	else if (!in->window && r->flags & CAP_SEQ_ZERO_WINDOW_PROBE)
		note(w, CAP_SEQ_ZERO_WINDOW_PROBE_ACK);
	else if (in->window)
		duplicate_ack(w);
}

/* Acknowledged, yet never seen: said once of each gap. */
static void look_at_ack(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct flow *r = w->rev;
	if (in->ack != w->fwd->ack) {
		w->fwd->ack_frame = in->frame_no;
		w->fwd->n_dups = 0;
	}
	if (!r->to_ack || !is_after(in->ack, r->to_ack) || !(in->flags & ACK))
		return;
	w->out->has_news = true;
	if (is_after(r->next, r->to_ack)) {
		r->to_ack = r->next;
		note(w, CAP_SEQ_ACK_LOST_SEGMENT);
		return;
	}
	if (!r->n_dups)
		note(w, CAP_SEQ_ACK_LOST_SEGMENT);
	r->n_dups = -1;
}

/* Counted from the eldest segment that is not acknowledged. */
static void retransmitted(const struct work *w)
{
	const struct flow *f = w->fwd;
	note(w, CAP_SEQ_RETRANSMISSION);
	w->out->rto_frame = f->next_frame;
	w->out->rto_ns = w->in->at_ns - f->next_ns;
	if (f->n) {
		w->out->rto_frame = f->segs[0].frame_no;
		w->out->rto_ns = w->in->at_ns - f->segs[0].at_ns;
	}
}

/* Not when time goes backwards. */
static bool is_soon(int64_t ns, int64_t limit_ns)
{
	return ns >= 0 && ns < limit_ns;
}

/* Data, a SYN or a FIN that does not go on where the direction was. */
static void look_at_order(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	const struct flow *f = w->fwd, *r = w->rev;
	uint32_t end = in->seq + in->n + (in->flags & (SYN | FIN) ? 1 : 0);
	bool is_behind = f->next && is_after(f->next, in->seq);
	if ((!in->n && !(in->flags & (SYN | FIN))) || w->out->flags & CAP_SEQ_KEEP_ALIVE)
		return;
	if (in->n > 1 && f->next - 1 == in->seq)
		is_behind = false;
	if (in->n && r->ack && !is_after(in->seq + in->n, r->ack)) {
		note(w, CAP_SEQ_SPURIOUS_RETRANSMISSION);
		return;
	}
	if (!is_behind)
		return;
	int64_t reorder_ns = w->s->irtt_ns ? w->s->irtt_ns : REORDER_NS;
	if ((uint32_t)r->n_dups >= 2 && r->ack == in->seq &&
	    is_soon(in->at_ns - r->ack_ns, FAST_NS))
		note(w, CAP_SEQ_FAST_RETRANSMISSION);
	else if (is_soon(in->at_ns - f->next_ns, reorder_ns) && f->next != end)
		note(w, CAP_SEQ_OUT_OF_ORDER);
	else
		retransmitted(w);
}

static void remember(struct flow *f, const struct cap_seq_in *in, uint32_t next)
{
	struct seg *a = grow(f->segs, &f->cap, f->n, sizeof *a);
	if (!a)
		return;
	f->segs = a;
	f->segs[f->n++] = (struct seg){in->frame_no, in->seq, next, in->at_ns};
}

static void go_on(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct flow *f = w->fwd;
	bool is_probe = w->out->flags & CAP_SEQ_ZERO_WINDOW_PROBE;
	uint32_t one = in->flags & (SYN | FIN) ? 1 : 0, next = in->seq + in->n;
	if ((in->n || one) && f->n < MAX_SEGS) {
		next += one;
		remember(f, in, next);
	}
	if ((is_after(next, f->next) || !f->next) && !is_probe) {
		f->next = next;
		f->next_frame = in->frame_no;
		f->next_ns = in->at_ns;
	}
	if ((in->seq == f->to_ack || !f->to_ack) && !is_probe)
		f->to_ack = f->next;
	f->window = in->window;
	f->ack = in->ack;
	f->ack_ns = in->at_ns;
	f->flags = w->out->flags;
}

/* Forgets what is acknowledged; the eldest that ends there is what the acknowledgement is for. */
static void acknowledge(const struct work *w)
{
	struct flow *r = w->rev;
	uint32_t ack = w->in->ack, n = 0;
	bool is_found = false;
	for (uint32_t i = 0; i < r->n; i++) {
		struct seg *g = &r->segs[i];
		if (ack == g->next && !is_found) {
			is_found = w->out->has_news = true;
			w->out->acks_frame = g->frame_no;
			w->out->rtt_ns = w->in->at_ns - g->at_ns;
		}
		if (!is_after(g->next, ack))
			continue;
		if (is_after(ack, g->seq))
			g->seq = ack;
		r->segs[n++] = *g;
	}
	r->n = n;
}

static void count_flight(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct flow *f = w->fwd;
	if (!in->n || !f->n || !f->has_flight)
		return;
	uint32_t first = UINT32_MAX, last = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t from = f->segs[i].seq - f->base, to = f->segs[i].next - f->base;
		first = from < first ? from : first;
		last = to > last ? to : last;
	}
	uint32_t n = last - first - w->rev->sacked;
	if (!n || n >= 2'000'000'000)
		return;
	w->out->in_flight = n - (in->flags & (SYN | FIN) ? 1 : 0);
	bool is_push = in->flags & PSH;
	f->pushed = f->has_pushed ? in->n : f->pushed + in->n;
	f->has_pushed = is_push;
	w->out->pushed = f->pushed;
	w->out->has_news = true;
}

/* --- options [RFC9293 3.2] [RFC7323 2.2] [RFC2018 3] -------------------------------------------
 */

static void take_option(struct flow *f, const uint8_t *p, unsigned n)
{
	if (*p == OPT_SCALE && n == 3)
		f->scale = (int8_t)(p[2] < MAX_SHIFT ? p[2] : MAX_SHIFT);
	for (unsigned i = 2; *p == OPT_SACK && i + 8 <= n; i += 8) {
		uint32_t edges[2];
		for (unsigned k = 0; k < 2; k++) {
			const uint8_t *e = p + i + 4 * k;
			edges[k] = (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 |
				   (uint32_t)e[2] << 8 | e[3];
		}
		f->sacked += edges[1] - edges[0];
	}
}

static void take_options(const struct work *w)
{
	const uint8_t *p = w->in->options, *end = p + w->in->n_options;
	struct flow *f = w->fwd, *r = w->rev;
	while (p < end && *p != OPT_END) {
		unsigned n = *p == OPT_NOP ? 1 : end - p > 1 ? p[1] : 0;
		if (!n || (n < 2 && *p != OPT_NOP) || n > (size_t)(end - p))
			break;
		if (n > 1)
			take_option(f, p, n);
		p += n;
	}
	if (!(w->in->flags & SYN))
		return;
	if (f->scale == CAP_SEQ_UNKNOWN)
		f->scale = r->scale = CAP_SEQ_UNSCALED;
	else if (w->in->flags & ACK && r->scale == CAP_SEQ_UNSCALED)
		f->scale = CAP_SEQ_UNSCALED;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void begin(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct flow *f = w->fwd, *r = w->rev;
	unsigned kind = in->flags & (SYN | ACK);
	f->sacked = 0;
	if (f->has_base && kind == SYN) { /* the same again: a reset may have spoilt it */
		f->next = f->to_ack;
	} else if (f->has_base && kind == (SYN | ACK) && in->seq != f->base) {
		f->base = in->seq;
		note(w, CAP_SEQ_REUSED_PORTS);
	}
	if (!f->has_base)
		f->base = in->flags & SYN ? in->seq : in->seq - 1;
	f->has_base = true;
	if (!r->has_base && in->flags & ACK) {
		r->base = in->ack - 1;
		r->has_base = true;
	}
}

static void say_numbers(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct cap_seq_seen *out = w->out;
	const struct flow *f = w->fwd;
	out->is_there = out->is_whole = true;
	out->seq = in->seq - f->base;
	out->ack = in->flags & ACK ? in->ack - w->rev->base : in->ack;
	out->next = out->seq + in->n + (in->flags & (SYN | FIN) ? 1 : 0);
	out->scale = f->scale;
	out->window = (uint32_t)in->window << (in->flags & SYN || f->scale < 0 ? 0 : f->scale);
}

static void shake_hands(const struct work *w)
{
	const struct cap_seq_in *in = w->in;
	struct cap_seq *s = w->s;
	unsigned kind = in->flags & (SYN | ACK);
	if (kind == SYN) {
		s->syn_ns = in->at_ns;
		s->has_syn = true;
	}
	if (in->flags & SYN)
		w->fwd->is_first_ack = true;
	if (kind != ACK)
		return;
	w->fwd->is_first_ack = false;
	if (s->has_syn && !s->irtt_ns) {
		s->irtt_ns = in->at_ns - s->syn_ns;
		s->has_irtt = s->irtt_ns;
	}
}

void cap_seq_quote(const struct cap_seq *s, int way, const struct cap_seq_in *in,
		   struct cap_seq_seen *out)
{
	out->is_there = true;
	out->seq = in->seq;
	out->ack = in->ack;
	out->window = in->window;
	out->scale = s->d[way].scale;
}

void cap_seq_add(struct cap_seq *s, int way, const struct cap_seq_in *in, bool is_again,
		 struct cap_seq_seen *out)
{
	struct work w = {s, &s->d[way], &s->d[!way], in, out};
	if (is_again)
		note(&w, CAP_SEQ_REUSED_PORTS);
	begin(&w);
	if (in->flags & ACK)
		w.rev->has_flight = true;
	look_at_windows(&w);
	look_at_ack(&w);
	look_at_order(&w);
	go_on(&w);
	acknowledge(&w);
	count_flight(&w);
	say_numbers(&w);
	shake_hands(&w);
	take_options(&w);
	out->has_irtt = s->has_irtt;
	out->irtt_ns = s->irtt_ns;
}
