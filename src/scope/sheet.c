/* The ladder's model: which lanes, which rows, in what words.
 *
 * Lanes are hosts. A host gets one lane per port only where it plays two roles: when it talks to
 * itself, or when a request that it sent comes back to it at another port (two phones on one
 * machine). A proxy that receives on one port and sends from another keeps one lane.
 *
 * Rows are the messages in order. A copy (resent, or seen twice by the sniffer) names its original,
 * which counts its sends ("INVITE ×7 in 31.5 s"): whoever draws may fold the copies into it. Media
 * is one row per direction and kind at the time of its first packet; where one direction has
 * packets and the other, though agreed, has none, the absence is a row too (sheet_band.c).
 *
 * Invariants: 1. an original stands before its copies, and is no copy itself. 2. A copy whose
 * original is not on the sheet is drawn as what it is. 3. delta_us of what is no copy counts from
 * the row before that is none: that is what one looks for.
 *
 * Ownership: the sheet holds its rows, bands and words; events, calls and verdicts are borrowed.
 */
#include "scope/sheet_priv.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 600 /* a reason phrase may be longer than anybody reads */
#define LOOK_BACK 256 /* messages of a call between a request and its return to the host */

/* --- lanes ------------------------------------------------------------------------------------ */

static const struct addr *peer_addr(const struct lad_item *it, uint8_t peer)
{
	return &it->call->peers[peer].addr;
}

/* Whether the request that e received had been sent before by the same host from another port. */
static bool came_back(const struct sheet_maker *m, const struct lad_item *it,
		      const struct trk_ev *e)
{
	const struct addr *to = peer_addr(it, e->to);
	const struct trk_ev *s = e;
	for (unsigned i = 0; i < LOOK_BACK && (s = trk_ev(m->t, s->prev)); i++) {
		const struct addr *from = peer_addr(it, s->from);
		if (s->flags & TRK_EV_REQUEST && s->method == e->method && s->cseq == e->cseq &&
		    addr_ip_eq(from, to) && from->port != to->port)
			return true;
	}
	return false;
}

static bool plays_two_roles(const struct sheet_maker *m, const struct addr *host)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct lad_item *it = &m->items[i];
		const struct trk_ev *e = trk_ev(m->t, it->ev);
		const struct addr *to = peer_addr(it, e->to);
		if (!addr_ip_eq(to, host))
			continue;
		if (addr_ip_eq(peer_addr(it, e->from), to) ||
		    (e->flags & TRK_EV_REQUEST && came_back(m, it, e)))
			return true;
	}
	return false;
}

uint8_t sheet_lane_of(struct sheet_maker *m, const struct addr *a)
{
	struct sheet *s = m->s;
	for (unsigned i = 0; i < s->n_lanes; i++)
		if (addr_ip_eq(&s->lanes[i].addr, a) &&
		    (!s->lanes[i].addr.port || s->lanes[i].addr.port == a->port))
			return (uint8_t)i;
	if (s->n_lanes == SHEET_MAX_LANES)
		return SHEET_MAX_LANES - 1;
	struct sheet_lane *n = &s->lanes[s->n_lanes];
	n->addr = *a;
	if (!plays_two_roles(m, a))
		n->addr.port = 0;
	if (m->cfg && m->cfg->alias)
		n->name = m->cfg->alias(m->cfg->arg, &n->addr);
	return (uint8_t)s->n_lanes++;
}

/* --- words ------------------------------------------------------------------------------------ */

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

static void make_label(struct sheet *s, struct sheet_row *r)
{
	char mem[LABEL_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	trk_ev_put(&b, r->ev);
	put_details(&b, r->ev);
	r->label_at = (uint32_t)s->text.n;
	r->label_n = (uint16_t)b.n;
	buf_put(&s->text, b.p, b.n);
}

static enum err make_diags(struct sheet_maker *m, struct sheet_row *r)
{
	const struct sip_msg *msg;
	struct buf *b = &m->s->text;
	enum err e = book_msg(m->cfg->book, trk_ev_id(r->ev), &msg);
	if (e == ERR_NOTFOUND) /* live, and gone */
		return OK;
	if (e)
		return e;
	size_t at = b->n;
	for (unsigned i = 0; i < msg->n_diags; i++) {
		unsigned code = msg->diags[i].code;
		if (sip_diag_severity(code) != SIP_SEV_NOTE)
			buf_fmt(b, "%s [%s]\n", sip_diag_text(code), sip_diag_rfc(code));
	}
	r->diags_at = (uint32_t)at;
	r->diags_n = (uint16_t)(b->err ? 0 : b->n - at);
	r->marks |= r->diags_n ? SHEET_DEVIANT : 0;
	return OK;
}

static enum sheet_tone tone_of(const struct trk_ev *e)
{
	if (e->flags & TRK_EV_REQUEST)
		return TONE_REQUEST;
	return e->status < 200   ? TONE_1XX
	       : e->status < 300 ? TONE_2XX
	       : e->status < 400 ? TONE_3XX
				 : TONE_ERROR;
}

struct str sheet_label(const struct sheet *s, const struct sheet_row *r)
{
	return r->ev ? str_of(s->text.p + r->label_at, r->label_n) : STR_NONE;
}

struct str sheet_row_diags(const struct sheet *s, const struct sheet_row *r)
{
	return r->diags_n ? str_of(s->text.p + r->diags_at, r->diags_n) : STR_NONE;
}

static void put_tenths(struct buf *b, uint64_t us)
{
	buf_fmt(b, " in %llu.%llu s", (unsigned long long)(us / 1'000'000),
		(unsigned long long)(us / 100'000 % 10));
}

void sheet_put_row(struct buf *b, const struct sheet *s, const struct sheet_row *r, unsigned how)
{
	const struct sheet_band *d = r->band;
	if (r->ev) {
		buf_str(b, sheet_label(s, r));
		if (r->n_sends > 1) {
			buf_fmt(b, how & SHEET_ASCII ? " x%u" : " ×%u", r->n_sends);
			if (!(how & SHEET_NO_TIMES))
				put_tenths(b, r->span_us);
		}
		return;
	}
	if (d->is_absent) {
		buf_str(b, STR("no RTP seen"));
		return;
	}
	buf_fmt(b, "RTP%s%s, %llu packets", d->codec[0] ? " " : "", d->codec,
		(unsigned long long)d->received);
	if (!(how & SHEET_NO_TIMES))
		put_tenths(b, d->end_us > d->at_us ? d->end_us - d->at_us : 0);
	if (d->expected > d->received)
		buf_fmt(b, ", %llu lost", (unsigned long long)(d->expected - d->received));
	if (d->digits[0])
		buf_fmt(b, ", DTMF %s", d->digits);
}

void sheet_put_marks(struct buf *b, const struct sheet *s, const struct sheet_row *r)
{
	size_t at = b->n;
	if (r->marks & SHEET_RETRANS && r->original) {
		const struct sheet_row *o = &s->rows[r->original - 1];
		buf_fmt(b, "sent again, %u of %u; ", trk_n_resent(r->ev) + 1u, o->n_sends);
		if (r->expected_us)
			buf_fmt(b, "expected at %.3f s, ", (double)r->expected_us / 1e6);
		buf_fmt(b, "seen at %.3f s; ", (double)r->delta_us / 1e6);
	} else if (r->marks & SHEET_RETRANS) {
		buf_str(b, STR("sent again; "));
	}
	if (r->marks & SHEET_DUPLICATE)
		buf_str(b, STR("the same packet, captured twice; "));
	if (r->marks & SHEET_SECURE)
		buf_str(b, STR("was TLS; "));
	if (r->marks & SHEET_DEVIANT)
		buf_str(b, STR("not as the RFC says; "));
	if (b->n > at && !b->err)
		b->n -= 2;
}

void sheet_put_host(struct buf *b, const struct sheet_lane *l)
{
	if (l->addr.port)
		addr_put(b, &l->addr);
	else
		addr_put_ip(b, &l->addr);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* When the k-th resend is due after the first send, in the simplest case; 0: there is no rule.
 * [RFC3261 17.1.1.2] [RFC3261 17.1.2.2] [RFC3261 17.2.1] [RFC3261 13.3.1.4] */
static uint64_t resend_due_us(const struct trk_ev *e, unsigned k)
{
	const uint64_t t1 = 500'000, t2 = 4'000'000;
	bool is_invite = e->method == SIP_INVITE, is_request = e->flags & TRK_EV_REQUEST;
	uint64_t gap = t1, at = 0;
	if (!is_request && (!is_invite || e->status < 200))
		return 0;
	while (k--) {
		at += gap;
		gap *= 2;
		if (gap > t2 && !(is_invite && is_request))
			gap = t2;
	}
	return at;
}

struct place { /* of an original among the rows, ordered by id */
	uint32_t id, row;
};

static int by_id(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void bind_copy(struct sheet *s, struct sheet_row *r, const struct place *p)
{
	struct sheet_row *o = &s->rows[p->row];
	if (o >= r || o->call != r->call)
		return;
	r->original = p->row + 1;
	r->label_at = o->label_at; /* facts are kept of the original only */
	r->label_n = o->label_n;
	r->delta_us = r->at_us > o->at_us ? r->at_us - o->at_us : 0;
	if (r->marks & SHEET_DUPLICATE)
		return;
	o->n_sends++;
	o->span_us = r->delta_us;
	if (r->call->peers[r->ev->from].transport == TRK_UDP && trk_n_resent(r->ev) < 32)
		r->expected_us = resend_due_us(r->ev, trk_n_resent(r->ev));
}

/* Finds the original of every copy. */
static enum err bind_copies(struct sheet *s)
{
	struct place *places = malloc((s->n_rows + 1) * sizeof *places);
	size_t n = 0;
	if (!places)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->n_rows; i++)
		if (s->rows[i].ev)
			places[n++] = (struct place){trk_ev_id(s->rows[i].ev), (uint32_t)i};
	qsort(places, n, sizeof *places, by_id);
	for (size_t i = 0; i < s->n_rows; i++) {
		struct sheet_row *r = &s->rows[i];
		if (!r->ev || !trk_copy_of(r->ev))
			continue;
		struct place want = {trk_copy_of(r->ev), 0};
		const struct place *p = bsearch(&want, places, n, sizeof *places, by_id);
		if (p)
			bind_copy(s, r, p);
	}
	free(places);
	return OK;
}

static uint16_t leg_of(const struct sheet *s, const struct trk_call *c)
{
	uint16_t i = 0;
	while (i < s->n_legs && s->legs[i].call != c)
		i++;
	return i;
}

static enum err add_message(struct sheet_maker *m, const struct lad_item *it)
{
	struct sheet *s = m->s;
	const struct trk_ev *e = trk_ev(m->t, it->ev);
	struct sheet_row *r = &s->rows[s->n_rows++];
	uint8_t transport = it->call->peers[e->from].transport;
	*r = (struct sheet_row){.at_us = e->at_us,
				.ev = e,
				.n_sends = 1,
				.call = it->call,
				.leg = leg_of(s, it->call),
				.from = sheet_lane_of(m, peer_addr(it, e->from)),
				.to = sheet_lane_of(m, peer_addr(it, e->to)),
				.tone = (uint8_t)tone_of(e)};
	r->marks |= e->flags & TRK_EV_RETRANS ? SHEET_RETRANS : 0;
	r->marks |= e->flags & TRK_EV_DUPLICATE ? SHEET_DUPLICATE : 0;
	r->marks |= transport == TRK_TLS || transport == TRK_WSS ? SHEET_SECURE : 0;
	make_label(s, r);
	return m->cfg && m->cfg->book ? make_diags(m, r) : OK;
}

static void add_band(struct sheet *s, const struct sheet_band *d)
{
	s->rows[s->n_rows++] = (struct sheet_row){.at_us = d->at_us,
						  .band = d,
						  .call = s->legs[d->leg].call,
						  .leg = d->leg,
						  .from = d->from,
						  .to = d->to,
						  .tone = TONE_RTP};
}

static void mark_evidence(struct sheet_row *r, const struct vrd *v)
{
	for (unsigned i = 0; v && i < v->n; i++)
		for (unsigned k = 0; k < v->f[i].n_evidence; k++)
			if (v->f[i].evidence[k] == trk_ev_id(r->ev))
				r->findings |= (uint16_t)(1u << i);
}

static void finish(struct sheet *s)
{
	uint64_t last = s->n_rows ? s->rows[0].at_us : 0;
	s->first_us = s->last_us = last;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct sheet_row *r = &s->rows[i];
		uint64_t end = r->band ? r->band->end_us : r->at_us;
		if (r->ev && r->leg < s->n_legs && s->legs[r->leg].v)
			mark_evidence(r, s->legs[r->leg].v);
		s->last_us = end > s->last_us ? end : s->last_us;
		if (r->original)
			continue;
		r->delta_us = r->at_us > last ? r->at_us - last : 0;
		last = r->at_us;
	}
}

static enum err fill(struct sheet_maker *m, bool has_media)
{
	struct sheet *s = m->s;
	unsigned next = 0;
	enum err e = OK;
	s->rows = calloc(m->n + SHEET_MAX_BANDS + 1, sizeof *s->rows);
	if (!s->rows)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->n; i++) { /* before media adds hosts of its own */
		const struct trk_ev *ev = trk_ev(m->t, m->items[i].ev);
		sheet_lane_of(m, peer_addr(&m->items[i], ev->from));
		sheet_lane_of(m, peer_addr(&m->items[i], ev->to));
	}
	if (has_media)
		sheet_find_bands(m);
	for (size_t i = 0; i < m->n && !e; i++) {
		uint64_t at = trk_ev(m->t, m->items[i].ev)->at_us;
		while (next < s->n_bands && s->bands[next].at_us <= at)
			add_band(s, &s->bands[next++]);
		e = add_message(m, &m->items[i]);
	}
	while (next < s->n_bands)
		add_band(s, &s->bands[next++]);
	if (!e)
		e = bind_copies(s);
	finish(s);
	return e ? e : s->text.err;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum err begin(struct sheet_maker *m, size_t n_legs)
{
	struct sheet *s = calloc(1, sizeof *s);
	if (!s)
		return ERR_NOMEM;
	m->s = s;
	buf_init(&s->text);
	s->legs = calloc(n_legs + 1, sizeof *s->legs);
	return s->legs ? OK : ERR_NOMEM;
}

static enum err end(struct sheet_maker *m, enum err e, struct sheet **out)
{
	if (e)
		sheet_free(m->s);
	else
		*out = m->s;
	return e;
}

struct stamp {
	uint64_t at_us;
	struct lad_item item;
};

static int by_time(const void *a, const void *b)
{
	const struct stamp *x = a, *y = b;
	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->item.ev < y->item.ev ? -1 : x->item.ev > y->item.ev;
}

/* The messages of all legs in one order. */
static enum err gather(struct sheet_maker *m, const struct sheet_leg *legs, size_t n_legs,
		       struct lad_item **out)
{
	size_t n = 0;
	for (size_t i = 0; i < n_legs; i++)
		n += legs[i].call->n_ev;
	struct stamp *all = malloc((n + 1) * sizeof *all);
	struct lad_item *items = malloc((n + 1) * sizeof *items);
	enum err e = all && items ? OK : ERR_NOMEM;
	for (size_t i = 0; i < n_legs && !e; i++) {
		uint32_t k;
		const struct trk_ev *const *rows = trk_history(m->t, legs[i].call, &k);
		if (!rows)
			e = ERR_NOMEM;
		for (uint32_t x = 0; !e && x < k && m->n < n; x++, m->n++)
			all[m->n] = (struct stamp){
				rows[x]->at_us, {legs[i].call, trk_ev_id(rows[x])}
                        };
	}
	if (!e && n_legs > 1)
		qsort(all, m->n, sizeof *all, by_time);
	for (size_t i = 0; i < m->n && !e; i++)
		items[i] = all[i].item;
	free(all);
	if (e)
		free(items);
	else
		*out = items;
	return e;
}

enum err sheet_new(struct trk *t, const struct sheet_leg *legs, size_t n,
		   const struct sheet_cfg *cfg, struct sheet **out)
{
	struct sheet_maker m = {.t = t, .cfg = cfg};
	struct lad_item *items = NULL;
	enum err e = begin(&m, n);
	if (!e) {
		memcpy(m.s->legs, legs, n * sizeof *legs);
		m.s->n_legs = n;
		e = gather(&m, legs, n, &items);
	}
	if (!e) {
		m.items = items;
		e = fill(&m, true);
	}
	free(items);
	return end(&m, e, out);
}

enum err sheet_of_items(struct trk *t, const struct lad_item *items, size_t n,
			const struct sheet_cfg *cfg, struct sheet **out)
{
	struct sheet_maker m = {.t = t, .cfg = cfg, .items = items, .n = n};
	enum err e = begin(&m, 0);
	return end(&m, e ? e : fill(&m, false), out);
}

void sheet_free(struct sheet *s)
{
	if (!s)
		return;
	buf_fini(&s->text);
	free(s->rows);
	free(s->legs);
	free(s);
}
