/* Packed capture files. A packed file is one or more pieces, one behind the other: gzip members
 * [RFC1952 2.2], zstd frames [RFC8878 3.1]; unpacked, they are one file. Rotating sniffers and
 * parallel packers write such files. Zeros behind the last gzip member are padding of a tape or
 * disk block, and end the file.
 *
 * Invariants:
 * 1. in[at .. end) are packed bytes that were read and not unpacked.
 * 2. is_inside: a piece is begun and not ended. The file's end is its true end only outside.
 * 3. After a problem nothing more is unpacked; what came before is good.
 */
#include "capture/cap_pack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define IN_BYTES (64u << 10)
/* zstd's own limit for decoders that stream (`zstd --ultra` goes up to it): 128 MB. */
#define MAX_WINDOW_LOG 27

struct cap_pack {
	cap_pack_read_fn *read;
	void *arg;
	ZSTD_DCtx *zstd; /* NULL: gzip */
	z_stream z;
	uint8_t *in;
	size_t at, end;
	bool is_inside, is_end;
	enum cap_pack_problem problem;
};

static bool is_gzip(const uint8_t *p, size_t n)
{
	return n >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

/* A frame, or a skippable one (pzstd begins with such). [RFC8878 3.1] */
static bool is_zstd(const uint8_t *p, size_t n)
{
	return n >= 4 && ((p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd) ||
			  ((p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18));
}

enum err cap_pack_new(const uint8_t *p, size_t n, cap_pack_read_fn *read, void *arg,
		      struct cap_pack **out)
{
	bool is_z = is_zstd(p, n);
	if (!is_z && !is_gzip(p, n))
		return ERR_UNSUPPORTED;
	struct cap_pack *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	k->read = read;
	k->arg = arg;
	k->in = malloc(n > IN_BYTES ? n : IN_BYTES);
	bool ok = k->in != NULL;
	if (ok && is_z) {
		k->zstd = ZSTD_createDCtx();
		ok = k->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(k->zstd, ZSTD_d_windowLogMax,
								     MAX_WINDOW_LOG));
	} else if (ok) {
		ok = inflateInit2(&k->z, 15 + 16) == Z_OK;
	}
	if (!ok) {
		cap_pack_free(k);
		return ERR_NOMEM;
	}
	memcpy(k->in, p, n);
	k->end = n;
	*out = k;
	return OK;
}

void cap_pack_free(struct cap_pack *k)
{
	if (!k)
		return;
	ZSTD_freeDCtx(k->zstd);
	inflateEnd(&k->z); /* harmless when it was never begun */
	free(k->in);
	free(k);
}

/* One step: consumes some of in, appends to p; false when that is damaged. */
static bool step_gzip(struct cap_pack *k, uint8_t *p, size_t room, size_t *n)
{
	k->z.next_in = k->in + k->at;
	k->z.avail_in = (uInt)(k->end - k->at);
	k->z.next_out = p;
	k->z.avail_out = (uInt)room;
	int z = inflate(&k->z, Z_NO_FLUSH);
	k->at = k->end - k->z.avail_in;
	*n = room - k->z.avail_out;
	k->is_inside = z != Z_STREAM_END;
	if (z == Z_STREAM_END)
		z = inflateReset(&k->z);
	return z == Z_OK || z == Z_BUF_ERROR;
}

static bool step_zstd(struct cap_pack *k, void *p, size_t room, size_t *n)
{
	ZSTD_inBuffer in = {k->in + k->at, k->end - k->at, 0};
	ZSTD_outBuffer out = {p, room, 0};
	size_t left = ZSTD_decompressStream(k->zstd, &out, &in);
	k->at += in.pos;
	*n = out.pos;
	k->is_inside = left != 0; /* an error, too */
	return !ZSTD_isError(left);
}

size_t cap_pack_read(struct cap_pack *k, uint8_t *p, size_t room)
{
	size_t n = 0;
	while (n == 0 && !k->is_end) {
		if (k->at == k->end) {
			k->at = 0;
			k->end = k->read(k->arg, k->in, IN_BYTES);
		}
		/* behind the last byte the unpacker may still hold some that found no room */
		bool is_over = k->end == 0;
		if (!k->is_inside && (is_over || (!k->zstd && k->in[k->at] == 0))) {
			k->is_end = true;
		} else if (!(k->zstd ? step_zstd(k, p, room, &n) : step_gzip(k, p, room, &n))) {
			k->is_end = true;
			k->problem = CAP_PACK_DAMAGED;
		} else if (is_over && n == 0) {
			k->is_end = true;
			k->problem = CAP_PACK_CUT;
		}
	}
	return n;
}

enum cap_pack_problem cap_pack_problem(const struct cap_pack *k)
{
	return k->problem;
}
