#pragma once
/* Tests of frames and header lines, asked of all records of an opened file in one pass. Seen only
 * by book_find.c. */

#include "scope/book_rows.h"

/* Whether a test can be asked so: of the bytes of `frame`, or of one header that has no short name.
 */
bool book_can_pass(const struct flt_node *n);
/* Sets the bit of each plain row that fits; the others are left alone. ERR_IO, ERR_NOMEM. */
enum err book_pass(struct finding *x, const struct flt_node *n, uint64_t *rows);
