/* The first bytes of SIP and of TLS.
 *
 * SIP has a start line: "SIP/" or a method, and a version at its end. [RFC3261 7.1, 7.2] TLS has a
 * record's head: content type 20 to 24, version 3.x, and a length that a record may have.
 */
#include "capture/cap_start.h"

#include "capture/cap_tls_key.h"

#include <string.h>

enum cap_start cap_sip_start(const void *bytes, size_t n)
{
	const char *p = bytes;
	while (n && (*p == '\r' || *p == '\n'))
		p++, n--;
	if (!n)
		return CAP_MAYBE;
	if (*p == 'S' && memcmp(p, "SIP/", n < 4 ? n : 4) == 0)
		return n < 4 ? CAP_MAYBE : CAP_YES;
	/* a method: a token, and in practice letters */
	size_t m = 0;
	while (m < n && m < 32 && p[m] > ' ' && p[m] < 127 && p[m] != ':' && p[m] != '/')
		m++;
	if (m == n)
		return CAP_MAYBE;
	if (!m || p[m] != ' ')
		return CAP_NO;
	const char *lf = memchr(p, '\n', n);
	if (!lf)
		return CAP_MAYBE;
	const char *end = lf;
	while (end > p && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	const char *word = end;
	while (word > p + m && word[-1] != ' ')
		word--;
	return end - word > 4 && strncasecmp(word, "SIP/", 4) == 0 ? CAP_YES : CAP_NO;
}

static bool is_record(const uint8_t *h)
{
	unsigned n = (unsigned)h[3] << 8 | h[4];
	return h[0] >= 20 && h[0] <= 24 && h[1] == 3 && h[2] <= 4 && n && n <= CAP_TLS_RECORD_MAX;
}

enum cap_start cap_tls_start(const uint8_t *p, size_t n)
{
	uint8_t h[5] = {0, 3, 0, 0, 1};
	memcpy(h, p, n < 5 ? n : 5);
	if (n == 4 && h[3] == 0x48) /* may still be the longest */
		h[4] = 0;
	if (!is_record(h))
		return CAP_NO;
	return n < 5 ? CAP_MAYBE : CAP_YES;
}
