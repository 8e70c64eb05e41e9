#pragma once
/* While a sheet is made. */

#include "scope/sheet.h"

struct sheet_maker {
	struct sheet *s;
	struct trk *t;
	const struct sheet_cfg *cfg; /* may be NULL */
	const struct lad_item *items;
	size_t n;
};

/* The lane of an address; a new one when there is room, else the last. */
uint8_t sheet_lane_of(struct sheet_maker *m, const struct addr *a);
/* Media of all legs, and its absence, into bands in order of time. */
void sheet_find_bands(struct sheet_maker *m);
