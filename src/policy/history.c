/* What a forwarded call tells of its way: Diversion (the newest first) and History-Info (the oldest
 * first, each entry with why it was left). Entries that came with the request stay as they are;
 * ours go on where they end.
 *
 * RFCs: 5806 (Diversion), 7044 (History-Info: index, mp, Reason in the URI). */
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

/* The index of the last entry that the request brought; empty: none. */
static struct str last_index(const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v, index = STR_NONE;
	struct sip_addr a;
	while (m && sip_each(m, SIP_HDR_HISTORY_INFO, &it, &v))
		if (sip_addr_parse(v, &a) == OK)
			(void)sip_param(a.params, STR("index"), &index);
	return index.n < 40 ? index : STR_NONE;
}

static unsigned put_entries(struct pol_deciding *d, const struct pol_way *w, struct str base,
			    struct buf *b)
{
	unsigned level = 0;
	if (w->up && w->up->reason)
		level = put_entries(d, w->up, base, b);
	if (b->n)
		buf_str(b, STR(", "));
	put_user(b, w->user, d->rq->domain);
	buf_fmt(b, "?Reason=SIP%%3Bcause%%3D%u>;index=", w->cause);
	buf_str(b, base);
	for (unsigned i = 0; i <= level; i++)
		buf_str(b, i || base.n ? STR(".1") : STR("1"));
	return level + 1;
}

static void put_last(const struct pol_deciding *d, const struct pol_way *w, struct str base,
		     unsigned level, struct buf *b)
{
	struct buf index;
	char mem[80];
	buf_init_fixed(&index, mem, sizeof(mem));
	buf_str(&index, base);
	for (unsigned i = 0; i < level; i++)
		buf_str(&index, i || base.n ? STR(".1") : STR("1"));
	buf_str(b, STR(", "));
	if (str_starts(w->to, STR("sip")) && str_chr(w->to, ':') != SIZE_MAX)
		buf_fmt(b, "<" STR_FMT, STR_ARG(w->to));
	else
		put_user(b, w->to, d->rq->domain);
	struct str at = buf_view(&index);
	buf_fmt(b, ">;index=" STR_FMT ".1;mp=" STR_FMT, STR_ARG(at), STR_ARG(at));
}

void pol_put_history(struct pol_deciding *d, const struct pol_way *way, struct pol_step *s)
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
	buf_clear(&b);
	struct str base = last_index(d->rq->msg);
	unsigned level = put_entries(d, way, base, &b);
	put_last(d, way, base, level, &b);
	all = buf_view(&b);
	s->history = pol_print(d, STR_FMT, STR_ARG(all));
	d->is_full |= b.err != OK;
}
