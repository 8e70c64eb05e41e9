/* Received messages: one block each, from the wire to the shard that owns them.
 *
 *   | struct tp_rx | struct sip_msg | bytes as received ──►   free   ◄── header rows |
 *
 * The bytes are copied once, from the scratch that the kernel wrote to into a block of their size
 * (receiving straight into blocks would need one of 64 kB for each datagram), and indexed once, on
 * the shard that received them. The index tells the owner; if that is another shard the block moves
 * through its inbox, index and all, since every pointer in it stays within the block.
 *
 * Most messages have few headers: the block is asked for with room for ROWS_USUAL rows, and only
 * when that was too little for the worst case, a second time. So an INVITE of 1.1 kB lives in a
 * block of 4 kB and not of 8.
 *
 * Owner: a response goes where our branch says, a request where its Call-ID hashes to, unless the
 * layer above knows better (tp_set_owner: a REGISTER is best off on the shard of its address of
 * record). A response whose branch names one shard and whose Call-ID another cannot be an answer to
 * anything we sent: all we send bears a Call-ID of the sending shard. It is dropped and counted.
 * Answers to REGISTER are not held to that where the layer above chooses.
 *
 * The tap sees a message on the owner, just before the layer above; what is not indexed at all is
 * shown where it came in. Counting of references is not atomic: a message is on one shard at a
 * time.
 */
#include "transport/tp_priv.h"

#include <string.h>

#define ROWS_USUAL 32
#define HEAD_SIZE  ((sizeof(struct tp_rx) + 15) & ~(size_t)15)

/* OK: *out has one reference. Else nothing is kept. */
static enum err make(struct tp *tp, struct str bytes, bool is_stream, struct tp_rx **out)
{
	size_t full = HEAD_SIZE + sip_msg_block_size(bytes.n), got, consumed;
	size_t least = HEAD_SIZE + sizeof(struct sip_msg) + 16 + bytes.n +
		       ROWS_USUAL * sizeof(struct sip_row);
	enum err e;
	for (size_t size = least < full ? least : full;; size = full) {
		struct tp_rx *rx = block_get(tp->blocks, size, &got);
		if (!rx)
			return ERR_NOMEM;
		struct sip_msg *m = sip_msg_init((char *)rx + HEAD_SIZE, got - HEAD_SIZE);
		memcpy(m->bytes, bytes.p, bytes.n);
		e = sip_msg_index(m, bytes.n, is_stream, &consumed);
		if (e == OK) {
			*rx = (struct tp_rx){.refs = 1, .msg = m, .at_us = tp_now(tp)};
			*out = rx;
			return OK;
		}
		block_put(tp->blocks, rx);
		if (e != ERR_LIMIT || got >= full)
			return e;
	}
}

struct tp_rx *tp_rx_ref(struct tp_rx *rx)
{
	rx->refs++;
	return rx;
}

void tp_rx_unref(struct tp *tp, struct tp_rx *rx)
{
	if (!rx)
		return;
	ASSERT(rx->refs > 0);
	if (--rx->refs == 0)
		block_put(tp->blocks, rx);
}

struct tp_rx *tp_rx_make(struct tp *tp, struct str bytes, const struct addr *from,
			 const struct addr *to, enum tp_proto proto)
{
	struct tp_rx *rx;
	if (make(tp, bytes, false, &rx) != OK)
		return NULL;
	rx->from = *from;
	rx->to = *to;
	rx->proto = proto;
	return rx;
}

static void deliver(struct tp *tp, struct tp_rx *rx)
{
	if (tp->tap.fn)
		tp->tap.fn(tp->tap.ctx, rx->at_us, false, rx->proto, &rx->from, &rx->to,
			   str_of(rx->msg->bytes, rx->msg->n_bytes));
	tp->user.on_message(tp->user.ctx, rx);
	tp_rx_unref(tp, rx);
}

void tp_on_packet(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	deliver(ctx, CONTAINER_OF(m, struct tp_rx, inbox));
}

/* False: it contradicts itself. */
static bool find_owner(struct tp *tp, const struct sip_msg *m, size_t *owner)
{
	obj_id id;
	*owner = tp->shard;
	if (tp->n_shards == 1)
		return true;
	if (tp->owner && m->is_request && tp->owner(tp->owner_ctx, m, owner))
		return true;
	if (m->call_id.n)
		*owner = tp_owner_of(tp, m->call_id, STR_NONE);
	if (m->is_request || !tp_branch_read(tp, m->via_branch, &id))
		return true;
	bool is_held = m->call_id.n && !(tp->owner && m->method == SIP_REGISTER);
	if (is_held && obj_id_shard(id) != *owner)
		return false;
	if (obj_id_shard(id) < tp->n_shards)
		*owner = obj_id_shard(id);
	return true;
}

static void drop(struct tp *tp, struct str bytes, const struct tp_origin *o, uint64_t *counter)
{
	++*counter;
	if (tp->tap.fn)
		tp->tap.fn(tp->tap.ctx, tp_now(tp), false, o->proto, o->from, o->to, bytes);
}

void tp_receive_garbage(struct tp *tp, struct str bytes, const struct tp_origin *o)
{
	drop(tp, bytes, o, &tp->stats.n_garbage);
	if (tp->guard.ctx)
		tp->guard.on_garbage(tp->guard.ctx, o->proto, o->from);
}

void tp_receive(struct tp *tp, struct str bytes, const struct tp_origin *o, bool is_stream)
{
	struct tp_rx *rx;
	size_t owner;
	enum err e = make(tp, bytes, is_stream, &rx);
	if (e != OK) {
		if (e == ERR_NOMEM)
			drop(tp, bytes, o, &tp->stats.n_no_memory);
		else
			tp_receive_garbage(tp, bytes, o);
		return;
	}
	rx->from = *o->from;
	rx->to = *o->to;
	rx->proto = o->proto;
	rx->flow = o->flow;
	tp->stats.n_received++;
	if (tp->guard.ctx && !tp->guard.takes(tp->guard.ctx, rx)) {
		drop(tp, bytes, o, &tp->stats.n_unheard);
		tp_rx_unref(tp, rx);
	} else if (!find_owner(tp, rx->msg, &owner)) {
		drop(tp, bytes, o, &tp->stats.n_mismatched);
		tp_rx_unref(tp, rx);
	} else if (owner == tp->shard) {
		deliver(tp, rx);
	} else {
		tp->stats.n_moved++;
		rx->inbox.kind = INBOX_PACKET;
		ev_post(tp->loop, owner, &rx->inbox);
	}
}

/* --- the way back --------------------------------------------------------------------------- */

struct tp_dst tp_dst_back(const struct tp_rx *rx)
{
	return (struct tp_dst){.proto = rx->proto,
			       .to = rx->from,
			       .from = rx->to,
			       .flow = rx->flow,
			       .is_fixed = true};
}

/* RFC 3261 18.2.2 with two exceptions. maddr in a Via is not followed: it would let any sender aim
 * our responses at a third party, and multicast is not served. The port of sent-by is taken where
 * the packet came from that very address: gateways send from any port and listen at one. Behind a
 * NAT only the source port leads back, whether or not rport was asked for. [RFC3261 18.2.2]
 * [RFC3581 4]
 */
struct tp_dst tp_response_dst(const struct tp_rx *rx)
{
	const struct sip_msg *m = rx->msg;
	struct tp_dst dst = tp_dst_back(rx);
	struct addr host;
	if (rx->proto == TP_UDP && m->is_request && !m->via_has_rport &&
	    addr_parse(m->via_host, 0, &host) && addr_ip_eq(&host, &rx->from))
		dst.to.port = m->via_port ? m->via_port : 5060;
	return dst;
}

/* To no other host than the one that had connected, for the reason that maddr is not followed. A
 * TLS peer proves the name that it gave in Via. */
bool tp_response_anew(struct tp *tp, const struct tp_rx *rx, struct tp_dst *out)
{
	const struct sip_msg *m = rx->msg;
	struct addr host;
	if (!rx->flow || tp_is_ws(rx->proto) || tp_flow_is_up(tp, rx->flow))
		return false;
	*out = (struct tp_dst){.proto = rx->proto, .to = rx->from, .is_fixed = true};
	out->to.port = m->via_port ? m->via_port : tp_is_secure(rx->proto) ? 5061 : 5060;
	if (tp_is_secure(rx->proto) && !addr_parse(m->via_host, 0, &host))
		out->name = tp_name_put(tp, m->via_host);
	return true;
}
