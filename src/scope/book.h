#pragma once
/* An opened capture that can be asked again and again. It is streamed once; what stays in memory is
 * the tracker's index, and bytes are read again when they are asked for: from the file, or from
 * what was put aside of a pipe, a packed file, a reassembled stream. */

#include "capture/cap_walk.h"
#include "filter/flt.h"

struct book;

struct book_cfg {
	bool is_live; /* memory follows the calls that are kept; bytes only of the last 256 MB */
	struct trk_cfg trk; /* is_live is set from the above */
	/* Every frame as it is read, before book_read returns; may be NULL. */
	void (*on_frame)(void *arg, const struct cap_frame *fr);
	void *arg;
};

/* Takes c, also on failure, right after it was opened. ERR_IO: a pipe, and nowhere to put it
 * aside; ERR_NOMEM. */
enum err book_new(struct cap *c, const struct book_cfg *cfg, struct book **out);
void book_free(struct book *b);
/* Reads on, at most max_frames; false at the end (cap_problem tells whether it was the true one).
 * Live: only what is there, without waiting. */
bool book_read(struct book *b, unsigned max_frames);
uint32_t book_n_frames(const struct book *b); /* read so far */
struct cap *book_cap(const struct book *b);
struct cap_walk *book_walk(const struct book *b);
struct trk *book_trk(const struct book *b);
/* The bytes of a message, borrowed until the next call. ERR_NOTFOUND: no longer kept (live), or no
 * such id; ERR_IO, ERR_NOMEM. */
enum err book_bytes(struct book *b, uint32_t id, struct str *out);
/* The same, indexed. ERR_SYNTAX cannot be. */
enum err book_msg(struct book *b, uint32_t id, const struct sip_msg **out);
/* Which messages fit the filter: *ids (free() it) in order, *n of them. Not live. ERR_IO,
 * ERR_NOMEM, ERR_UNSUPPORTED (live). */
enum err book_filter(struct book *b, struct flt *f, uint32_t **ids, size_t *n);
/* Every frame again from the first, as book_cfg.on_frame saw it but without calls; fn returns false
 * to stop. needs: of enum flt_needs, what fn wants to know. Not live. */
enum err book_frames(struct book *b, unsigned needs,
		     bool (*fn)(void *arg, const struct cap_frame *fr), void *arg);
/* Sets is_fitting of each call with a message that fits: of those that are kept, and, live, from
 * now on. Of what is kept filters know addresses and SIP, no other layer. f (NULL: none, and
 * nothing fits) is borrowed until the next call of this. Live with trk_cfg.is_listed, or of a file
 * with filters that ask about calls (ERR_UNSUPPORTED: book_filter is for the others). ERR_IO,
 * ERR_NOMEM.
 */
enum err book_watch(struct book *b, struct flt *f);
/* Live: what the filter asks about calls is asked again of those that changed. *has_changed: some
 * fit that did not, or the other way round. */
enum err book_watch_renew(struct book *b, bool *has_changed);
