/* `rung scope` on a terminal: the screens of tui/ over a book that is read while they are shown.
 *
 * Live, the keyboard and the capture are waited for together; packets are taken in without a pause,
 * and the screen is drawn ten times a second, or at once for a key. */
#include "cmd/scope_priv.h"
#include "tui/tui.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAMES_AT_ONCE      20'000
#define LIVE_FRAMES_AT_ONCE 1'000 /* so long a key may wait */
#define DRAW_US             100'000u
#define BLIND_MS            10 /* a source without a descriptor is looked at so often */
#define SECOND_US           1'000'000u

struct scope_rate {             /* live */
	uint64_t at_us, end_us; /* end: of -a, 0 none */
	uint32_t n_before, per_s;
	struct cap_counts counts;
	bool has_counts;
};

bool scope_is_tui(const struct scope *s)
{
	bool has_view = false;
	for (unsigned i = 0; i < V__N; i++)
		has_view = has_view || s->views[i];
	bool is_file = s->file && strcmp(s->file, "-") != 0;
	bool is_other = s->format_name || s->is_json || s->field_names.n || s->out_path ||
			s->sipp || s->audio || s->compare || s->who || s->to.path || s->to.hep_to;
	return !has_view && !is_other && (is_file || s->live || s->in.cfg.iface) &&
	       isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static bool more(void *arg)
{
	struct scope *s = arg;
	bool goes_on = book_read(s->book, FRAMES_AT_ONCE);
	if (!goes_on && scope_settle(s) >= 0)
		s->is_unsettled = true; /* told when the screens are left */
	return goes_on;
}

static uint64_t wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * SECOND_US + (uint64_t)ts.tv_nsec / 1'000;
}

static void measure(struct scope *s, uint64_t now_us)
{
	struct scope_rate *r = s->rate;
	uint32_t n = book_n_frames(s->book);
	uint64_t us = now_us - r->at_us;
	if (now_us >= r->at_us && us < SECOND_US)
		return;
	r->per_s = now_us > r->at_us ? (uint32_t)((uint64_t)(n - r->n_before) * SECOND_US / us) : 0;
	r->n_before = n;
	r->at_us = now_us;
	r->has_counts = cap_count(s->cap, &r->counts);
}

/* A key, a packet, or the end of the time: whichever comes first; true: a key. */
static bool wait_for_key(const struct scope *s, unsigned ms)
{
	struct pollfd p[2] = {
		{.fd = STDIN_FILENO,   .events = POLLIN},
                {.fd = cap_fd(s->cap), .events = POLLIN}
        };
	if (p[1].fd < 0 && ms > BLIND_MS)
		ms = BLIND_MS;
	return poll(p, 2, (int)ms) < 0 || p[0].revents;
}

static bool more_live(void *arg)
{
	struct scope *s = arg;
	uint64_t now = wall_us(), until = now + DRAW_US;
	bool goes_on = true, has_key = false;
	while (goes_on && !has_key && now < until) {
		uint32_t n = book_n_frames(s->book);
		goes_on = book_read(s->book, LIVE_FRAMES_AT_ONCE);
		bool is_behind = book_n_frames(s->book) - n == LIVE_FRAMES_AT_ONCE;
		if (goes_on)
			has_key =
				wait_for_key(s, is_behind ? 0 : (unsigned)((until - now) / 1'000));
		now = wall_us();
	}
	trk_tick(s->trk, now);
	measure(s, now);
	if (s->in.count && book_n_frames(s->book) >= s->in.count)
		goes_on = false;
	return goes_on && (!s->rate->end_us || now < s->rate->end_us);
}

static void put_state(void *arg, struct buf *b)
{
	const struct scope *s = arg;
	const struct scope_rate *r = s->rate;
	buf_fmt(b, "  %u packets/s", r->per_s);
	uint64_t n_dropped =
		r->counts.n_dropped_kernel + r->counts.n_dropped_iface + cap_sniffer_drops(s->cap);
	if (r->has_counts || s->live)
		buf_fmt(b, "  %llu dropped", (unsigned long long)n_dropped);
}

int scope_run_tui(struct scope *s)
{
	struct scope_rate rate = {.at_us = wall_us()};
	bool is_live = s->live || s->in.cfg.iface;
	struct tui_opts o = {.title = scope_source_name(s),
			     .filter = s->filter,
			     .is_ascii = s->is_ascii,
			     .no_colour = s->no_colour || !scope_may_colour(),
			     .is_live = is_live,
			     .more = is_live ? more_live : more,
			     .state = put_state,
			     .save = scope_save,
			     .arg = s};
	int code = scope_open_book(s);
	if (code >= 0)
		return code;
	s->is_screen = true;
	s->rate = &rate;
	if (s->in.duration_s > 0)
		rate.end_us = rate.at_us + (uint64_t)(s->in.duration_s * 1e6);
	enum err e = tui_run(s->book, &o);
	s->is_screen = false;
	s->rate = NULL;
	s->n_frames = book_n_frames(s->book);
	if (e) {
		fprintf(stderr, "rung scope: %s\n",
			e == ERR_UNSUPPORTED
				? "this terminal cannot be drawn on (TERM?); --calls and "
				  "--ladder list as text"
				: err_text(e));
		return EXIT_FAILED;
	}
	if (s->is_unsettled)
		return scope_settle(s);
	return scope_report(s, EXIT_DONE);
}
