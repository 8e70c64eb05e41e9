/* What a row tells of its message: the values of some fields, without a byte of it.
 *
 * Columns are made for the first filter over an opened file, and grow with the rows: which pair of
 * addresses (a number; one row stands for each pair), method and status in one number, and whether
 * the row tells all (`plain`): not so of messages in TCP, in tunnels, of unusual form.
 */
#include "scope/book_rows.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	struct str name;
	enum what_class about;
} row_fields[RF__N] = {
	[RF_SIP] = {STR_INIT("sip"),                 ABOUT_HOP },
	[RF_IP] = {STR_INIT("ip"),                  ABOUT_HOP },
	[RF_IP_ADDR] = {STR_INIT("ip.addr"),             ABOUT_HOP },
	[RF_IP_SRC] = {STR_INIT("ip.src"),              ABOUT_HOP },
	[RF_IP_DST] = {STR_INIT("ip.dst"),              ABOUT_HOP },
	[RF_IP6] = {STR_INIT("ipv6"),                ABOUT_HOP },
	[RF_IP6_ADDR] = {STR_INIT("ipv6.addr"),           ABOUT_HOP },
	[RF_IP6_SRC] = {STR_INIT("ipv6.src"),            ABOUT_HOP },
	[RF_IP6_DST] = {STR_INIT("ipv6.dst"),            ABOUT_HOP },
	[RF_UDP] = {STR_INIT("udp"),                 ABOUT_HOP },
	[RF_UDP_PORT] = {STR_INIT("udp.port"),            ABOUT_HOP },
	[RF_UDP_SRC] = {STR_INIT("udp.srcport"),         ABOUT_HOP },
	[RF_UDP_DST] = {STR_INIT("udp.dstport"),         ABOUT_HOP },
	[RF_TCP] = {STR_INIT("tcp"),                 ABOUT_HOP },
	[RF_TCP_PORT] = {STR_INIT("tcp.port"),            ABOUT_HOP },
	[RF_METHOD] = {STR_INIT("sip.Method"),          ABOUT_WHAT},
	[RF_STATUS] = {STR_INIT("sip.Status-Code"),     ABOUT_WHAT},
	[RF_CSEQ_METHOD] = {STR_INIT("sip.CSeq.method"),     ABOUT_WHAT},
	[RF_CSEQ] = {STR_INIT("sip.CSeq.seq"),        ABOUT_ROW },
	[RF_NUMBER] = {STR_INIT("frame.number"),        ABOUT_ROW },
	[RF_EPOCH] = {STR_INIT("frame.time_epoch"),    ABOUT_ROW },
	[RF_RELATIVE] = {STR_INIT("frame.time_relative"), ABOUT_ROW },
	[RF_CALL_ID] = {STR_INIT("sip.Call-ID"),         ABOUT_CALL},
};

void book_fields(struct finding *x)
{
	for (unsigned i = 0; i < RF__N; i++)
		x->fields[i] = flt_field_find(row_fields[i].name, NULL);
}

enum what_class book_about(const struct finding *x, const struct flt_field *f)
{
	for (unsigned i = 0; i < RF__N; i++)
		if (x->fields[i] == f)
			return row_fields[i].about;
	return ABOUT_MORE;
}

/* --- columns ---------------------------------------------------------------------------------- */

static const struct addr *addr_of(const struct trk_ev *e, unsigned peer)
{
	return &trk_call_of(e)->peers[peer].addr;
}

static uint32_t hop_hash(const struct trk_ev *e)
{
	uint64_t w[4], h = 0;
	memcpy(w, addr_of(e, e->from)->ip, 16);
	memcpy(w + 2, addr_of(e, e->to)->ip, 16);
	for (unsigned i = 0; i < 4; i++)
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15u;
	h = (h ^ addr_of(e, e->from)->port ^ (uint64_t)addr_of(e, e->to)->port << 16) *
	    0xd1b54a32d192ed03u;
	return (uint32_t)(h >> 32);
}

static bool is_same_hop(const struct addr ends[2], const struct trk_ev *e)
{
	return addr_eq(&ends[0], addr_of(e, e->from)) && addr_eq(&ends[1], addr_of(e, e->to));
}

static bool more_slots(struct book *b)
{
	uint32_t cap = b->slots_cap ? 2 * b->slots_cap : 256;
	uint32_t *slots = calloc(cap, sizeof *slots), *reps = realloc(b->reps, cap * sizeof *reps);
	struct addr *ends = realloc(b->ends, (size_t)cap * sizeof *ends); /* half are taken */
	if (reps)
		b->reps = reps;
	if (ends)
		b->ends = ends;
	if (!slots || !reps || !ends) {
		free(slots);
		return false;
	}
	for (uint32_t i = 0; i < b->n_hops; i++) {
		uint32_t at = hop_hash(trk_ev(b->trk, reps[i])) & (cap - 1);
		while (slots[at])
			at = (at + 1) & (cap - 1);
		slots[at] = i + 1;
	}
	free(b->slots);
	b->slots = slots;
	b->slots_cap = cap;
	return true;
}

static bool hop_of(struct book *b, uint32_t id, const struct trk_ev *e, uint32_t *hop)
{
	if (b->n_hops >= b->slots_cap / 2 && !more_slots(b))
		return false;
	uint32_t at = hop_hash(e) & (b->slots_cap - 1);
	while (b->slots[at] && !is_same_hop(&b->ends[(size_t)2 * (b->slots[at] - 1)], e))
		at = (at + 1) & (b->slots_cap - 1);
	if (!b->slots[at]) {
		b->reps[b->n_hops] = id;
		b->ends[(size_t)2 * b->n_hops] = *addr_of(e, e->from);
		b->ends[(size_t)2 * b->n_hops + 1] = *addr_of(e, e->to);
		b->slots[at] = ++b->n_hops;
	}
	*hop = b->slots[at] - 1;
	return true;
}

static uint16_t what_of(const struct trk_ev *e)
{
	return (uint16_t)(e->status | e->method << 10);
}

bool book_columns(struct book *b, uint32_t n)
{
	if (n == b->n_cols && b->plain)
		return true;
	uint32_t *hops = realloc(b->hops, (n + 1u) * sizeof *hops);
	if (hops)
		b->hops = hops;
	uint16_t *whats = realloc(b->whats, (n + 1u) * sizeof *whats);
	if (whats)
		b->whats = whats;
	if (!hops || !whats)
		return false;
	size_t had = b->plain ? (b->n_cols + 63u) / 64 + 1 : 0, words = (n + 63u) / 64 + 1;
	uint64_t *plain = realloc(b->plain, words * sizeof *plain);
	if (!plain)
		return false;
	memset(plain + had, 0, (words - had) * sizeof *plain);
	b->plain = plain;
	for (; b->n_cols < n; b->n_cols++) {
		const struct trk_ev *e = trk_ev(b->trk, b->n_cols + 1);
		plain[b->n_cols / 64] |= (uint64_t)e->is_plain << b->n_cols % 64;
		whats[b->n_cols] = what_of(e);
		if (!hop_of(b, b->n_cols + 1, e, &hops[b->n_cols]))
			return false;
	}
	return true;
}

/* --- values ----------------------------------------------------------------------------------- */

static unsigned put_ip(struct flt_val *out, unsigned n, const struct addr *a, bool is_v6)
{
	if ((a->family == ADDR_V6) != is_v6)
		return n;
	memset(&out[n], 0, sizeof out[n]);
	memcpy(out[n].ip, a->ip, sizeof out[n].ip);
	out[n].layer = 1;
	return n + 1;
}

static unsigned put_number(struct flt_val *out, unsigned n, uint64_t u)
{
	out[n] = (struct flt_val){.u = u, .layer = 1};
	return n + 1;
}

static unsigned put_text(struct flt_val *out, struct str s)
{
	out[0] = (struct flt_val){.s = s, .layer = 1};
	return 1;
}

static unsigned hop_values(const struct finding *x, enum row_field rf, struct flt_val *out)
{
	const struct trk_ev *e = x->e;
	const struct addr *from = x->ends ? &x->ends[0] : addr_of(e, e->from);
	const struct addr *to = x->ends ? &x->ends[1] : addr_of(e, e->to);
	bool is_v6 = rf >= RF_IP6 && rf <= RF_IP6_DST;
	unsigned n = 0;
	switch (rf) {
	case RF_SIP:
	case RF_UDP:
		return put_text(out, STR_NONE);
	case RF_IP:
	case RF_IP6:
		return (from->family == ADDR_V6) == is_v6 ? put_text(out, STR_NONE) : 0;
	case RF_IP_ADDR:
	case RF_IP6_ADDR:
		n = put_ip(out, n, from, is_v6);
		return put_ip(out, n, to, is_v6);
	case RF_IP_SRC:
	case RF_IP6_SRC:
		return put_ip(out, n, from, is_v6);
	case RF_IP_DST:
	case RF_IP6_DST:
		return put_ip(out, n, to, is_v6);
	case RF_UDP_PORT:
		n = put_number(out, n, from->port);
		return put_number(out, n, to->port);
	case RF_UDP_SRC:
		return put_number(out, n, from->port);
	case RF_UDP_DST:
		return put_number(out, n, to->port);
	default: /* nothing of TCP in a plain row */
		return 0;
	}
}

static unsigned row_values(struct finding *x, enum row_field rf, struct flt_val *out)
{
	const struct trk_ev *e = x->e;
	int64_t at_ns = (int64_t)e->at_us * 1'000 + x->late_ns;
	switch (rf) {
	case RF_METHOD:
	case RF_CSEQ_METHOD:
		if (rf == RF_METHOD && e->status)
			return 0;
		return put_text(out, sip_method_name((enum sip_method)e->method));
	case RF_STATUS:
		return e->status ? put_number(out, 0, e->status) : 0;
	case RF_CSEQ:
		return put_number(out, 0, e->cseq);
	case RF_NUMBER:
		return put_number(out, 0, e->frame_no);
	case RF_EPOCH:
		return put_number(out, 0, (uint64_t)at_ns);
	case RF_RELATIVE:
		return put_number(out, 0, (uint64_t)(at_ns - x->first_ns));
	case RF_CALL_ID:
		return put_text(out, x->c->call_id);
	default:
		return hop_values(x, rf, out);
	}
}

unsigned book_row_get(void *arg, const struct flt_field *field, struct flt_val *out)
{
	struct finding *x = arg;
	for (unsigned i = 0; i < RF__N; i++)
		if (x->fields[i] == field && !(x->fr && i == RF_SIP))
			return row_values(x, (enum row_field)i, out);
	bool is_of_message =
		str_starts(field->name, STR("sip")) || str_starts(field->name, STR("sdp"));
	if (x->fr && is_of_message && !field->needs)
		return flt_field_get(field, x->fr, out);
	x->has_missed = true;
	return 0;
}
