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
 *
 * TLS can be read by those who have its secrets, so they go into the file (pcapng): those of the
 * connections of which something is written, and no others. A message that came over TLS brings all
 * packets of its connection with it, because none of them can be opened without those before.
 */
#include "base/grow.h"
#include "capture/cap_dep.h"
#include "capture/cap_hep.h"
#include "capture/cap_ring.h"
#include "cmd/scope_priv.h"
#include "cmd/scope_remark.h"
#include "track/trk_media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct scope_writer {
	struct cap_ring *ring;
	struct cap_hep_out *hep;
	struct cap_dep *dep;
	bool is_two_pass, has_failed;
	struct bits {
		uint8_t *v;
		size_t n; /* bytes */
	} marks,          /* two passes: bit n: frame n is written */
		conns,    /* ... TLS connection n is written, all of it */
		asked;    /* ... something of connection n is: its secrets are */
	uint64_t *told;   /* of connection n: the random (its beginning) told last, 0 none */
	size_t n_told;
	bool has_told;
	struct buf secrets;     /* two passes */
	struct remarks remarks; /* on what is copied */
	struct buf *why;        /* of a screen that saves: why it failed; NULL: to stderr */
};

static void fail(struct scope *s, const char *what, struct buf *why)
{
	struct scope_writer *w = s->writer;
	if (!w->has_failed && w->why)
		buf_fmt(w->why, "%s: " STR_FMT, what, STR_ARG(buf_view(why)));
	else if (!w->has_failed)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n", what, STR_ARG(buf_view(why)));
	w->has_failed = true;
	if (!w->why)
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

/* Calls that were chosen, or all. */
static bool is_part(const struct scope *s)
{
	return s->flt || s->who || s->n_chosen;
}

static bool is_wanted(const struct scope *s, const struct trk_call *c)
{
	if (!s->n_chosen)
		return scope_is_named(s, c);
	for (size_t i = 0; i < s->n_chosen; i++)
		if (trk_join_first(s->chosen[i]) == trk_join_first(c))
			return true;
	return false;
}

static int open_two_pass(struct scope *s, struct scope_writer *w, struct buf *why)
{
	enum err e = OK;
	w->is_two_pass = !s->is_live && is_part(s);
	if (w->is_two_pass)
		e = cap_keep(s->cap);
	if (e == ERR_IO)
		buf_fmt(why, "there is no room to put the capture aside (TMPDIR)");
	if (is_part(s))
		w->dep = cap_dep_new(!w->is_two_pass);
	if (e == OK && !w->dep && is_part(s))
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

static bool has(const struct bits *b, uint32_t no)
{
	return no / 8 < b->n && b->v[no / 8] & 1 << no % 8;
}

static void mark(struct scope *s, struct bits *b, uint32_t no)
{
	uint8_t *v = grow(b->v, &b->n, no / 8, 1);
	if (!v) {
		struct buf why;
		char text[8];
		buf_init_fixed(&why, text, sizeof text);
		fail(s, "no memory for the frames that are written", &why);
		return;
	}
	b->v = v;
	v[no / 8] |= (uint8_t)(1 << no % 8);
}

/* Whether the secrets of that connection and random were told before; a connection that negotiates
 * anew has another random. [RFC5246 7.4.1.1] */
static bool is_told(struct scope_writer *w, const struct cap_frame *fr)
{
	uint64_t random;
	memcpy(&random, fr->tls_random, sizeof random);
	uint64_t *told = grow(w->told, &w->n_told, fr->conn_no, sizeof *told);
	if (!told)
		return true;
	w->told = told;
	return w->told[fr->conn_no] == random;
}

/* The secrets of the frame's connection, as soon as they are known. */
static void put_secrets(struct scope *s, const struct cap_frame *fr)
{
	struct scope_writer *w = s->writer;
	struct buf text, why;
	if (!fr->tls_random || is_told(w, fr))
		return;
	buf_init(&text);
	buf_init(&why);
	cap_walk_put_secrets(s->walk, fr->tls_random, &text);
	if (text.n)
		memcpy(&w->told[fr->conn_no], fr->tls_random, sizeof *w->told);
	w->has_told = w->has_told || text.n;
	if (w->is_two_pass)
		buf_str(&w->secrets, buf_view(&text));
	else if (text.n && !w->has_failed &&
		 cap_ring_secrets(w->ring, CAP_SECRETS_TLS, buf_view(&text), &why))
		fail(s, s->to.path, &why);
	buf_fini(&text);
	buf_fini(&why);
}

static void take_secrets(struct scope *s, const struct cap_frame *fr)
{
	struct scope_writer *w = s->writer;
	if (!fr->tls_random)
		return;
	if (!w->is_two_pass) {
		put_secrets(s, fr);
		return;
	}
	mark(s, &w->asked, fr->conn_no);
	if (fr->n_msgs)
		mark(s, &w->conns, fr->conn_no);
}

static void write_rec(struct scope *s, const struct cap_rec *r, struct str comment)
{
	struct scope_writer *w = s->writer;
	struct buf why;
	buf_init(&why);
	if (!w->has_failed && cap_ring_rec(w->ring, r, comment, &why))
		fail(s, s->to.path, &why);
	buf_fini(&why);
}

static void take(struct scope *s, const struct cap_rec *r)
{
	if (s->writer->is_two_pass)
		mark(s, &s->writer->marks, r->no);
	else if (r->p)
		write_rec(s, r, STR_NONE);
}

static void take_earlier(void *arg, const struct cap_rec *r)
{
	take(arg, r);
}

/* The walk may have a tracker of its own, and then calls of its own. */
static bool is_wanted_here(const struct scope *s, const struct cap_frame *fr,
			   const struct trk_call *c)
{
	if (c && fr->trk != s->trk)
		c = trk_find(s->trk, c->call_id);
	return c && is_wanted(s, c);
}

static bool is_of_call(const struct scope *s, const struct cap_frame *fr)
{
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (is_wanted_here(s, fr, fr->msgs[i].call))
			return true;
	return fr->media != RTP_UNKNOWN &&
	       is_wanted_here(s, fr, trk_media_call(fr->trk, &fr->pkt.src, &fr->pkt.dst));
}

/* --- frames that wait ------------------------------------------------------------------------ */

struct earlier {
	struct earlier *next;
	struct cap_rec rec;
	uint8_t bytes[];
};
struct kept {
	struct earlier *first, *last;
};

/* What others wrote to it and the name of its interface are not worth the memory. */
static void keep_earlier(void *arg, const struct cap_rec *r)
{
	struct kept *k = arg;
	struct earlier *e = r->p ? malloc(sizeof *e + r->n) : NULL;
	if (!e)
		return;
	e->next = NULL;
	e->rec = *r;
	e->rec.p = memcpy(e->bytes, r->p, r->n);
	e->rec.if_name = NULL;
	e->rec.comment = STR_NONE;
	if (k->last)
		k->last->next = e;
	else
		k->first = e;
	k->last = e;
}

void *scope_write_keep(void *scope, const struct cap_frame *fr)
{
	struct scope *s = scope;
	struct kept *k = s->writer && s->writer->dep ? calloc(1, sizeof *k) : NULL;
	if (k)
		cap_dep_frame(s->writer->dep, fr, true, keep_earlier, k);
	return k;
}

void scope_write_drop(void *kept)
{
	struct kept *k = kept;
	for (struct earlier *e = k->first, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	free(k);
}

void scope_write_frame(struct scope *s, const struct cap_frame *fr, bool fits, void *kept)
{
	struct scope_writer *w = s->writer;
	struct kept *k = kept;
	if (s->who || s->n_chosen)
		fits = fits && is_of_call(s, fr);
	if (k && fits)
		for (const struct earlier *e = k->first; e; e = e->next)
			take(s, &e->rec);
	else if (!k && w->ring && w->dep)
		cap_dep_frame(w->dep, fr, fits, take_earlier, s);
	if (!fits)
		return;
	if (w->ring) {
		take_secrets(s, fr);
		take(s, &fr->rec);
	}
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

/* What the verdicts on calls that are written by choice say, at the frames that prove it. */
static void judge_calls(struct scope *s)
{
	struct remarks *r = &s->writer->remarks;
	bool is_any = s->who || s->n_chosen;
	for (struct trk_call *c = is_any ? trk_first(s->trk) : NULL; c; c = trk_after(s->trk, c))
		if (is_wanted(s, c) &&
		    (vrd_judge(&s->verdict, s->trk, c) || remarks_add(r, s->trk, &s->verdict)))
			break; /* no memory: comments are left out */
	remarks_sort(r);
}

static void copy_frames(struct scope *s, struct cap *again)
{
	struct scope_writer *w = s->writer;
	struct cap_rec r = {0};
	while (!w->has_failed && r.no / 8 < w->marks.n && cap_next(again, &r))
		if (has(&w->marks, r.no))
			write_rec(s, &r, remarks_on(&w->remarks, r.no, r.comment));
}

static void gather_secrets(struct scope *s, const struct cap_frame *fr)
{
	if (has(&s->writer->asked, fr->conn_no))
		put_secrets(s, fr);
}

static void copy_frame(struct scope *s, const struct cap_frame *fr)
{
	struct scope_writer *w = s->writer;
	if (has(&w->marks, fr->rec.no) || has(&w->conns, fr->conn_no))
		write_rec(s, &fr->rec, remarks_on(&w->remarks, fr->rec.no, fr->rec.comment));
}

/* Whose a segment is, only a walk can tell: one more for each of the two. */
static void walk_again(struct scope *s, void (*fn)(struct scope *s, const struct cap_frame *fr))
{
	struct scope_writer *w = s->writer;
	const struct cap_frame *fr;
	struct cap_walk *walk = NULL;
	struct cap *again = NULL;
	struct buf why;
	buf_init(&why);
	if (cap_again(s->cap, &again, &why) || cap_walk_new(again, NULL, &walk)) {
		buf_clear(&why);
		buf_fmt(&why, "the capture cannot be read again");
		fail(s, s->to.path, &why);
	} else {
		cap_walk_share_keys(walk, s->walk);
		while (!w->has_failed && (fr = cap_walk_next(walk)) && !fr->is_late)
			fn(s, fr);
	}
	buf_fini(&why);
	cap_walk_free(walk);
	cap_close(again);
}

static void copy_marked(struct scope *s, struct buf *why)
{
	struct scope_writer *w = s->writer;
	struct cap *again;
	judge_calls(s);
	if (w->asked.n)
		walk_again(s, gather_secrets);
	if (!w->has_failed && w->secrets.n &&
	    cap_ring_secrets(w->ring, CAP_SECRETS_TLS, buf_view(&w->secrets), why)) {
		fail(s, s->to.path, why);
		return;
	}
	if (w->conns.n) {
		walk_again(s, copy_frame);
	} else if (cap_again(s->cap, &again, why)) {
		fail(s, "the capture cannot be read again", why);
	} else {
		copy_frames(s, again);
		cap_close(again);
	}
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
		if (w->has_told && cap_format_of(str_c(s->to.path)) == CAP_FORMAT_PCAP)
			fprintf(stderr,
				"rung scope: %s: pcap has no place for the TLS secrets that are "
				"needed to read it: write a .pcapng\n",
				s->to.path);
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

static bool on_chosen_frame(void *arg, const struct cap_frame *fr)
{
	struct scope *s = arg;
	scope_write_frame(s, fr, true, NULL);
	return !s->writer->has_failed;
}

enum err scope_write_chosen(struct scope *s, const char *path, uint64_t *n, struct buf *why)
{
	struct scope_writer *w = s->writer = calloc(1, sizeof(*w));
	struct buf inner;
	if (!w)
		return ERR_NOMEM;
	buf_init(&inner);
	w->why = why;
	s->to.path = path;
	*n = 0;
	if (open_ring(s, w, &inner) >= 0 || open_two_pass(s, w, &inner) >= 0)
		fail(s, path, &inner);
	else if (book_frames(s->book, FLT_NEEDS_MEDIA, on_chosen_frame, s))
		fail(s, "the capture cannot be read again", &inner);
	if (!w->has_failed)
		copy_marked(s, &inner);
	if (w->ring)
		*n = cap_ring_n(w->ring);
	if (cap_ring_close(w->ring, NULL, &inner))
		fail(s, path, &inner);
	w->ring = NULL;
	enum err e = w->has_failed ? ERR_IO : OK;
	buf_fini(&inner);
	scope_write_free(s);
	s->writer = NULL;
	s->to.path = NULL;
	return e;
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
	free(w->marks.v);
	free(w->conns.v);
	free(w->asked.v);
	free(w->told);
	buf_fini(&w->secrets);
	remarks_fini(&w->remarks);
	free(w);
}
