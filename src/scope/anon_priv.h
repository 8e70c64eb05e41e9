#pragma once
/* Anonymizing, inside: anon_word.c replaces words and addresses, anon_text.c runs of text,
 * anon_msg.c messages by their headers, anon_body.c bodies, anon_frame.c packets. */

#include "base/hash.h"
#include "scope/anon.h"

struct known;
struct anon {
	uint8_t key[16];
	struct htab words, taken; /* by what it was, by what it became */
	struct htab vocabulary;
	struct known *known; /* its words */
	size_t n_known;
	struct htab conns; /* anon_frame.c */
	struct buf frame, payload;
	uint64_t n_left_out;
	enum err err;
};

enum anon_mode {
	ANON_MASK,  /* every word is replaced, addresses too */
	ANON_KNOWN, /* words of the vocabulary stay */
	ANON_SHORT, /* ... and numbers that are too short to be somebody's */
	ANON_WORDS, /* ... and numbers */
};
/* Appends text: addresses and words replaced, what stands between kept. Bytes beyond ASCII become
 * 'x'. */
void anon_text(struct anon *a, struct buf *out, struct str text, enum anon_mode mode);
bool anon_is_known(const struct anon *a, struct str word);

/* Parameters ";a=b;c" as they stand behind a URI or a header value, from their first ';' on. */
void anon_params(struct anon *a, struct buf *out, struct str params);
void anon_uri(struct anon *a, struct buf *out, struct str uri);
/* A header line's value by what the table knows of the header. anon_msg.c */
void anon_value(struct anon *a, struct buf *out, enum sip_hdr_id id, struct str value);
/* anon_body.c; type is the value of Content-Type. */
void anon_body(struct anon *a, struct buf *out, struct str type, struct str body);

/* anon_frame.c */
void anon_conns_fini(struct anon *a);
