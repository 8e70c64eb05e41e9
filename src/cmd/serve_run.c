/* rung serve: the time between "ready" and the end, on the scope's thread.
 *
 * End (SIGTERM, SIGINT): new calls are refused, calls that the exchange is an end of are hung up,
 * its registrations at upstreams are taken out, and what is being set up is given DRAIN_US, of
 * which the last LAST_US is for its own end; then the loop stops and serve.c joins the threads.
 * Calls that are only passed on go on without us. A second signal ends at once. SIGHUP reads
 * accounts, certificates and configuration again.
 *
 * systemd is told when it is ready, reloads, and ends; and, when its unit asks for it, that it is
 * well: every shard has answered since the last time that was said. */
#include "base/assert.h"
#include "cmd/notify.h"
#include "cmd/serve_priv.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DRAIN_US      3000000ull
#define LAST_US       1000000ull
#define DRAIN_POLL_US 50000ull
#define STARTING_US   20000ull /* until it is announced */
/* Without a message for so long: time to tidy up. All transactions have ended (64*T1 is 32 s). */
#define QUIET_US 40000000ull

/* What lives long (bindings) and what comes by the chunk (pools, tables) are kept apart: pieces of
 * 63 kB and more (a pool's chunk) are mappings of their own, whatever malloc would learn from the
 * first one freed, so that what a burst took goes back. One arena for all threads: messages move
 * between shards, and what one thread frees another asks for next; in the steady state hardly
 * anybody asks. It grows by a megabyte, since a system call per page is what a registration would
 * notice. */
void serve_set_malloc(void)
{
	mallopt(M_MMAP_THRESHOLD, 63 << 10);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_ARENA_MAX, 1);
}

/* Free pages between what is in use go back when nobody is there to wait for it. */
static void tidy_up(struct serve *s, bool was_busy)
{
	uint64_t now = env_now_us(s->env);
	if (was_busy) {
		s->quiet_at_us = now + QUIET_US;
	} else if (s->quiet_at_us && now >= s->quiet_at_us) {
		malloc_trim(0);
		s->quiet_at_us = 0;
	}
}

/* ---- ticking and ending ---------------------------------------------------------------------- */

void serve_reload(struct serve *s)
{
	char state[64];
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)env_now_us(s->env));
	notify(state);
	s->is_reloading = true;
	ev_words_set(s->words, s->n_shards, 0);
	serve_command(s, 0, CMD_RELOAD);
}

/* Once all shards have said something since: they are asked by the one before. */
static void on_beat(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, beat);
	bool is_well = true;
	for (size_t i = 0; i < s->n_shards; i++)
		is_well &= ev_words_get(s->words, i) != 0;
	if (is_well)
		notify("WATCHDOG=1");
	for (size_t i = 0; i < s->n_shards && !s->end_by_us; i++) {
		ev_words_set(s->words, i, 0);
		serve_command(s, i, CMD_COUNT);
	}
	ev_timer(s->loop, &s->beat, notify_watchdog_us() / 2, on_beat);
}

static void on_loaded(struct serve *s)
{
	if (!s->is_announced) {
		s->is_announced = true;
		serve_announce(s);
	}
	s->is_reloading = false;
	notify("READY=1");
}

static void on_tick(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, tick);
	if ((!s->is_announced || s->is_reloading) && ev_words_get(s->words, s->n_shards))
		on_loaded(s);
	bool was_busy = live_drain(s->live, env_now_us(s->env), env_wall_us(s->env));
	adm_tally(s->adm)->n_unseen = live_n_dropped(s->live);
	fflush(stdout); /* a verdict may come of time passing, with nothing to drain */
	tidy_up(s, was_busy);
	ev_timer(s->loop, &s->tick, s->is_announced ? live_pace_us(s->live) : STARTING_US, on_tick);
}

static void command_all(struct serve *s, enum command_kind kind)
{
	for (size_t i = 0; i < s->n_shards; i++)
		serve_command(s, i, kind);
}

static void tell_end(struct serve *s, size_t n)
{
	char mem[160];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b,
		"ending: %zu calls and requests of this exchange's own are ended first, in %u s at "
		"most; another signal ends it at once",
		n, (unsigned)(DRAIN_US / 1000000));
	serve_line(s, env_wall_us(s->env), buf_view(&b));
	fflush(stdout);
	s->is_end_told = true;
}

static void on_drain_poll(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, drain);
	uint64_t now = ev_now_us(s->loop);
	bool is_known = true;
	size_t n = 0;
	for (size_t i = 0; i < s->n_shards; i++) {
		uint32_t w = ev_words_get(s->words, i); /* 0: not answered yet */
		is_known &= w > 0;
		n += w ? w - 1 : 0;
	}
	if (is_known && n && !s->is_end_told)
		tell_end(s, n);
	if (!s->is_last && now + LAST_US > s->end_by_us) {
		s->is_last = true;
		command_all(s, CMD_HANGUP_ALL);
	}
	command_all(s, CMD_COUNT);
	if ((is_known && !n) || now > s->end_by_us)
		ev_stop(s->loop);
	else
		ev_timer(s->loop, &s->drain, DRAIN_POLL_US, on_drain_poll);
}

static void end(struct serve *s)
{
	if (s->end_by_us) {
		ev_stop(s->loop);
		return;
	}
	notify("STOPPING=1");
	s->end_by_us = ev_now_us(s->loop) + DRAIN_US;
	for (size_t i = 0; i < s->n_shards; i++)
		ev_words_set(s->words, i, 0);
	exc_drain(s->exc);
	command_all(s, CMD_HANGUP);
	on_drain_poll(&s->drain);
}

/* There is no caller to answer: what is wrong with the file goes where the rest is told. */
static void reload(struct serve *s)
{
	struct buf out;
	buf_init(&out);
	serve_config_reload(s, 0, &out);
	for (struct str rest = buf_view(&out); rest.n;) {
		struct str line = str_cut(rest, '\n', &rest);
		if (!str_eq(line, STR("ok")))
			serve_line(s, env_wall_us(s->env), line);
	}
	buf_fini(&out);
}

void serve_on_signal(void *arg, unsigned events)
{
	struct serve *s = arg;
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(s);
		else
			end(s);
	}
}

void serve_run(struct serve *s)
{
	if (s->n_first)
		serve_command(s, 0, CMD_ACCOUNTS);
	on_tick(&s->tick);
	for (size_t i = 0; i < s->n_shards; i++)
		serve_command(s, i, CMD_COUNT);
	if (notify_watchdog_us())
		ev_timer(s->loop, &s->beat, notify_watchdog_us() / 2, on_beat);
	ev_run(s->loop);
}
