#pragma once
/* The tracker's inside: memory, intake, media. */

#include "base/pool.h"
#include "scope/trk.h"
#include "scope/vrd.h"
#include "sdp/sdp.h"

/* Ages of a call in a live tracker. Each class is a list in order of a deadline that is the same
 * for all of its members, so that only its head is looked at. */
enum age_class {
	AGE_SETUP,   /* a call that is not answered: timer C is 3 minutes [RFC3261 16.6] */
	AGE_REQUEST, /* any other transaction: 64*T1 [RFC3261 17.1.2.2] */
	AGE_RETRY,   /* challenged or redirected: the next try comes at once, or never */
	AGE_TALK,    /* an established call, silent in between */
	AGE_SETTLE,  /* ended: wait for the last ACK, then judge */
	AGE_LINGER,  /* judged: absorb what is resent, then forget */
	AGE__N
};
/* Times in silence. A place in a list is renewed when an eighth of it has passed, so these are an
 * eighth longer than they must be. */
extern const uint64_t trk_age_us[AGE__N];

/* Bytes of texts and facts in one page of a call. Live calls keep their offer, and must not go to
 * malloc for it; in a file memory counts more. */
#define TEXT_PAGE_LIVE 496u
#define TEXT_PAGE_FILE 240u
/* Rows that a live call takes at once, side by side: the judge reads them when they are cold. */
#define ROW_GROUP   4u
#define EV_CHUNK    256u
#define MAX_TEXT    1'000u /* longer texts are cut: enough for any sentence */
#define MAX_CALL_ID 1'024u /* longer ones are cut, and compared so */

__extension__ typedef unsigned __int128 trk_u128;
/* Both halves of a product, folded: a fast mixer for hashes that nobody relies on. */
static inline uint64_t trk_fold(uint64_t a, uint64_t b)
{
	trk_u128 m = (trk_u128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

struct trk_text { /* a page; freed with its call */
	struct trk_text *next;
	uint16_t used, cap;
	bool is_heap; /* larger than TEXT_PAGE */
	_Alignas(8) char bytes[];
};

struct trk_media;
struct trk_quick;
struct trk_joins;
struct flow;
struct trk {
	struct trk_cfg cfg;
	uint8_t hash_key[16]; /* against chosen Call-IDs, addresses, SSRCs */
	struct trk_stats stats;
	struct htab calls;
	struct pool call_pool, text_pool;
	uint16_t text_page; /* bytes */
	struct trk_call *first_no, *last_no;
	uint32_t n_calls; /* ever */
	uint64_t n_bytes; /* of rows, texts, codecs */
	struct trk_ev **chunks;
	uint32_t n_chunks, chunks_cap, n_rows, free_row; /* free_row: id, chained by prev */
	struct link ages[AGE__N];
	uint64_t now_us;
	void *block; /* where a message is indexed that comes without an index */
	size_t block_cap;
	uint32_t *history;
	size_t history_cap;
	struct trk_quick *quick; /* registrations put aside; NULL: none are */
	struct trk_joins *joins; /* NULL: legs are not joined */
	struct vrd verdict;
	struct sdp sdp; /* the body that is being read */
	/* media */
	struct htab ports; /* struct trk_media by address */
	struct htab flows; /* struct flow by address pair */
	struct link flow_ages;
	uint32_t n_datagrams;
	uint64_t n_capture_lost;
	uint32_t media_gen;  /* moves when a port becomes known: flows are looked at again */
	struct htab streams; /* by owner and SSRC; nobody's by addresses and SSRC */
	struct htab ssrcs;   /* nobody's streams by SSRC alone: who sends RTCP may use other ports */
	struct link orphans;
	struct trk_stream *media_stream;
	uint32_t n_streams, n_orphans;
	struct trk_gap { /* that several streams have at once */
		uint64_t from_us, to_us;
		uint32_t no, n;                             /* n: streams in it */
		uint32_t second, n_active, n_active_before; /* streams that sent in a second */
		uint32_t *common; /* numbers of gaps that all had, rising */
		uint32_t n_common, common_cap;
	} gap;
};

/* trk.c */
struct trk_ev *trk_row(const struct trk *t, uint32_t id);
/* The next row of a call, or 0 without memory. */
uint32_t trk_row_new(struct trk *t, const struct trk_call *c);
void *trk_alloc(struct trk *t, struct trk_call *c, size_t n); /* 8-aligned, of the call's texts */
struct str trk_text_keep(struct trk *t, struct trk_call *c, struct str s);
struct trk_call *trk_call_new(struct trk *t, struct str call_id, uint64_t hash);
uint64_t trk_call_hash(const struct trk *t, struct str call_id);
struct trk_call *trk_call_find(const struct trk *t, struct str call_id, uint64_t hash);
/* Adds to what the call and all calls hold: rows, texts, codecs. */
void trk_weigh(struct trk *t, struct trk_call *c, size_t n);
/* Live: a call that holds too much is judged and forgotten; then NULL, else c. */
struct trk_call *trk_call_part(struct trk *t, struct trk_call *c);
/* Puts the call into a class, at its end. */
void trk_age(struct trk *t, struct trk_call *c, enum age_class to);
/* Adds a fact to a message of the call. */
struct trk_fact *trk_fact_add(struct trk *t, struct trk_call *c, struct trk_ev *e,
			      enum trk_fact_kind kind, struct str text);

/* trk_msg.c */
struct trk_intake { /* a message being taken in */
	struct trk *t;
	const struct trk_packet *p;
	const struct sip_msg *m;
	struct trk_call *c;
	struct trk_ev *e;
};
/* For telling strings apart, never for trust. */
uint32_t trk_hash32(struct str s);

/* trk_fact.c: keeps what is worth it of a message that is no copy. */
void trk_facts(const struct trk_intake *i);

/* trk_msg.c: trk_message without the clock and without putting aside */
enum err trk_take(struct trk *t, const struct trk_packet *p, struct trk_call **call);

/* trk_quick.c */
struct trk_quick *trk_quick_new(void); /* NULL without memory */
void trk_quick_free(struct trk_quick *q);
/* True: the message is one of a registration that goes well so far; the tracker sees it later or
 * never. */
bool trk_quick_take(struct trk *t, const struct trk_packet *p);
/* Hands what is put aside under a Call-ID, or is overdue, or all, to the tracker. */
void trk_quick_release(struct trk *t, struct str call_id);
void trk_quick_tick(struct trk *t, uint64_t now_us);
void trk_quick_flush(struct trk *t);

/* trk_media.c */
enum err trk_media_init(struct trk *t);
void trk_media_fini(struct trk *t);
/* The SDP in t->sdp was written by `side` of the call and came from `source`: its addresses become
 * known. */
void trk_media_learn(struct trk *t, struct trk_call *c, enum trk_side side,
		     const struct addr *source);
void trk_media_forget(struct trk *t, struct trk_call *c);
/* Whose media go to that address, and to which side; NULL: nobody's. */
struct trk_call *trk_media_find(const struct trk *t, const struct addr *to, enum trk_side *side);
