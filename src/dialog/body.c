/* The bodies of a session's messages: SDP, alone or among other parts.
 *
 * What comes is read by sip/body. What goes out is bytes of the owner's, nearly always SDP; a body
 * that is more than that brings its own Content-Type and the like, behind a mark that is drawn at
 * start: SDP of a peer, which an owner may hand on unread, can never be taken for header lines.
 *
 * [RFC3261 20.11, 20.15] [RFC5621] */
#include "dialog/body.h"

#include "dialog/priv.h"
#include "dialog/relay.h"

#include <string.h>

bool dlg_sdp(const struct sip_msg *msg, struct str *sdp)
{
	*sdp = STR_NONE;
	return sip_msg_sdp(msg, sdp) && sdp->n;
}

void dlg_begin_body(struct dlg_mgr *m, struct buf *b, struct str lines)
{
	buf_put(b, m->mark, sizeof(m->mark));
	buf_str(b, lines);
	buf_str(b, STR("\r\n"));
}

bool dlg_cut_body(const struct dlg_mgr *m, struct str *body, struct str *lines)
{
	if (body->n < sizeof(m->mark) || memcmp(body->p, m->mark, sizeof(m->mark)) != 0)
		return false;
	struct str text = str_skip(*body, sizeof(m->mark));
	size_t n = str_find(text, STR("\r\n\r\n"));
	if (n == SIZE_MAX)
		return false;
	*lines = str_sub(text, 0, n + 2);
	*body = str_skip(text, n + 4);
	return true;
}

enum err dlg_out_end(const struct dlg_mgr *m, struct sip_out *o, struct str content_type,
		     struct str body)
{
	struct str lines;
	if (!dlg_cut_body(m, &body, &lines))
		return sip_out_end(o, body.n ? content_type : STR_NONE, body);
	buf_str(o->b, lines);
	return sip_out_end(o, STR_NONE, body);
}

struct str dlg_plain_sdp(const struct dlg_mgr *m, struct str body)
{
	struct str lines, rest, name, sdp;
	if (!dlg_cut_body(m, &body, &lines))
		return body;
	while (lines.n) {
		struct str value = str_cut(lines, '\n', &lines);
		name = str_cut(value, ':', &rest);
		if (str_ieq(name, STR("Content-Type")) && sip_body_sdp(str_trim(rest), body, &sdp))
			return sdp;
	}
	return STR_NONE;
}
