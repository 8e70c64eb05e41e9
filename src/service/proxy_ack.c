/* What a proxy passes on without a transaction: the ACK of a 2xx, and a 2xx whose transactions are
 * over.
 *
 * An ACK goes where its dialog's token says, else by Route or request-URI; a name is looked up
 * first (struct ack_wait, in prx.acks while it waits). Nothing answers an ACK, so whatever goes
 * wrong with it goes wrong in silence: the callee repeats its 2xx.
 *
 * An ACK by the request-URI goes where the callee's Contact says, and that may lead nowhere: an
 * address behind a NAT, a host that is gone. Then the callee repeats its 2xx, and hangs up after
 * 32 s. So a 2xx that came for the third time (1.5 s) is remembered with the way that it came, and
 * the ACK that the caller sends for it goes that way too. `repeats` is a small table in which a
 * newer one takes an older one's place; nothing is looked up while it is empty, as it nearly always
 * is. [RFC3261 13.3.1.4] [RFC5626 5.3]
 *
 * A response's top Via must be one that we wrote (the branch is keyed); the Via below says where it
 * goes, with received and rport as edit_source (forward.c) has put them there, or the token of our
 * Record-Route, if the caller has opened a connection.
 * [RFC3261 16.11, 16.7]
 */
#include "service/proxy_priv.h"

#include "base/hash.h"

#include <string.h>

/* The first copy makes no note, the second is the first repeat. */
#define REPEATS_ENOUGH  2
#define REPEATS_LIFE_US 64000000ull

#define CONTACT_MAX 1024 /* longer than any that is bound */

struct ack_wait { /* an ACK whose next hop is a name */
	struct link link;
	struct prx *prx;
	struct tp_rx *rx;
	struct rt_plan route;
	char *ruri; /* block with the request-URI to write, or NULL */
	size_t n_ruri;
	struct tp_resolve *resolve;
};

static void free_ack(struct ack_wait *w)
{
	struct prx *p = w->prx;
	list_del(&w->link);
	tp_rx_unref(p->tp, w->rx);
	block_put(p->blocks, w->ruri);
	pool_put(&p->ack_pool, w);
}

void prx_init_acks(struct prx *p, uint32_t max)
{
	list_init(&p->acks);
	pool_init(&p->ack_pool, sizeof(struct ack_wait), max, 0, (uint8_t)p->loop->shard);
}

void prx_free_acks(struct prx *p)
{
	while (!list_is_empty(&p->acks)) {
		struct ack_wait *w = LIST_ENTRY(p->acks.next, struct ack_wait, link);
		tp_resolve_cancel(w->resolve);
		free_ack(w);
	}
	pool_fini(&p->ack_pool);
}

struct ack {
	struct fwd_plan plan;
	struct fwd_target target;
};

static enum err compose_ack(void *ctx, struct str via, const struct tp_dst *dst, struct buf *out)
{
	const struct ack *a = ctx;
	return fwd_compose(&a->plan, &a->target, via, dst, out);
}

static void send_ack(struct prx *p, struct tp_rx *rx, const struct rt_plan *route, struct str ruri,
		     const struct tp_dst *dst)
{
	struct ack a = {
		.plan = {.rx = rx,        .self = p->self, .route = route, .realm = p->realm},
		.target = {.ruri = ruri}
        };
	enum err e = tsx_send_stateless(p->tsx, dst, compose_ack, &a);
	(void)e; /* an ACK has nobody to tell */
}

/* ---- 2xx whose ACK does not arrive ------------------------------------------------------------
 */

static uint64_t repeat_key(const struct prx *p, const struct sip_msg *m)
{
	uint64_t parts[] = {siphash(p->self->key, m->call_id.p, m->call_id.n),
			    siphash(p->self->key, m->to_tag.p, m->to_tag.n), m->cseq};
	return siphash(p->self->key, parts, sizeof(parts)) | 1;
}

void prx_note_repeat(struct prx *p, struct tp_rx *rx)
{
	uint64_t key = repeat_key(p, rx->msg);
	struct repeat *r = &p->repeats[key / 2 % PRX_REPEATS];
	if (r->key != key)
		*r = (struct repeat){.key = key};
	r->n++;
	r->back = tp_dst_back(rx);
	p->repeats_until_us = ev_now_us(p->loop) + REPEATS_LIFE_US;
}

/* The ACK of a 2xx that is repeated, over the way that the 2xx came. */
static void send_ack_back(struct prx *p, struct tp_rx *rx, const struct rt_plan *route,
			  struct str ruri)
{
	if (ev_now_us(p->loop) >= p->repeats_until_us)
		return;
	uint64_t key = repeat_key(p, rx->msg);
	const struct repeat *r = &p->repeats[key / 2 % PRX_REPEATS];
	if (r->key == key && r->n >= REPEATS_ENOUGH)
		send_ack(p, rx, route, ruri, &r->back);
}

/* ---- ACKs ------------------------------------------------------------------------------------ */

static void on_ack_resolved(void *ctx, enum err e, const struct tp_targets *t)
{
	struct ack_wait *w = ctx;
	if (e == OK && t->n)
		send_ack(w->prx, w->rx, &w->route, str_of(w->ruri, w->n_ruri), &t->dst[0]);
	free_ack(w);
}

static struct ack_wait *new_wait(struct prx *p, struct tp_rx *rx, const struct rt_plan *route,
				 struct str ruri)
{
	struct ack_wait *w = pool_get(&p->ack_pool);
	if (!w)
		return NULL;
	*w = (struct ack_wait){.prx = p, .rx = tp_rx_ref(rx), .route = *route, .n_ruri = ruri.n};
	list_push(&p->acks, &w->link);
	if (ruri.n && !(w->ruri = block_get(p->blocks, ruri.n, NULL))) {
		free_ack(w);
		return NULL;
	}
	if (ruri.n)
		memcpy(w->ruri, ruri.p, ruri.n);
	return w;
}

void prx_forward_ack(struct prx *p, struct tp_rx *rx, const struct rt_plan *route,
		     const struct prx_target *target)
{
	char as_request[CONTACT_MAX];
	struct str ruri = target->ruri;
	if (ruri.n <= sizeof(as_request))
		ruri = fwd_copy_ruri(ruri, rt_is_sips(route->ruri), as_request);
	if (target->has_dst) {
		send_ack(p, rx, route, ruri, &target->dst);
		return;
	}
	send_ack_back(p, rx, route, ruri);
	struct sip_uri mem;
	const struct sip_uri *uri = &mem;
	struct str text = route->next.n ? route->next : target->ruri;
	enum err e = OK;
	if (text.n) {
		e = sip_uri_parse(text, &mem);
	} else {
		uri = &route->uri;
		e = route->uri_err;
	}
	struct ack_wait *w = e == OK ? new_wait(p, rx, route, ruri) : NULL;
	if (!w)
		return;
	struct tp_targets now;
	e = tp_resolve_uri(p->tp, uri, &now, on_ack_resolved, w, &w->resolve);
	if (e != ERR_MORE)
		on_ack_resolved(w, e, &now);
}

/* The connection that the caller has opened, which no Via names: the token in our Record-Route
 * does, where nobody else stands between him and us. [RFC3261 18.2.2] [RFC5626 5.3] */
static bool way_of_token(struct prx *p, const struct sip_msg *m, struct tp_dst *dst)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_addr a;
	struct rt_token t;
	while (sip_each(m, SIP_HDR_RECORD_ROUTE, &it, &v))
		if (sip_addr_parse(v, &a) == OK && !a.uri_err && a.uri.has_user &&
		    rt_token_read(p->self, m->call_id, a.uri.user, &t) && t.caller.is_set &&
		    t.caller.dst.flow && tp_flow_is_up(p->tp, t.caller.dst.flow)) {
			*dst = t.caller.dst;
			return true;
		}
	return false;
}

static bool way_back(struct prx *p, const struct sip_msg *m, struct tp_dst *dst)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_via via;
	*dst = (struct tp_dst){.is_fixed = true};
	bool has_second = sip_each(m, SIP_HDR_VIA, &it, &v);
	has_second = has_second && sip_each(m, SIP_HDR_VIA, &it, &v);
	if (!has_second || sip_via_parse(v, &via) != OK)
		return false;
	if (!sip_each(m, SIP_HDR_VIA, &it, &v) && way_of_token(p, m, dst))
		return true;
	uint16_t port = via.rport ? via.rport : via.port ? via.port : 5060;
	if (!tp_proto_find(via.transport, &dst->proto) ||
	    !addr_parse(via.received.n ? via.received : via.host, port, &dst->to))
		return false;
	dst->to.port = port;
	return true;
}

void prx_on_stray_response(struct prx *p, struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	struct tp_dst dst;
	obj_id id;
	size_t room;
	/* the top Via must be one that we wrote; the second tells where to */
	if (m->status < 200 || m->status > 299 || m->method != SIP_INVITE ||
	    !tp_branch_read(p->tp, m->via_branch, &id) || !way_back(p, m, &dst))
		return;
	prx_note_repeat(p, rx);
	char *mem = block_get(p->blocks, m->n_bytes, &room);
	if (!mem)
		return;
	struct buf b;
	buf_init_fixed(&b, mem, room);
	if (fwd_response(m, NULL, 0, p->realm, NULL, &b) == OK) {
		enum err e = tp_send(p->tp, &dst, buf_view(&b), 0);
		(void)e; /* a repeated 2xx that cannot be sent will be repeated again */
	}
	block_put(p->blocks, mem);
}
