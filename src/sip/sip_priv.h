#pragma once
/* What the files of this folder share and nobody else sees. */

#include "sip/chars.h"
#include "sip/hdr.h"

/* sip_addr_parse without the URI: display, uri_text, params, is_star, has_brackets. `oddity` gets
 * what a lenient reader may overlook. */
enum { ADDR_ODD_DISPLAY = 1, ADDR_ODD_SEPARATOR = 2 };
enum err sip_addr_split(struct str value, struct sip_addr *out, unsigned *oddity);

/* One Via value at p; *stop gets the position of the comma after it, or end. */
enum err sip_via_scan(const char *p, const char *end, struct sip_via *out, const char **stop);
