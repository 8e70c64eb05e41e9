/* Fields of the conversation that a UDP or TCP header belongs to (cap_frame.seen), options and
 * flags of TCP.
 *
 * `#2` asks for the second header of the protocol, as with the other fields of headers. What
 * Wireshark marks with an expert note is there or not. [RFC9293 3.1, 3.2] [RFC7323] [RFC2018]
 */
#include "filter/flt_get.h"

/* The headers of a protocol: which of pkt.ports they are. */
static unsigned headers(const struct cap_frame *fr, uint8_t proto, uint8_t out[CAP_MAX_IPS])
{
	unsigned n = 0;
	for (uint8_t i = 0; i < fr->pkt.n_ports; i++)
		if (fr->pkt.ports[i].proto == proto)
			out[n++] = i;
	return n;
}

static void conv_value(unsigned what, const struct cap_seen *s, struct outlet *o)
{
	switch (what) {
	case CO_STREAM:
		put_u(o, s->stream);
		break;
	case CO_RELATIVE:
		if (s->has_times)
			put_i(o, s->since_ns);
		break;
	case CO_DELTA:
		if (s->has_times)
			put_i(o, s->delta_ns);
		break;
	case CO_COMPLETE: /* there are no numbers of what is no segment */
		if (s->tcp.is_whole)
			put_u(o, s->completeness);
		break;
	case CO_FIN_FIRST:
	case CO_FIN_SECOND:
		if (s->has_fin && s->is_first_fin == (what == CO_FIN_FIRST))
			put_u(o, 1);
		break;
	}
}

unsigned flt_get_conv(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	uint8_t at[CAP_MAX_IPS];
	unsigned n = fr->seen ? headers(fr, f->arg & CO_UDP ? CAP_UDP : CAP_TCP, at) : 0;
	for (unsigned i = 0; i < n; i++) {
		o.layer++;
		if (fr->seen[at[i]].is_there)
			conv_value(f->arg & 0xff, &fr->seen[at[i]], &o);
	}
	return o.n;
}

/* --- sequence numbers ------------------------------------------------------------------------- */

static void seq_number(unsigned what, const struct cap_ports *p, const struct cap_seq_seen *s,
		       struct outlet *o)
{
	bool is_syn = p->hdr.p[13] & 2;
	switch (what) {
	case SQ_SEQ:
		put_u(o, s->seq);
		break;
	case SQ_ACK:
		put_u(o, s->ack);
		break;
	case SQ_NEXT:
		if (s->is_whole)
			put_u(o, s->next);
		break;
	case SQ_WINDOW:
		put_u(o, s->window);
		break;
	case SQ_SCALE:
		if (!is_syn)
			put_i(o, s->scale < 0 ? s->scale : 1 << s->scale);
		break;
	}
}

unsigned flt_get_seq(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	uint8_t at[CAP_MAX_IPS];
	unsigned n = fr->seen ? headers(fr, CAP_TCP, at) : 0;
	for (unsigned i = 0; i < n; i++) {
		o.layer++;
		if (fr->seen[at[i]].tcp.is_there)
			seq_number(f->arg, &fr->pkt.ports[at[i]], &fr->seen[at[i]].tcp, &o);
	}
	return o.n;
}

static void put_known(struct outlet *o, uint64_t u)
{
	if (u)
		put_u(o, u);
}

static void analysis_value(unsigned what, const struct cap_seq_seen *s, struct outlet *o)
{
	switch (what) {
	case AN_ANY:
		put_u(o, 1);
		break;
	case AN_FLAGS:
		put_known(o, s->flags);
		break;
	case AN_ACKS_FRAME:
		put_known(o, s->acks_frame);
		break;
	case AN_RTT:
		if (s->acks_frame)
			put_known(o, (uint64_t)s->rtt_ns);
		break;
	case AN_IRTT:
		if (s->has_irtt)
			put_i(o, s->irtt_ns);
		break;
	case AN_RTO:
		if (s->rto_frame)
			put_known(o, (uint64_t)s->rto_ns);
		break;
	case AN_RTO_FRAME:
		if (s->rto_ns)
			put_known(o, s->rto_frame);
		break;
	case AN_IN_FLIGHT:
		put_known(o, s->in_flight);
		break;
	case AN_PUSHED:
		put_known(o, s->pushed);
		break;
	case AN_DUP_NO:
		put_known(o, s->dup_no);
		break;
	case AN_DUP_FRAME:
		if (s->dup_no)
			put_u(o, s->dup_frame);
		break;
	}
}

/* arg: one of the above, or the flags of which any makes the field. */
unsigned flt_get_analysis(const struct flt_field *f, const struct cap_frame *fr,
			  struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	uint8_t at[CAP_MAX_IPS];
	unsigned n = fr->seen ? headers(fr, CAP_TCP, at) : 0;
	for (unsigned i = 0; i < n; i++) {
		const struct cap_seq_seen *s = &fr->seen[at[i]].tcp;
		o.layer++;
		if (!s->has_news)
			continue;
		if (f->arg & AN_FLAG)
			put_known(&o, s->flags & f->arg & ~(uint32_t)AN_FLAG);
		if (f->arg == FLT_ANALYSIS(DUPLICATE_ACK)) /* Wireshark says it twice */
			put_known(&o, s->flags & CAP_SEQ_DUPLICATE_ACK);
		if (!(f->arg & AN_FLAG))
			analysis_value(f->arg, s, &o);
	}
	return o.n;
}

/* --- options and flags ------------------------------------------------------------------------ */

enum { OPT_NOP = 1, OPT_MSS, OPT_SCALE, OPT_SACK_OK, OPT_SACK, OPT_TIMES = 8 };

static void option_value(unsigned what, const uint8_t *p, unsigned n, struct outlet *o)
{
	unsigned shift = *p == OPT_SCALE && n == 3 ? (p[2] < 14 ? p[2] : 14) : 0;
	if (what == TO_KIND)
		put_u(o, *p);
	else if (what == TO_LEN && n > 1)
		put_u(o, n);
	else if (what == TO_MSS && *p == OPT_MSS && n == 4)
		put_u(o, be16(p + 2));
	else if (what == TO_SHIFT && *p == OPT_SCALE && n == 3)
		put_u(o, p[2]);
	else if (what == TO_MULTIPLIER && *p == OPT_SCALE && n == 3)
		put_u(o, 1u << shift);
	else if (what == TO_SACKS && *p == OPT_SACK)
		put_u(o, (n - 2) / 8);
	else if ((what == TO_TSVAL || what == TO_TSECR) && *p == OPT_TIMES && n == 10)
		put_u(o, be32(p + (what == TO_TSVAL ? 2 : 6)));
}

/* Behind the end of the list, too, as Wireshark. */
static void options(unsigned what, const uint8_t *p, size_t n, struct outlet *o)
{
	if (what == TO_ALL) {
		if (n)
			put_bytes(o, p, n);
		return;
	}
	while (n) {
		unsigned len = *p <= OPT_NOP ? 1 : n > 1 ? p[1] : 0;
		if (!len || len > n || (len < 2 && *p > OPT_NOP))
			break;
		option_value(what, p, len, o);
		p += len;
		n -= len;
	}
}

unsigned flt_get_tcp_opt(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	enum { HEAD = 20 };
	struct outlet o = {out, 0, 0};
	uint8_t at[CAP_MAX_IPS];
	unsigned n = headers(fr, CAP_TCP, at);
	for (unsigned i = 0; i < n; i++) {
		const struct cap_hdr *h = &fr->pkt.ports[at[i]].hdr;
		unsigned n_hdr = h->p && h->n >= HEAD ? (h->p[12] >> 4) * 4u : 0;
		o.layer++;
		if (n_hdr >= HEAD && n_hdr <= h->n)
			options(f->arg, h->p + HEAD, n_hdr - HEAD, &o);
	}
	return o.n;
}

/* A letter for each flag that is set, a dot for the others. */
unsigned flt_get_tcp_flags(const struct flt_field *f, const struct cap_frame *fr,
			   struct flt_val *out)
{
	static const char letters[] = "RRRACEUAPRSF";
	struct outlet o = {out, 0, 0};
	uint8_t at[CAP_MAX_IPS];
	unsigned n = fr->words ? headers(fr, CAP_TCP, at) : 0;
	(void)f;
	for (unsigned i = 0; i < n; i++) {
		const struct cap_hdr *h = &fr->pkt.ports[at[i]].hdr;
		struct buf b;
		o.layer++;
		if (!h->p || h->n < 14)
			continue;
		buf_init_fixed(&b, fr->words->flags[i], sizeof fr->words->flags[i]);
		for (unsigned bit = 12; bit-- > 0;) {
			if (be16(h->p + 12) >> bit & 1)
				buf_chr(&b, letters[11 - bit]);
			else
				buf_str(&b, STR("\u00b7"));
		}
		put_s(&o, buf_view(&b));
	}
	return o.n;
}
