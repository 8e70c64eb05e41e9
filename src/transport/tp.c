/* Life of a shard's transport, names of the protocols, tap and counters.
 *
 * How a message comes: socket (udp.c) or connection (flow.c) → one block, indexed once (rx.c) → if
 * another shard owns its Call-ID, the block moves there (inbox PACKET) → tap → tp_user.on_message.
 * How one leaves: tp_send (send.c) → the socket of a listener, or a connection of this shard, or
 * the inbox of the shard that has the connection (SEND) → tap.
 *
 * Reading order: branch.c (who owns what), rx.c, listen.c, udp.c, flow.c, send.c, resolve.c.
 *
 * Invariants of the layer:
 * 1. No callback of tp_user runs inside a call that the user made.
 * 2. A connection belongs to the shard that accepted it; one of ours to the shard that the hash of
 *    protocol and address names. Only that shard touches it; others know its id, and whether it is
 *    up from a table of words (event/shard.h).
 * 3. A flow that was up is reported down exactly once on every shard, and its slot is not used
 *    again before all have heard.
 * 4. What waits in memory is bounded: bytes per connection, connections per source and in all.
 *
 * Standards: [RFC3261 18] [RFC3263 4] [RFC3581] [RFC5626 3.5.1, 4.4.1] [RFC5923]
 */
#include "transport/tp_priv.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_ALIVE_MAX 4 /* CRLF CRLF; no message is that short */

static const struct {
	struct str name, param;
} protos[TP__N] = {
	[TP_UDP] = {STR_INIT("UDP"), STR_INIT("udp")},
	[TP_TCP] = {STR_INIT("TCP"), STR_INIT("tcp")},
	[TP_TLS] = {STR_INIT("TLS"), STR_INIT("tls")},
	[TP_WS] = {STR_INIT("WS"),  STR_INIT("ws") },
	[TP_WSS] = {STR_INIT("WSS"), STR_INIT("wss")},
};

struct str tp_proto_name(enum tp_proto p)
{
	return protos[p].name;
}

struct str tp_proto_param(enum tp_proto p)
{
	return protos[p].param;
}

bool tp_proto_find(struct str name, enum tp_proto *out)
{
	for (int p = 0; p < TP__N; p++) {
		if (str_ieq(name, protos[p].name)) {
			*out = (enum tp_proto)p;
			return true;
		}
	}
	return false;
}

/* --- tap and counters ----------------------------------------------------------------------- */

void tp_set_tap(struct tp *tp, const struct tp_tap *tap)
{
	tp->tap = tap ? *tap : (struct tp_tap){0};
}

void tp_tap_sent(struct tp *tp, enum tp_proto proto, const struct addr *from, const struct addr *to,
		 struct str bytes)
{
	if (bytes.n <= KEEP_ALIVE_MAX)
		return;
	tp->stats.n_sent++;
	if (tp->tap.fn)
		tp->tap.fn(tp->tap.ctx, tp_now(tp), true, proto, from, to, bytes);
}

void tp_stats(const struct tp *tp, struct tp_stats *out)
{
	*out = tp->stats;
	out->live_connections = tp->conns.n_used;
}

/* --- life ----------------------------------------------------------------------------------- */

_Static_assert(offsetof(struct tp_rx, inbox) == 0, "discard_block");

static void fill_limits(struct tp_limits *l, const struct tp_limits *given)
{
	if (given)
		*l = *given;
#define DEFAULT(field, value)                                                                      \
	if (!l->field)                                                                             \
	l->field = value
	DEFAULT(max_connections, LIMIT_CONNECTIONS);
	DEFAULT(max_per_source, LIMIT_CONNECTIONS_PER_SOURCE);
	DEFAULT(max_queued_bytes, LIMIT_QUEUED_BYTES);
	DEFAULT(max_message, LIMIT_STREAM_MESSAGE_BYTES);
	DEFAULT(idle_us, LIMIT_IDLE_US);
	DEFAULT(message_us, LIMIT_STREAM_MESSAGE_US);
	DEFAULT(connect_us, LIMIT_CONNECT_US);
	DEFAULT(handshake_us, LIMIT_HANDSHAKE_US);
	DEFAULT(stall_us, LIMIT_STALL_US);
#undef DEFAULT
}

/* PACKET, SEND and SEND_RESULT begin a block of some shard's cache. */
static void discard_block(struct inbox_msg *m)
{
	block_put(NULL, m);
}

static void discard_flow_down(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct tp_flow_down, inbox));
}

static void set_handlers(struct tp *tp, bool is_on)
{
	static const struct {
		enum inbox_kind kind;
		inbox_fn *fn;
		void (*discard)(struct inbox_msg *m);
	} handlers[] = {
		{INBOX_PACKET,      tp_on_packet,      discard_block    },
		{INBOX_SEND,        tp_on_send,        discard_block    },
		{INBOX_SEND_RESULT, tp_on_send_result, discard_block    },
		{INBOX_FLOW_DOWN,   tp_on_flow_down,   discard_flow_down},
	};
	if (!tp->loop->shards)
		return;
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		ev_inbox_handle(tp->loop->shards, tp->shard, handlers[i].kind,
				is_on ? handlers[i].fn : NULL, is_on ? tp : NULL);
		ev_inbox_discard(tp->loop->shards, handlers[i].kind, handlers[i].discard);
	}
}

/* Several shards must share their keys: tp_set_keys, before they start. */
static void random_keys(struct tp *tp)
{
	if (tp->n_shards > 1)
		return;
	env_random(tp->loop->env, tp->branch_key, sizeof(tp->branch_key));
	env_random(tp->loop->env, tp->call_id_key, sizeof(tp->call_id_key));
	tp->has_keys = true;
}

void tp_set_guard(struct tp *tp, const struct tp_guard *guard)
{
	tp->guard = guard ? *guard : (struct tp_guard){0};
}

void tp_set_owner(struct tp *tp, tp_owner_fn *fn, void *ctx)
{
	tp->owner = fn;
	tp->owner_ctx = ctx;
}

void tp_set_tls(struct tp *tp, struct net_tls *tls)
{
	tp->tls = tls;
}

void tp_set_keys(struct tp *tp, const uint8_t branch_key[16], const uint8_t call_id_key[16])
{
	memcpy(tp->branch_key, branch_key, sizeof(tp->branch_key));
	memcpy(tp->call_id_key, call_id_key, sizeof(tp->call_id_key));
	tp->has_keys = true;
}

enum err tp_new(struct ev_loop *loop, struct block_cache *blocks, const struct tp_user *user,
		const struct tp_limits *limits, struct tp **out)
{
	struct tp *tp = calloc(1, sizeof(*tp));
	if (!tp)
		return ERR_NOMEM;
	tp->loop = loop;
	tp->blocks = blocks;
	tp->user = *user;
	tp->shard = loop->shard;
	tp->n_shards = loop->shards ? ev_shards_count(loop->shards) : 1;
	fill_limits(&tp->limits, limits);
	list_init(&tp->resolves);
	random_keys(tp);
	enum err e = net_init(&tp->net, loop);
	if (e == OK)
		e = tp_flows_init(tp);
	if (e != OK) {
		net_fini(&tp->net);
		free(tp);
		return e;
	}
	set_handlers(tp, true);
	*out = tp;
	return OK;
}

void tp_free(struct tp *tp)
{
	if (!tp)
		return;
	set_handlers(tp, false);
	tp_resolves_fini(tp);
	if (tp->is_own_dns)
		dns_free(tp->dns);
	tp_listeners_close(tp);
	tp_flows_fini(tp);
	tp_names_fini(tp);
	net_fini(&tp->net);
	free(tp);
}
