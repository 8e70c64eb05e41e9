#pragma once
/* A moment as an operator writes it. */

#include "base/str.h"

/* "90m", "2h", "7d" (also s): so long before now; a local date "2026-11-27" or
 * "2026-11-27T08:30[:00]"; the same with Z behind it, in UTC, as listings write times; or seconds
 * since 1970. *us is since 1970. False: none of these. */
bool adm_when_parse(struct str text, uint64_t now_us, uint64_t *us);
