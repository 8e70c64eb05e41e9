#pragma once
/* What the files of transport/ share. */

#include "base/hash.h"
#include "base/limits.h"
#include "net/conn.h"
#include "net/dns.h"
#include "net/tls.h"
#include "transport/transport.h"
#include "wire/frame.h"

#define TP_MAX_LISTENERS 16
#define TP_FLOW_KIND     'F' /* of their obj_ids */

struct tp_listener {
	struct tp *tp;
	struct env_sock *sock;
	enum tp_proto proto;
	struct addr local;
	bool is_any;
	uint64_t behind_us; /* since when its queue was not found empty; 0: it was */
};

enum tp_conn_state { TP_CONN_OPENING, TP_CONN_OPEN, TP_CONN_DOWN };

/* Goes round the shards, one after the other, and home again. Not part of its connection, since it
 * may be on its way still when all transports have ended. */
struct tp_flow_down {
	struct inbox_msg inbox;
	tp_flow flow;
};

struct tp_conn {
	struct net_conn net;
	struct tp *tp;
	struct wire_frame frame;
	struct tmr timer;     /* the nearest of all that may end it */
	struct hnode by_peer; /* outgoing: in tp.by_peer until it is closed */
	struct tp_source *source;
	struct addr local, peer;
	uint64_t active_us;        /* last traffic */
	uint64_t begun_us;         /* first byte of an incomplete message, 0: none */
	uint64_t until_us;         /* opening or lingering: when that ends, 0: neither */
	uint64_t name;             /* outgoing: tp_dst.name */
	struct tp_flow_down *down; /* of several shards: ready from the start, NULL on its way */
	uint8_t proto, state;      /* enum tp_proto, enum tp_conn_state */
	bool is_outgoing;
};

struct tp_name {
	uint64_t number;
	char *text;
};

struct tp_source { /* connections per address */
	struct hnode node;
	struct addr ip;
	uint32_t n;
};

struct tp_hop { /* a next hop that did not answer */
	struct addr to;
	uint8_t proto; /* enum tp_proto */
	uint64_t until_us;
};

struct tp {
	struct ev_loop *loop;
	struct block_cache *blocks;
	struct tp_user user;
	struct tp_tap tap;     /* fn NULL: none */
	struct tp_guard guard; /* ctx NULL: none */
	tp_owner_fn *owner;    /* NULL: every request belongs to its Call-ID's shard */
	void *owner_ctx;
	struct tp_limits limits;
	size_t shard, n_shards;
	struct net net;
	struct net_tls *tls; /* NULL: neither TLS nor WSS */
	struct tp_name names[LIMIT_TLS_NAMES];
	size_t next_name;
	size_t n_listeners;
	struct tp_listener listeners[TP_MAX_LISTENERS];
	const struct ev_words *seen; /* NULL: nobody learns it */
	struct addr advertised[2]; /* IPv4, IPv6: what we are called outside; ADDR_NONE: as here */
	struct pool conns;
	struct htab by_peer, sources;
	struct ev_words *up; /* by slot: TP_WORD_UP | generation of the connection that is up */
	bool has_keys;
	uint8_t branch_key[16], call_id_key[16];
	struct dns *dns;
	bool is_own_dns;
	struct link resolves; /* running */
	size_t n_hops;
	struct tp_hop hops[LIMIT_DEAD_HOPS];
	struct tp_stats stats;
};

static inline uint64_t tp_now(const struct tp *tp)
{
	return ev_now_us(tp->loop);
}

/* Is the peer listened to? Counts what is not. */
static inline bool tp_may(struct tp *tp, enum tp_proto proto, const struct addr *from)
{
	if (!tp->guard.ctx || tp->guard.may(tp->guard.ctx, proto, from))
		return true;
	tp->stats.n_unheard++;
	return false;
}

/* Counts a message as sent and shows it to the tap. */
void tp_tap_sent(struct tp *tp, enum tp_proto proto, const struct addr *from, const struct addr *to,
		 struct str bytes);

/* --- rx.c: received messages ---------------------------------------------------------------- */

struct tp_origin {
	const struct addr *from, *to;
	enum tp_proto proto;
	tp_flow flow;
};
/* Copies and indexes one message and hands it to its owner's user. What cannot be indexed is
 * counted and dropped. */
void tp_receive(struct tp *tp, struct str bytes, const struct tp_origin *o, bool is_stream);
/* What cannot be a message: counted as garbage, shown to the tap. */
void tp_receive_garbage(struct tp *tp, struct str bytes, const struct tp_origin *o);
void tp_on_packet(void *ctx, struct ev_loop *l, struct inbox_msg *m); /* inbox PACKET */

/* --- listen.c: listeners and local addresses ------------------------------------------------ */

/* Is it on the far side of a NAT, where there is one? */
bool tp_is_outside(const struct addr *peer);
/* seen.c: what `own` is outside as peers have told; ADDR_NONE: nobody has. */
struct addr tp_seen_for(const struct tp *tp, const struct addr *own, bool is_udp);
/* The listener to send from, by dst->from or the kernel's choice; *src is the source address to
 * give to env_send (ADDR_NONE: whatever the socket has). NULL: none of that family. */
struct tp_listener *tp_pick(struct tp *tp, enum tp_proto proto, const struct tp_dst *dst,
			    struct addr *src);
bool tp_has_listener(const struct tp *tp, enum tp_proto proto, uint8_t family);
void tp_listeners_close(struct tp *tp);
/* The address that an outgoing connection must bind to; ADDR_NONE: any. */
struct addr tp_bind_for(struct tp *tp, const struct tp_dst *dst);

/* --- udp.c ---------------------------------------------------------------------------------- */

enum err tp_udp_open(struct tp_listener *l, unsigned flags, const char **why);
enum err tp_udp_send(struct tp *tp, const struct tp_dst *dst, struct str bytes);
enum err tp_udp_ping(struct tp *tp, const struct tp_dst *dst, const uint8_t txid[12]);

/* --- flow.c: connections -------------------------------------------------------------------- */

enum err tp_tcp_open(struct tp_listener *l, unsigned flags, const char **why);
enum err tp_flows_init(struct tp *tp);
void tp_flows_fini(struct tp *tp);
/* The connection that the flow names, on its own shard; NULL when it is closed. */
struct tp_conn *tp_flow_find(struct tp *tp, tp_flow flow);
/* The shard that makes connections to this peer. */
size_t tp_shard_of_peer(const struct tp *tp, enum tp_proto proto, const struct addr *peer);
/* An open or opening connection that we made to dst->to. */
struct tp_conn *tp_conn_to(struct tp *tp, const struct tp_dst *dst);
enum err tp_conn_open(struct tp *tp, const struct tp_dst *dst, struct tp_conn **out);
enum err tp_conn_send(struct tp_conn *c, struct str bytes, obj_id owner);
void tp_on_flow_down(void *ctx, struct ev_loop *l, struct inbox_msg *m); /* inbox FLOW_DOWN */

/* --- name.c: names of TLS peers ------------------------------------------------------------- */

/* The number of a name; 0: too long, or no memory. */
uint64_t tp_name_put(struct tp *tp, struct str name);
const char *tp_name_get(const struct tp *tp, uint64_t number); /* NULL: not known (any more) */
void tp_names_fini(struct tp *tp);

/* --- ws.c ----------------------------------------------------------------------------------- */

/* For an accepted connection (host NULL), or one to that host. NULL: no memory. */
struct net_filter *tp_ws_filter(const char *host);

/* --- send.c --------------------------------------------------------------------------------- */

/* Tells the owner of a message, on its shard, that it was not sent. */
void tp_tell_error(struct tp *tp, size_t shard, const struct tp_error *e);
void tp_on_send(void *ctx, struct ev_loop *l, struct inbox_msg *m);        /* inbox SEND */
void tp_on_send_result(void *ctx, struct ev_loop *l, struct inbox_msg *m); /* SEND_RESULT */

/* --- resolve.c ------------------------------------------------------------------------------ */

void tp_resolves_fini(struct tp *tp);
/* Can we send by it at all? */
static inline bool tp_speaks(const struct tp *tp, enum tp_proto proto)
{
	return !tp_is_secure(proto) || tp->tls;
}
static inline uint16_t tp_default_port(enum tp_proto proto)
{
	static const uint16_t ports[TP__N] = {5060, 5060, 5061, 80, 443};
	return ports[proto];
}

/* --- hops.c --------------------------------------------------------------------------------- */

/* Moves dead hops to the end; else the order stays. */
void tp_hops_last(struct tp *tp, struct tp_targets *t);
