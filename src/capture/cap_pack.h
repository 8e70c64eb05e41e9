#pragma once
/* Packed capture files: gzip and zstd, known by their first bytes, unpacked as they are read. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cap_pack;
/* Reads up to `room` packed bytes; 0 at the end of the file. */
typedef size_t cap_pack_read_fn(void *arg, uint8_t *p, size_t room);

/* p[0..n) is what was read of the file so far. ERR_UNSUPPORTED: it is not packed, or in another
 * way. ERR_NOMEM. */
enum err cap_pack_new(const uint8_t *p, size_t n, cap_pack_read_fn *read, void *arg,
		      struct cap_pack **out);
void cap_pack_free(struct cap_pack *k);
/* Unpacks up to `room` bytes; 0 at the end, which cap_pack_problem explains. */
size_t cap_pack_read(struct cap_pack *k, uint8_t *p, size_t room);
enum cap_pack_problem {
	CAP_PACK_FINE,
	CAP_PACK_CUT,    /* the file ends inside a packed piece */
	CAP_PACK_DAMAGED /* or there is no memory for its window */
};
enum cap_pack_problem cap_pack_problem(const struct cap_pack *k);
