#pragma once
/* Columns of the listings. */

#include "scope/view.h"

/* Spaces after, or before, what stands from `from` on, up to so many bytes. */
void view_pad(struct buf *b, size_t from, size_t columns);
void view_right(struct buf *b, size_t from, size_t columns);
void view_put_right(struct buf *b, uint64_t v, unsigned columns); /* padded on the left */
void view_put_zeros(struct buf *b, uint64_t v, unsigned digits);  /* its last digits, with zeros */
