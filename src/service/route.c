/* Routes through this exchange.
 *
 * A token is a few bytes, printed in the URL-safe base64 alphabet so that it may stand in the user
 * part of a URI:
 *
 *     caller_hash:4 | caller side | callee side | check:5
 *     side = 0  or  1 + proto, family | ip:4 or 16 | port:2 | flow:8 (all but UDP)
 *
 * `check` is a keyed hash over the Call-ID and all bytes before it. Invariants: 1. A token that was
 * made for one Call-ID is valid for no other. 2. A flow in a token names a connection at most: once
 * that is closed the id finds nothing (the transport answers ERR_NET), it never reaches
 * another's. 3. Nothing is allocated.
 *
 * rt_plan_make walks the Route values once from the top: ours are counted until the first that is
 * not. A strict router before us has moved our Record-Route into the request-URI (RFC 3261 16.4);
 * it is recognised by its valid token, so that nobody else's request-URI is ever mistaken for it.
 */
#include "service/route.h"

#include "base/digest.h"
#include "base/hash.h"
#include "sip/hdr.h"

#include <string.h>

#define CHECK_BYTES 5
#define SIDE_MAX    (1 + 16 + 2 + 8)
#define HASH_BYTES  4
#define RAW_MAX     (HASH_BYTES + 2 * SIDE_MAX + CHECK_BYTES)

uint32_t rt_tag_hash(const struct rt_self *self, struct str tag)
{
	return (uint32_t)siphash(self->key, tag.p, tag.n);
}

static uint64_t check_of(const struct rt_self *self, struct str call_id, const uint8_t *raw,
			 size_t n)
{
	uint8_t in[RAW_MAX + 8];
	uint64_t h = siphash(self->key, call_id.p, call_id.n);
	memcpy(in, &h, 8);
	memcpy(in + 8, raw, n);
	return siphash(self->key, in, n + 8);
}

static size_t put_side(uint8_t *p, const struct rt_side *s)
{
	if (!s->is_set) {
		p[0] = 0;
		return 1;
	}
	const struct addr *a = &s->dst.to;
	size_t n_ip = a->family == ADDR_V6 ? 16 : 4, n = 0;
	p[n++] = (uint8_t)(1 + s->dst.proto * 2 + (a->family == ADDR_V6));
	memcpy(p + n, a->ip, n_ip);
	n += n_ip;
	p[n++] = (uint8_t)(a->port >> 8);
	p[n++] = (uint8_t)a->port;
	if (s->dst.proto != TP_UDP) {
		memcpy(p + n, &s->dst.flow, 8);
		n += 8;
	}
	return n;
}

/* Bytes read, 0 when broken. */
static size_t get_side(const uint8_t *p, size_t n, struct rt_side *s)
{
	*s = (struct rt_side){0};
	if (n == 0)
		return 0;
	if (p[0] == 0)
		return 1;
	unsigned kind = p[0] - 1u;
	size_t n_ip = kind & 1 ? 16 : 4, at = 1;
	if (kind / 2 >= TP__N || n < 1 + n_ip + 2)
		return 0;
	s->is_set = true;
	s->dst.is_fixed = true;
	s->dst.proto = (enum tp_proto)(kind / 2);
	s->dst.to.family = kind & 1 ? ADDR_V6 : ADDR_V4;
	memcpy(s->dst.to.ip, p + at, n_ip);
	at += n_ip;
	s->dst.to.port = (uint16_t)(p[at] << 8 | p[at + 1]);
	at += 2;
	if (s->dst.proto != TP_UDP) {
		if (n < at + 8)
			return 0;
		memcpy(&s->dst.flow, p + at, 8);
		at += 8;
	}
	return at;
}

struct str rt_token_put(const struct rt_self *self, struct str call_id, const struct rt_token *t,
			char out[RT_TOKEN_MAX])
{
	uint8_t raw[RAW_MAX];
	size_t n = HASH_BYTES;
	memcpy(raw, &t->caller_hash, HASH_BYTES);
	n += put_side(raw + n, &t->caller);
	n += put_side(raw + n, &t->callee);
	uint64_t check = check_of(self, call_id, raw, n);
	memcpy(raw + n, &check, CHECK_BYTES);
	return str_of(out, url64_put(out, raw, n + CHECK_BYTES));
}

bool rt_token_read(const struct rt_self *self, struct str call_id, struct str text,
		   struct rt_token *out)
{
	uint8_t raw[RAW_MAX];
	size_t n = url64_get(text, raw, sizeof(raw));
	if (n < HASH_BYTES + 2 + CHECK_BYTES)
		return false;
	n -= CHECK_BYTES;
	uint64_t check = check_of(self, call_id, raw, n);
	if (memcmp(raw + n, &check, CHECK_BYTES) != 0)
		return false;
	memcpy(&out->caller_hash, raw, HASH_BYTES);
	size_t at = HASH_BYTES, got = get_side(raw + at, n - at, &out->caller);
	at += got;
	return got && get_side(raw + at, n - at, &out->callee);
}

static bool is_sip(const struct sip_uri *u)
{
	return u->scheme == SIP_URI_SIP || u->scheme == SIP_URI_SIPS;
}

/* By its host, or its token: a name may have been one of a certificate that is there no more. */
static bool is_ours(const struct rt_self *self, const struct sip_msg *m, const struct sip_uri *u)
{
	struct rt_token t;
	return is_sip(u) && (self->is_us(self->ctx, u) ||
			     (u->has_user && (rt_token_read(self, m->call_id, u->user, &t) ||
					      rt_token_read(self, RT_PATH, u->user, &t))));
}

/* A request-URI of ours, whose maddr, if it has one, does not lead elsewhere. [RFC3261 16.4, 16.5]
 */
static bool is_our_ruri(const struct rt_self *self, const struct sip_uri *u)
{
	struct sip_uri maddr = {.scheme = u->scheme, .port = u->port};
	if (!self->is_us(self->ctx, u))
		return false;
	if (!u->params.n || u->scheme == SIP_URI_TEL ||
	    !sip_param(u->params, STR("maddr"), &maddr.host) || !maddr.host.n)
		return true;
	maddr.is_ip = addr_parse(maddr.host, 0, &maddr.ip);
	maddr.ip.port = u->port;
	return self->is_us(self->ctx, &maddr);
}

static bool take_token(const struct rt_self *self, const struct sip_msg *m, const struct sip_uri *u,
		       struct rt_plan *p)
{
	return !p->has_token && u->has_user && rt_token_read(self, m->call_id, u->user, &p->token);
}

/* [RFC3261 16.4] second paragraph. */
static void undo_strict_router(const struct rt_self *self, const struct sip_msg *m,
			       struct rt_plan *p)
{
	struct sip_uri u;
	if (!sip_has(m, SIP_HDR_ROUTE) || sip_uri_parse(m->ruri, &u) != OK || !is_sip(&u))
		return;
	if (!take_token(self, m, &u, p))
		return;
	struct sip_iter it = {0};
	struct str v;
	struct sip_addr a;
	while (sip_each(m, SIP_HDR_ROUTE, &it, &v))
		p->last_route = v;
	if (sip_addr_parse(p->last_route, &a) != OK)
		return;
	p->has_token = true;
	p->is_strict_ruri = true;
	p->ruri = a.uri_text;
}

enum err rt_plan_make(const struct rt_self *self, const struct sip_msg *m, struct rt_plan *p)
{
	*p = (struct rt_plan){.ruri = m->ruri};
	undo_strict_router(self, m, p);
	p->uri_err = sip_uri_parse(p->ruri, &p->uri);
	p->is_us = p->uri_err == OK && is_our_ruri(self, &p->uri);
	struct sip_iter it = {0};
	struct str v;
	while (sip_each(m, SIP_HDR_ROUTE, &it, &v)) {
		struct sip_addr a;
		if (p->is_strict_ruri && v.p == p->last_route.p)
			break;
		if (sip_addr_parse(v, &a) != OK || a.uri_err == ERR_SYNTAX)
			return ERR_SYNTAX;
		if (a.uri_err || !is_ours(self, m, &a.uri)) {
			p->next = a.uri_text;
			p->is_next_strict = !sip_param(a.uri.params, STR("lr"), NULL);
			break;
		}
		p->has_token |= take_token(self, m, &a.uri, p);
		if (!p->has_token && !p->has_path && a.uri.has_user)
			p->has_path = rt_token_read(self, RT_PATH, a.uri.user, &p->token) &&
				      p->token.caller.is_set;
		p->n_own++;
	}
	return OK;
}

const struct rt_side *rt_plan_side(const struct rt_self *self, const struct sip_msg *m,
				   const struct rt_plan *p)
{
	if (!p->has_token || p->next.n)
		return NULL;
	bool is_from_caller = rt_tag_hash(self, m->from_tag) == p->token.caller_hash;
	const struct rt_side *s = is_from_caller ? &p->token.callee : &p->token.caller;
	return s->is_set ? s : NULL;
}
