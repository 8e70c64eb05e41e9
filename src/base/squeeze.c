/* Deflate without a frame around it [RFC1951], the words as its dictionary. zlib's memory is on the
 * stack, so that nothing is allocated and nothing can be refused.
 */
#include "base/squeeze.h"

#include "base/assert.h"

#include <zlib.h>

#define WINDOW_BITS (-12) /* of SQUEEZE_MOST; negative: no frame */
#define MEM_LEVEL   2     /* hash table of 512 entries */

struct room {
	_Alignas(max_align_t) char mem[32'768];
	size_t n;
};

static void *take(void *arg, unsigned n, unsigned size)
{
	struct room *r = arg;
	size_t want = ((size_t)n * size + 15) & ~(size_t)15;
	ASSERT(want <= sizeof r->mem - r->n);
	r->n += want;
	return r->mem + r->n - want;
}

static void give_back(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

static z_stream stream(struct room *r, struct str in, char *out, size_t room)
{
	r->n = 0;
	return (z_stream){.zalloc = take,
			  .zfree = give_back,
			  .opaque = r,
			  .next_in = (z_const Bytef *)in.p,
			  .avail_in = (uInt)in.n,
			  .next_out = (Bytef *)out,
			  .avail_out = (uInt)room};
}

bool squeeze(struct str text, struct str words, struct buf *out)
{
	struct room r;
	char small[SQUEEZE_MOST];
	if (!text.n || words.n + text.n > SQUEEZE_MOST || out->err)
		return false;
	z_stream z = stream(&r, text, small, text.n - 1);
	int rc = deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL,
			      Z_DEFAULT_STRATEGY);
	ASSERT(rc == Z_OK);
	if (words.n)
		deflateSetDictionary(&z, (const Bytef *)words.p, (uInt)words.n);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		return false;
	size_t before = out->n;
	buf_put(out, small, text.n - 1 - z.avail_out);
	if (out->err)
		out->n = before;
	return out->err == OK;
}

void unsqueeze(struct str squeezed, struct str words, struct buf *out)
{
	struct room r;
	char text[SQUEEZE_MOST];
	z_stream z = stream(&r, squeezed, text, sizeof text);
	int rc = inflateInit2(&z, WINDOW_BITS);
	ASSERT(rc == Z_OK);
	if (words.n)
		inflateSetDictionary(&z, (const Bytef *)words.p, (uInt)words.n);
	rc = inflate(&z, Z_FINISH);
	ASSERT(rc == Z_STREAM_END);
	buf_put(out, text, sizeof text - z.avail_out);
}
