#pragma once
/* The tracker's inside: memory, intake, media. */

#include "base/pool.h"
#include "base/slab.h"
#include "sdp/sdp.h"
#include "track/trk_media.h"
#include "track/vrd.h"

/* Ages of a call in a live tracker. Each class is a list in order of a deadline that is the same
 * for all of its members, so that only its head is looked at. */
enum age_class {
	AGE_SETUP,   /* a call that is not answered: timer C is 3 minutes [RFC3261 16.6] */
	AGE_REQUEST, /* any other transaction: 64*T1 [RFC3261 17.1.2.2] */
	AGE_RETRY,   /* challenged or redirected: the next try comes at once, or never */
	AGE_FRESH,   /* an established call, until it is packed */
	AGE_TALK,    /* an established call, silent in between */
	AGE_SETTLE,  /* ended: wait for the last ACK, then judge */
	AGE_LINGER,  /* judged: absorb what is resent, then forget */
	AGE__N
};
/* Times in silence. A place in a list is renewed when an eighth of it has passed, so these are an
 * eighth longer than they must be. */
extern const uint64_t trk_age_us[AGE__N];

/* Bytes of texts and facts in one page of a live call: one or two hold what a call says. */
#define TEXT_PAGE 240u
/* Rows that a live call takes at once, side by side: the judge reads them when they are cold. */
#define ROW_GROUP   4u
#define MAX_TEXT    1'000u /* longer texts are cut: enough for any sentence */
#define MAX_CALL_ID 1'024u /* longer ones are cut, and compared so */

struct trk_text { /* a page; freed with its call */
	struct trk_text *next;
	uint16_t used, cap;
	bool is_heap; /* larger than TEXT_PAGE */
	_Alignas(8) char bytes[];
};

struct trk_codecs;
struct trk_outline {                     /* of a medium: what SDP says of it besides addresses */
	const struct trk_codecs *codecs; /* may be NULL */
	uint8_t type, crypt;             /* enum sdp_type, trk_crypt */
	bool is_t38;
};

struct trk_shape { /* of SDP, see trk_shape.c */
	const struct trk_name *name, *formats;
	unsigned flags;    /* TRK_SD_* */
	uint32_t ptime_ms; /* as in TRK_F_CODECS */
	uint8_t maxptime;
	bool has_outline; /* which, with the address, is all that is to be learnt */
	struct trk_outline outline;
};

struct trk_media;
struct trk_quick;
struct trk_joins;
struct flow;
#define TRK_SOURCES 256u /* sources whose new calls are counted: a power of two */
struct trk_source {
	uint32_t who, second, n; /* who: hash of address and From */
};

struct fact_index {
	const struct trk_fact *head; /* of the call that was indexed; NULL: of none */
	const struct trk_fact **v;   /* a hash table */
	uint32_t cap;                /* a power of two */
};

struct trk {
	struct trk_cfg cfg;
	struct trk_source sources[TRK_SOURCES];
	uint8_t hash_key[16]; /* against chosen Call-IDs, addresses, SSRCs */
	struct trk_stats stats;
	struct htab calls;
	struct pool call_pool, text_pool;
	struct trk_call *first_no, *last_no; /* live: see is_listed */
	uint32_t n_calls;                    /* ever */
	uint64_t n_bytes;                    /* live: of rows, texts, codecs */
	uint64_t n_forgotten;
	/* memory, trk_mem.c */
	struct trk_chunk **chunks;
	struct fact_index fact_index;
	size_t chunks_cap, places_cap;
	uint32_t n_chunks, n_rows, free_row; /* free_row: id, chained by prev */
	struct slabs slabs;                  /* file */
	char *heap_at, *heap_end;            /* file: what is left of the newest block of texts */
	char **places;                       /* file: calls by their place, in chunks */
	uint32_t n_places, n_place_chunks;
	struct trk_slot *slots;        /* file: a hash table of places */
	uint32_t slots_cap;            /* a power of two */
	const struct trk_name **names; /* file: a hash table */
	uint32_t n_names, names_cap;   /* cap: a power of two */
	struct link ages[AGE__N];
	uint64_t now_us;
	void *block; /* where a message is indexed that comes without an index */
	size_t block_cap;
	const struct trk_ev **history;
	size_t history_cap;
	uint32_t ahead_no;       /* file: of calls up to it, what a history holds is in the cache */
	struct trk_quick *quick; /* requests that go well, put aside; NULL: none are */
	struct trk_joins *joins; /* NULL: legs are not joined */
	struct vrd verdict;
	struct sdp sdp;  /* the body that is being read */
	struct buf pack; /* a call on its way into its block */
	struct trk_shape shapes[64];
	unsigned n_shapes;
	/* media */
	trk_read_fn *read; /* NULL: nothing can be read again */
	void *read_arg;
	uint32_t first_unlearnt, last_unlearnt; /* ids: where rows with is_unlearnt are; 0: none */
	bool has_met_media;                     /* nothing waits any more */
	struct htab ports;                      /* struct trk_media by address */
	struct htab flows;                      /* struct flow by address pair */
	struct link flow_ages;
	struct flow *last_flow;
	uint32_t n_datagrams;
	uint64_t n_capture_lost;
	uint32_t media_gen;  /* moves when a port becomes known: flows are looked at again */
	struct htab streams; /* by owner and SSRC; nobody's by addresses and SSRC */
	struct htab ssrcs; /* nobody's streams by SSRC alone: who sends RTCP may use other ports */
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

/* trk_mem.c */
#define EV_CHUNK 340u /* rows of a chunk; a multiple of ROW_GROUP */
struct trk_chunk {
	struct trk *t;
	uint32_t first; /* id */
	struct trk_ev rows[EV_CHUNK];
};
static inline struct trk_ev *trk_row(const struct trk *t, uint32_t id)
{
	return &t->chunks[(id - 1) / EV_CHUNK]->rows[(id - 1) % EV_CHUNK];
}
/* The next row of a call, or 0 without memory. */
uint32_t trk_row_new(struct trk *t, const struct trk_call *c);
void trk_rows_free(struct trk *t, struct trk_call *c); /* live */
/* Memory that is freed with the call, or with the tracker of a file. */
void *trk_alloc(struct trk *t, struct trk_call *c, size_t n, size_t align);
void *trk_heap(struct trk *t, size_t n, size_t align); /* file; align up to 8 */
void trk_text_free(struct trk *t, struct trk_call *c); /* live: and its block */
void trk_pages_free(struct trk *t, struct trk_call *c);
/* File: the next call, by whose place rows tell it, not taken yet; then taken, and found by its
 * Call-ID. */
struct trk_call *trk_place_new(struct trk *t);
bool trk_place_take(struct trk *t, struct trk_call *c, uint64_t hash);
/* It will be looked for: brings the place into the cache, then what a message touches of the call
 * that is there. */
void trk_place_expect(const struct trk *t, uint64_t hash);
void trk_call_expect(const struct trk *t, uint64_t hash);
struct trk_call *trk_place_at(const struct trk *t, uint32_t place); /* NULL: beyond the last */
struct trk_call *trk_place_find(const struct trk *t, struct str call_id, uint64_t hash);
/* NULL without memory. */
const struct trk_name *trk_name_keep(struct trk *t, struct trk_call *c, struct str user,
				     struct str host);
/* The same in steps, for several at once: while one waits for memory, the others do, too. */
struct trk_wish {
	struct str a, b; /* borrowed */
	uint32_t hash;
};
void trk_name_wish(const struct trk *t, struct trk_wish *w, struct str user, struct str host);
void trk_name_expect(const struct trk *t, const struct trk_wish *w);
const struct trk_name *trk_name_grant(struct trk *t, struct trk_call *c, const struct trk_wish *w);
/* Adds a fact to a message of the call. */
struct trk_fact *trk_fact_add(struct trk *t, struct trk_call *c, struct trk_ev *e,
			      enum trk_fact_kind kind, struct str text);
/* The caller's SDP as a fact; live in a block of its own, in place of the one before, until it is
 * dropped. */
void trk_offer_keep(struct trk *t, struct trk_call *c, struct trk_ev *e, struct str sdp);
void trk_offer_drop(struct trk *t, struct trk_call *c);
void trk_mem_fini(struct trk *t);

/* trk.c */
struct trk_call *trk_call_new(struct trk *t, struct str call_id, uint64_t hash);
uint64_t trk_call_hash(const struct trk *t, struct str call_id);
struct trk_call *trk_call_find(const struct trk *t, struct str call_id, uint64_t hash);
/* Live: adds to what the call and all calls hold: rows, texts, codecs. */
void trk_weigh(struct trk *t, struct trk_call *c, size_t n);
/* Live: a call that holds too much is judged and forgotten; one that a restart has cut is forgotten
 * when its INVITE comes again, and judged if it had an answer. Then NULL, else c. m: what has come.
 */
struct trk_call *trk_call_part(struct trk *t, struct trk_call *c, const struct sip_skim *m);
/* Calls on_alarm, once, if the verdict up to here is that the ACK is lost. */
void trk_alarm(struct trk *t, struct trk_call *c);
/* Puts the call into a class, at its end. */
void trk_age(struct trk *t, struct trk_call *c, enum age_class to);
/* trk_peer.c: the number of an address in the call, and of a tag by its hash, from 1 (0: none), as
 * rows have them. One address, or tag, more than there is room for is the last one's. */
uint8_t trk_peer_of(struct trk *t, struct trk_call *c, const struct addr *a,
		    enum trk_transport transport);
uint8_t trk_tag_of(struct trk_call *c, uint32_t hash);
static inline struct trk_peer trk_peer(const struct addr *a, enum trk_transport transport)
{
	return (struct trk_peer){*a, (uint8_t)transport, 0};
}
/* trk_msg.c */
struct trk_intake { /* a message being taken in */
	struct trk *t;
	const struct trk_packet *p;
	const struct sip_skim *k;
	uint32_t hash;                     /* of the bytes */
	uint32_t branch, from_tag, to_tag; /* hashes; branch never 0, to_tag 0 without one */
	const struct sip_msg *m;           /* NULL until its rows are needed: trk_need_index */
	struct trk_call *c;
	struct trk_ev *e;
};
/* False: the message cannot be indexed for want of memory. */
bool trk_need_index(struct trk_intake *i);
/* trk_fact.c: keeps what is worth it of a message that is no copy. */
void trk_facts(struct trk_intake *i);
void trk_facts_sdp(struct trk_intake *i); /* trk_fact_sdp.c: of a message with a body */

static inline bool trk_skips(const struct trk_intake *i)
{
	return i->t->cfg.skips >> i->c->kind & 1;
}
/* Whose side wrote a message. */
static inline enum trk_side trk_side_of(const struct trk_ev *e)
{
	bool by_caller = !(e->flags & TRK_EV_REQUEST) != !!(e->flags & TRK_EV_CALLER);
	return by_caller ? TRK_SIDE_CALLER : TRK_SIDE_CALLEE;
}

/* trk_pack.c: makes rows and facts of a call readable again; false: no memory, it stays packed. */
[[nodiscard]] bool trk_unpack(struct trk *t, struct trk_call *c);

/* trk_late.c: a message's addresses may be learnt later, because its bytes can be read again. */
bool trk_sdp_wait(const struct trk_intake *i);
/* Learns what waits. */
void trk_sdp_catch_up(struct trk *t);
/* Before media tables are looked at for a datagram while something waits: false when it is nothing
 * that a table tells of. */
bool trk_sdp_is_needed(struct trk *t, struct str datagram);

/* trk_msg.c: trk_message without the clock and without putting aside */
enum err trk_take(struct trk *t, const struct trk_packet *p, struct trk_call **call);
/* Indexed in the tracker's own block until the next one; NULL: no SIP, or no memory. */
const struct sip_msg *trk_index(struct trk *t, struct str bytes);

/* trk_quick.c */
struct trk_quick *trk_quick_new(void); /* NULL without memory */
void trk_quick_free(struct trk_quick *q);
/* True: the message is one of an exchange that goes well so far; the tracker sees it later or
 * never. */
bool trk_quick_take(struct trk *t, const struct trk_packet *p);
/* Hands what is put aside under a Call-ID, or is overdue, or all, to the tracker. */
void trk_quick_release(struct trk *t, struct str call_id);
void trk_quick_tick(struct trk *t, uint64_t now_us);
void trk_quick_flush(struct trk *t);

/* trk_join_rtp.c: an RTP packet of a call's stream, one of its first */
#define TRK_HEAR 64 /* packets */
void trk_join_hear(struct trk *t, struct trk_stream *s, uint64_t at_us, struct str payload);

/* trk_media.c, trk_port.c */
struct trk_av *trk_av_get(struct trk *t, struct trk_call *c); /* NULL without memory */
enum err trk_media_init(struct trk *t);
void trk_media_fini(struct trk *t);
/* The SDP in t->sdp was written by `side` of the call and came from `source`: its addresses become
 * known. */
void trk_media_learn(struct trk *t, struct trk_call *c, enum trk_side side,
		     const struct addr *source);
void trk_media_forget(struct trk *t, struct trk_call *c);
/* Whose media go to that address, and to which side; NULL: nobody's. */
struct trk_call *trk_media_find(const struct trk *t, const struct addr *to, enum trk_side *side);
