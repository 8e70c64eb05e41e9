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

struct page_sound {     /* one direction of a leg's audio */
	uint32_t no;    /* of the leg */
	bool is_caller; /* what the caller said */
	struct str codec;
	double seconds;
	struct str wav;      /* a WAV file of PCM; empty: see problem */
	const char *problem; /* why there is none, or what is missing in it; NULL: nothing */
};

/* `title` is the capture's name, shown as text. */
void page_begin(struct page *p, struct buf *b, struct book *book, struct str title);
/* Adds what is on the sheet. ERR_NOMEM; ERR_IO: the capture cannot be read any more. */
enum err page_add(struct page *p, const struct sheet *s);
/* The same with the call's sound, a player for each direction. */
enum err page_add_audio(struct page *p, const struct sheet *s, const struct page_sound *v,
			size_t n);
void page_end(struct page *p);
