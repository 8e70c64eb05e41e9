/* History-Info of the exchange as a whole: the setting, who is inside, and the answers that end a
 * request here.
 *
 * An answer of ours has the entries that came, for who sent some or asked for them: also where the
 * request went nowhere. A challenge has none: nothing was done with the request yet, and it comes
 * again at once. [RFC7044 9.1, 9.4] */
#include "service/way.h"

#include "service/codes.h"
#include "service/steer.h"

enum hist_mode way_mode(struct exc_shard *s)
{
	const struct pol_config *c = exc_policy(s->x);
	uint8_t mode = c ? c->history : POL_HISTORY_UNSET;
	return mode == POL_HISTORY_OFF      ? HIST_OFF
	       : mode == POL_HISTORY_ALWAYS ? HIST_ALWAYS
					    : HIST_ASKED;
}

/* Who has authenticated is one of us, and so are the networks that are trusted. */
bool way_ask(struct exc_shard *s, const struct tp_rx *rx, struct hist_ask *out)
{
	const struct pol_config *c = exc_policy(s->x);
	bool is_trusted = auth_is_trusted(s->auth, &rx->from);
	bool is_trunk = !is_trusted && steer_is_trunk(s, &rx->from);
	out->mode = way_mode(s);
	out->is_private = c && c->private_history == POL_YES;
	out->is_from_inside = !is_trunk;
	out->domain = dom_first(s->x->dom);
	out->is_ours = dispatch_is_us;
	out->ctx = s;
	return is_trusted || is_trunk;
}

struct hist *way_open(struct exc_shard *s, const struct tp_rx *rx)
{
	struct hist_ask ask = {0};
	struct hist *h;
	bool is_ours;
	way_ask(s, rx, &ask);
	return hist_open(&s->blocks, rx->msg, &ask, &h, &is_ours) == OK ? h : NULL;
}

void way_close(struct exc_shard *s, struct hist *h)
{
	hist_free(&s->blocks, h);
}

void way_put(struct exc_shard *s, tsx_id st, struct buf *b)
{
	struct tp_rx *rx = tsx_request(s->stack.tsx, st);
	size_t at = b->n;
	if (!rx || b->err || !hist_is_asked(rx->msg))
		return;
	struct hist *h = way_open(s, rx);
	if (h)
		hist_put_response(h, NULL, b);
	way_close(s, h);
	if (b->err) {
		b->n = at;
		b->err = OK;
	}
}

void way_refuse(struct exc_shard *s, tsx_id st, enum code code, struct str extra)
{
	char mem[4096];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, extra);
	way_put(s, st, &b);
	code_refuse(s->stack.tsx, st, code, b.err ? extra : buf_view(&b));
}
