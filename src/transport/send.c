/* Sending: which socket, connection or shard a message goes to, and telling who sent it when that
 * failed later.
 *
 * UDP leaves from this shard's own socket. A connection belongs to one shard: its flow id says
 * which, or for a connection of ours the hash of its address; a message for a foreign one is copied
 * into a block and moves there (inbox SEND). Between two shards order is kept, and on the
 * connection too, so messages of one call to one connection keep their order.
 *
 * What fails at once is this call's result. What fails later (a queue that dies with its
 * connection, a connect that times out, another shard's refusal) comes as tp_error to the shard
 * that its owner's id names, through SEND_RESULT if need be. A message without owner (0) fails
 * silently: nobody could tell what it was about. If there is no memory for the notice it is lost;
 * the transaction's own time-out stands behind it.
 */
#include "transport/tp_priv.h"

#include <string.h>

struct moved { /* INBOX_SEND */
	struct inbox_msg inbox;
	struct tp_dst dst;
	obj_id owner;
	size_t n, n_name;
	char bytes[]; /* the message, then the name of the TLS peer if there is one */
};

struct result { /* INBOX_SEND_RESULT */
	struct inbox_msg inbox;
	struct tp_error error; /* its branch points to what follows */
	char branch[];
};

/* Both begin their blocks: see discard_block in tp.c. */
_Static_assert(offsetof(struct moved, inbox) == 0 && offsetof(struct result, inbox) == 0, "");

/* --- results -------------------------------------------------------------------------------- */

void tp_tell_error(struct tp *tp, size_t shard, const struct tp_error *e)
{
	if (shard == tp->shard) {
		tp->user.on_error(tp->user.ctx, e);
		return;
	}
	if (shard >= tp->n_shards)
		return;
	struct result *r = block_get(tp->blocks, sizeof(*r) + e->branch.n, NULL);
	if (!r)
		return;
	r->inbox.kind = INBOX_SEND_RESULT;
	r->error = *e;
	if (e->branch.n)
		memcpy(r->branch, e->branch.p, e->branch.n);
	r->error.branch = str_of(r->branch, e->branch.n);
	ev_send(tp->loop->shards, shard, &r->inbox);
}

void tp_on_send_result(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct tp *tp = ctx;
	struct result *r = CONTAINER_OF(m, struct result, inbox);
	tp->user.on_error(tp->user.ctx, &r->error);
	block_put(tp->blocks, r);
}

/* --- streams -------------------------------------------------------------------------------- */

/* A flow that was written down (a token, a Path) may be one of an earlier run, and its id another
 * connection's now: then the peer is another. */
static struct tp_conn *flow_to(struct tp *tp, const struct tp_dst *dst)
{
	struct tp_conn *c = tp_flow_find(tp, dst->flow);
	bool is_it = c && (dst->to.family == ADDR_NONE || addr_eq(&c->peer, &dst->to));
	return is_it ? c : NULL;
}

static enum err send_here(struct tp *tp, const struct tp_dst *dst, struct str bytes, obj_id owner)
{
	struct tp_conn *c;
	if (dst->flow) {
		c = flow_to(tp, dst);
		if (!c)
			return ERR_NET;
	} else if (!(c = tp_conn_to(tp, dst))) {
		enum err e = tp_conn_open(tp, dst, &c);
		if (e != OK)
			return e;
	}
	return tp_conn_send(c, bytes, owner);
}

void tp_on_send(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct tp *tp = ctx;
	struct moved *v = CONTAINER_OF(m, struct moved, inbox);
	if (v->n_name)
		v->dst.name = tp_name_put(tp, str_of(v->bytes + v->n, v->n_name));
	enum err e = send_here(tp, &v->dst, str_of(v->bytes, v->n), v->owner);
	if (e != OK && v->owner) {
		struct tp_error error = {.err = e, .owner = v->owner, .peer = v->dst.to};
		tp_tell_error(tp, obj_id_shard(v->owner), &error);
	}
	block_put(tp->blocks, v);
}

static enum err send_there(struct tp *tp, size_t shard, const struct tp_dst *dst, struct str bytes,
			   obj_id owner)
{
	struct str name = dst->flow ? STR_NONE : str_c(tp_name_get(tp, dst->name));
	struct moved *v = block_get(tp->blocks, sizeof(*v) + bytes.n + name.n, NULL);
	if (!v)
		return ERR_NOMEM;
	v->inbox.kind = INBOX_SEND;
	v->dst = *dst;
	v->owner = owner;
	v->n = bytes.n;
	v->n_name = name.n;
	memcpy(v->bytes, bytes.p, bytes.n);
	if (name.n)
		memcpy(v->bytes + bytes.n, name.p, name.n);
	ev_send(tp->loop->shards, shard, &v->inbox);
	return OK;
}

static enum err stream_send(struct tp *tp, const struct tp_dst *dst, struct str bytes, obj_id owner)
{
	size_t shard;
	if (bytes.n > tp->limits.max_queued_bytes)
		return ERR_LIMIT;
	if (dst->flow) {
		if (!tp_flow_is_up(tp, dst->flow))
			return ERR_NET;
		shard = obj_id_shard(dst->flow);
	} else {
		shard = tp_shard_of_peer(tp, dst->proto, &dst->to);
	}
	if (tp->n_shards == 1 || shard == tp->shard)
		return send_here(tp, dst, bytes, owner);
	return send_there(tp, shard, dst, bytes, owner);
}

enum err tp_send(struct tp *tp, const struct tp_dst *dst, struct str bytes, obj_id owner)
{
	if (dst->to.family == ADDR_NONE && !dst->flow)
		return ERR_NET;
	return dst->proto == TP_UDP ? tp_udp_send(tp, dst, bytes)
				    : stream_send(tp, dst, bytes, owner);
}

enum err tp_ping(struct tp *tp, const struct tp_dst *dst, const uint8_t txid[12])
{
	return dst->proto == TP_UDP ? tp_udp_ping(tp, dst, txid)
				    : tp_send(tp, dst, STR("\r\n\r\n"), 0);
}
