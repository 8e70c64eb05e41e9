/* Where `rung scope` gets its packets: a file, a pipe, an interface, agents of Homer, or a running
 * exchange's control socket; and the walk over them.
 *
 * Whatever is live goes on until it is stopped: by Ctrl-C or SIGTERM, which is its normal end, by
 * -c or by -a. A file is read to its end; Ctrl-C then shows what was read so far and ends with 130.
 * A second Ctrl-C ends at once. While nothing comes, what was gathered is put out, time passes for
 * the tracker, and the loop looks whether it is to end.
 */
#include "cmd/control.h"
#include "cmd/scope_priv.h"
#include "scope/cap_hep.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIVE_TICK_MS    200
#define DRAIN_US        1'000'000u
#define DRAIN_WAIT_MS   60  /* the kernel keeps a packet back for 50 */
#define CLOCK_FRAMES    256 /* the clock is looked at so often while frames come without a pause */
#define PROGRESS_US     500'000u
#define PROGRESS_FRAMES 4'096

static volatile sig_atomic_t was_signalled;

static void on_signal(int sig)
{
	(void)sig;
	was_signalled = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static uint64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1'000'000 + (uint64_t)ts.tv_nsec / 1'000;
}

/* --- opening --------------------------------------------------------------------------------- */

int scope_list_interfaces(void)
{
	struct buf b, why;
	buf_init(&b);
	buf_init(&why);
	enum err e = cap_interfaces(&b, &why);
	if (e)
		fprintf(stderr, "rung scope: " STR_FMT "\n",
			STR_ARG(why.n ? buf_view(&why) : str_c(err_text(e))));
	else
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	buf_fini(&why);
	return e ? EXIT_FAILED : EXIT_DONE;
}

static int open_interface(struct scope *s, struct buf *why)
{
	const char *hep = strncmp(s->in.cfg.iface, "hep:", 4) == 0 ? s->in.cfg.iface + 4 : NULL;
	enum err e = hep ? cap_open_hep(hep, s->in.hep_key, &s->cap, why)
			 : cap_open_live(&s->in.cfg, &s->cap, why);
	return e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

static int open_exchange(struct scope *s, struct buf *why)
{
	const char *text;
	int fd = control_ask(s->live, "live", &text);
	if (fd < 0) {
		buf_fmt(why, "%s", text);
		return EXIT_UNREACHABLE;
	}
	return cap_open_fd(fd, &s->cap, why) ? EXIT_FAILED : -1;
}

static int open_capture(struct scope *s)
{
	struct buf why;
	buf_init(&why);
	int code = s->in.cfg.iface                          ? open_interface(s, &why)
		   : s->live                                ? open_exchange(s, &why)
		   : cap_open(s->file, &s->cap, &why) == OK ? -1
							    : EXIT_FAILED;
	if (code >= 0)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n",
			s->in.cfg.iface ? s->in.cfg.iface
			: s->live       ? s->live
					: s->file,
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
	bool needs = scope_view_needs_trk(s->view) || (s->flt && flt_needs_media(s->flt)) ||
		     scope_write_needs_trk(s);
	for (size_t i = 0; i < s->field_names.n; i++)
		needs = needs || s->fields[i]->needs_media;
	return needs;
}

int scope_open(struct scope *s)
{
	s->is_live = s->live || s->in.cfg.iface;
	int code = open_capture(s);
	if (code < 0)
		code = scope_write_open(s);
	if (code >= 0)
		return code;
	bool needs = needs_trk(s);
	if (needs) {
		/* live, calls are forgotten when they have ended, where the view can do with that
		 */
		struct trk_cfg cfg = {.is_live = s->is_live && scope_view_forgets(s->view),
				      .has_media = !s->live,
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

/* --- progress -------------------------------------------------------------------------------- */

struct progress { /* of a long file, where somebody looks */
	bool is_on, is_shown;
	uint64_t begin_us, last_us;
};

static void progress_begin(const struct scope *s, struct progress *p)
{
	bool fills_terminal = isatty(STDOUT_FILENO) && s->view == V_MESSAGES && !s->is_quiet;
	*p = (struct progress){.is_on = !s->is_live && isatty(STDERR_FILENO) && !fills_terminal &&
					cap_size(s->cap)};
	if (p->is_on)
		p->begin_us = p->last_us = wall_us();
}

static void progress_show(const struct scope *s, struct progress *p)
{
	uint64_t now = p->is_on && s->n_frames % PROGRESS_FRAMES == 0 ? wall_us() : 0;
	if (!now || now < p->last_us + PROGRESS_US)
		return;
	p->last_us = now;
	p->is_shown = true;
	double read = (double)cap_n_read(s->cap);
	fprintf(stderr, "\rreading: %3.0f %%, %.0f MB/s ", 100 * read / (double)cap_size(s->cap),
		read / (double)(now - p->begin_us));
}

static void progress_end(const struct progress *p)
{
	if (p->is_shown)
		fprintf(stderr, "\r\033[K");
}

/* --- the walk -------------------------------------------------------------------------------- */

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
	struct cap_counts c;
	if (cap_count(s->cap, &c) && strncmp(s->in.cfg.iface, "hep:", 4) == 0)
		fprintf(stderr, "rung scope: %llu packets of HEP, %llu refused or damaged\n",
			(unsigned long long)c.n_received, (unsigned long long)c.n_dropped_iface);
	else if (c.n_received || s->in.cfg.iface)
		fprintf(stderr,
			"rung scope: %llu packets, %llu dropped by the kernel, %llu by the "
			"interface\n",
			(unsigned long long)s->n_frames, (unsigned long long)c.n_dropped_kernel,
			(unsigned long long)c.n_dropped_iface);
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
	struct book_cfg cfg = {.trk.has_media = true, .on_frame = mark_calls, .arg = s};
	int code = open_capture(s);
	if (code >= 0)
		return code;
	catch_signals();
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
	while (!was_signalled && book_read(s->book, 10'000))
		continue;
	int bad = report(s, -1);
	return bad == EXIT_FAILED && !cap_problem(s->cap) ? bad : -1;
}

/* Time passes, also while frames come without a pause but without SIP. */
static void tick(struct scope *s, uint64_t until_us)
{
	uint64_t now = wall_us();
	if (s->trk)
		trk_tick(s->trk, now);
	if (until_us && now >= until_us)
		cap_stop(s->cap);
}

struct until {            /* wall clock, µs; 0: open */
	uint64_t end_us;  /* -a duration */
	uint64_t stop_us; /* signalled: what already came is taken, but not for ever */
	bool may_wait;    /* no plain file */
};

static bool has_enough(const struct scope *s)
{
	return s->is_broken || (s->in.count && s->n_frames >= s->in.count);
}

/* Signalled: a file ends at once, what is live when nothing more waits to be read. */
static bool is_to_stop(struct scope *s, struct until *u)
{
	if (!s->is_live)
		return true;
	if (!u->stop_us)
		u->stop_us = wall_us() + DRAIN_US;
	return wall_us() >= u->stop_us || !cap_wait(s->cap, DRAIN_WAIT_MS);
}

/* Until the next frame may be there; what is to be seen is put out first. */
static void wait_for_more(struct scope *s, struct until *u)
{
	if (s->is_live && s->n_frames % CLOCK_FRAMES == 0)
		tick(s, u->end_us);
	while (u->may_wait && !has_enough(s) && !was_signalled && !cap_wait(s->cap, 0)) {
		if (s->is_live)
			tick(s, u->end_us);
		scope_flush(s);
		scope_write_idle(s);
		if (cap_wait(s->cap, LIVE_TICK_MS))
			break;
	}
	if (has_enough(s) || (was_signalled && is_to_stop(s, u)))
		cap_stop(s->cap);
}

int scope_walk(struct scope *s)
{
	struct progress p;
	struct until u = {.may_wait = s->is_live || !cap_size(s->cap)};
	if (s->in.duration_s > 0)
		u.end_us = wall_us() + (uint64_t)(s->in.duration_s * 1e6);
	catch_signals();
	progress_begin(s, &p);
	scope_view_begin(s);
	for (;;) {
		wait_for_more(s, &u);
		const struct cap_frame *fr = cap_walk_next(s->walk);
		if (!fr || s->is_broken)
			break;
		s->n_frames += !fr->is_late;
		scope_on_frame(s, fr);
		progress_show(s, &p);
	}
	progress_end(&p);
	if (s->is_live && s->trk)
		trk_flush(s->trk);
	int code = scope_at_end(s), written = scope_write_end(s);
	scope_flush(s);
	code = report(s, written < 0 ? code : written);
	if (was_signalled && !s->is_live) {
		fprintf(stderr, "rung scope: interrupted; what was read so far is shown\n");
		code = EXIT_INTERRUPTED;
	}
	return code;
}
