#pragma once
/* Drawing: rows of cells. */

#include "scope/lad.h"

#define LAD_MAX_WIDTH 400
#define LAD_GUTTER    17 /* columns for time and frame number */

struct canvas {
	struct buf *b;
	const struct lad_opts *o;
	const struct sheet *s;
	int width;
	int x[SHEET_MAX_LANES]; /* column of each lane */
	bool is_narrow;         /* lanes too close: one line of text per message */
	uint32_t cells[LAD_MAX_WIDTH];
	int tone_from, tone_to; /* columns with the row's tone */
	enum sheet_tone tone;
};

enum lad_line { LINE_SIP, LINE_RTP, LINE_ABSENT };

/* Columns of a ladder with these options. */
int canvas_width(const struct lad_opts *o);
/* Places the lanes and draws their heads. */
void canvas_init(struct canvas *k, struct buf *b, const struct sheet *s, const struct lad_opts *o);
/* One arrow from lane `from` to lane `to` (may be equal) with its label, over as many rows as the
 * label needs. `gutter` is shown left of it. */
void canvas_arrow(struct canvas *k, struct str gutter, unsigned from, unsigned to, struct str label,
		  enum lad_line line, enum sheet_tone tone);

/* One code point of s at *i, which moves on; '?' for broken UTF-8 and what is no character to be
 * seen: control characters, those that turn the direction. */
uint32_t lad_code_point(struct str s, size_t *i);
void lad_put_utf8(struct buf *b, uint32_t c);
