/* Nonces of digest authentication, and their counts.
 *
 * A nonce is 18 bytes in 24 characters of base64: shard, boot, time, serial, and a SipHash of those
 * with the data folder's key. Nobody can make one, and a restarted server knows its own again; so
 * an unanswered challenge costs no memory beyond a place in a ring.
 *
 * Replay. Each shard has a ring of nonce-count windows, one per serial: the highest count seen and
 * a bit for each of the 32 below. A nonce whose place was given to a later one (262,144 challenges
 * on) counts as stale, which costs a phone one more round trip. Nonces of an earlier boot have no
 * window any more; their counts are followed in a small table from their first use on, so that what
 * can be replayed across a restart is one request that was never repeated before it.
 *
 * Old phones without qop get one use per nonce.
 *
 * Invariant: the windows of a shard are touched by that shard alone. [RFC7616 3.3] */
#include "service/auth_priv.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define OLD_PLACES 4096u
#define FUTURE_S   60 /* a clock that was set back a little is no reason to ask again */
#define NONCE_RAW  18
#define SEEN_PLAIN (1u << 31) /* with high 0: used once without qop */

static void nonce_fields(const struct nonce *n, uint8_t p[10])
{
	p[0] = n->shard;
	memcpy(p + 1, &n->boot, 2);
	memcpy(p + 3, &n->time_s, 4);
	memcpy(p + 7, &n->serial, 3);
}

static uint64_t nonce_mac(const struct auth *a, const uint8_t fields[10])
{
	return siphash(a->cfg.nonce_key, fields, 10);
}

static uint32_t wall_s(const struct auth *a)
{
	return (uint32_t)(env_wall_us(a->loop->env) / 1000000);
}

void auth_nonce_make(struct auth *a, struct buf *out)
{
	uint8_t raw[NONCE_RAW];
	struct nonce n = {.shard = (uint8_t)a->shard, .boot = a->boot, .time_s = wall_s(a)};
	n.serial = a->next_serial;
	a->next_serial = (a->next_serial + 1) % AUTH_SERIALS;
	a->ring[n.serial % AUTH_RING] = (struct window){0};
	nonce_fields(&n, raw);
	uint64_t mac = nonce_mac(a, raw);
	memcpy(raw + 10, &mac, 8);
	b64_put(out, raw, sizeof(raw));
}

bool auth_nonce_read(const struct auth *a, struct str text, struct nonce *n)
{
	uint8_t mem[NONCE_RAW + 3], fields[10];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (text.n != AUTH_NONCE_TEXT || !b64_get(&b, text) || b.n != NONCE_RAW)
		return false;
	const uint8_t *p = (const uint8_t *)b.p;
	memcpy(fields, p, 10);
	*n = (struct nonce){.shard = p[0]};
	memcpy(&n->boot, p + 1, 2);
	memcpy(&n->time_s, p + 3, 4);
	memcpy(&n->serial, p + 7, 3);
	memcpy(&n->mac, p + 10, 8);
	return n->mac == nonce_mac(a, fields);
}

static bool is_old(const struct auth *a, const struct nonce *n)
{
	uint32_t now = wall_s(a);
	return n->time_s > now ? n->time_s - now > FUTURE_S
			       : now - n->time_s > a->cfg.nonce_lifetime_s;
}

/* --- windows -------------------------------------------------------------------------------- */

static enum auth_verdict window_take(struct window *w, uint32_t nc)
{
	bool is_plain_used = w->high == 0 && (w->seen & SEEN_PLAIN);
	if (nc == 0) { /* no count: the first use only */
		if (w->high || w->seen)
			return AUTH_STALE;
		w->seen = SEEN_PLAIN;
		return AUTH_OK;
	}
	if (is_plain_used)
		return AUTH_STALE;
	if (nc > w->high) {
		uint32_t by = nc - w->high;
		w->seen = by < 32 ? w->seen << by : 0;
		w->high = nc;
		w->seen |= 1;
		return AUTH_OK;
	}
	uint32_t back = w->high - nc;
	if (back >= 32 || (w->seen & (1u << back)))
		return AUTH_REPLAYED;
	w->seen |= 1u << back;
	return AUTH_OK;
}

static enum auth_verdict take_old(struct auth *a, const struct nonce *n, uint32_t nc)
{
	if (!a->old)
		a->old = calloc(OLD_PLACES, sizeof(*a->old));
	if (!a->old)
		return AUTH_STALE;
	struct old_place *p = &a->old[n->mac % OLD_PLACES];
	if (p->mac != n->mac) {
		struct nonce there = {.time_s = p->time_s};
		if (p->mac && !is_old(a, &there))
			return AUTH_STALE; /* its count must not be forgotten */
		*p = (struct old_place){.mac = n->mac, .time_s = n->time_s};
	}
	return window_take(&p->w, nc);
}

enum auth_verdict auth_nonce_take(struct auth *a, const struct nonce *n, uint32_t nc)
{
	if (is_old(a, n))
		return AUTH_STALE;
	if (n->boot != a->boot || n->shard != a->shard)
		return take_old(a, n, nc);
	uint32_t age = (a->next_serial - n->serial) % AUTH_SERIALS;
	if (age == 0 || age > AUTH_RING)
		return AUTH_STALE;
	return window_take(&a->ring[n->serial % AUTH_RING], nc);
}
