#pragma once
/* Call detail records: one row for each call that ended, in a database of its own (cdr.db) beside
 * the accounts, so that a busy exchange writes thousands of them a second without anybody waiting
 * for a sync to disk. One process writes, any number read at the same time.
 *
 * What st_cdrs_add has confirmed survives kill -9; a power cut may lose the last seconds. All calls
 * block: workers, commands, threads of their own. One call at a time on one handle. */

#include "base/buf.h"

enum st_cdr_column {
#define CDR_COLUMN(name, type, width, doc) ST_CDR_##name,
#include "store/cdr.def"
#undef CDR_COLUMN
	ST_CDR__N
};

struct st_val { /* a text, or a number; its type is told by the table it belongs to */
	struct str s;
	uint64_t n;
	bool is_set;
};
struct st_cdr {
	struct st_val v[ST_CDR__N];
};

struct st_cdrs;
/* `dir` NULL: in memory, for tests. With is_writer the database is made when missing, else
 * ERR_NOTFOUND. On failure `why` gets a sentence. */
enum err st_cdrs_open(const char *dir, bool is_writer, struct st_cdrs **out, struct buf *why);
void st_cdrs_close(struct st_cdrs *c); /* NULL is harmless */
/* All of them or none. ERR_LIMIT: disk full; ERR_IO. */
enum err st_cdrs_add(struct st_cdrs *c, const struct st_cdr *rows, size_t n);
/* Forgets the calls that began before before_us, and the oldest beyond max_rows. */
enum err st_cdrs_prune(struct st_cdrs *c, uint64_t before_us, uint64_t max_rows);
/* Like st_why. */
struct str st_cdrs_why(const struct st_cdrs *c);

struct st_cdr_filter {
	uint64_t since_us, until_us; /* by start; until 0: no end */
	struct str user;       /* caller or callee is that address, or that name at any host */
	struct str call_id;    /* of the caller's side, or of a leg */
	struct str session_id; /* either of the two, or both as a header has them */
	uint64_t skip, limit;  /* limit 0: all */
	bool is_oldest_first;
};
/* Strings are borrowed during the call; fn returns false to stop. */
enum err st_cdrs_each(struct st_cdrs *c, const struct st_cdr_filter *f,
		      bool (*fn)(void *arg, const struct st_cdr *row), void *arg);
enum err st_cdrs_count(struct st_cdrs *c, uint64_t *n);
