/* WebSocket as a filter over TCP or TLS: the opening handshake, then one SIP message per WebSocket
 * message, both ways. Frames and handshake are read by wire/; here are the buffers.
 *
 * `in` holds what came from below and is not used: the beginning of a frame, or frames behind the
 * one that was just shown. It is freed when empty. A ping is answered at once if there is room: a
 * peer that does not read what it is sent gets no pongs to pile up.
 *
 * Invariants: 1. in_at <= in.n, and both are 0 when nothing waits. 2. After is_over nothing is read
 * and no second close frame is sent.
 *
 * [RFC6455 4 5 7] [RFC7118 3 4]
 */
#include "wire/ws.h"
#include "transport/tp_priv.h"
#include "wire/ws_http.h"

#include <stdlib.h>
#include <string.h>

#define READ_MIN    4096
#define GOING_AWAY  1001
#define OUT_USUALLY 4096 /* more is waiting: no pong */

struct ws {
	struct net_filter head;
	struct wire_ws frames;
	struct buf in;
	size_t in_at;
	char key[WIRE_WS_KEY];
	bool is_client, has_asked, is_open, is_over;
	char host[]; /* of a client */
};

static struct ws *ws_of(struct net_filter *f)
{
	return CONTAINER_OF(f, struct ws, head);
}

/* --- bytes from below ----------------------------------------------------------------------- */

static void use(struct ws *w, size_t n)
{
	w->in_at += n;
	if (w->in_at < w->in.n)
		return;
	buf_fini(&w->in);
	w->in_at = 0;
}

static struct str unused(const struct ws *w)
{
	return str_skip(buf_view(&w->in), w->in_at);
}

static enum err read_more(struct ws *w, struct net_conn *c)
{
	size_t n;
	buf_drop(&w->in, w->in_at);
	w->in_at = 0;
	if (buf_reserve(&w->in, READ_MIN) != OK)
		return ERR_NOMEM;
	enum err e = net_below_read(&w->head, c, w->in.p + w->in.n, w->in.cap - w->in.n, &n);
	if (e == OK)
		w->in.n += n;
	else
		use(w, 0);
	return e;
}

/* --- the opening handshake ------------------------------------------------------------------ */

static enum err put_out(struct ws *w, struct net_conn *c)
{
	if (w->head.out.err)
		return w->head.out.err;
	enum err e = net_filter_flush(&w->head, c);
	return e == ERR_MORE ? OK : e;
}

static enum err ask(struct ws *w, struct net_conn *c)
{
	uint8_t random[16];
	if (w->has_asked)
		return OK;
	w->has_asked = true;
	env_random(c->net->loop->env, random, sizeof(random));
	wire_ws_make_key(random, w->key);
	wire_ws_put_ask(&w->head.out, str_c(w->host), w->key);
	return put_out(w, c);
}

static enum err read_opening(struct ws *w, struct net_conn *c)
{
	struct wire_ws_ask a;
	size_t used = 0;
	if (w->is_client) {
		enum err e = wire_ws_answer_read(unused(w), w->key, &used);
		if (e == OK)
			use(w, used);
		return e;
	}
	enum err e = wire_ws_ask_read(unused(w), &a, &used);
	if (e != OK)
		return e;
	wire_ws_put_answer(&w->head.out, &a);
	bool is_ok = a.status == 101;
	use(w, used);
	e = put_out(w, c);
	return e == OK && !is_ok ? ERR_SYNTAX : e;
}

static enum err ws_shake(struct net_filter *f, struct net_conn *c)
{
	struct ws *w = ws_of(f);
	enum err e = net_below_shake(f, c);
	if (e == OK && w->is_client)
		e = ask(w, c);
	if (e != OK)
		return e;
	while ((e = read_opening(w, c)) == ERR_MORE) {
		e = read_more(w, c);
		if (e != OK)
			return e;
	}
	w->is_open = e == OK;
	return e;
}

/* --- reading -------------------------------------------------------------------------------- */

static const uint8_t *mask_for(const struct ws *w, struct net_conn *c, uint8_t mask[4])
{
	if (!w->is_client)
		return NULL;
	env_random(c->net->loop->env, mask, 4);
	return mask;
}

static enum err pong(struct ws *w, struct net_conn *c, struct str body)
{
	uint8_t mask[4];
	if (w->head.out.n > OUT_USUALLY)
		return OK;
	wire_ws_put(&w->head.out, WS_PONG, body, mask_for(w, c, mask));
	return put_out(w, c);
}

static enum err close_with(struct ws *w, struct net_conn *c, uint16_t status)
{
	uint8_t mask[4];
	w->is_over = true;
	wire_ws_put_close(&w->head.out, status, mask_for(w, c, mask));
	enum err e = put_out(w, c);
	return e == ERR_NOMEM ? e : ERR_NET;
}

/* One frame of `in`. OK with *n 0: it was no message. */
static enum err next(struct ws *w, struct net_conn *c, void *p, size_t cap, size_t *n)
{
	size_t used;
	struct str body;
	enum err e = OK;
	*n = 0;
	switch (wire_ws_next(&w->frames, (uint8_t *)w->in.p + w->in_at, w->in.n - w->in_at, &used,
			     &body)) {
	case WIRE_WS_MORE:
		return ERR_MORE;
	case WIRE_WS_MESSAGE:
		ASSERT(body.n <= cap); /* LIMIT_WS_MESSAGE_BYTES */
		if (body.n)
			memcpy(p, body.p, body.n);
		*n = body.n;
		break;
	case WIRE_WS_PING:
		e = pong(w, c, body);
		break;
	case WIRE_WS_SKIP:
		break;
	case WIRE_WS_CLOSE:
	case WIRE_WS_ERROR:
		return close_with(w, c, w->frames.status);
	}
	use(w, used);
	return e;
}

static enum err ws_read(struct net_filter *f, struct net_conn *c, void *p, size_t cap, size_t *n)
{
	struct ws *w = ws_of(f);
	for (;;) {
		enum err e = w->in.n ? next(w, c, p, cap, n) : ERR_MORE;
		if (e == ERR_MORE)
			e = read_more(w, c);
		else if (e == OK && *n)
			return OK;
		if (e != OK)
			return e;
	}
}

/* --- writing -------------------------------------------------------------------------------- */

static enum err ws_write(struct net_filter *f, struct net_conn *c, const void *p, size_t n,
			 size_t *moved)
{
	struct ws *w = ws_of(f);
	struct str body = str_of(p, n);
	uint8_t mask[4];
	enum err e = net_filter_flush(f, c);
	if (e != OK)
		return e;
	wire_ws_put(&f->out, wire_ws_op_for(body), body, mask_for(w, c, mask));
	e = put_out(w, c);
	if (e == OK)
		*moved = n;
	return e;
}

static bool ws_is_midway(const struct net_filter *f)
{
	const struct ws *w = CONTAINER_OF(f, const struct ws, head);
	return w->in.n > 0 || w->frames.is_joining;
}

static void ws_bye(struct net_filter *f)
{
	static const uint8_t mask[4]; /* nothing in it that anybody could have chosen */
	struct ws *w = ws_of(f);
	if (w->is_open && !w->is_over)
		wire_ws_put_close(&f->out, GOING_AWAY, w->is_client ? mask : NULL);
	w->is_over = true;
}

static void ws_free(struct net_filter *f)
{
	struct ws *w = ws_of(f);
	wire_ws_fini(&w->frames);
	buf_fini(&w->in);
	free(w);
}

static const struct net_filter_ops ws_ops = {.shake = ws_shake,
					     .read = ws_read,
					     .write = ws_write,
					     .is_midway = ws_is_midway,
					     .bye = ws_bye,
					     .free = ws_free};

struct net_filter *tp_ws_filter(const char *host)
{
	size_t n = host ? strlen(host) : 0;
	struct ws *w = calloc(1, sizeof(*w) + n + 1);
	if (!w)
		return NULL;
	w->head.ops = &ws_ops;
	w->is_client = host;
	if (n)
		memcpy(w->host, host, n);
	wire_ws_init(&w->frames, host ? WIRE_WS_CLIENT : WIRE_WS_SERVER, LIMIT_WS_MESSAGE_BYTES);
	return &w->head;
}
