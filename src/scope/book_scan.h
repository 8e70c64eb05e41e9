#pragma once
/* Where a text stands in an opened file. Seen only by book_find.c. */

#include "scope/book_priv.h"

/* The first place of a text, which is not empty, in [p, end), or NULL. */
const char *book_text_find(const char *p, const char *end, struct str text, bool is_caseless);
/* The line feed before the next header line whose name begins so, in any case, from p on; NULL when
 * the header ends before (at `end` at the latest). name: a line feed and the name. Lines end in CR
 * LF. */
const char *book_line_find(const char *p, const char *end, struct str name);
/* Sets the bit of each of the first n rows in whose message the text stands (is_of_frame: or in the
 * bytes before it, back to the message before); of messages that lie in the file, in order. Others
 * are left alone. ERR_IO, ERR_NOMEM. */
enum err book_scan(struct book *b, struct str text, bool is_of_frame, uint32_t n, uint64_t *rows);
