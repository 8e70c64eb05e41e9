/* Where `rung scope` gets its packets: a file, a pipe, or a running exchange's control socket; and
 * the walk over them. */
#include "cmd/control.h"
#include "cmd/scope_priv.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>

#define LIVE_TICK_MS 200

static int open_exchange(struct scope *s, struct buf *why)
{
	const char *text;
	s->source_fd = control_ask(s->live, "live", &text);
	if (s->source_fd < 0) {
		fprintf(stderr, "rung scope: %s: %s\n", s->live, text);
		return EXIT_UNREACHABLE;
	}
	return cap_open_fd(s->source_fd, &s->cap, why) ? EXIT_FAILED : -1;
}

static int open_capture(struct scope *s)
{
	struct buf why;
	buf_init(&why);
	int code = s->live                                  ? open_exchange(s, &why)
		   : cap_open(s->file, &s->cap, &why) == OK ? -1
							    : EXIT_FAILED;
	if (code == EXIT_FAILED)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n", s->live ? s->live : s->file,
			STR_ARG(why.n ? buf_view(&why) : str_c(err_text(ERR_NOMEM))));
	buf_fini(&why);
	return code;
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	(void)t;
	scope_on_verdict(arg, c, v);
}

static bool needs_trk(const struct scope *s)
{
	bool needs = scope_view_needs_trk(s->view) || (s->flt && flt_needs_media(s->flt));
	for (size_t i = 0; i < s->field_names.n; i++)
		needs = needs || s->fields[i]->needs_media;
	return needs;
}

int scope_open(struct scope *s)
{
	int code = open_capture(s);
	if (code >= 0)
		return code;
	bool needs = needs_trk(s);
	if (needs) {
		/* live, calls are forgotten when they have ended; all else is a list of what is
		 * there */
		struct trk_cfg cfg = {.is_live = s->live && scope_view_is_of_calls(s->view),
				      .has_media = !s->live,
				      .has_join = scope_view_is_of_calls(s->view) && !s->is_leg,
				      .report_all = true,
				      .on_verdict = on_verdict,
				      .arg = s};
		s->trk = trk_new(&cfg);
	}
	enum err e = needs && !s->trk ? ERR_NOMEM : cap_walk_new(s->cap, s->trk, &s->walk);
	if (e)
		fprintf(stderr, "rung scope: %s\n", err_text(e));
	return e ? EXIT_FAILED : -1;
}

/* What the reader of the output should know about the input; the exit code. */
static int report(struct scope *s, int code)
{
	uint16_t link;
	uint32_t n = cap_walk_unknown_links(s->walk, &link);
	if (n)
		fprintf(stderr,
			"rung scope: %u frames have the link type %u, which is not read here; "
			"`editcap` or `tcpdump` may convert them\n",
			n, link);
	const char *problem = cap_problem(s->cap);
	if (problem && !s->live) {
		fprintf(stderr, "rung scope: %s; what was read so far is shown\n", problem);
		code = code > 0 ? code : EXIT_FAILED;
	}
	if (ferror(stdout)) {
		fprintf(stderr,
			"rung scope: the output cannot be written (disk full, or the reader "
			"has gone)\n");
		code = EXIT_FAILED;
	}
	return code;
}

static void mark_calls(void *arg, const struct cap_frame *fr)
{
	struct scope *s = arg;
	if (!s->flt || !flt_match(s->flt, fr))
		return;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call)
			fr->msgs[i].call->is_marked = true;
}

int scope_open_book(struct scope *s)
{
	struct book_cfg cfg = {
		.trk = {.has_media = true, .has_join = !s->is_leg},
		.on_frame = mark_calls,
		.arg = s
        };
	int code = open_capture(s);
	if (code >= 0)
		return code;
	struct cap *c = s->cap;
	s->cap = NULL;
	enum err e = book_new(c, &cfg, &s->book);
	if (e) {
		fprintf(stderr, "rung scope: %s\n",
			e == ERR_IO ? "there is no room to put the capture aside (TMPDIR)"
				    : err_text(e));
		return EXIT_FAILED;
	}
	s->cap = book_cap(s->book);
	s->trk = book_trk(s->book);
	s->walk = book_walk(s->book);
	while (book_read(s->book, 10'000))
		continue;
	int bad = report(s, -1);
	return bad == EXIT_FAILED && !cap_problem(s->cap) ? bad : -1;
}

static uint64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1'000'000 + (uint64_t)ts.tv_nsec / 1'000;
}

/* Live: lets time pass for the tracker while nothing comes. */
static void wait_for_more(struct scope *s)
{
	struct pollfd p = {.fd = s->source_fd, .events = POLLIN};
	while (cap_would_read(s->cap) && poll(&p, 1, LIVE_TICK_MS) == 0)
		if (s->trk)
			trk_tick(s->trk, wall_us());
}

int scope_walk(struct scope *s)
{
	for (;;) {
		if (s->live)
			wait_for_more(s);
		const struct cap_frame *fr = cap_walk_next(s->walk);
		if (!fr || s->is_broken)
			break;
		scope_on_frame(s, fr);
	}
	if (s->live && s->trk)
		trk_flush(s->trk);
	int code = scope_at_end(s);
	scope_flush(s);
	return report(s, code);
}
