#pragma once
/* Bodies of sessions, seen only in dialog/. A body of ours is SDP, or what dlg_begin_body
 * (dialog/relay.h) has begun: a mark that nobody outside knows, header lines, an empty line, the
 * body itself. */

#include "sip/out.h"

struct dlg_mgr;

/* The SDP of a message, also as part of a multipart body. False: there is none. */
bool dlg_sdp(const struct sip_msg *msg, struct str *sdp);
/* Ends a message: Content-Type, Content-Length and the like, then the body. */
enum err dlg_out_end(const struct dlg_mgr *m, struct sip_out *o, struct str content_type,
		     struct str body);
struct str dlg_plain_sdp(const struct dlg_mgr *m, struct str body); /* the SDP in it */
