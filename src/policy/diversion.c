/* What a forwarded call tells of its way: Diversion, the newest first, above what came with the
 * request. History-Info is written when a target is tried (dialog/history.c) from the plan's hops,
 * which are the same forwards: so both say the same.
 *
 * RFCs: 5806. */
#include "policy/plan_priv.h"

unsigned pol_forwards_before(const struct pol_request *rq)
{
	return rq->msg ? sip_count(rq->msg, SIP_HDR_DIVERSION) : 0;
}

static void put_user(struct buf *b, struct str user, struct str domain)
{
	buf_str(b, STR("<sip:"));
	sip_escape_user(b, user);
	buf_fmt(b, "@" STR_FMT, STR_ARG(domain));
}

void pol_put_diversion(struct pol_deciding *d, const struct pol_way *way, struct pol_step *s)
{
	char mem[1200];
	struct buf b;
	if (!way->reason)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	for (const struct pol_way *w = way; w && w->reason; w = w->up) {
		if (b.n)
			buf_str(&b, STR(", "));
		put_user(&b, w->user, d->rq->domain);
		buf_fmt(&b, ">;reason=%s;counter=1", w->reason);
	}
	struct str all = buf_view(&b);
	s->diversion = pol_print(d, STR_FMT, STR_ARG(all));
	d->is_full |= b.err != OK;
}
