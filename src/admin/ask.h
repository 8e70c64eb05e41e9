#pragma once
/* A question of an operator on its way through the exchange, and what it is asked of.
 *
 * An ask is one inbox message that travels: to a shard, which answers with a piece (some rows, at
 * most about ADM_PIECE bytes, found in at most a slice of its table), home again, where the piece
 * is handed on, and back for the next piece, until every place was asked. So memory is bounded by
 * one piece, whoever reads slowly holds up nobody but himself, and a shard never works longer than
 * for one part.
 */

#include "admin/object.h"
#include "event/shard.h"
#include "lint/lint.h"
#include "service/exchange.h"
#include "track/trk.h"

/* What goes through INBOX_CONTROL and INBOX_CONTROL_RESULT: the message knows what it wants. */
struct adm_msg {
	struct inbox_msg msg;
	void (*run)(struct adm_msg *m, struct ev_loop *l); /* takes m */
	void (*drop)(struct adm_msg *m);                   /* frees it when nobody runs it */
};
/* Lets the loops of s run such messages. Before they start. */
void adm_listen(struct ev_shards *s);

#define METRIC(name, type, doc) ADM_M_##name,
enum adm_metric {
#include "admin/metrics.def"
	ADM_M__N
};
#undef METRIC

#define ADM_SETUP_BUCKETS 11
struct adm_tally { /* of calls that ended; the scope's */
	uint64_t n, n_answered, n_warned, n_failed, talk_us, n_cdrs_lost;
	uint64_t n_unseen;                     /* messages that the scope did not see */
	uint64_t setup[ADM_SETUP_BUCKETS + 1]; /* by adm_setup_bounds_ms, then all above */
	uint64_t n_setup, setup_us;
};
extern const uint32_t adm_setup_bounds_ms[ADM_SETUP_BUCKETS];

struct adm_ask;
struct adm; /* what can be asked, of one process */
/* Borrows all; exc's shards and `scope` (one loop, that of the thread that feeds trk; trk was made
 * with is_listed) must run adm messages: adm_listen. */
enum err adm_new(struct ev_shards *shards, struct exc *exc, struct ev_shards *scope,
		 struct trk *trk, struct adm **out);
/* Whose cards are asked for; borrowed, the scope's. Before the first question. */
void adm_set_lint(struct adm *a, const struct lint *l);
struct adm_legs;
void adm_set_legs(struct adm *a, const struct adm_legs *l); /* calls are told without their legs */
/* On the scope's thread; writes to q->out, false: refused. Before the first question. */
void adm_set_reconfigure(struct adm *a, bool (*fn)(void *ctx, struct adm_ask *q), void *ctx);
void adm_free(struct adm *a);               /* when no loop runs any more */
struct adm_tally *adm_tally(struct adm *a); /* on the scope's thread */

enum adm_verb {
	ADM_DO_LIST,
	ADM_DO_DELETE,
	ADM_DO_RELOAD, /* accounts */
	/* configuration, certificates, accounts: by what adm_set_reconfigure was given. `limit`:
	 * seconds until the file before is in force again, 0: never; key "confirmed": it is kept.
	 * Sentences about it are the answer's text. */
	ADM_DO_RECONFIGURE,
	ADM_DO_MEASURE,
	/* of bans: all about the address in `key`, as text; a new one, for `limit` seconds,
	 * with the reason in `filter` */
	ADM_DO_EXPLAIN,
	ADM_DO_ADD
};
enum adm_result {
	ADM_DONE,
	ADM_NO_SUCH,      /* there is no such object */
	ADM_NOT_OURS,     /* it is there, but it cannot be done; why tells */
	ADM_NOT_POSSIBLE, /* not of this kind */
	ADM_REFUSED,      /* the operator's file, say: the text tells */
	ADM_FAILED,       /* memory, store; why tells */
};

#define ADM_PIECE    32768u /* bytes of a piece, about */
#define ADM_TEXT_MAX 320
struct adm_ask {
	struct adm_msg msg;
	struct adm *adm;
	/* the question; the asker's to fill */
	enum adm_verb verb;
	enum adm_kind kind;
	enum adm_format format;
	char key[ADM_TEXT_MAX], filter[ADM_TEXT_MAX]; /* empty: all */
	uint64_t skip, limit;                         /* rows; limit 0: no bound */
	/* who asked: on_piece is called there; then adm_go_on or adm_ask_free */
	struct ev_shards *home;
	void (*on_piece)(struct adm_ask *q);
	void *ctx;
	/* the answer: rows of this piece, then, with is_end, the outcome */
	struct buf out;
	bool is_end, is_more; /* is_more: the limit was reached before the end */
	enum adm_result result;
	char why[ADM_TEXT_MAX];
	uint64_t n_rows; /* all pieces */
	uint64_t metrics[ADM_M__N];
	struct adm_tally tally; /* MEASURE */
	/* its way */
	bool is_away; /* the asker's: it will come home */
	size_t place, end;
	uint32_t cursor;
};
/* NULL without memory. `home`: one loop that runs adm messages, of the asking thread. */
struct adm_ask *adm_ask_new(struct adm *a, struct ev_shards *home);
void adm_ask_free(struct adm_ask *q);
/* Sends it off. Kinds that are asked HERE, and what is not possible, end at once: on_piece is
 * called from the home's next turn. */
void adm_ask(struct adm_ask *q);
void adm_go_on(struct adm_ask *q); /* for the next piece */
/* Sends it home; is_end when `result` is the outcome. For sources. */
void adm_answer(struct adm_ask *q, enum adm_result result, const char *why);

/* A row found: counted, skipped, written, as the question wants it. False: the limit is reached, no
 * more are wanted. */
bool adm_emit(struct adm_ask *q, const struct adm_row *r);
