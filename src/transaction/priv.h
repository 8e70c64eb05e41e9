#pragma once
/* What the files of transaction/ share. */

#include "base/block.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "sip/edit.h"
#include "sip/out.h"
#include "transaction/fsm.h"
#include "transaction/keytab.h"
#include "transaction/transaction.h"

/* --- machines.c ------------------------------------------------------------------------------- */

enum tsx_machine { TSX_ICT, TSX_NICT, TSX_IST, TSX_NIST, TSX_MACHINES };

enum ict_state {
	ICT_CALLING,
	ICT_CANCEL_WAITS, /* CALLING, with a CANCEL to be sent after the first 1xx */
	ICT_PROCEEDING,
	ICT_CANCELLING, /* PROCEEDING, CANCEL sent */
	ICT_ACCEPTED,
	ICT_COMPLETED,
	ICT_TERMINATED,
	ICT__N
};
enum nict_state { NICT_TRYING, NICT_PROCEEDING, NICT_COMPLETED, NICT_TERMINATED, NICT__N };
enum ist_state {
	IST_PROCEEDING,
	IST_ACCEPTED,
	IST_COMPLETED,
	IST_CONFIRMED,
	IST_TERMINATED,
	IST__N
};
enum nist_state { NIST_TRYING, NIST_PROCEEDING, NIST_COMPLETED, NIST_TERMINATED, NIST__N };

enum ict_event {
	ICT_TIMER_A,
	ICT_TIMER_B,
	ICT_TIMER_D,
	ICT_TIMER_M,
	ICT_TIMER_CANCEL,
	ICT_1XX,
	ICT_2XX,
	ICT_3XX_6XX,
	ICT_TRANSPORT,
	ICT_CANCEL,
	ICT_EV__N
};
enum nict_event {
	NICT_TIMER_E,
	NICT_TIMER_F,
	NICT_TIMER_K,
	NICT_1XX,
	NICT_FINAL,
	NICT_TRANSPORT,
	NICT_EV__N
};
enum ist_event {
	IST_TIMER_100,
	IST_TIMER_G,
	IST_TIMER_H,
	IST_TIMER_I,
	IST_TIMER_L,
	IST_INVITE,
	IST_ACK,
	IST_SEND_1XX,
	IST_SEND_2XX,
	IST_SEND_3XX_6XX,
	IST_TRANSPORT,
	IST_EV__N
};
enum nist_event {
	NIST_TIMER_100,
	NIST_TIMER_EXPIRE,
	NIST_TIMER_J,
	NIST_REQUEST,
	NIST_SEND_100,
	NIST_SEND_1XX,
	NIST_SEND_FINAL,
	NIST_SEND_408,
	NIST_TRANSPORT,
	NIST_EV__N
};

/* Actions, run in this order. */
enum tsx_act {
	ACT_SEND = 1 << 0,      /* the response that the user gave */
	ACT_RESEND = 1 << 1,    /* what was sent last */
	ACT_100 = 1 << 2,       /* a 100 of our own */
	ACT_ABSORB = 1 << 3,    /* counts a retransmission that ends here */
	ACT_ACK = 1 << 4,       /* the ACK of a non-2xx */
	ACT_CANCEL = 1 << 5,    /* the CANCEL, as a transaction of its own */
	ACT_STOP_R = 1 << 6,    /* the retransmit slot */
	ACT_STOP_D = 1 << 7,    /* the deadline slot */
	ACT_DOUBLE = 1 << 8,    /* Timer A: twice as long */
	ACT_DOUBLE_T2 = 1 << 9, /* Timer E, G: twice as long, at most T2 */
	ACT_FLAT_T2 = 1 << 10,  /* Timer E in Proceeding: T2 */
	ACT_START_G = 1 << 11,
	ACT_START_D = 1 << 12, /* deadlines from here on */
	ACT_START_H = 1 << 13,
	ACT_START_I = 1 << 14,
	ACT_START_J = 1 << 15,
	ACT_START_K = 1 << 16,
	ACT_START_L = 1 << 17,
	ACT_START_M = 1 << 18,
	ACT_START_CANCEL = 1 << 19,
	ACT_START_EXPIRE = 1 << 20,
	ACT_TELL = 1 << 21,
	ACT_TELL_ACK = 1 << 22,
	ACT_TELL_STRAY = 1 << 23,
	ACT_END_DONE = 1 << 24,
	ACT_END_TIMEOUT = 1 << 25,
	ACT_END_TRANSPORT = 1 << 26,
	ACT_RELEASE = 1 << 27, /* the user is told the end; a small record goes on */
};
#define TSX_ACTIONS 28

extern const struct fsm tsx_machines[TSX_MACHINES];

/* --- objects ---------------------------------------------------------------------------------- */

enum { TSX_KIND_CLIENT = 'C', TSX_KIND_SERVER = 'S', TSX_KIND_NONE = 'N' };

/* Timers in µs beyond those of transaction.h. */
enum {
	TSX_64T1_US = 64 * TSX_T1_US,
	TSX_TIMER_D_US = 32000000,
	TSX_TIMER_100_US = 200000,
	/* when a client's Timer E has come to T2: T1 + 2*T1 + 4*T1 [RFC4320 4.1] */
	TSX_TIMER_4320_US = 7 * TSX_T1_US,
};

/* Which list of the manager a transaction waits in: a send failed inside a call of its user; its
 * user is to be told of the end. */
enum tsx_queue { TSX_Q_NONE, TSX_Q_FAILED, TSX_Q_ENDED };

struct tsx { /* what both sides have */
	struct tsx_mgr *m;
	struct tmr retransmit, deadline; /* the two slots */
	uint32_t interval_us;            /* of the retransmit slot */
	uint8_t machine, state;
	uint8_t retransmit_ev, deadline_ev; /* what they mean when they fire */
	bool is_reliable;
	uint8_t queue; /* enum tsx_queue */
	bool is_over;  /* the user is told of the end, or about to be: nothing more is taken */
	uint8_t end;   /* enum tsx_end */
	struct tsx *next;
	char *bytes; /* what was sent last, a block; may be NULL */
	uint32_t n_bytes;
};

struct tsx_client {
	struct tsx t;
	struct tp_dst dst;
	const struct tsx_client_user *user; /* NULL: detached, or a CANCEL of our own */
	void *ctx;
	struct tsx_client *cancel; /* INVITE: its CANCEL */
	struct tsx_client *parent; /* CANCEL: its INVITE */
	char *cancel_lines;        /* block: extra lines for the CANCEL to come */
	uint32_t n_cancel_lines;
	uint8_t method;
	bool is_switched;     /* went by TCP because of its size alone */
	bool is_on_flow;      /* in m->by_flow */
	struct hnode by_flow; /* dst.flow, while no response has come */
};

struct tsx_server {
	struct tsx t;
	struct tsx_key key;
	struct hnode merge;
	struct tp_rx *rx;
	void *owner;
	uint64_t started_us;
	bool is_cancelled;
	bool is_merge_known; /* in by_merge */
	bool is_merged;      /* another was there first */
	bool is_in_table;    /* in by_key */
};

/* A finished non-INVITE server transaction over UDP: what Timer J needs and no more. */
struct tsx_record {
	struct tsx_key key; /* by branch and sent-by */
	struct hnode merge; /* by From tag, Call-ID, CSeq; hash 0: not in the table */
	uint64_t check;     /* second hash of the key, instead of the key */
	uint32_t n_bytes;
	uint16_t status; /* 0: bytes are the response, none for a 408 that must not be sent; else
			    they are the lines that tsx_reply was given with this status */
	uint8_t state, klass;
	char bytes[];
};
struct tsx_due { /* a record in order of time */
	struct tsx_record *r;
	uint64_t hash, at_us;
};
#define TSX_RECORD_CLASSES 7

struct tsx_mgr {
	struct ev_loop *loop;
	struct tp *tp;
	struct block_cache *blocks;
	struct tsx_user user;
	struct pool clients, servers, records[TSX_RECORD_CLASSES];
	struct keytab by_key;
	struct htab by_merge, by_flow;
	struct tsx_due *due; /* ring of due_room (a power of two), the oldest at due_head */
	uint32_t due_room, due_head, n_records, max_records;
	struct tmr record_timer;
	struct tsx *failed, *ended, **ended_end;
	struct ev_task task;
	struct buf scratch; /* messages being written */
	struct buf via;     /* the Via line of the request being composed */
	struct buf keys;    /* what is about to be hashed */
	struct buf lines;   /* of a refusal or courtesy */
	void (*put_courtesy)(void *ctx, const struct tp_rx *rx, struct buf *lines);
	void *courtesy_ctx;
	struct {
		unsigned status; /* 0 when no tsx_reply is under way */
		struct str lines;
	} reply; /* what the response of this moment is made of */
	uint32_t slack_us;
	uint64_t stateless; /* counts branches that answer to nobody */
	uint8_t key[16], check_key[16];
	struct fsm_index fsm[TSX_MACHINES];
	struct tsx_stats stats;
};

/* --- mgr.c ------------------------------------------------------------------------------------ */
struct str tsx_courtesy_lines(struct tsx_mgr *m, const struct tp_rx *rx);
const struct fsm_row *tsx_step(struct tsx *t, uint8_t event);
/* Stops and starts the timers of a row; how long the deadlines are depends on the transport. */
void tsx_timers(struct tsx *t, uint32_t actions, uint64_t started_us);
void tsx_start_retransmit(struct tsx *t, uint8_t event, uint32_t interval_us);
void tsx_start_deadline(struct tsx *t, uint8_t event, uint64_t delay_us);
/* Makes a step with the transport's failure, later in this turn. */
void tsx_fail_later(struct tsx *t);
/* Stops it; tells the user of the end, and frees, later in this turn. */
void tsx_end_later(struct tsx *t, enum tsx_end why);
/* Tells the user now; only as the last thing of a step. */
void tsx_end_now(struct tsx *t, enum tsx_end why);
/* Takes it off the queues of the two above. */
void tsx_unqueue(struct tsx *t);
/* Keeps a copy of s as t->bytes. */
enum err tsx_keep(struct tsx *t, struct str s);
void tsx_drop_bytes(struct tsx *t);
/* Indexes bytes of our own into a block of the cache (block_put frees it); NULL without memory. */
struct sip_msg *tsx_index(struct tsx_mgr *m, struct str bytes);
/* The header lines that the user wants in a refusal of ours, behind `lines`. */
struct str tsx_refusal_lines(struct tsx_mgr *m, enum tsx_refusal why, const struct sip_diag *diag,
			     struct str lines);
/* An answer without a transaction. [RFC3261 8.2.7] */
void tsx_answer_stateless(struct tsx_mgr *m, struct tp_rx *rx, unsigned status, struct str reason,
			  struct str extra_lines);
/* Writes a short answer into m->scratch. */
enum err tsx_write_reply(struct tsx_mgr *m, const struct tp_rx *rx, unsigned status,
			 struct str reason, struct str extra_lines);

/* --- match.c ---------------------------------------------------------------------------------- */
/* The hash by which a server transaction of `method` for this request is found, never 0; 0 without
 * memory. [RFC3261 17.2.3] */
uint64_t tsx_key_hash(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method);
/* A second one with another key, kept by records instead of the names. */
uint64_t tsx_key_check(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method);
/* The transaction or record that a request belongs to, as one of `method`; both NULL: none. */
void tsx_find_server(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method, uint64_t hash,
		     struct tsx_server **st, struct tsx_record **rec);
uint64_t tsx_merge_hash(struct tsx_mgr *m, const struct sip_msg *req);

/* --- client.c, server.c, record.c ------------------------------------------------------------- */
void tsx_client_on_response(struct tsx_mgr *m, struct tp_rx *rx);
void tsx_client_step(struct tsx_client *c, uint8_t event, struct tp_rx *rx);
void tsx_client_timer(struct tsx *t, uint8_t event);
void tsx_client_on_error(struct tsx_mgr *m, const struct tp_error *e);
void tsx_client_on_flow_down(struct tsx_mgr *m, tp_flow flow);
void tsx_client_tell_end(struct tsx_client *c); /* and frees */
void tsx_client_free(struct tsx_client *c);

void tsx_server_on_request(struct tsx_mgr *m, struct tp_rx *rx);
void tsx_drop_server(struct tsx_mgr *m, tsx_id st);
void tsx_server_timer(struct tsx *t, uint8_t event);
void tsx_server_tell_end(struct tsx_server *s); /* and frees */
void tsx_server_free(struct tsx_server *s);

/* Makes a record of a finished transaction (of m->reply when that is set); silently none when
 * memory is refused. merge: hash, or 0. */
void tsx_record_add(struct tsx_server *s, struct str response, uint64_t merge);
void tsx_record_on_request(struct tsx_mgr *m, struct tsx_record *r, struct tp_rx *rx);
void tsx_record_free_oldest(struct tsx_mgr *m);
void tsx_record_timer(struct tmr *t);
