/* The Call-ID of bytes that nobody has indexed. The lines are found and cut by the code of the
 * index (scan.h), so that compact, folded and duplicate headers behave alike; lines that cannot be
 * the one wanted are not cut at all. */
#include "sip/msg.h"

#include "sip/scan.h"

bool sip_peek_call_id(struct str bytes, struct str *call_id)
{
	const char *p = bytes.p, *end = cc_end(bytes);
	*call_id = STR_NONE;
	while (p < end && (*p == '\r' || *p == '\n'))
		p++;
	struct scan s;
	scan_init(&s, p, end, end);
	p = scan_lf(&s);
	if (!p)
		return false;
	for (p++; p < end;) {
		char c = (char)(*p | 0x20);
		if (c != 'c' && c != 'i' && *p != '\r' && *p != '\n') { /* neither it nor the end */
			p = scan_lf(&s);
			if (!p)
				break;
			p++;
			continue;
		}
		struct scan_line l;
		enum scan_kind kind = scan_line(&s, p, &l);
		if (kind == SCAN_HEADER && l.id == SIP_HDR_CALL_ID) {
			*call_id = l.value;
			break;
		}
		if (kind == SCAN_BLANK || l.is_cut)
			break;
		p = l.next;
	}
	return call_id->n > 0;
}
