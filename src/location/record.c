/* Packed contacts.
 *
 *	size:16 flags:8 proto:8 expires:32 updated:32 cseq:32 q:16 agent:16
 *	from (port:16 ip:4|16 [scope:8])  to (the same)
 *	uri_n:16 call_id_n:16  [path_n:16]  [reg_id:32]  [flow:64]  [instance: 16, or n:8 and text]
 *	uri call_id path
 *
 * in the machine's byte order: journals stay on their machine. A typical phone takes 100 to 130
 * bytes; its AOR adds the record's head of 39 and the name. What most phones do not have costs
 * nothing. An instance in the usual form urn:uuid (lower case) is kept as 16 bytes.
 *
 * These bytes come back from disk, so reading them trusts nothing: every length is checked against
 * the contact's size, and that against the rest.
 */
#include "location/table_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

enum flag {
	F_NATED = 1,
	F_FLOW = 2,
	F_DOWN = 4,
	F_PATH = 8,
	F_REG_ID = 16,
	F_UUID = 32,
	F_INSTANCE = 64,
	F_V6 = 128,
};
#define FIXED_BYTES 20u

struct reader {
	const uint8_t *p, *end;
	bool is_bad;
};

static void take(struct reader *r, void *to, size_t n)
{
	if ((size_t)(r->end - r->p) < n) {
		r->is_bad = true;
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->p, n);
	r->p += n;
}

static struct str take_str(struct reader *r, size_t n)
{
	if ((size_t)(r->end - r->p) < n) {
		r->is_bad = true;
		return STR_NONE;
	}
	struct str s = str_of((const char *)r->p, n);
	r->p += n;
	return s;
}

static void take_addr(struct reader *r, bool is_v6, struct addr *a)
{
	*a = (struct addr){.family = is_v6 ? ADDR_V6 : ADDR_V4};
	take(r, &a->port, 2);
	take(r, a->ip, is_v6 ? 16 : 4);
	if (is_v6)
		take(r, &a->scope, 1);
}

static const char uuid_form[] = "<urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx>";
#define UUID_TEXT (sizeof(uuid_form) - 1)

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool uuid_pack(struct str s, uint8_t out[16])
{
	size_t n = 0;
	if (s.n != UUID_TEXT)
		return false;
	memset(out, 0, 16);
	for (size_t i = 0; i < s.n; i++) {
		if (uuid_form[i] != 'x') {
			if (s.p[i] != uuid_form[i])
				return false;
			continue;
		}
		int d = hex_digit(s.p[i]);
		if (d < 0)
			return false;
		out[n / 2] = (uint8_t)(out[n / 2] << 4 | d);
		n++;
	}
	return true;
}

static struct str uuid_text(const uint8_t p[16], char out[64])
{
	size_t n = 0;
	for (size_t i = 0; i < UUID_TEXT; i++) {
		if (uuid_form[i] != 'x') {
			out[i] = uuid_form[i];
			continue;
		}
		unsigned d = n % 2 ? p[n / 2] & 15u : p[n / 2] >> 4;
		out[i] = "0123456789abcdef"[d];
		n++;
	}
	return str_of(out, UUID_TEXT);
}

bool loc_item_next(const uint8_t *p, size_t n, size_t *off, struct loc_item *out,
		   struct loc_scratch *scratch)
{
	uint16_t size, uri_n, call_id_n, path_n = 0;
	uint8_t flags, text_n, uuid[16];
	if (*off + FIXED_BYTES > n)
		return false;
	memcpy(&size, p + *off, 2);
	if (size < FIXED_BYTES || *off + size > n)
		return false;
	*out = (struct loc_item){.raw = p + *off, .raw_n = size};
	struct reader r = {p + *off + 2, p + *off + size, false};
	take(&r, &flags, 1);
	take(&r, &out->proto, 1);
	take(&r, &out->expires, 4);
	take(&r, &out->updated, 4);
	take(&r, &out->cseq, 4);
	take(&r, &out->q, 2);
	take(&r, &out->agent, 2);
	take_addr(&r, flags & F_V6, &out->from);
	take_addr(&r, flags & F_V6, &out->to);
	take(&r, &uri_n, 2);
	take(&r, &call_id_n, 2);
	if (flags & F_PATH)
		take(&r, &path_n, 2);
	if (flags & F_REG_ID)
		take(&r, &out->reg_id, 4);
	if (flags & F_FLOW)
		take(&r, &out->flow, 8);
	if (flags & F_UUID) {
		take(&r, uuid, 16);
		out->instance = uuid_text(uuid, scratch->instance);
	} else if (flags & F_INSTANCE) {
		take(&r, &text_n, 1);
		out->instance = take_str(&r, text_n);
	}
	out->uri = take_str(&r, uri_n);
	out->call_id = take_str(&r, call_id_n);
	out->path = take_str(&r, path_n);
	out->is_nated = flags & F_NATED;
	out->is_down = flags & F_DOWN;
	if (r.is_bad || r.p != r.end || !uri_n || out->proto >= TP__N)
		return false;
	*off += size;
	return true;
}

static void put_addr(struct buf *b, const struct addr *a, bool is_v6)
{
	buf_put(b, &a->port, 2);
	buf_put(b, a->ip, is_v6 ? 16 : 4);
	if (is_v6)
		buf_put(b, &a->scope, 1);
}

enum err loc_item_put(struct buf *b, const struct loc_item *i)
{
	uint8_t uuid[16], text_n = (uint8_t)i->instance.n;
	bool has_uuid = uuid_pack(i->instance, uuid);
	bool is_v6 = i->from.family == ADDR_V6 || i->to.family == ADDR_V6;
	uint8_t flags = (uint8_t)((i->is_nated ? F_NATED : 0) | (i->flow ? F_FLOW : 0) |
				  (i->is_down ? F_DOWN : 0) | (i->path.n ? F_PATH : 0) |
				  (i->reg_id ? F_REG_ID : 0) | (is_v6 ? F_V6 : 0) |
				  (has_uuid        ? F_UUID
				   : i->instance.n ? F_INSTANCE
						   : 0));
	if (i->instance.n > 255 || i->uri.n > UINT16_MAX || i->call_id.n > UINT16_MAX ||
	    i->path.n > UINT16_MAX)
		return ERR_LIMIT;
	size_t at = b->n;
	uint16_t size = 0, uri_n = (uint16_t)i->uri.n, call_id_n = (uint16_t)i->call_id.n,
		 path_n = (uint16_t)i->path.n;
	buf_put(b, &size, 2);
	buf_put(b, &flags, 1);
	buf_put(b, &i->proto, 1);
	buf_put(b, &i->expires, 4);
	buf_put(b, &i->updated, 4);
	buf_put(b, &i->cseq, 4);
	buf_put(b, &i->q, 2);
	buf_put(b, &i->agent, 2);
	put_addr(b, &i->from, is_v6);
	put_addr(b, &i->to, is_v6);
	buf_put(b, &uri_n, 2);
	buf_put(b, &call_id_n, 2);
	if (flags & F_PATH)
		buf_put(b, &path_n, 2);
	if (flags & F_REG_ID)
		buf_put(b, &i->reg_id, 4);
	if (flags & F_FLOW)
		buf_put(b, &i->flow, 8);
	if (flags & F_UUID)
		buf_put(b, uuid, 16);
	if (flags & F_INSTANCE) {
		buf_put(b, &text_n, 1);
		buf_str(b, i->instance);
	}
	buf_str(b, i->uri);
	buf_str(b, i->call_id);
	buf_str(b, i->path);
	if (b->err)
		return b->err;
	if (b->n - at > UINT16_MAX)
		return ERR_LIMIT;
	size = (uint16_t)(b->n - at);
	memcpy(b->p + at, &size, 2);
	return OK;
}

struct str loc_rec_aor(const struct loc_rec *r)
{
	return str_of((const char *)r->body, r->aor_n);
}

struct loc_rec *loc_rec_new(struct str aor, uint64_t hash, size_t shard, struct str contacts)
{
	struct loc_scratch scratch;
	struct loc_item item;
	uint32_t n = 0, next = UINT32_MAX;
	size_t off = 0;
	const uint8_t *p = (const uint8_t *)contacts.p;
	while (loc_item_next(p, contacts.n, &off, &item, &scratch)) {
		n++;
		next = item.expires < next ? item.expires : next;
	}
	if (!n || n > UINT8_MAX || off != contacts.n || !aor.n || aor.n > LIMIT_AOR_BYTES)
		return NULL;
	/* the record's flexible part may begin in its tail padding */
	size_t bytes = offsetof(struct loc_rec, body) + aor.n + contacts.n;
	struct loc_rec *r = malloc(bytes > sizeof(*r) ? bytes : sizeof(*r));
	if (!r)
		return NULL;
	*r = (struct loc_rec){.hash = (uint32_t)(hash >> 32),
			      .n = (uint32_t)(aor.n + contacts.n),
			      .next_expiry = next,
			      .n_contacts = (uint8_t)n,
			      .aor_n = (uint8_t)aor.n,
			      .shard = (uint8_t)shard};
	memcpy(r->body, aor.p, aor.n);
	memcpy(r->body + aor.n, contacts.p, contacts.n);
	return r;
}

static void shift(uint8_t *at, int64_t by)
{
	uint32_t t;
	memcpy(&t, at, 4);
	int64_t v = (int64_t)t + by;
	t = v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
	memcpy(at, &t, 4);
}

void loc_shift_times(uint8_t *p, size_t n, int64_t by)
{
	size_t off = 0;
	while (by && off + FIXED_BYTES <= n) {
		uint16_t size;
		memcpy(&size, p + off, 2);
		shift(p + off + 4, by);
		shift(p + off + 8, by);
		off += size;
	}
}
