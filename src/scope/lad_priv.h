#pragma once
/* Drawing: rows of cells. */

#include "scope/lad.h"

#define LAD_MAX_LANES 10
#define LAD_MAX_WIDTH 400
#define LAD_GUTTER    17 /* columns for time and frame number */

enum lad_tone { TONE_PLAIN, TONE_REQUEST, TONE_1XX, TONE_2XX, TONE_3XX, TONE_ERROR, TONE_RTP };

struct lane {
	struct addr addr; /* port 0: the whole host */
	int x;            /* column */
};

struct canvas {
	struct buf *b;
	const struct lad_opts *o;
	int width;
	unsigned n_lanes;
	struct lane lanes[LAD_MAX_LANES];
	bool is_narrow; /* lanes too close: one line of text per message */
	uint32_t cells[LAD_MAX_WIDTH];
	int tone_from, tone_to; /* columns with the row's tone */
	enum lad_tone tone;
};

enum lad_line { LINE_SIP, LINE_RTP, LINE_ABSENT };

/* Places the lanes and draws their heads. */
void canvas_heads(struct canvas *k);
/* One arrow from lane `from` to lane `to` (may be equal) with its label, over as many rows as the
 * label needs. `gutter` is shown left of it. */
void canvas_arrow(struct canvas *k, struct str gutter, unsigned from, unsigned to, struct str label,
		  enum lad_line line, enum lad_tone tone);
