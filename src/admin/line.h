#pragma once
/* Questions and answers on the control socket, as lines. A question is one line of words between
 *tabs:
 *
 *	ask VERB KIND FORMAT SKIP LIMIT KEY FILTER
 *
 * An answer is the rows, each line with one space in front, then one line that begins with "=": the
 * outcome, the number of rows, and a sentence. A line without either is an answer that was cut off.
 */

#include "admin/ask.h"

/* ERR_LIMIT: a word is too long. Tabs and line ends in it become '?'. */
enum err adm_line_put(struct buf *b, const struct adm_ask *q);
/* Fills verb, kind, format, skip, limit, key, filter. ERR_SYNTAX. */
enum err adm_line_parse(struct str line, struct adm_ask *q);
/* What q has brought home, as lines. */
void adm_line_answer(struct buf *b, const struct adm_ask *q);
/* Of a client: an outcome line. ERR_SYNTAX. `why` borrows the line. */
struct adm_outcome {
	enum adm_result result;
	bool is_more;
	uint64_t n_rows;
	struct str why;
};
enum err adm_line_outcome(struct str line, struct adm_outcome *out);
