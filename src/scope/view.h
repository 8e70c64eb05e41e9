#pragma once
/* Listings: messages, calls, registrations, streams, statistics; as text for people, or as JSON
 * with one object per line for programs. All append to a buffer. */

#include "capture/cap_walk.h"
#include "track/trk_join.h"
#include "track/vrd.h"

struct view_opts {
	bool is_json, is_ascii;
	bool is_detailed; /* streams: every figure, several lines each */
};

/* One line per SIP message of the frame: frame, time since the first frame, source, destination,
 * transport, method or status, CSeq, Call-ID. */
void view_messages(struct buf *b, const struct cap_frame *fr, const struct view_opts *o);
/* One line for a frame without SIP, in the same columns. */
void view_other_frame(struct buf *b, const struct cap_frame *fr, const struct view_opts *o);
/* One line per call (or registration ...) with its verdict. */
void view_call_head(struct buf *b, const struct view_opts *o);
void view_call(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	       const struct view_opts *o);
/* "2026-11-27T09:05:00.123456Z" [RFC3339] of µs since 1970. */
void view_put_time(struct buf *b, uint64_t us);
/* The same list as CSV; a line per call. */
void view_csv_head(struct buf *b);
void view_csv_call(struct buf *b, const struct trk_call *c, const struct vrd *v);
/* A field of it: quoted where it must be, and no formula. */
void view_csv_text(struct buf *b, struct str s);
/* Figures of an RTP stream: one line, or with is_detailed a paragraph; as JSON all of them. */
/* "joined to 3: Session-ID, 95 % sure", as c sees it. */
void view_join(struct buf *b, const struct trk_join *j, const struct trk_call *c);
void view_stream_head(struct buf *b, const struct view_opts *o);
void view_stream(struct buf *b, const struct trk *t, const struct trk_stream *s,
		 const struct view_opts *o);
void view_stats(struct buf *b, const struct trk *t, const struct view_opts *o);
