#pragma once
/* A ladder before it is drawn: lanes, rows, bands of media. Text, SVG, Mermaid, JSON and HTML are
 * made of this one model, so that they say the same. Nothing here knows a column or a pixel. */

#include "scope/book.h"
#include "track/vrd.h"

#define SHEET_MAX_LANES 24 /* what comes then shares the last one */
#define SHEET_MAX_BANDS 64

enum sheet_tone { TONE_PLAIN, TONE_REQUEST, TONE_1XX, TONE_2XX, TONE_3XX, TONE_ERROR, TONE_RTP };

enum sheet_mark {
	SHEET_RETRANS = 1,   /* sent again, by who sent it */
	SHEET_DUPLICATE = 2, /* one packet that the capture saw twice */
	SHEET_SECURE = 4,    /* was TLS on the way */
	SHEET_DEVIANT = 8,   /* against an RFC, see sheet_row_diags */
};

struct lad_item { /* a message to be drawn */
	const struct trk_call *call;
	uint32_t ev; /* its id */
};

struct sheet_leg { /* one Call-ID of the ladder */
	const struct trk_call *call;
	const struct vrd *v; /* or NULL */
};

struct sheet_lane {
	struct addr addr; /* port 0: the whole host */
	struct str name;  /* an alias, or STR_NONE; as the alias function gave it */
};

struct sheet_band { /* media of one kind in one direction */
	uint64_t at_us, end_us;
	uint64_t received, expected; /* packets, without duplicates */
	uint64_t max_gap_us;
	double jitter_ms, max_jitter_ms; /* of the worst stream [RFC3550 6.4.1] */
	uint32_t n_streams, first_frame;
	uint16_t leg;
	uint8_t from, to;
	uint8_t media;  /* enum sdp_type */
	bool is_absent; /* agreed upon, but nothing was seen */
	char codec[16];
	char digits[32]; /* DTMF */
};

struct sheet_row {
	uint64_t at_us;
	uint64_t delta_us; /* since the row before; of a copy: since its original */
	const struct trk_call *call;
	const struct trk_ev *ev;       /* NULL: media */
	const struct sheet_band *band; /* NULL: a message */
	uint32_t original;             /* a copy: 1 + the row of what it repeats; else 0 */
	uint32_t n_sends;              /* of an original: in all, itself included */
	uint64_t span_us;              /* ... over this time */
	uint64_t expected_us; /* RETRANS: after the original, by the RFC's timers; 0 unknown */
	uint32_t label_at, diags_at;
	uint16_t label_n, diags_n;
	uint16_t leg;      /* n_legs: of none (sheet_of_items) */
	uint16_t findings; /* bit i: it is evidence of the leg's finding i */
	uint8_t from, to;  /* lanes */
	uint8_t tone, marks;
};

struct sheet {
	struct sheet_leg *legs;
	struct sheet_row *rows; /* in order of time, media where it begins */
	size_t n_legs, n_rows;
	uint64_t first_us, last_us; /* media included */
	unsigned n_lanes, n_bands;
	struct sheet_lane lanes[SHEET_MAX_LANES];
	struct sheet_band bands[SHEET_MAX_BANDS];
	struct buf text; /* labels and diagnostics */
};

struct sheet_cfg {
	/* A name for a host ("caller", "proxy"); STR_NONE for none. May be NULL. */
	struct str (*alias)(void *arg, const struct addr *a);
	void *arg;
	struct book *book; /* reads each message again for what is against an RFC; may be NULL */
};

/* The ladder of one call, or of several that belong together, with their media. The tracker, the
 * calls and their verdicts must outlive it. ERR_NOMEM; ERR_IO from the book. */
enum err sheet_new(struct trk *t, const struct sheet_leg *legs, size_t n,
		   const struct sheet_cfg *cfg, struct sheet **out);
/* One of any messages, in that order and without media (a filtered capture). */
enum err sheet_of_items(struct trk *t, const struct lad_item *items, size_t n,
			const struct sheet_cfg *cfg, struct sheet **out);
void sheet_free(struct sheet *s);

/* "INVITE (SDP)", as the peer wrote it: not masked. Of media: STR_NONE. */
struct str sheet_label(const struct sheet *s, const struct sheet_row *r);
/* Lines "text [RFC3261 20.14]", or STR_NONE. */
struct str sheet_row_diags(const struct sheet *s, const struct sheet_row *r);

enum { SHEET_ASCII = 1, SHEET_NO_TIMES = 2 };
/* The row in words: the label with its repetitions ("INVITE (SDP) ×3 in 1.5 s"), or the band
 * ("RTP PCMU, 276 packets in 5.5 s, 2 lost"). */
void sheet_put_row(struct buf *b, const struct sheet *s, const struct sheet_row *r, unsigned how);
/* What the marks mean, in words ("sent again, 2 of 7; expected at 1.500 s, seen at 1.502 s; was
 * TLS"); nothing where there are none. */
void sheet_put_marks(struct buf *b, const struct sheet *s, const struct sheet_row *r);
/* "192.0.2.21", with its port where the host plays two roles. */
void sheet_put_host(struct buf *b, const struct sheet_lane *l);
