/* The walk of `rung scope` over its packets.
 *
 * Whatever is live goes on until it is stopped: by Ctrl-C or SIGTERM, which is its normal end, by
 * -c or by -a. A file is read to its end; Ctrl-C then shows what was read so far and ends with 130.
 * A second Ctrl-C ends at once. While nothing comes, what was gathered is put out, time passes for
 * the tracker, and the loop looks whether it is to end.
 */
#include "cmd/scope_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

void scope_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool scope_was_signalled(void)
{
	return was_signalled;
}

static uint64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1'000'000 + (uint64_t)ts.tv_nsec / 1'000;
}

/* --- progress -------------------------------------------------------------------------------- */

struct progress { /* of a long file, where somebody looks */
	bool is_on, is_shown;
	uint64_t begin_us, last_us;
	uint64_t next; /* frame with which the clock is looked at */
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
	if (!p->is_on || s->n_frames < p->next)
		return;
	uint64_t now = wall_us();
	p->next = s->n_frames + PROGRESS_FRAMES;
	if (now < p->last_us + PROGRESS_US)
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

/* The capture once more, from its beginning; what a pipe gave was put aside. */
static int open_again(struct scope *s)
{
	struct cap *again = NULL;
	struct buf why;
	buf_init(&why);
	enum err e = cap_again(s->cap, &again, &why);
	buf_fini(&why);
	s->first_cap = s->cap;
	s->cap = again;
	if (e)
		fprintf(stderr, "rung scope: the capture cannot be read a second time\n");
	return e ? EXIT_FAILED : scope_make_walk(s);
}

/* The first of two walks: its tracker is kept for what it knows of the calls. Of a pipe that was
 * interrupted the second shows what came. */
static int walk_ahead(struct scope *s, struct until *u)
{
	do
		wait_for_more(s, u);
	while (cap_walk_next(s->walk));
	s->is_interrupted = was_signalled;
	if (u->may_wait)
		was_signalled = 0;
	u->may_wait = false;
	s->whole_trk = s->trk;
	s->trk = NULL;
	trk_join_settle(s->whole_trk);
	s->calls = flt_calls_new(s->whole_trk);
	cap_walk_free(s->walk);
	s->walk = NULL;
	if (s->calls)
		return open_again(s);
	fprintf(stderr, "rung scope: %s\n", err_text(ERR_NOMEM));
	return EXIT_FAILED;
}

/* Nobody looks at a frame without one. */
static bool sees_messages_only(const struct scope *s)
{
	return scope_view_sees_messages_only(s->view) && !s->in.count && !s->flt && !s->calls &&
	       !s->hold && !s->writer;
}

int scope_walk(struct scope *s)
{
	struct progress p;
	struct until u = {.may_wait = s->is_live || !cap_size(s->cap)};
	scope_catch_signals();
	int code = scope_is_of_whole_calls(s) && !s->is_live ? walk_ahead(s, &u) : -1;
	if (code >= 0)
		return code;
	if (s->in.duration_s > 0)
		u.end_us = wall_us() + (uint64_t)(s->in.duration_s * 1e6);
	if (!u.may_wait && sees_messages_only(s))
		cap_walk_of_messages(s->walk);
	progress_begin(s, &p);
	scope_at_start(s);
	for (;;) {
		if (u.may_wait || has_enough(s) || was_signalled)
			wait_for_more(s, &u);
		const struct cap_frame *fr = cap_walk_next(s->walk);
		if (!fr || s->is_broken)
			break;
		if (!fr->is_late)
			s->n_frames = fr->rec.no;
		if (s->calls && flt_calls_attach(s->calls, fr))
			s->out.err = ERR_NOMEM;
		scope_on_frame(s, fr);
		progress_show(s, &p);
	}
	progress_end(&p);
	if (s->is_live && s->trk)
		trk_flush(s->trk);
	if (s->hold && hold_end(s->hold))
		s->out.err = ERR_NOMEM;
	code = scope_at_end(s);
	int written = scope_write_end(s);
	scope_flush(s);
	code = scope_report(s, written < 0 ? code : written);
	if ((was_signalled || s->is_interrupted) && !s->is_live) {
		fprintf(stderr, "rung scope: interrupted; what was read so far is shown\n");
		code = EXIT_INTERRUPTED;
	}
	return code;
}
