/* Lempel and Ziv's copies of what came before [LZ77], within a thousand bytes, and runs of hex
 * digits, since much of SIP is made of them. The words stand before the text as if they had come.
 *
 *	0nnnnnnn            n + 1 bytes as they are follow
 *	10nnnnnd dddddddd   n + 3 bytes as they stood d + 1 bytes ago, d in 9 bits
 *	110nnnnn            2 n + 8 hex digits, lower case, two in each byte that follows
 *	111nnndd dddddddd   n + 3 bytes as they stood d + 513 bytes ago, d in 10 bits
 */
#include "base/squeeze.h"

#include "base/assert.h"

#define BUCKETS    512u
#define TRIES      12u
#define COPY_LEAST 3u
#define NEAR       512u
#define NEAR_MOST  (31u + COPY_LEAST)
#define FAR        (NEAR + 1024u)
#define FAR_MOST   (7u + COPY_LEAST)
#define HEX_LEAST  8u
#define HEX_MOST   (2u * 31u + HEX_LEAST)
#define PLAIN_MOST 128u

struct squeezer {
	char mem[SQUEEZE_MOST]; /* words, text */
	size_t n;
	uint16_t head[BUCKETS], prev[SQUEEZE_MOST]; /* places + 1 of the same three bytes */
};

static unsigned bucket(const char *p)
{
	uint32_t v = (uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16;
	return v * 2'654'435'761u >> 23;
}

static void enter(struct squeezer *z, size_t at)
{
	if (at + COPY_LEAST > z->n)
		return;
	uint16_t *head = &z->head[bucket(z->mem + at)];
	z->prev[at] = *head;
	*head = (uint16_t)(at + 1);
}

/* The longest copy of what stands at `at`, and where it stood; 0: none is worth it. */
static size_t find_copy(const struct squeezer *z, size_t at, size_t *from)
{
	size_t best = COPY_LEAST - 1;
	if (at + COPY_LEAST > z->n)
		return 0;
	uint16_t place = z->head[bucket(z->mem + at)];
	for (unsigned tries = 0; place && tries < TRIES; tries++, place = z->prev[place - 1]) {
		size_t was = place - 1u, back = at - was, n = 0;
		size_t most = back <= NEAR ? NEAR_MOST : FAR_MOST;
		if (back > FAR)
			break;
		if (most > z->n - at)
			most = z->n - at;
		while (n < most && z->mem[was + n] == z->mem[at + n])
			n++;
		if (n > best) {
			best = n;
			*from = was;
		}
	}
	return best >= COPY_LEAST ? best : 0;
}

static unsigned digit(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				      : 16u;
}

static size_t hex_run(const struct squeezer *z, size_t at)
{
	size_t n = 0;
	while (at + n < z->n && n < HEX_MOST && digit(z->mem[at + n]) < 16)
		n++;
	return n < HEX_LEAST ? 0 : n & ~(size_t)1;
}

static void put_plain(struct buf *b, const char *p, size_t n)
{
	for (size_t k; n; p += k, n -= k) {
		k = n < PLAIN_MOST ? n : PLAIN_MOST;
		buf_chr(b, (char)(k - 1));
		buf_put(b, p, k);
	}
}

static void put_copy(struct buf *b, size_t n, size_t back)
{
	size_t d = back <= NEAR ? back - 1 : back - NEAR - 1;
	size_t high = back <= NEAR ? 0x80 | (n - COPY_LEAST) << 1 : 0xe0 | (n - COPY_LEAST) << 2;
	buf_chr(b, (char)(high | d >> 8));
	buf_chr(b, (char)(d & 255));
}

static void put_hex(struct buf *b, const char *p, size_t n)
{
	buf_chr(b, (char)(0xc0 | (n - HEX_LEAST) / 2));
	for (size_t i = 0; i < n; i += 2)
		buf_chr(b, (char)(digit(p[i]) << 4 | digit(p[i + 1])));
}

bool squeeze(struct str text, struct str words, struct buf *out)
{
	struct squeezer z;
	size_t before = out->n, at = words.n, plain = at, from = 0;
	if (!text.n || words.n + text.n > SQUEEZE_MOST || out->err)
		return false;
	z.n = words.n + text.n;
	memset(z.head, 0, sizeof z.head);
	if (words.n)
		memcpy(z.mem, words.p, words.n);
	memcpy(z.mem + words.n, text.p, text.n);
	for (size_t i = 0; i < words.n; i++)
		enter(&z, i);
	while (at < z.n) {
		size_t n = find_copy(&z, at, &from), hex = hex_run(&z, at);
		bool is_hex = hex / 2 > n;
		if (is_hex)
			n = hex;
		if (n) {
			put_plain(out, z.mem + plain, at - plain);
			if (is_hex)
				put_hex(out, z.mem + at, n);
			else
				put_copy(out, n, at - from);
			plain = at + n;
		}
		for (size_t end = at + (n ? n : 1); at < end; at++)
			enter(&z, at);
	}
	put_plain(out, z.mem + plain, z.n - plain);
	if (out->err == OK && out->n - before < text.n)
		return true;
	if (out->n > before)
		out->n = before;
	return false;
}

static char back(const struct buf *out, size_t from, struct str words, size_t d)
{
	size_t n = out->n - from; /* of the text so far */
	ASSERT(d && d <= n + words.n);
	return d <= n ? out->p[out->n - d] : words.p[words.n - (d - n)];
}

void unsqueeze(struct str in, struct str words, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t from = out->n;
	const uint8_t *p = (const uint8_t *)in.p, *end = p + in.n;
	while (p < end && out->err == OK) {
		unsigned c = *p++;
		size_t n, d;
		if (c < 0x80) {
			buf_put(out, p, c + 1u);
			p += c + 1u;
			continue;
		}
		if ((c & 0xe0) == 0xc0) {
			for (n = (c & 31u) + HEX_LEAST / 2; n--; p++) {
				buf_chr(out, digits[*p >> 4]);
				buf_chr(out, digits[*p & 15]);
			}
			continue;
		}
		if (c < 0xc0) {
			n = (c >> 1 & 31u) + COPY_LEAST;
			d = ((c & 1u) << 8 | *p++) + 1u;
		} else {
			n = (c >> 2 & 7u) + COPY_LEAST;
			d = ((c & 3u) << 8 | *p++) + NEAR + 1u;
		}
		while (n-- && out->err == OK)
			buf_chr(out, back(out, from, words, d));
	}
}
