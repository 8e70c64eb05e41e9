/* A notifier's subscription as bytes, so that it outlives the process: lamps stay lit over a
 * restart.
 *
 * What is written is what RFC 6665 4.2 and RFC 3261 12 make a dialog of, and no more. The number of
 * the last CSeq is written with a reserve: until it is used up nothing need be written again, and a
 * restart goes on behind it, so that no NOTIFY has the number of an earlier one. Time is wall time.
 *
 * A peer that was reached over a connection that he had opened is not reached any more: his
 * subscription waits (is_cut_off) until he refreshes it over another, or until it expires.
 *
 * Format: little-endian; strings with a length of two bytes; the first byte is a version. The bytes
 * come from our own journal, whose records are checked: a wrong length is refused all the same.
 */
#include "dialog/sub_priv.h"

#define VERSION 1

/* --- writing ---------------------------------------------------------------------------------- */

static void put_n(struct buf *b, uint64_t v, unsigned n)
{
	uint8_t p[8];
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, p, n);
}

static void put_s(struct buf *b, struct str s)
{
	put_n(b, s.n, 2);
	buf_str(b, s);
}

static void put_addr(struct buf *b, const struct addr *a)
{
	put_n(b, a->family, 1);
	put_n(b, a->scope, 1);
	put_n(b, a->port, 2);
	buf_put(b, a->ip, sizeof(a->ip));
}

void sub_keep(struct sub *s, struct buf *out)
{
	const struct dlg *d = s->d;
	uint64_t now = ev_now_us(s->m->loop);
	uint64_t left_us = s->expires_at_us > now ? s->expires_at_us - now : 0;
	s->cseq_kept = d->local_cseq + SUB_CSEQ_RESERVE;
	put_n(out, VERSION, 1);
	put_n(out, (env_wall_us(s->m->loop->env) + left_us) / 1000000, 8);
	put_n(out, s->cseq_kept, 4);
	put_n(out, s->n_notified + SUB_CSEQ_RESERVE, 4);
	put_n(out, d->remote_cseq, 4);
	put_n(out, d->is_secure | d->has_back << 1 | (d->has_back && d->back.flow) << 2, 1);
	put_s(out, s->event_id);
	put_s(out, dlg_call_id(d));
	put_s(out, dlg_local_tag(d));
	put_s(out, dlg_remote_tag(d));
	put_s(out, dlg_local(d));
	put_s(out, dlg_remote(d));
	put_s(out, dlg_remote_target(d));
	put_n(out, d->back.proto, 1);
	put_addr(out, &d->back.to);
	put_addr(out, &d->back.from);
	put_n(out, d->n_routes, 1);
	struct str rest = dlg_text(d, DLG_ROUTES), route;
	while (dlg_route_next(&rest, &route))
		put_s(out, route);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct in { /* what is left; is_bad is sticky */
	struct str rest;
	bool is_bad;
};

static uint64_t get_n(struct in *in, unsigned n)
{
	uint64_t v = 0;
	if (in->rest.n < n) {
		in->is_bad = true;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)(uint8_t)in->rest.p[i] << (8 * i);
	in->rest = str_skip(in->rest, n);
	return v;
}

static struct str get_s(struct in *in)
{
	size_t n = (size_t)get_n(in, 2);
	in->is_bad |= n > in->rest.n;
	struct str s = in->is_bad ? STR_NONE : str_sub(in->rest, 0, n);
	in->rest = str_skip(in->rest, s.n);
	return s;
}

static struct addr get_addr(struct in *in)
{
	struct addr a = {.family = (uint8_t)get_n(in, 1), .scope = (uint8_t)get_n(in, 1)};
	a.port = (uint16_t)get_n(in, 2);
	for (size_t i = 0; i < sizeof(a.ip); i++)
		a.ip[i] = (uint8_t)get_n(in, 1);
	return a;
}

struct kept {
	struct dlg_kept dlg;
	struct str event_id;
	uint64_t ends_s;
	uint32_t n_notified;
	bool is_by_flow;
};

static enum err read_kept(struct str text, struct kept *k)
{
	struct in in = {.rest = text};
	struct dlg_kept *d = &k->dlg;
	if (get_n(&in, 1) != VERSION)
		return ERR_SYNTAX;
	k->ends_s = get_n(&in, 8);
	d->local_cseq = (uint32_t)get_n(&in, 4);
	k->n_notified = (uint32_t)get_n(&in, 4);
	d->remote_cseq = (uint32_t)get_n(&in, 4);
	unsigned flags = (unsigned)get_n(&in, 1);
	k->event_id = get_s(&in);
	d->call_id = get_s(&in);
	d->local_tag = get_s(&in);
	d->remote_tag = get_s(&in);
	d->local = get_s(&in);
	d->remote = get_s(&in);
	d->target = get_s(&in);
	d->back.proto = (enum tp_proto)get_n(&in, 1);
	d->back.to = get_addr(&in);
	d->back.from = get_addr(&in);
	d->back.is_fixed = true;
	d->is_secure = flags & 1;
	d->has_back = flags & 2;
	k->is_by_flow = flags & 4;
	d->n_routes = (size_t)get_n(&in, 1);
	for (size_t i = 0; i < d->n_routes && i < ARRAY_LEN(d->routes); i++)
		d->routes[i] = get_s(&in);
	bool is_good = !in.is_bad && !in.rest.n && d->n_routes <= ARRAY_LEN(d->routes) &&
		       d->back.proto < TP__N && d->call_id.n && d->target.n;
	return is_good ? OK : ERR_SYNTAX;
}

enum err sub_restore(struct dlg_mgr *m, struct str kept, const struct sub_accept *acc,
		     uint64_t within_us, const struct sub_notifier *user, void *ctx,
		     struct sub **out)
{
	struct kept k = {0};
	uint64_t now_s = env_wall_us(m->loop->env) / 1000000;
	enum err e = read_kept(kept, &k);
	if (e == OK && k.ends_s <= now_s)
		e = ERR_TIMEOUT;
	if (e != OK)
		return e;
	struct sub *s = sub_alloc(m, ctx);
	if (!s)
		return ERR_LIMIT;
	e = sub_fill(s, acc, k.event_id);
	if (e == OK)
		e = dlg_restore(m, &k.dlg, acc->contact_user, &acc->account, &s->d);
	if (e != OK) {
		sub_free(s);
		return e;
	}
	uint64_t left_s =
		k.ends_s - now_s; /* a clock that was ahead then grants no more than we do */
	s->expires_at_us = ev_now_us(m->loop) + (left_s < s->max_s ? left_s : s->max_s) * 1000000;
	s->n_notified = k.n_notified;
	s->is_cut_off = k.is_by_flow;
	s->cseq_kept = s->d->local_cseq;
	s->is_owed = true;
	sub_become_notifier(s, user);
	sub_start_expiry(s);
	sub_notify_later(s, env_random_u64(m->loop->env) % (within_us + 1));
	*out = s;
	return OK;
}
