/* ICMP errors: which call they are about.
 *
 * An error quotes the datagram that it is about: its headers always, often all of it. With a whole
 * Call-ID in it the call is known; media are known by their port; else it is one of the messages
 * sent last that has these addresses, this length and this number of IP (live, where rows are used
 * again, nobody's). It is kept as a fact of the request that was sent to
 * that address, for that is what it explains: why there was no answer.
 *
 * [RFC792] [RFC1812 4.3.2.3] [RFC4443 3]
 */
#include "track/trk_priv.h"

static unsigned what_of(const struct trk_icmp *p)
{
	if (p->is_v6)
		return p->type == 3   ? TRK_IC_TTL
		       : p->type != 1 ? 0
		       : p->code == 4 ? TRK_IC_PORT
		       : p->code == 1 ? TRK_IC_BAR
				      : TRK_IC_HOST;
	if (p->type == 11)
		return TRK_IC_TTL;
	if (p->type != 3 || p->code == 4) /* 4: too large, and sent again in pieces */
		return 0;
	return p->code == 3                                     ? TRK_IC_PORT
	       : p->code == 9 || p->code == 10 || p->code == 13 ? TRK_IC_BAR
								: TRK_IC_HOST;
}

/* The last message of the call that went to that address. */
static struct trk_ev *sent_to(const struct trk *t, const struct trk_call *c, const struct addr *to)
{
	for (uint32_t id = c->last_ev; id;) {
		struct trk_ev *e = trk_row(t, id);
		if (addr_eq(&c->peers[e->to].addr, to))
			return e;
		id = e->prev;
	}
	return NULL;
}

#define LOOK_BACK 1'024
#define LATEST_US 5'000'000 /* errors are sent at once */

/* The message that was quoted without its Call-ID. */
static struct trk_ev *sent_as(const struct trk *t, const struct trk_icmp *p)
{
	uint32_t n = t->cfg.is_live ? 0 : LOOK_BACK;
	for (uint32_t id = t->n_rows; id && n--; id--) {
		struct trk_ev *e = trk_row(t, id);
		if (p->at_us - e->at_us > LATEST_US)
			return NULL;
		if (e->ip_id != p->ip_id || e->n_bytes != p->n_bytes)
			continue;
		const struct trk_call *c = trk_call_of(e);
		if (addr_eq(&c->peers[e->from].addr, &p->from) &&
		    addr_eq(&c->peers[e->to].addr, &p->to))
			return e;
	}
	return NULL;
}

static void keep(struct trk *t, struct trk_call *c, struct trk_ev *e, const struct trk_icmp *p,
		 unsigned flags)
{
	char mem[ADDR_TEXT_MAX];
	uint32_t id = trk_ev_id(e);
	for (const struct trk_fact *f = c->facts; f; f = f->next)
		if (f->ev == id && f->kind == TRK_F_ICMP && f->flags == flags)
			return; /* once says it */
	struct trk_fact *f = trk_fact_add(t, c, e, TRK_F_ICMP, str_c(addr_text(&p->by, mem)));
	if (!f)
		return;
	f->num = p->frame_no;
	f->flags = (uint8_t)flags;
}

void trk_icmp(struct trk *t, const struct trk_icmp *p)
{
	unsigned what = what_of(p);
	struct str call_id;
	enum trk_side side;
	struct trk_call *c;
	struct trk_ev *e;
	if (!what)
		return;
	trk_sdp_catch_up(t);
	if ((c = trk_media_find(t, &p->to, &side)) && c->last_ev) {
		what |= TRK_IC_MEDIA | (side == TRK_SIDE_CALLER ? TRK_IC_TO_CALLER : 0u);
		keep(t, c, trk_row(t, c->last_ev), p, what);
		return;
	}
	if (sip_peek_call_id(p->bytes, &call_id))
		e = (c = trk_find(t, call_id)) ? sent_to(t, c, &p->to) : NULL;
	else
		e = sent_as(t, p);
	if (e)
		keep(t, trk_call_of(e), e, p, what);
}
