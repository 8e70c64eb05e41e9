/* Simulated TCP: a reliable byte stream with delay, a window, and the ways in which it ends.
 *
 * A connection is two sockets that know each other. What one writes arrives at the other as
 * segments, in order, each after the link's delay; links never lose bytes of a stream
 * (retransmission is below what we simulate). The window is WINDOW bytes on the way or unread: a
 * reader that never reads makes the writer see ERR_MORE. Segments end at MSS bytes, and on links
 * with jitter also at random places, so that readers meet messages in pieces.
 *
 *   connect ── SYN ──► listener: a socket waits in its accept queue ── SYN-ACK ──► connected
 *                      nobody:   ── RST ──► failed, after one round trip
 *                      host down: sent again after 1, 2, 4 ... s; failed after CONNECT_US
 *
 * Invariants:
 * 1. Everything from one end to the other arrives in the order sent (last_us), also the FIN.
 * 2. in_flight of an end is the sum of its segments that are events; unread bytes are in the
 * other's rx.
 * 3. A socket lives until the last event or other end that names it is gone (refs).
 * 4. A crashed end says nothing. Segments to a host that is down are tried again until GIVE_UP
 * tries, then the sender is reset; to a host that is up again, they are answered with RST.
 */

#include "event/sim_priv.h"

#include <string.h>

#define WINDOW     65'536
#define MSS        1'448
#define CONNECT_US 60'000'000
#define RETRY_US   1'000'000
#define GIVE_UP    8 /* tries: 1 + 2 + ... + 128 s */

static uint64_t arrival(struct sim_sock *from, struct sim_host *to)
{
	struct sim *s = from->host->sim;
	uint64_t at = s->now_us + sim_delay_us(from->host, to);
	if (at < from->last_us)
		at = from->last_us;
	return from->last_us = at;
}

static bool is_gone(const struct sim_sock *s)
{
	return s->is_closed || s->is_dead;
}

static void fail(struct sim_sock *c)
{
	if (is_gone(c))
		return;
	if (c->state == SIM_CONNECTING)
		c->state = SIM_FAILED;
	c->is_reset = true;
	buf_clear(&c->rx);
	sim_sock_check(c);
}

static void rst_arrives(struct sim *s, struct sim_event *ev)
{
	(void)s;
	fail(ev->a);
	sim_event_free(ev);
}

static void fin_arrives(struct sim *s, struct sim_event *ev)
{
	(void)s;
	if (!is_gone(ev->a)) {
		ev->a->is_eof = true;
		sim_sock_check(ev->a);
	}
	sim_event_free(ev);
}

static void synack_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *c = ev->a;
	(void)s;
	if (!is_gone(c) && c->state == SIM_CONNECTING) {
		c->state = SIM_UP;
		sim_sock_check(c);
	}
	sim_event_free(ev);
}

/* Tells `to` something that carries no bytes. Without memory `to` is reset at once instead. */
static void tell(struct sim_sock *to, void (*fn)(struct sim *, struct sim_event *), uint64_t at_us)
{
	struct sim_event *ev = sim_event_new(fn, to, NULL, to->host, 0);
	if (!ev || !sim_schedule(to->host->sim, ev, at_us))
		fail(to);
}

static void reset(struct sim_sock *to, struct sim_host *by)
{
	tell(to, rst_arrives, to->host->sim->now_us + sim_delay_us(by, to->host));
}

/* The other end of c, waiting in the listener's queue. */
static struct sim_sock *server_end(struct sim_sock *l, struct sim_sock *c, const struct addr *local,
				   const struct addr *peer)
{
	struct sim_sock *o = sim_sock_new(sim_env_of(l), SIM_CONN, NULL, NULL);
	if (!o)
		return NULL;
	o->state = SIM_UP;
	o->is_told = true;
	o->local = *local;
	o->peer = *peer;
	o->want = ENV_READ;
	o->other = c;
	c->refs++;
	c->other = o;
	o->refs++;
	list_push(&l->accepts, &o->accepts);
	l->n_accepts++;
	sim_sock_check(l);
	return o;
}

static void syn_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *c = ev->a, *l = NULL, *o = NULL;
	bool is_up = ev->host && ev->host->is_up;
	if (is_gone(c))
		goto done;
	if (is_up)
		l = sim_bound(ev->host, SIM_LISTEN, &ev->to, &ev->from);
	if (is_up && !l) {
		reset(c, ev->host);
		goto done;
	}
	if (l && l->n_accepts < LIMIT_LISTEN_BACKLOG)
		o = server_end(l, c, &ev->to, &ev->from);
	if (o) {
		tell(c, synack_arrives, arrival(o, c->host));
		goto done;
	}
	if (s->now_us >= ev->deadline_us) {
		fail(c);
		goto done;
	}
	uint64_t at = s->now_us + ((uint64_t)RETRY_US << ev->tries++);
	if (!sim_schedule(s, ev, at < ev->deadline_us ? at : ev->deadline_us))
		fail(c);
	return;
done:
	sim_event_free(ev);
}

enum err sim_tcp_connect(struct env *env, const struct addr *local, const struct addr *peer,
			 env_ready_fn *fn, void *arg, struct env_sock **out)
{
	struct sim_env *e = (struct sim_env *)(void *)env;
	struct sim_host *h = e->host, *to = sim_host_at(h, peer);
	struct addr source;
	if (e->is_dead || sim_source_for(env, peer, &source) != OK)
		return ERR_NET;
	if (local && !addr_is_any(local))
		source = *local;
	if (local)
		source.port = local->port;
	if (source.port == 0)
		source.port = sim_ephemeral(h, SIM_CONN);
	struct sim_sock *c = sim_sock_new(e, SIM_CONN, fn, arg);
	if (!c)
		return ERR_NOMEM;
	struct sim_event *ev = sim_event_new(syn_arrives, c, NULL, to, 0);
	if (!ev) {
		sim_sock_close(c);
		return ERR_NOMEM;
	}
	c->want = ENV_READ | ENV_WRITE;
	c->local = ev->from = source;
	if (h->nat && (!to || to->nat != h->nat) && !sim_nat_out(h, &ev->from, peer)) {
		sim_event_free(ev);
		sim_sock_close(c);
		return ERR_NOMEM;
	}
	c->peer = ev->to = *peer;
	ev->deadline_us = h->sim->now_us + CONNECT_US;
	if (!sim_schedule(h->sim, ev, arrival(c, to))) {
		sim_sock_close(c);
		return ERR_NOMEM;
	}
	*out = &c->head;
	return OK;
}

enum err sim_accept(struct env_sock *listener, env_ready_fn *fn, void *arg, struct env_sock **out,
		    struct addr *peer)
{
	struct sim_sock *l = (struct sim_sock *)(void *)listener;
	struct link *k = list_pop(&l->accepts);
	if (!k)
		return ERR_MORE;
	struct sim_sock *c = LIST_ENTRY(k, struct sim_sock, accepts);
	l->n_accepts--;
	c->head.fn = fn;
	c->head.arg = arg;
	if (peer)
		*peer = c->peer;
	*out = &c->head;
	sim_sock_check(c);
	return OK;
}

static void window_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *c = ev->a;
	(void)s;
	c->is_window_due = false;
	if (!is_gone(c)) {
		c->is_blocked = sim_tcp_room(c) == 0;
		sim_sock_check(c);
	}
	sim_event_free(ev);
}

size_t sim_tcp_room(const struct sim_sock *s)
{
	size_t used = s->in_flight + (s->other && !is_gone(s->other) ? s->other->rx.n : 0);
	return used < WINDOW ? WINDOW - used : 0;
}

enum err sim_read(struct env_sock *sock, void *p, size_t cap, size_t *n_out)
{
	struct sim_sock *c = (struct sim_sock *)(void *)sock;
	*n_out = 0;
	if (c->is_dead || c->is_reset || c->state == SIM_FAILED)
		return ERR_NET;
	if (c->rx.n == 0)
		return c->is_eof ? ERR_NET : ERR_MORE;
	size_t n = c->rx.n < cap ? c->rx.n : cap;
	memcpy(p, c->rx.p, n);
	buf_drop(&c->rx, n);
	*n_out = n;
	struct sim_sock *o = c->other;
	if (o && o->is_blocked && !o->is_window_due && !is_gone(o)) {
		o->is_window_due = true;
		tell(o, window_arrives, c->host->sim->now_us + sim_delay_us(c->host, o->host));
	}
	return OK;
}

static void segment_arrives(struct sim *s, struct sim_event *ev)
{
	struct sim_sock *to = ev->a, *from = ev->b;
	if (!to->host->is_up && ev->tries < GIVE_UP && !is_gone(from)) {
		if (!sim_schedule(s, ev, s->now_us + ((uint64_t)RETRY_US << ev->tries++)))
			fail(from);
		return;
	}
	from->in_flight -= ev->n;
	if (!to->host->is_up) {
		fail(from);
	} else if (is_gone(to)) {
		reset(from, to->host);
	} else if (!to->is_reset) {
		buf_put(&to->rx, ev->bytes, ev->n);
		if (to->rx.err) {
			fail(to);
			reset(from, to->host);
		}
		sim_sock_check(to);
	}
	sim_event_free(ev);
}

static enum err segment(struct sim_sock *c, const char *p, size_t n)
{
	struct sim *s = c->host->sim;
	struct sim_sock *o = c->other;
	struct sim_event *ev = sim_event_new(segment_arrives, o, c, o->host, n);
	if (!ev)
		return ERR_NOMEM;
	memcpy(ev->bytes, p, n);
	c->in_flight += n;
	struct sim_packet pkt = {
		s->now_us, c->local, c->peer, true, false, {p, n}
        };
	if (!sim_schedule(s, ev, arrival(c, o->host))) {
		c->in_flight -= n;
		return ERR_NOMEM;
	}
	if (s->tap)
		s->tap(s->tap_arg, &pkt);
	return OK;
}

enum err sim_write(struct env_sock *sock, const void *p, size_t n, size_t *n_out)
{
	struct sim_sock *c = (struct sim_sock *)(void *)sock;
	struct sim *s = c->host->sim;
	*n_out = 0;
	if (c->is_dead || c->is_reset || c->state == SIM_FAILED)
		return ERR_NET;
	if (c->state == SIM_CONNECTING || c->is_blocked)
		return ERR_MORE;
	size_t room = sim_tcp_room(c), left = n < room ? n : room;
	const struct sim_link *l = sim_link_of(c->host, c->other->host);
	while (left) {
		size_t k = left < MSS ? left : MSS;
		if (l->jitter_us && k > 1 && sim_below(s, 4) == 0)
			k = 1 + (size_t)sim_below(s, k - 1);
		if (segment(c, (const char *)p + *n_out, k) != OK)
			break;
		*n_out += k;
		left -= k;
	}
	if (*n_out == 0 && n && room)
		return ERR_NOMEM;
	c->is_blocked = *n_out < n;
	return *n_out || n == 0 ? OK : ERR_MORE;
}

void sim_tcp_hang_up(struct sim_sock *s)
{
	struct link *k;
	while (s->kind == SIM_LISTEN && (k = list_pop(&s->accepts))) /* nobody will take them */
		sim_sock_close(LIST_ENTRY(k, struct sim_sock, accepts));
	struct sim_sock *o = s->other;
	if (!o)
		return;
	if (!s->is_dead && !is_gone(o) && !s->is_reset)
		tell(o, fin_arrives, arrival(s, o->host));
	s->other = NULL;
	sim_sock_unref(o);
}
