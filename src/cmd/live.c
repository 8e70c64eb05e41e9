/* The live scope of a running exchange.
 *
 * A shard's tap writes one record per message into its ring: time, addresses, transport, bytes; the
 * clock is the shard's monotonic one, brought to wall time here by the offset that live_drain is
 * told. Notes of the exchange (a storm, why a REGISTER was refused) come through the same ring, so
 * that they keep their place among the messages.
 *
 * live_drain takes what the rings hold by its time: what came is tapped on the shard of its
 * Call-ID, what leaves on the shard of its connection, so a request and its response may lie in two
 * rings. What is younger than the look at them waits for the next one: it may answer what a ring
 * did not hold yet. Each record goes to the tracker, then to watchers. Lines are printed at most
 * LINES_PER_S a second; what is beyond is counted and told as one line, so that a loaded exchange
 * does not spend itself on its log.
 *
 * The lint looks at each message, or under load at those of some calls (sample.c).
 *
 * Watchers get a pcapng stream of link type 252 (Wireshark's exported PDUs: each packet names its
 * protocol, addresses and ports), so one format serves `rung scope --live` and Wireshark alike;
 * what the rings dropped since they came is told in statistics blocks. A watcher that does not read
 * is closed when its socket is full: memory stays bounded.
 *
 * The rings lie in files, and room in them is given back only when a keeper has what matters of it:
 * the messages after which a call is in another phase, without their bodies. So the next process
 * finds each such message in a ring or with the keeper, whenever this one is killed, or in both: it
 * is then one that was sent twice. [docs/adr/011] */
#include "cmd/live_priv.h"

#include "base/limits.h"
#include "capture/cap_block.h"
#include "capture/cap_pdu.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINES_PER_S 40
#define MAX_LINTED  1'000 /* calls that the lint remembers */
/* So that rings fill to about FILL_BYTES, and what a watcher gets in one piece fits its socket. */
#define FILL_BYTES      (RING_BYTES / 4)
#define LET_GO_BYTES    (RING_BYTES / 8)
#define PACE_LEAST_US   5'000
#define PACE_WATCHED_US 20'000
#define PACE_MOST_US    100'000

/* ---- watchers -------------------------------------------------------------------------------- */

static void write_to(struct live *l, size_t i, struct str bytes)
{
	int fd = l->watchers[i].fd;
	if (send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes.n)
		return;
	close(fd);
	l->watchers[i] = l->watchers[--l->n_watchers];
}

static enum trk_transport transport_of(const struct rec *r)
{
	static const uint8_t transports[] = {[TP_UDP] = TRK_UDP,
					     [TP_TCP] = TRK_TCP,
					     [TP_TLS] = TRK_TLS,
					     [TP_WS] = TRK_WS,
					     [TP_WSS] = TRK_WSS};
	return (enum trk_transport)transports[r->proto];
}

static void stream(struct live *l, const struct rec *r, uint64_t wall_us)
{
	struct buf pdu, b;
	buf_init(&pdu);
	buf_init(&b);
	cap_pdu_put(&pdu, STR("sip"), &r->from, &r->to, transport_of(r));
	buf_put(&pdu, r->bytes, r->n);
	struct cap_rec rec = {
		.n = (uint32_t)pdu.n, .n_wire = (uint32_t)pdu.n, .p = (const uint8_t *)pdu.p};
	cap_block_packet(&b, 0, wall_us, &rec, STR_NONE);
	for (size_t i = l->n_watchers; i-- > 0 && !pdu.err && !b.err;)
		write_to(l, i, buf_view(&b));
	buf_fini(&pdu);
	buf_fini(&b);
}

static void tell_watchers(struct live *l, uint64_t wall_us)
{
	struct buf b;
	buf_init(&b);
	for (size_t i = l->n_watchers; i-- > 0;) {
		struct cap_counts c = {.n_dropped_iface =
					       l->dropped_told - l->watchers[i].n_before};
		buf_clear(&b);
		cap_block_counts(&b, 0, wall_us, &c);
		if (!b.err)
			write_to(l, i, buf_view(&b));
	}
	buf_fini(&b);
}

enum err live_watch(struct live *l, int fd)
{
	static const struct cap_rec iface = {.link = CAP_LINK_PDU, .if_name = "rung serve"};
	struct buf b;
	buf_init(&b);
	cap_block_section(&b);
	cap_block_iface(&b, &iface);
	bool ok = l->n_watchers < MAX_WATCHERS && !b.err &&
		  send(fd, b.p, b.n, MSG_NOSIGNAL) == (ssize_t)b.n;
	buf_fini(&b);
	if (!ok) {
		close(fd);
		return ERR_LIMIT;
	}
	int size = 4 << 20;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	l->watchers[l->n_watchers++] = (struct watcher){fd, live_n_dropped(l)};
	return OK;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void print_now(struct live *l, uint64_t wall_us, struct str line)
{
	if (l->print)
		l->print(l->print_ctx, wall_us, line);
}

static void line(struct live *l, uint64_t wall_us, struct str text)
{
	if (l->lines >= LINES_PER_S) {
		l->lines_left_out++;
		return;
	}
	l->lines++;
	print_now(l, wall_us, text);
}

static void new_second(struct live *l, uint64_t wall_us)
{
	char mem[128];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (l->lines_left_out) {
		buf_fmt(&b, "... and %u more in this second", l->lines_left_out);
		print_now(l, wall_us, buf_view(&b));
	}
	l->lines = l->lines_left_out = 0;
	uint64_t dropped = live_n_dropped(l);
	if (dropped == l->dropped_told)
		return;
	buf_clear(&b);
	buf_fmt(&b, "the live scope is behind: %llu messages were not seen; verdicts may lack them",
		(unsigned long long)(dropped - l->dropped_told));
	print_now(l, wall_us, buf_view(&b));
	l->dropped_told = dropped;
	tell_watchers(l, wall_us);
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct live *l = arg;
	char mem[700];
	struct buf b;
	bool is_call = c->kind == TRK_CALL;
	if (is_call && l->on_call)
		is_call = l->on_call(l->on_call_arg, c, v);
	bool is_news = is_call || c->kind == TRK_MSG || v->worst >= VRD_WARN;
	if (!is_news)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	vrd_put_line(&b, c, v, false);
	line(l, l->last_us, buf_view(&b));
}

/* The 32-second drop, seen at second 2. */
static void on_alarm(void *arg, const struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	struct live *l = arg;
	char mem[900];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	vrd_put_parties(&b, c, false);
	buf_str(&b, STR(": will drop in half a minute: "));
	buf_plain(&b, v->f[0].text);
	buf_fmt(&b, ". %s", vrd_about((enum vrd_rule)v->f[0].rule)->remedy);
	line(l, l->last_us, buf_view(&b));
}

/* ---- draining -------------------------------------------------------------------------------- */

static void keep(struct live *l, struct str call_id, const struct rec *r, size_t n,
		 uint64_t wall_us)
{
	struct rec head = *r;
	head.at_us = wall_us;
	head.is_cut |= n < r->n;
	head.n = (uint32_t)n;
	if (l->keeper.keep && !l->is_replaying)
		l->keeper.keep(l->keeper.ctx, call_id, wall_us,
			       str_of((const char *)&head, offsetof(struct rec, bytes)),
			       str_of(r->bytes, n));
}

/* Up to the last empty line: most messages end with it, and SDP has none. */
static size_t head_bytes(const struct rec *r)
{
	static const char empty[4] = "\r\n\r\n";
	for (size_t n = r->n; n >= sizeof(empty); n--)
		if (r->bytes[n - 1] == '\n' && !memcmp(r->bytes + n - 4, empty, sizeof(empty)))
			return n;
	return r->n;
}

/* What the tracker would need of a call to go on with it: where it came from one phase into the
 * next. */
static void keep_step(struct live *l, struct trk_call *c, const struct rec *r, uint64_t wall_us)
{
	unsigned step = 1u + c->phase + (c->is_taken ? 8u : 0);
	if (c->kind != TRK_CALL || c->told == step || c->is_judged)
		return;
	if (c->phase == TRK_ENDED && (c->status == 401 || c->status == 407)) {
		c->told = 0; /* the next INVITE is the one that counts */
		return;
	}
	c->told = step & 31u;
	keep(l, c->call_id, r, head_bytes(r), wall_us);
}

static void take_message(struct live *l, const struct rec *r, uint64_t wall_us)
{
	struct trk_call *c = NULL;
	struct trk_packet p = {
		.at_us = wall_us,
		.frame_no = ++l->frame_no,
		.from = r->from,
		.to = r->to,
		.transport = transport_of(r),
		.is_cut = r->is_cut,
		.bytes = str_of(r->bytes, r->n),
	};
	enum err e = trk_message(l->trk, &p, &c);
	(void)e; /* what is no SIP, or does not fit, the tracker counts */
	if (c)
		keep_step(l, c, r, wall_us);
	if (l->is_replaying)
		return;
	struct str call_id = STR_NONE;
	if (c)
		call_id = c->call_id;
	else
		sip_peek_call_id(p.bytes, &call_id);
	if (sample_takes(&l->sample, wall_us, call_id)) {
		e = lint_message(l->lint, &p, true);
		(void)e; /* without memory it is not looked at */
	}
	if (l->copy)
		l->copy(l->copy_ctx, &p);
	if (l->n_watchers)
		stream(l, r, wall_us);
}

static void take_hint(struct live *l, const struct rec *r, struct str call_id, struct str text,
		      uint64_t wall_us)
{
	char number[8];
	struct buf b;
	buf_init_fixed(&b, number, sizeof(number));
	buf_u64(&b, r->code);
	trk_hint(l->trk, call_id, buf_view(&b), text);
	const struct trk_call *c = trk_find(l->trk, call_id);
	if (c && c->told && !c->is_judged)
		keep(l, call_id, r, r->n, wall_us);
}

static void take(struct live *l, const struct rec *r, uint64_t wall_us)
{
	struct str call_id = str_of(r->bytes, r->n_call_id),
		   text = str_of(r->bytes + r->n_call_id, r->n - r->n_call_id);
	l->last_us = wall_us;
	switch ((enum rec_kind)r->kind) {
	case REC_SENT:
	case REC_RECEIVED:
		take_message(l, r, wall_us);
		return;
	case REC_REFUSED:
		take_hint(l, r, call_id, text, wall_us);
		return;
	case REC_LEG:
		if (l->keeper.on_leg)
			l->keeper.on_leg(l->keeper.ctx, text, call_id);
		keep(l, call_id, r, r->n, wall_us);
		return;
	case REC_BANNED:
	case REC_REGISTERED:
		line(l, wall_us, text);
		return;
	case REC_STORM:
		print_now(l, wall_us, text); /* never left out: it is why others are */
		return;
	}
}

/* Shorter at once, longer step by step. filled: bytes of the fullest ring. */
static void set_pace(struct live *l, size_t filled)
{
	uint64_t most = l->n_watchers ? PACE_WATCHED_US : PACE_MOST_US;
	uint64_t us = filled > FILL_BYTES ? l->pace_us * FILL_BYTES / filled : 2 * l->pace_us;
	us = us < PACE_LEAST_US ? PACE_LEAST_US : us < most ? us : most;
	l->pace_us = filled ? us : PACE_MOST_US;
}

/* The ring whose next record is the oldest of those up to until_us; n_rings: none. */
static size_t oldest(const struct live *l, uint64_t until_us)
{
	size_t at = l->n_rings;
	for (size_t i = 0; i < l->n_rings; i++) {
		struct str s = l->heads[i].next;
		if (s.n && live_rec(s)->at_us <= until_us) {
			until_us = live_rec(s)->at_us;
			at = i;
		}
	}
	return at;
}

static void let_go(struct live *l)
{
	if (l->keeper.flush)
		l->keeper.flush(l->keeper.ctx);
	for (size_t i = 0; i < l->n_rings; i++)
		ev_ring_release(l->rings[i]);
}

/* Bytes that came out of the fullest ring. */
static size_t drain(struct live *l, uint64_t until_us)
{
	size_t most = 0, n = 0, i;
	for (i = 0; i < l->n_rings; i++)
		l->heads[i] = (struct head){.next = ev_ring_peek(l->rings[i])};
	while ((i = oldest(l, until_us)) < l->n_rings) {
		struct head *h = &l->heads[i];
		if (live_is_sound(h->next))
			take(l, live_rec(h->next), live_rec(h->next)->at_us + l->offset_us);
		h->n += h->next.n;
		n += h->next.n;
		most = h->n > most ? h->n : most;
		ev_ring_pop(l->rings[i]);
		h->next = ev_ring_peek(l->rings[i]);
		if (n > LET_GO_BYTES) {
			let_go(l);
			n = 0;
		}
	}
	let_go(l);
	return most;
}

bool live_drain(struct live *l, uint64_t now_us, uint64_t wall_us)
{
	l->offset_us = wall_us - now_us;
	size_t most = drain(l, now_us);
	l->last_us = wall_us;
	trk_tick(l->trk, wall_us);
	if (wall_us / 1000000 != l->line_second) {
		l->line_second = wall_us / 1000000;
		new_second(l, wall_us);
	}
	set_pace(l, most);
	return most > 0;
}

uint64_t live_pace_us(const struct live *l)
{
	return l->pace_us;
}

void live_end(struct live *l)
{
	for (size_t i = 0; i < l->n_shards; i++)
		while (live_push_waiting(&l->taps[i]))
			drain(l, UINT64_MAX);
	for (struct trk_call *c = trk_first(l->trk); c; c = trk_after(l->trk, c))
		trk_stop(l->trk, c, TRK_STOP_LEFT, l->last_us);
	trk_flush(l->trk);
}

/* ---- after a kill ---------------------------------------------------------------------------- */

void live_replay(void *live, struct str step)
{
	struct live *l = live;
	if (!live_is_sound(step))
		return;
	l->is_replaying = true;
	take(l, live_rec(step), live_rec(step)->at_us);
	l->is_replaying = false;
}

void live_recover(struct live *l, uint64_t now_us, uint64_t wall_us)
{
	l->offset_us = wall_us - now_us;
	drain(l, UINT64_MAX);
	live_drop_spare_rings(l);
}

/* ---- making it ------------------------------------------------------------------------------- */

enum err live_new(const char *dir, size_t n_shards, struct live **out)
{
	struct live *l = calloc(1, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	struct trk_cfg cfg = {.is_live = true,
			      .is_quick = true,
			      .has_flows = true,
			      .is_listed = true,
			      .packs = true,
			      .has_agents = true,
			      .sees_all = true,
			      .on_verdict = on_verdict,
			      .on_alarm = on_alarm,
			      .arg = l};
	l->n_shards = n_shards;
	l->trk = trk_new(&cfg);
	l->lint = lint_new(&(struct lint_cfg){.max_calls = MAX_LINTED});
	l->taps = calloc(n_shards, sizeof(*l->taps));
	l->heads = calloc(RINGS_MAX, sizeof(*l->heads));
	bool has_all = l->trk && l->lint && l->taps && l->heads;
	for (size_t i = 0; i < n_shards && has_all; i++)
		l->taps[i] = (struct tap_ctx){.live = l, .shard = i, .last = &l->taps[i].first};
	if (dir && !str_copy(l->dir, sizeof(l->dir), str_c(dir)))
		l->dir[0] = 0;
	enum err e = has_all ? live_open_rings(l, n_shards) : ERR_NOMEM;
	if (e) {
		live_free(l);
		return e;
	}
	*out = l;
	return OK;
}

void live_free(struct live *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_watchers; i++)
		close(l->watchers[i].fd);
	if (l->taps)
		live_close_taps(l);
	live_close_rings(l);
	if (l->trk)
		trk_free(l->trk);
	lint_free(l->lint);
	free(l->taps);
	free(l->heads);
	free(l);
}

void live_set_printer(struct live *l, void (*fn)(void *ctx, uint64_t wall_us, struct str line),
		      void *ctx)
{
	l->print = fn;
	l->print_ctx = ctx;
}

void live_set_copy(struct live *l, void (*fn)(void *ctx, const struct trk_packet *p), void *ctx)
{
	l->copy = fn;
	l->copy_ctx = ctx;
}

void live_set_calls(struct live *l,
		    bool (*fn)(void *arg, const struct trk_call *c, const struct vrd *v), void *arg)
{
	l->on_call = fn;
	l->on_call_arg = arg;
}

void live_set_keeper(struct live *l, const struct live_keeper *k)
{
	l->keeper = *k;
}

const struct lint *live_lint(const struct live *l)
{
	return l->lint;
}

struct trk *live_tracker(struct live *l)
{
	return l->trk;
}
