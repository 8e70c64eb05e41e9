#pragma once
/* The ladder: messages as text, hosts as columns, time downwards. */

#include "scope/sheet.h"

struct lad_opts {
	bool is_ascii;  /* no box drawing, no arrows beyond ASCII */
	bool is_colour; /* ANSI; colour never says anything that text does not */
	bool hide_time; /* for golden files whose times vary; also hides frame numbers */
	uint16_t width; /* columns, 60 to 400; 0: 80 */
	/* A name for a host ("caller", "proxy"), shown above its address; STR_NONE for none. May be
	 * NULL. */
	struct str (*alias)(void *arg, const struct addr *a);
	void *arg;
};

/* Appends the ladder of one call with its media. The verdict stands above it; v may be NULL. */
void lad_put(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	     const struct lad_opts *o);
/* One ladder of any messages in order (a filtered capture: Wireshark's flow graph), no media. */
void lad_put_items(struct buf *b, struct trk *t, const struct lad_item *items, size_t n,
		   const struct lad_opts *o);
/* The ladder of a sheet; above it the verdict and Call-ID of each leg. */
void lad_put_sheet(struct buf *b, const struct sheet *s, const struct lad_opts *o);
/* One JSON object, without a line end; its keys stand in lad_json.c. Each leg has its verdict. */
void lad_put_json(struct buf *b, struct trk *t, const struct sheet *s);
/* A Mermaid sequence diagram. */
void lad_put_mermaid(struct buf *b, const struct sheet *s);
/* A drawing of its own: one SVG document, light and dark, its text selectable. */
void lad_put_svg(struct buf *b, const struct sheet *s);
