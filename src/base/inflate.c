/* zlib's inflate, which keeps the window between messages. A sender that forgets its history
 * ("no context takeover") just never refers to it.
 */
#include "base/inflate.h"

#include <stdlib.h>
#include <zlib.h>

#define WINDOW_BITS (-15) /* the largest, which reads all smaller; negative: no frame */

struct inflate {
	z_stream z;
};

struct inflate *inflate_new(void)
{
	struct inflate *i = calloc(1, sizeof *i);
	if (i && inflateInit2(&i->z, WINDOW_BITS) != Z_OK) {
		free(i);
		return NULL;
	}
	return i;
}

void inflate_free(struct inflate *i)
{
	if (!i)
		return;
	inflateEnd(&i->z);
	free(i);
}

static enum err run(z_stream *z, struct str in, size_t *left, struct buf *out)
{
	uint8_t piece[4'096];
	z->next_in = (z_const Bytef *)in.p;
	z->avail_in = (uInt)in.n;
	do {
		z->next_out = piece;
		z->avail_out = sizeof piece;
		int rc = inflate(z, Z_SYNC_FLUSH);
		size_t n = sizeof piece - z->avail_out;
		if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END)
			return rc == Z_MEM_ERROR ? ERR_NOMEM : ERR_SYNTAX;
		if (n > *left)
			return ERR_LIMIT;
		*left -= n;
		buf_put(out, piece, n);
		if (rc == Z_STREAM_END) /* a final block is allowed, too [RFC7692 7.2.3.4] */
			inflateReset(z);
		else if (rc == Z_BUF_ERROR)
			break;
	} while (z->avail_in || !z->avail_out);
	return out->err;
}

enum err inflate_message(struct inflate *i, struct str deflated, size_t max, struct buf *out)
{
	static const char tail[] = {0, 0, '\xff', '\xff'}; /* taken off by the sender */
	enum err e = run(&i->z, deflated, &max, out);
	if (e == OK)
		e = run(&i->z, str_of(tail, sizeof tail), &max, out);
	if (e != OK)
		inflateReset(&i->z);
	return e;
}
