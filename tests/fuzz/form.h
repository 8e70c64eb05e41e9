#pragma once
/* Whether what was written for machines is well formed: JSON [RFC8259], XML, UTF-8 [RFC3629], text
 * for a terminal. Strict where a reader may be: hostile bytes must not get through as syntax. */

#include "base/buf.h"
#include "base/str.h"

/* UTF-8 without surrogates and overlong forms. */
bool form_is_utf8(struct str s);
/* One value and nothing else; its strings are UTF-8 without control characters. */
bool form_is_json(struct str s);
/* Every line is one. */
bool form_is_json_lines(struct str s);
/* One element, perhaps behind a declaration, comments and a document type; attributes quoted and
 * not given twice, entities known, no control characters. CDATA may be other bytes than UTF-8. */
bool form_is_xml(struct str s);
/* Lines for a terminal: no control characters but line ends (LF or CR LF), and with has_colour no
 * sequence but that of colours (ESC [ digits ; ... m). UTF-8 without the C1 controls. */
bool form_is_text(struct str s, bool has_colour);
/* RFC 4180, each row of as many fields as the first; no field begins a formula. */
bool form_is_csv(struct str s);

/* Stops the program, with the text on standard error, unless the form is good. */
#define FORM(is_good, text) form_check(is_good, #is_good, text)
void form_check(bool is_good, const char *what, const struct buf *text);
