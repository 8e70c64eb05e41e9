/* What the operator is told of the exchange (exc_set_notes): who registered, who was refused and
 * why, bans, trunks, the legs of calls. Each is told on the shard where it happens, of texts that
 * live for the call; whoever listens copies them. */
#include "service/exchange_priv.h"

#include "service/watch.h"

void exc_note_refused(struct exc_shard *s, const struct exc_refusal *r)
{
	struct exc *x = s->x;
	const struct code_info *code = code_info(r->code);
	char mem[400];
	struct buf b;
	if (!x->note || !code)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, auth_is_ok(r->auth) ? code->text : str_c(auth_verdict_text(r->auth)));
	if (r->why.n)
		buf_fmt(&b, ", " STR_FMT, STR_ARG(r->why));
	struct exc_note n = {.kind = EXC_NOTE_REFUSED,
			     .shard = s->n,
			     .at_us = ev_now_us(s->loop),
			     .code = code->number,
			     .text = buf_view(&b),
			     .user = r->user,
			     .call_id = r->call_id,
			     .from = r->from};
	x->note(x->note_ctx, &n);
}

static void note_registered(struct exc_shard *s, const struct reg_outcome *o)
{
	struct exc *x = s->x;
	char mem[600];
	struct buf b;
	if (!x->note || (!o->n_added && !o->n_removed)) /* a refresh is no news */
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, o->user); /* not by printf: this is told of each of thousands a second */
	buf_str(&b, o->n_added ? STR(" registered from ") : STR(" unregistered from "));
	addr_put(&b, &o->from);
	if (o->proto != TP_UDP) {
		buf_str(&b, STR(" over "));
		buf_str(&b, tp_proto_name(o->proto));
	}
	if (o->n_added) {
		buf_str(&b, STR(" for "));
		buf_u64(&b, o->expires_s);
		buf_str(&b, STR(" s"));
	}
	if (o->user_agent.n) {
		buf_str(&b, STR(" ("));
		buf_str(&b, str_sub(o->user_agent, 0, 60));
		buf_chr(&b, ')');
	}
	struct exc_note n = {.kind = EXC_NOTE_REGISTERED,
			     .shard = s->n,
			     .at_us = ev_now_us(s->loop),
			     .text = buf_view(&b),
			     .user = o->user,
			     .call_id = o->call_id,
			     .from = o->from};
	x->note(x->note_ctx, &n);
}

void exc_on_registration(void *ctx, const struct reg_outcome *o)
{
	struct exc_shard *s = ctx;
	struct ban_sight by = {.from = o->from,
			       .is_stream = o->proto != TP_UDP,
			       .user = o->user,
			       .agent = o->user_agent,
			       .request = STR("REGISTER")};
	watch_credentials(s, o->auth, &by);
	if (o->status == 200)
		note_registered(s, o);
	else if (!auth_is_asking(o->auth))
		exc_note_refused(s, &(struct exc_refusal){.code = o->code,
							  .auth = o->auth,
							  .why = o->why,
							  .user = o->user,
							  .call_id = o->call_id,
							  .from = o->from});
}

void exc_on_ban(void *ctx, const struct addr *who, struct str text)
{
	struct exc *x = ctx;
	struct exc_note n = {.kind = EXC_NOTE_BANNED,
			     .at_us = ev_now_us(x->s[0].loop),
			     .text = text,
			     .from = *who};
	if (x->note)
		x->note(x->note_ctx, &n);
}

void exc_on_leg(void *ctx, struct str of, struct str call_id)
{
	struct exc_shard *s = ctx;
	struct exc *x = s->x;
	if (x->note)
		x->note(x->note_ctx, &(struct exc_note){.kind = EXC_NOTE_LEG,
							.shard = s->n,
							.at_us = ev_now_us(s->loop),
							.call_id = call_id,
							.text = of});
}

void exc_on_trunk_news(void *ctx, struct str text)
{
	struct exc *x = ctx;
	if (x->note)
		x->note(x->note_ctx, &(struct exc_note){.kind = EXC_NOTE_TRUNK,
							.at_us = ev_now_us(x->s[0].loop),
							.text = text});
}

void exc_set_notes(struct exc *x, void (*fn)(void *ctx, const struct exc_note *n), void *ctx)
{
	x->note = fn;
	x->note_ctx = ctx;
}
