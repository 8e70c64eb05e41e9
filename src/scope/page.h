#pragma once
/* A capture as one HTML file that stands for itself: it opens from a disk or a ticket, asks no
 * network for anything, and shows calls, ladders, messages and what they mean. */

#include "scope/sheet.h"

#define PAGE_MAX_MESSAGES 20000      /* a browser still opens that at once ... */
#define PAGE_MAX_BYTES    (48 << 20) /* ... and this much of their text */
#define PAGE_MAX_CALLS    20000      /* further ones are only counted */

struct page {
	struct buf *b; /* the caller's: may be written away and cleared between two calls */
	struct book *book;
	uint32_t n_calls, n_messages;
	uint32_t n_without; /* calls that are only listed, because the page is full */
	uint32_t n_omitted; /* ... not even that */
	uint64_t n_bytes;
};

/* `title` is the capture's name, shown as text. */
void page_begin(struct page *p, struct buf *b, struct book *book, struct str title);
/* Adds what is on the sheet. ERR_NOMEM; ERR_IO: the capture cannot be read any more. */
enum err page_add(struct page *p, const struct sheet *s);
/* The same with the call's sound: a WAV file, which every browser plays when it is PCM or G.711. */
enum err page_add_audio(struct page *p, const struct sheet *s, struct str wav);
void page_end(struct page *p);
