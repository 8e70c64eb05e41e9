#pragma once
/* One transaction manager on a simulated host at 10.0.0.1, and a peer at 10.0.0.2 that speaks
 * bytes. What the manager's users are told, and what reaches the peer, is written to a log of text
 * lines with the time in milliseconds, for golden comparison:
 *
 *   0 user request INVITE        500 peer 100 Trying       32000 user end client TIMEOUT
 */

#include "event/loop.h"
#include "event/sim.h"
#include "test.h"
#include "transaction/priv.h"

struct rig {
	struct sim *sim;
	struct sim_host *ha, *hb;
	struct env *ea, *eb;
	struct ev_loop la, lb;
	struct block_cache blocks;
	struct tp *tp;
	struct tsx_mgr *m;
	struct env_sock *udp, *listener, *tcp; /* of the peer */
	bool is_tcp;                           /* the peer speaks over its connection */
	struct buf log;
	struct buf last;   /* the last message that the peer got */
	struct buf stream; /* what came on the connection and is no whole message yet */
	uint64_t start_us;
	bool is_quiet; /* the peer's messages are counted, not logged */
	unsigned n_peer;
	/* the manager's user */
	tp_flow flow;             /* that the last request came over */
	tsx_id st, ct;            /* the last server and client transaction */
	enum tsx_refusal refusal; /* the last one of the layer's own */
	unsigned auto_status;     /* answer to requests at once; 0: no */
	bool is_merged;
	void (*on_request)(struct rig *r, tsx_id st, struct tp_rx *rx);
	char branch[128]; /* of the last request that the peer got */
	size_t n_body;    /* of requests that the manager's user composes */
	bool has_ended_server, is_running;
};

struct rig *rig_new(void);
void rig_free(struct rig *r);
void rig_run_ms(struct rig *r, uint64_t ms);
/* The log since the last look, without what `but` (a word) is in; compare with CHECK_STR. */
struct str rig_log(struct rig *r);
void rig_clear(struct rig *r);
#define CHECK_LOG(r, lit) CHECK_STR(rig_log(r), lit)

/* The peer sends these bytes (LF becomes CRLF). */
void peer_send(struct rig *r, const char *text);
/* A usual request: Via with that branch (NULL: RFC 2543, none), From tag f, Call-ID c, CSeq 1. */
void peer_request(struct rig *r, const char *method, const char *branch, const char *to_tag);
/* A response to the last request that the peer got, with its Vias; To tag t. method NULL: as CSeq
 * says. */
void peer_respond(struct rig *r, unsigned status, const char *to_tag);
/* A response with CSeq method CANCEL to the branch of the last request. */
void peer_respond_cseq(struct rig *r, unsigned status, const char *to_tag, const char *method);
void peer_connect(struct rig *r); /* opens a connection to the manager and speaks over it */
void peer_listen(struct rig *r);  /* takes connections of the manager */
void peer_close(struct rig *r);
/* Nothing listens at the peer's UDP port any more: ICMP. */
void peer_leave(struct rig *r);

struct tp_dst rig_dst(enum tp_proto proto); /* the peer */
enum err rig_client(struct rig *r, const char *method, const struct tp_dst *dst);
/* Adds up the rows taken in all cases so far. */
extern uint64_t rig_hits[TSX_MACHINES][256];
