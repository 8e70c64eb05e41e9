#pragma once
/* The inside of an opened capture: what is read once (book.c), and what finds in it (book_find.c).
 */

#include "scope/book.h"

struct book {
	struct cap *cap;
	struct trk *trk;
	struct cap_walk *walk;
	struct spool spool;
	struct book_cfg cfg;
	void *block; /* of the message that was read again */
	size_t block_cap;
	struct flt *watch; /* of book_watch; NULL none */
	struct flt_calls *watch_calls;
	uint32_t watch_turn;
	uint32_t n_frames;
	/* columns for filters, made when the first is asked: of rows 1 .. n_cols */
	uint32_t *hops;  /* which pair of addresses */
	uint16_t *whats; /* status, method */
	uint64_t *plain; /* bits: rows that know all that columns ask about */
	uint32_t n_cols;
	uint32_t *reps;          /* of each pair a row that has it */
	struct addr *ends;       /* ... and its two addresses, which rows have far away */
	uint32_t *slots, n_hops; /* a hash table of pairs: number + 1 */
	uint32_t slots_cap;      /* a power of two */
};

struct book_walk { /* a second walk */
	struct cap *cap;
	struct trk *trk;
	struct cap_walk *walk;
};
/* book_watch.c: a frame that was read */
void book_watch_frame(struct book *b, const struct cap_frame *fr);
enum err book_again(const struct book *b, unsigned needs, struct book_walk *a);
void book_again_end(struct book_walk *a);
