/* Arrays on the heap that grow, by doubling: n appends move O(n) elements. Ownership stays with the
 * caller, who also counts what is used of the room. */
#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 8 /* elements */

void *grow(void *a, size_t *cap, size_t i, size_t size)
{
	if (i < *cap)
		return a;
	if (i >= SIZE_MAX / 4 / size)
		return NULL;
	size_t want = *cap ? 2 * *cap : FIRST;
	if (want <= i)
		want = i + i / 2 + 1;
	char *p = realloc(a, want * size);
	if (!p)
		return NULL;
	memset(p + *cap * size, 0, (want - *cap) * size);
	*cap = want;
	return p;
}
