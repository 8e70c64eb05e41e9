#pragma once
/* The rejections that rung makes by itself: a stable number for each, carried in Warning (and, in
 * requests that rung ends, in Reason), explained by `rung explain`. The table is codes.def.
 * [RFC3261 20.43] [RFC3326] */

#include "base/buf.h"
#include "transaction/transaction.h"

enum code {
	CODE_NONE = 0,
#define CODE(number, id, status, text, cause, remedy) CODE_##id,
#include "service/codes.def"
#undef CODE
	CODE__N
};

struct code_info {
	unsigned number, status;
	struct str name; /* "AUTH_NEEDED" */
	struct str text, cause, remedy;
};
const struct code_info *code_info(enum code c); /* NULL for CODE_NONE */
/* By number ("2001") or name (any case, '-' for '_'); CODE_NONE when there is none. */
enum code code_find(struct str s);
/* Appends `Warning: 399 rung "2001 authentication needed"\r\n`. */
void code_warning_put(struct buf *b, enum code c);
/* Appends a Reason value for a CANCEL or BYE: `rung;cause=2001;text="authentication needed"`. */
void code_reason_put(struct buf *b, enum code c);
/* Answers with the code's status, its usual phrase, the Warning, and extra header lines. `status`
 * 0: the table's. */
enum err code_reply(struct tsx_mgr *m, tsx_id st, enum code c, unsigned status,
		    struct str extra_lines);
/* The same, and the request is forgotten: for challenges and for what is shed, which must take no
 * memory. Its repetition is judged anew. [RFC3261 26.3.2.4] */
enum err code_reply_and_forget(struct tsx_mgr *m, tsx_id st, enum code c, unsigned status,
			       struct str extra_lines);
/* code_reply with the table's status; when the transaction has ended meanwhile (ERR_STATE) nobody
 * waits for an answer. Without memory for one the transaction is dropped: it must not live on. */
static inline void code_refuse(struct tsx_mgr *m, tsx_id st, enum code c, struct str extra_lines)
{
	enum err e = code_reply(m, st, c, 0, extra_lines);
	if (e != OK && e != ERR_STATE)
		tsx_drop(m, st);
}
/* What `rung explain CODE` prints. */
void code_explain_put(struct buf *b, enum code c);
