#pragma once
/* Inside of the tracker's media part: ports, flows, streams, keys. */

#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

/* Into the cache; from may be NULL. */
[[gnu::always_inline]] static inline void trk_fetch(const void *from, size_t n)
{
	for (size_t i = 0; from && i < n; i += TRK_LINE)
		__builtin_prefetch((const char *)from + i);
}

/* Zeroed memory for what begins with a line of the cache: n bytes, a multiple of TRK_LINE. For
 * free(). NULL: none. */
static inline void *trk_alloc_lines(size_t n)
{
	void *p = aligned_alloc(TRK_LINE, n);
	return p ? memset(p, 0, n) : NULL;
}

struct codec {
	uint8_t pt, channels;
	uint32_t clock;
	char name[16];
};

struct trk_codecs { /* of one m= line, shared by its ports; freed with its call, or a shape's */
	struct trk_codecs *next;
	unsigned n;
	struct codec v[];
};

struct port {
	struct hnode node;
	struct addr addr;
	struct link media; /* never empty */
};

struct trk_media {              /* an address that one side of a call receives at */
	struct trk_media *next; /* of the call */
	struct link of_port, flows;
	struct port *port;
	struct trk_call *call;
	const struct trk_codecs *codecs; /* may be NULL */
	uint8_t side, type, crypt;
	bool is_t38, is_guess; /* is_guess: the source of an SDP with a private address */
};

struct trk_key {              /* one a=crypto; freed with its call */
	struct trk_key *next; /* newest first */
	uint8_t side;         /* that encrypts with it */
	uint8_t suite;        /* enum trk_srtp_suite */
	uint8_t n;            /* of key and salt */
	uint8_t n_mki, mki[8];
	uint8_t bytes[46];
};

struct trk_probe; /* of trk_find.c */

#define FLOW_STREAMS 4
struct flow {
	/* touched by every packet, up to the first of `last`: one line of the cache */
	_Alignas(TRK_LINE) struct addr from;
	struct addr to;
	uint32_t gen;
	uint32_t renewed;                      /* when its place in the ages was, in datagrams */
	struct flow *then;                     /* the datagram after its last was of this one */
	struct trk_stream *last[FLOW_STREAMS]; /* most recent first */
	/* the rest */
	struct trk_media *media; /* NULL: no SDP named either end */
	bool is_to_media;        /* media->addr is the destination */
	bool is_content;         /* RTP, by its looks */
	uint8_t n_refused;       /* probes that failed */
	struct trk_probe *probe; /* NULL: none under way */
	struct hnode node;
	struct link age, of; /* of: its media's list */
};
_Static_assert(offsetof(struct flow, last[1]) == TRK_LINE);

/* trk_port.c */
/* Keyed, so that nobody can aim at one bucket. */
static inline uint64_t trk_addr_hash(const struct trk *t, const struct addr *a)
{
	uint64_t k[2], w[2];
	memcpy(k, t->hash_key, sizeof k);
	memcpy(w, a->ip, sizeof w);
	return hash_fold(w[0] ^ k[0] ^ 0x9e3779b97f4a7c15u,
			 w[1] ^ k[1] ^ 0xd1b54a32d192ed03u ^ (uint64_t)a->port << 40);
}
/* What the newest call that named the address said of it. */
struct trk_media *trk_port_of(const struct trk *t, const struct addr *a);
void trk_media_free(struct trk *t, struct trk_media *m);

/* trk_media.c */
struct flow *trk_flow_find(struct trk *t, const struct addr *from, const struct addr *to);

/* trk_stream.c */
enum err trk_streams_init(struct trk *t);
void trk_streams_fini(struct trk *t);
void trk_streams_forget(struct trk *t, struct trk_call *c);
/* A packet of RTP on a flow that is media; NULL when there is no memory or too many streams. */
struct trk_stream *trk_stream_add(struct trk *t, struct flow *f, const struct trk_datagram *p,
				  const struct rtp_hdr *h);
struct trk_stream *trk_stream_add_t38(struct trk *t, struct flow *f, const struct trk_datagram *p,
				      uint16_t seq);
/* A packet of it will come soon: brings what that touches into the cache. s may be NULL. */
[[gnu::always_inline]] static inline void trk_stream_fetch(const struct trk_stream *s)
{
	enum {
		first = offsetof(struct trk_stream, loss.packets),
		end = offsetof(struct trk_stream, stats.clock)
	};
	_Static_assert(first % TRK_LINE == 0 && end % TRK_LINE == 0);
	if (s)
		trk_fetch((const char *)s + first, end - first);
}
/* Streams of nobody on a flow that turned out to be a call's. */
void trk_streams_adopt(struct trk *t, struct flow *f);
/* The stream of a call (or, NULL, of nobody) with that SSRC; where a relay made two of it, the one
 * with an end at that host. */
struct trk_stream *trk_stream_find(const struct trk *t, const struct trk_call *c, uint32_t ssrc,
				   const struct addr *end, bool is_sender);

/* trk_gap.c */
/* A stream lost n packets between those two times. */
void trk_gap_add(struct trk *t, struct trk_stream *s, uint64_t from_us, uint64_t to_us, uint32_t n);
void trk_gap_fini(struct trk *t);

/* trk_find.c: true when this packet is enough to believe the flow; those before it are then counted
 * by trk_probe_replay. */
bool trk_probe_add(struct flow *f, const struct trk_datagram *p, const struct rtp_hdr *h);
void trk_probe_replay(struct trk *t, struct flow *f);
void trk_probe_drop(struct flow *f);

/* trk_rtcp.c: of a call (NULL: of streams of nobody), on its way to that side */
void trk_rtcp_add(struct trk *t, struct trk_call *c, uint8_t side, const struct trk_datagram *p);

/* trk_key.c: the keys of medium i of t->sdp become the call's. */
void trk_keys_learn(struct trk *t, struct trk_call *c, enum trk_side side, unsigned i);
void trk_keys_forget(struct trk_call *c);
