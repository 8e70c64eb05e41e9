#pragma once
/* Arrays on the heap that grow. */

#include <stddef.h>

/* Makes room for element i of an array of *cap elements of `size` bytes, which the caller frees: it
 * is moved when i is beyond it, doubled at least, and what is new is zero. Returns the array and
 * sets *cap. Without memory: NULL, and the old one stays what it was. `a` is NULL at first. */
[[nodiscard]] void *grow(void *a, size_t *cap, size_t i, size_t size);
