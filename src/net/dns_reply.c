/* SRV and NAPTR records out of a reply's bytes. c-ares has parsers of its own, but they drop the
 * time to live.
 *
 * All records of the wanted type in the answer section count, whatever name they stand under: a
 * server that follows a CNAME adds it in front of them. A name may point back into the reply; each
 * pointer must lead to where it has not been, so every walk ends. [RFC1035 4.1] [RFC2782]
 * [RFC3403 4.1]
 */
#include "net/dns_priv.h"

#define NAME_MAX_TEXT 256u
#define HEADER_BYTES  12u
#define TYPE_SRV      33
#define TYPE_NAPTR    35

struct reply {
	const uint8_t *p;
	size_t n, at;
	bool is_bad;
};

static unsigned take(struct reply *r, size_t bytes)
{
	unsigned v = 0;
	if (bytes > r->n - r->at) {
		r->is_bad = true;
		r->at = r->n;
		return 0;
	}
	for (; bytes; bytes--)
		v = v << 8 | r->p[r->at++];
	return v;
}

static void skip(struct reply *r, size_t bytes)
{
	if (bytes > r->n - r->at)
		r->is_bad = true;
	else
		r->at += bytes;
}

/* A name into text; what follows it is next. */
static struct str take_name(struct reply *r, char text[NAME_MAX_TEXT])
{
	struct buf b;
	struct reply s = *r; /* walks; stays behind at the first pointer */
	bool has_jumped = false;
	size_t lowest = r->at;
	buf_init_fixed(&b, text, NAME_MAX_TEXT);
	for (unsigned len; (len = take(&s, 1)) != 0;) {
		if (len >= 0xc0) {
			size_t to = (len & 0x3f) << 8 | take(&s, 1);
			if (!has_jumped)
				r->at = s.at;
			has_jumped = true;
			if (to >= lowest)
				s.is_bad = true;
			s.at = lowest = to;
		} else if (len > 63 || len > s.n - s.at) {
			s.is_bad = true;
		} else {
			if (b.n)
				buf_chr(&b, '.');
			buf_put(&b, s.p + s.at, len);
			s.at += len;
		}
		if (s.is_bad || b.err)
			break;
	}
	if (!has_jumped)
		r->at = s.at;
	r->is_bad |= s.is_bad || b.err;
	return r->is_bad ? STR_NONE : buf_view(&b);
}

static struct str take_text(struct reply *r)
{
	size_t n = take(r, 1), at = r->at;
	skip(r, n);
	return r->is_bad ? STR_NONE : str_of((const char *)r->p + at, n);
}

static bool has_nul(struct str s)
{
	return s.n && memchr(s.p, 0, s.n);
}

static void take_rr(struct reply *r, unsigned type, struct dns_answer *a)
{
	char name[NAME_MAX_TEXT];
	struct dns_rr rr = {0};
	struct str service = STR_NONE;
	rr.priority = (uint16_t)take(r, 2);
	rr.weight = (uint16_t)take(r, 2);
	if (type == TYPE_SRV) {
		rr.port = (uint16_t)take(r, 2);
	} else {
		struct str flags = take_text(r);
		if (flags.n == 1)
			rr.flag = (char)(flags.p[0] | 0x20);
		service = take_text(r);
		(void)take_text(r); /* regexp: nothing that SIP uses [RFC3263 4.1] */
	}
	struct str target = take_name(r, name);
	if (!r->is_bad && !has_nul(service) && !has_nul(target))
		dns_add_rr(a, &rr, target, service);
}

enum err dns_reply_read(const void *p, size_t n, unsigned type, struct dns_answer *a,
			uint32_t *ttl_s)
{
	struct reply r = {.p = p, .n = n, .at = 4};
	char name[NAME_MAX_TEXT];
	unsigned wanted = type == DNS_SRV ? TYPE_SRV : TYPE_NAPTR;
	*a = (struct dns_answer){0};
	*ttl_s = UINT32_MAX;
	if (n < HEADER_BYTES)
		return ERR_NET;
	unsigned n_questions = take(&r, 2), n_answers = take(&r, 2);
	r.at = HEADER_BYTES;
	for (; n_questions && !r.is_bad; n_questions--) {
		(void)take_name(&r, name);
		skip(&r, 4);
	}
	for (; n_answers && !r.is_bad; n_answers--) {
		(void)take_name(&r, name);
		unsigned is = take(&r, 2);
		skip(&r, 2); /* class */
		uint32_t ttl = take(&r, 4);
		size_t len = take(&r, 2), end = r.at + len;
		if (is == wanted)
			take_rr(&r, wanted, a);
		if (is == wanted && ttl < *ttl_s)
			*ttl_s = ttl;
		if (end > n || r.at > end)
			r.is_bad = true;
		else
			r.at = end;
	}
	if (r.is_bad)
		return ERR_NET;
	return a->n ? OK : ERR_NOTFOUND;
}
