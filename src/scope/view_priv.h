#pragma once
/* Columns of the listings. */

#include "scope/view.h"

void view_put_right(struct buf *b, uint64_t v, unsigned columns); /* padded on the left */
void view_put_zeros(struct buf *b, uint64_t v, unsigned digits);  /* its last digits, with zeros */
