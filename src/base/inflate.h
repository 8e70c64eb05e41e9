#pragma once
/* Messages deflated one after the other, each with what came before as its history, as
 * permessage-deflate sends them. [RFC7692 7.2.2] [RFC1951] Pure. */

#include "base/buf.h"

#define INFLATE_BYTES 40'000u /* what one takes, about */

struct inflate;

/* NULL without memory. */
struct inflate *inflate_new(void);
void inflate_free(struct inflate *z); /* NULL is nothing */
/* Appends what the message inflates to, at most `max` bytes. ERR_SYNTAX: it is damaged, or refers
 * to something before the first message that was seen; ERR_LIMIT: it is larger. Both begin anew:
 * the next message is taken for a first one, and `out` may hold a part. */
enum err inflate_message(struct inflate *z, struct str deflated, size_t max, struct buf *out);
