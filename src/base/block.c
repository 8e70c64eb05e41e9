/* Size-classed free lists in front of malloc.
 *
 * A block is one malloc with a 16-byte head that names its class; while free, the first word of the
 * payload links it to the next free block. The classes are those of SIP: a request with its index
 * takes 1.5 KiB, one with a usual SDP 3 KiB, one with a large SDP 8 KiB; larger ones are rare and
 * kept only a few times. Between 8 KiB and the largest datagram the classes still double, or a
 * message of 9 kB would hold 96.
 *
 * Invariants: 1. a free block of class k has exactly class_size[k] usable bytes. 2. n_free[k] <=
 * class_keep[k]. With AddressSanitizer nothing is kept, so that every use after block_put is seen.
 */
#include "base/block.h"

#include "base/assert.h"

#include <stdlib.h>

struct head {
	size_t size;
	uint32_t klass; /* BLOCK_CLASSES: larger than any class */
	uint32_t magic;
};
#define MAGIC 0xb10cb10cu

static const size_t class_size[BLOCK_CLASSES] = {1024, 1536,  2048,  3072, 4096,
						 8192, 16384, 32768, 98304};
#ifdef __SANITIZE_ADDRESS__
static const uint32_t class_keep[BLOCK_CLASSES] = {0};
#else
/* In the steady state as many blocks come as go: enough for the ups and downs of some milliseconds.
 * What a burst leaves behind goes back to malloc, and the blocks that another shard's messages came
 * in go back to that shard's arena instead of being hoarded here. */
static const uint32_t class_keep[BLOCK_CLASSES] = {512, 256, 512, 256, 256, 64, 16, 8, 4};
#endif

void *block_get(struct block_cache *c, size_t n, size_t *got)
{
	uint32_t k = 0;
	while (k < BLOCK_CLASSES && class_size[k] < n)
		k++;
	if (k < BLOCK_CLASSES) {
		n = class_size[k];
		if (c->free[k]) {
			void *p = c->free[k];
			c->free[k] = *(void **)p;
			c->n_free[k]--;
			if (got)
				*got = n;
			return p;
		}
	}
	struct head *h = malloc(sizeof(*h) + n);
	if (!h)
		return NULL;
	*h = (struct head){.size = n, .klass = k, .magic = MAGIC};
	if (got)
		*got = n;
	return h + 1;
}

void block_put(struct block_cache *c, void *block)
{
	if (!block)
		return;
	struct head *h = (struct head *)block - 1;
	ASSERT(h->magic == MAGIC);
	uint32_t k = h->klass;
	if (c && k < BLOCK_CLASSES && c->n_free[k] < class_keep[k]) {
		*(void **)block = c->free[k];
		c->free[k] = block;
		c->n_free[k]++;
		return;
	}
	h->magic = 0;
	free(h);
}

void block_cache_fini(struct block_cache *c)
{
	for (unsigned k = 0; k < BLOCK_CLASSES; k++) {
		while (c->free[k]) {
			void *p = c->free[k];
			c->free[k] = *(void **)p;
			free((struct head *)p - 1);
		}
		c->n_free[k] = 0;
	}
}
