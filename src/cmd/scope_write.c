/* What `rung scope` writes (-w) or sends on (--hep-to), besides what it shows.
 *
 * A capture that is filtered should be readable again: a frame that fits brings the fragments and
 * TCP segments with it that its messages need. They come earlier in the file, so a capture file is
 * walked first and copied then: the walk marks frames in a bit set, the copy takes the marked ones
 * in order. So is a call with its media (--call), because whose an RTP packet is the tracker knows,
 * and a call may be chosen by its last message. Live there is but one pass: frames that may be
 * needed are held for a while, and stand before the frame that needs them with their own times.
 *
 * Without a filter every frame is written as it comes.
 */
#include "cmd/scope_priv.h"
#include "scope/cap_dep.h"
#include "scope/cap_hep.h"
#include "scope/cap_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct scope_writer {
	struct cap_ring *ring;
	struct cap_hep_out *hep;
	struct cap_dep *dep;
	bool is_two_pass, has_failed;
	uint8_t *marks; /* two passes: bit n: frame n is written */
	size_t n_marks; /* bytes */
};

static void fail(struct scope *s, const char *what, struct buf *why)
{
	struct scope_writer *w = s->writer;
	if (!w->has_failed)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n", what, STR_ARG(buf_view(why)));
	w->has_failed = true;
	cap_stop(s->cap);
}

/* --- opening --------------------------------------------------------------------------------- */

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;
	return a && b && stat(a, &sa) == 0 && stat(b, &sb) == 0 && S_ISREG(sa.st_mode) &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int open_ring(struct scope *s, struct scope_writer *w, struct buf *why)
{
	struct cap_ring_cfg cfg = {.path = s->to.path};
	for (size_t i = 0; i < s->to.ring.n; i++)
		if (!cap_ring_option(&cfg, str_c(s->to.ring.v[i]))) {
			buf_fmt(why, "-b %s: it is filesize:KB, files:N or duration:SECONDS",
				s->to.ring.v[i]);
			return EXIT_USAGE;
		}
	if (is_same_file(s->file, s->to.path)) {
		buf_fmt(why, "that is the capture which is read; give another name");
		return EXIT_USAGE;
	}
	enum err e = cap_ring_open(&cfg, &w->ring, why);
	return e == ERR_LIMIT ? EXIT_USAGE : e ? EXIT_FAILED : -1;
}

static int open_two_pass(struct scope *s, struct scope_writer *w, struct buf *why)
{
	enum err e = OK;
	w->is_two_pass = !s->is_live && (s->flt || s->who);
	if (w->is_two_pass)
		e = cap_keep(s->cap);
	if (e == ERR_IO)
		buf_fmt(why, "there is no room to put the capture aside (TMPDIR)");
	if (s->flt || s->who)
		w->dep = cap_dep_new(!w->is_two_pass);
	if (e == OK && !w->dep && (s->flt || s->who))
		buf_fmt(why, "no memory");
	return why->n ? EXIT_FAILED : -1;
}

int scope_write_open(struct scope *s)
{
	struct buf why;
	int code = -1;
	if (!s->to.path && !s->to.hep_to)
		return -1;
	buf_init(&why);
	struct scope_writer *w = s->writer = calloc(1, sizeof(*w));
	const char *what = s->to.path;
	if (!w) {
		buf_fmt(&why, "no memory");
		code = EXIT_FAILED;
	}
	if (code < 0 && s->to.path)
		code = open_ring(s, w, &why);
	if (code < 0 && s->to.path)
		code = open_two_pass(s, w, &why);
	if (code < 0 && s->to.hep_to) {
		struct cap_hep_to cfg = {.to = s->to.hep_to,
					 .key = s->in.hep_key,
					 .agent = s->to.hep_agent,
					 .is_paced = !s->is_live};
		what = "--hep-to";
		enum err e = cap_hep_connect(&cfg, &w->hep, &why);
		code = e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_UNREACHABLE;
	}
	if (code >= 0)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n", what, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return code;
}

bool scope_write_needs_trk(const struct scope *s)
{
	return s->writer && s->who;
}

/* --- frames ---------------------------------------------------------------------------------- */

static void mark(struct scope *s, uint32_t no)
{
	struct scope_writer *w = s->writer;
	size_t at = no / 8;
	if (at >= w->n_marks) {
		size_t n = (at | 4'095) + 1 + w->n_marks / 2;
		uint8_t *p = realloc(w->marks, n);
		if (!p) {
			fprintf(stderr, "rung scope: no memory for the frames that are written\n");
			w->has_failed = true;
			cap_stop(s->cap);
			return;
		}
		memset(p + w->n_marks, 0, n - w->n_marks);
		w->marks = p;
		w->n_marks = n;
	}
	w->marks[at] |= (uint8_t)(1 << no % 8);
}

static void write_rec(struct scope *s, const struct cap_rec *r)
{
	struct scope_writer *w = s->writer;
	struct buf why;
	buf_init(&why);
	if (!w->has_failed && cap_ring_rec(w->ring, r, STR_NONE, &why))
		fail(s, s->to.path, &why);
	buf_fini(&why);
}

static void take(struct scope *s, const struct cap_rec *r)
{
	if (s->writer->is_two_pass)
		mark(s, r->no);
	else if (r->p)
		write_rec(s, r);
}

static void take_earlier(void *arg, const struct cap_rec *r)
{
	take(arg, r);
}

static bool is_of_call(struct scope *s, const struct cap_frame *fr)
{
	struct trk_call *c = NULL;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call && scope_is_named(s, fr->msgs[i].call))
			return true;
	if (fr->media != RTP_UNKNOWN)
		c = trk_media_call(s->trk, &fr->pkt.src, &fr->pkt.dst);
	return c && scope_is_named(s, c);
}

void scope_write_frame(struct scope *s, const struct cap_frame *fr, bool fits)
{
	struct scope_writer *w = s->writer;
	if (s->who)
		fits = fits && is_of_call(s, fr);
	if (w->ring && w->dep)
		cap_dep_frame(w->dep, fr, fits, take_earlier, s);
	if (!fits)
		return;
	if (w->ring)
		take(s, &fr->rec);
	if (w->hep && fr->n_msgs && !w->has_failed) {
		struct buf why;
		buf_init(&why);
		if (cap_hep_frame(w->hep, fr, &why))
			fail(s, "--hep-to", &why);
		buf_fini(&why);
	}
}

void scope_write_idle(struct scope *s)
{
	struct buf why;
	if (!s->writer || !s->writer->ring || s->writer->has_failed)
		return;
	buf_init(&why);
	if (cap_ring_flush(s->writer->ring, &why))
		fail(s, s->to.path, &why);
	buf_fini(&why);
}

/* --- the end --------------------------------------------------------------------------------- */

static void copy_marked(struct scope *s, struct buf *why)
{
	struct scope_writer *w = s->writer;
	struct cap *again;
	struct cap_rec r = {0};
	if (cap_again(s->cap, &again, why)) {
		fail(s, "the capture cannot be read again", why);
		return;
	}
	while (!w->has_failed && r.no / 8 < w->n_marks && cap_next(again, &r))
		if (r.no / 8 < w->n_marks && w->marks[r.no / 8] & 1 << r.no % 8)
			write_rec(s, &r);
	cap_close(again);
}

int scope_write_end(struct scope *s)
{
	struct scope_writer *w = s->writer;
	struct buf why;
	struct cap_counts counts;
	if (!w)
		return -1;
	buf_init(&why);
	if (w->is_two_pass && !w->has_failed)
		copy_marked(s, &why);
	if (w->ring) {
		uint64_t n = cap_ring_n(w->ring);
		bool has_counts = cap_count(s->cap, &counts);
		if (cap_ring_close(w->ring, has_counts ? &counts : NULL, &why))
			fail(s, s->to.path, &why);
		else if (s->who && !n && !w->has_failed)
			scope_no_such_call(s);
		else
			fprintf(stderr, "rung scope: %llu of %llu frames written to %s\n",
				(unsigned long long)n, (unsigned long long)s->n_frames, s->to.path);
		w->ring = NULL;
		w->has_failed = w->has_failed || (s->who && !n);
	}
	if (w->hep)
		fprintf(stderr, "rung scope: %llu messages sent to %s%s",
			(unsigned long long)cap_hep_n_sent(w->hep), s->to.hep_to,
			cap_hep_n_lost(w->hep) ? "" : "\n");
	if (w->hep && cap_hep_n_lost(w->hep))
		fprintf(stderr, ", at least %llu of them in vain: does anybody listen there?\n",
			(unsigned long long)cap_hep_n_lost(w->hep));
	buf_fini(&why);
	return w->has_failed ? EXIT_FAILED : -1;
}

void scope_write_free(struct scope *s)
{
	struct scope_writer *w = s->writer;
	struct buf why;
	if (!w)
		return;
	buf_init(&why);
	enum err e = cap_ring_close(w->ring, NULL, &why);
	(void)e; /* only after another failure there is one left */
	buf_fini(&why);
	cap_hep_close(w->hep);
	cap_dep_free(w->dep);
	free(w->marks);
	free(w);
}
