#pragma once
/* Whole SIP messages to and from addresses. Owns sockets, connections and flows; knows nothing of
 * transactions. One `struct tp` per shard; the shards of one exchange share listeners by
 * SO_REUSEPORT and pass messages to the owner of their Call-ID. [RFC3261 18] [RFC3263] [RFC3581]
 * [RFC5626 3.5.1, 4.4.1] */

#include "base/block.h"
#include "base/pool.h"
#include "event/shard.h"
#include "sip/msg.h"
#include "sip/uri.h"

enum tp_proto { TP_UDP, TP_TCP, TP_TLS, TP_WS, TP_WSS, TP__N };
struct str tp_proto_name(enum tp_proto p);               /* "UDP": as in Via */
struct str tp_proto_param(enum tp_proto p);              /* "udp": as in ;transport= */
bool tp_proto_find(struct str name, enum tp_proto *out); /* any case */
static inline bool tp_is_reliable(enum tp_proto p)
{
	return p != TP_UDP;
}
static inline bool tp_is_secure(enum tp_proto p)
{
	return p == TP_TLS || p == TP_WSS;
}
static inline bool tp_is_ws(enum tp_proto p)
{
	return p == TP_WS || p == TP_WSS;
}

/* A connection, by id {kind, shard, generation, slot}: names it on every shard, and nothing once it
 * is closed. 0: none. */
typedef obj_id tp_flow;

/* A received message: one block with this head, the index and the bytes. Counted; handed over by
 * moving. */
struct tp_rx {
	struct inbox_msg inbox; /* while it crosses to its shard */
	uint32_t refs;
	struct sip_msg *msg;
	uint64_t at_us;       /* when it was received */
	struct addr from, to; /* source, and the local address it came to */
	enum tp_proto proto;
	tp_flow flow; /* the connection; 0 for UDP */
};

/* Where to send. */
struct tp_dst {
	enum tp_proto proto;
	struct addr to;
	struct addr from; /* local address and port to send from; family ADDR_NONE: choose */
	bool is_fixed; /* the transport is not ours to change (a flow, a response, transport= in the
			* URI, a UDP flow that a phone opened): no change to TCP for size */
	tp_flow flow;  /* reach it only over this connection (the peer opened it); 0: connect or
			  reuse by address */
	uint64_t name; /* whom a TLS peer must prove to be, as tp_resolve_uri has it; 0: `to` */
};
/* Back to where rx came from: same socket or connection. For responses use tp_response_dst. */
struct tp_dst tp_dst_back(const struct tp_rx *rx);
/* RFC 3261 18.2.2 and RFC 3581 4: the connection if there is one; else the source address, and the
 * port in Via where rport is not asked for and no NAT is seen. */
struct tp_dst tp_response_dst(const struct tp_rx *rx);

struct tp;
struct dns;
struct net_tls;
struct tp_error {     /* a send that failed later */
	enum err err; /* ERR_NET refused, unreachable, reset; ERR_LIMIT queue overflow; ERR_TIMEOUT
			 connect */
	obj_id owner; /* as given to tp_send; 0 when not known (ICMP) */
	struct str
		branch; /* top Via branch of the datagram that an ICMP error quotes; may be empty */
	struct addr peer;
};

struct tp_pong {                  /* an answer to tp_ping */
	tp_flow flow;             /* of a connection; else: */
	struct addr peer, mapped; /* mapped: what the peer sees us as; ADDR_NONE on a connection */
	const uint8_t *txid;
};

struct tp_user { /* the layer above; called from the loop, never from inside tp_send */
	void *ctx;
	/* Takes a reference of its own if it keeps rx (tp_rx_ref). Index diagnostics are in
	 * rx->msg. */
	void (*on_message)(void *ctx, struct tp_rx *rx);
	void (*on_error)(void *ctx, const struct tp_error *e);
	void (*on_flow_down)(void *ctx, tp_flow flow);       /* on every shard */
	void (*on_pong)(void *ctx, const struct tp_pong *p); /* may be NULL; where it came in */
};

/* Sees every message received or sent, for scope; bytes are borrowed. `is_sent` tells the
 * direction. */
struct tp_tap {
	void *ctx;
	void (*fn)(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes);
};

/* Who is listened to. Called on the receiving shard, before anything else. */
struct tp_guard {
	void *ctx;
	/* False: what comes from there is dropped unread, its connections are ended. */
	bool (*may)(void *ctx, enum tp_proto proto, const struct addr *from);
	/* False: the message is dropped without an answer. */
	bool (*takes)(void *ctx, const struct tp_rx *rx);
	/* Something came that is no SIP message. */
	void (*on_garbage)(void *ctx, enum tp_proto proto, const struct addr *from);
};

/* Which shard owns a request, where that is not for its Call-ID to say: true with *shard set. The
 * same bytes get the same answer on every shard and at any time, so that a repeated request finds
 * its transaction. Not for methods that ACK or CANCEL may follow: those know the Call-ID alone. */
typedef bool tp_owner_fn(void *ctx, const struct sip_msg *m, size_t *shard);

struct tp_limits { /* zeroed fields take the defaults of base/limits.h */
	size_t max_connections, max_queued_bytes;
	uint64_t idle_us;      /* a connection without traffic is closed after it */
	size_t max_message;    /* bytes of one message on a stream */
	size_t max_per_source; /* connections that one address may have open */
	uint64_t message_us;   /* from the first byte of a message on a stream to its last */
	uint64_t connect_us;   /* for a connection of ours to stand */
	uint64_t handshake_us; /* for the handshakes of one that was accepted */
	uint64_t stall_us;     /* a queue that does not move ends its connection */
};

enum err tp_new(struct ev_loop *loop, struct block_cache *blocks, const struct tp_user *user,
		const struct tp_limits *limits, struct tp **out);
void tp_free(struct tp *tp);
void tp_set_tap(struct tp *tp, const struct tp_tap *tap);       /* NULL: none */
void tp_set_guard(struct tp *tp, const struct tp_guard *guard); /* NULL: all are listened to */
void tp_set_owner(struct tp *tp, tp_owner_fn *fn, void *ctx);   /* on every shard; NULL: none */
/* Certificates and trust for TLS and WSS; without it there is neither. Borrowed, shared by all
 * shards, and longer there than tp. Before tp_listen. */
void tp_set_tls(struct tp *tp, struct net_tls *tls);
/* Opens a listener. ERR_UNSUPPORTED: TLS or WSS without a certificate. With port 0 the kernel
 * chooses; tp_listener tells. ERR_NET with *why. Each shard opens the same ones, shard 0 first: it
 * makes sure that no other program has the address. */
enum err tp_listen(struct tp *tp, enum tp_proto proto, const struct addr *local, const char **why);
/* i-th listener; false past the last. */
bool tp_listener(const struct tp *tp, size_t i, enum tp_proto *proto, struct addr *local);
/* True when addr (port 0: any) is one that we listen on, wildcard binds included. */
bool tp_is_local(struct tp *tp, const struct addr *addr);
/* The address that Via, Record-Route and Contact must name towards dst: of the listener (dst->from
 * if set), with the local address that the kernel would use when bound to a wildcard. Also used by
 * phones without a listener for TCP. */
enum err tp_local_for(struct tp *tp, const struct tp_dst *dst, struct addr *out);
/* The host that Record-Route and Path name towards a peer on TLS, where `local` is not among the
 * addresses of our certificate, but some name is. Empty: `local`. Borrowed until the end of the
 * turn. [RFC5922 7.5] */
struct str tp_secure_name(struct tp *tp, const struct addr *local);
/* We are behind a NAT, and outside we are reached at this address: tp_local_for names it towards
 * peers that are neither on a private network nor on this machine. Port 0: the listener's. One of
 * each family; before anything is sent. */
void tp_advertise(struct tp *tp, const struct addr *public_addr);

/* Sends one message; bytes are borrowed for the call. A stream peer that is slow is queued,
 * bounded, in order; a connection owned by another shard gets them through its inbox. ERR_NET: no
 * route, or the flow is gone. ERR_LIMIT: queue overflow, or a datagram over 65,507 bytes. `owner`
 * is named in a later tp_error. CRLF CRLF
 * may be sent as well: a keep-alive, which the tap does not see. [RFC5626 3.5.1] */
enum err tp_send(struct tp *tp, const struct tp_dst *dst, struct str bytes, obj_id owner);
/* Asks the peer for a sign of life: a STUN Binding request by UDP, CRLF CRLF on a connection
 * [RFC5626 3.5]. Errors as tp_send. */
enum err tp_ping(struct tp *tp, const struct tp_dst *dst, const uint8_t txid[12]);
/* Ends a connection of this shard (another's: nothing); on_flow_down follows. */
void tp_flow_close(struct tp *tp, tp_flow flow);
/* True while the flow is known and up (any shard's). 0 is not up. */
bool tp_flow_is_up(struct tp *tp, tp_flow flow);

/* For a response whose connection has gone: one of ours, to where the request came from and the
 * port in Via, or the transport's usual one. False: the connection is up, or the peer takes none
 * (UDP has none, a WebSocket phone listens nowhere). [RFC3261 18.2.2] */
bool tp_response_anew(struct tp *tp, const struct tp_rx *rx, struct tp_dst *out);

struct tp_rx *tp_rx_ref(struct tp_rx *rx);
void tp_rx_unref(struct tp *tp, struct tp_rx *rx); /* the last one frees it; NULL is harmless */
/* Makes an rx of bytes, as if received: for tests, and for messages that the exchange sends to
 * itself. */
struct tp_rx *tp_rx_make(struct tp *tp, struct str bytes, const struct addr *from,
			 const struct addr *to, enum tp_proto proto);

/* Which shard owns a message: a branch of our own wins (it names its shard), else
 * htab_hash(Call-ID) mod shards. */
size_t tp_owner_of(struct tp *tp, struct str call_id, struct str via_branch);
/* Our branches: "z9hG4bK" + code of {shard, id, check}; the check is keyed, so that outsiders
 * cannot forge one. The key is shared by all shards. */
#define TP_BRANCH_MAX 64
/* A NUL stands behind it. */
struct str tp_branch_make(struct tp *tp, obj_id id, char out[TP_BRANCH_MAX]);
bool tp_branch_read(struct tp *tp, struct str branch,
		    obj_id *id); /* false when it is not one of ours */
/* Equal on all shards, random per process. Several shards need them before tp_listen; a single one
 * makes its own. */
void tp_set_keys(struct tp *tp, const uint8_t branch_key[16], const uint8_t call_id_key[16]);

/* Next hops of a URI by RFC 3263 (NAPTR, SRV, A and AAAA, maddr, transport=), in the order in which
 * to try them, dead ones last. */
#define TP_MAX_TARGETS 8
struct tp_targets {
	size_t n;
	struct tp_dst dst[TP_MAX_TARGETS];
};
struct tp_resolve; /* a running look-up */
typedef void tp_resolve_fn(void *ctx, enum err e, const struct tp_targets *t);
/* OK: *now is filled and fn is not called. ERR_MORE: fn will be called later, unless cancelled.
 * Else: no way to get there (ERR_UNSUPPORTED transport or scheme, ERR_NOTFOUND). */
enum err tp_resolve_uri(struct tp *tp, const struct sip_uri *uri, struct tp_targets *now,
			tp_resolve_fn *fn, void *ctx, struct tp_resolve **running);
void tp_resolve_cancel(struct tp_resolve *r);

/* What became of sending there. A hop that failed (no answer in time, refused, 503) is tried last
 * for a while: a minute, or for_s when not 0 (Retry-After). This shard's knowledge alone. [RFC3263
 * 4.3] */
void tp_hop_failed(struct tp *tp, const struct tp_dst *dst, uint32_t for_s);
void tp_hop_answered(struct tp *tp, const struct tp_dst *dst);
bool tp_hop_is_dead(struct tp *tp, const struct tp_dst *dst);

/* The resolver that tp_resolve_uri asks. Unless set (before the first look-up; borrowed, must
 * outlive tp), tp makes its own: c-ares, or over env_sim a table (net/dns.h) that tests fill. */
void tp_set_dns(struct tp *tp, struct dns *dns);
/* Makes tp's own with these servers ("192.0.2.1:5353,[2001:db8::1]") instead of the system's.
 * ERR_SYNTAX, ERR_NOMEM; ERR_UNSUPPORTED over env_sim. */
enum err tp_set_dns_servers(struct tp *tp, const char *servers);
struct dns *tp_dns(struct tp *tp); /* NULL when there is none for want of memory */

/* For how long the kernel's queue of some UDP socket has not been found empty; 0: it was. */
uint64_t tp_behind_us(const struct tp *tp);

struct tp_stats {              /* counters since the start, of this shard */
	uint64_t n_received;   /* messages that were indexed here */
	uint64_t n_sent;       /* handed to the kernel or to a connection's queue */
	uint64_t n_moved;      /* received here, owned by another shard */
	uint64_t n_keep_alive; /* CRLF and NUL, pings */
	uint64_t n_unheard;    /* of those whom the guard does not listen to: dropped */
	uint64_t n_garbage;    /* no SIP message, or one over all bounds: dropped */
	uint64_t n_mismatched; /* responses whose branch and Call-ID name different shards: dropped
				*/
	uint64_t n_no_memory;  /* dropped for want of memory */
	uint64_t n_udp_full;   /* datagrams lost because the socket's buffer was full */
	uint64_t n_icmp;       /* ICMP errors heard */
	uint64_t n_dead_hops;  /* next hops that failed */
	uint64_t n_refused;    /* connections beyond a limit, closed at once */
	uint64_t n_overflow, n_stalled, n_unfinished; /* connections ended: queue full, queue not
							 moving, message not finished */
	uint64_t n_unshaken; /* accepted, and ended before TLS or WebSocket was agreed on */
	uint32_t live_connections;
};
void tp_stats(const struct tp *tp, struct tp_stats *out);
