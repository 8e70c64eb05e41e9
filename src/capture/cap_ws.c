/* WebSocket known by content: a capture may begin in the middle of a connection, without its
 * handshake. The framing itself is wire/ws.c. */
#include "capture/cap_ws.h"

#include "capture/cap_start.h"
#include "wire/ws.h"

bool cap_ws_looks_like_sip(const uint8_t *p, size_t n)
{
	struct wire_ws_head h;
	enum { ENOUGH = 16 }; /* bytes: fewer that may be SIP may be anything */
	uint8_t start[64];
	if (wire_ws_head_read(p, n, &h) != OK || (h.op != WS_TEXT && h.op != WS_BINARY) ||
	    h.is_compressed)
		return false;
	size_t m = n - h.n_head < sizeof start ? n - h.n_head : sizeof start;
	for (size_t i = 0; i < m; i++)
		start[i] =
			h.is_masked ? (uint8_t)(p[h.n_head + i] ^ h.mask[i & 3]) : p[h.n_head + i];
	enum cap_start is_sip = cap_sip_start(start, m);
	return is_sip == CAP_YES || (is_sip == CAP_MAYBE && m >= ENOUGH);
}
