#pragma once
/* What methods, headers, statuses, parameters and lines of SDP mean, a sentence each. */

#include "sip/tables.h"

struct buf;

/* "" when nothing is known. */
const char *explain_method(enum sip_method m);
const char *explain_header(enum sip_hdr_id id);
const char *explain_status(unsigned status);
/* All of it as one JSON object: {methods: {INVITE: [sentence, RFC]}, headers: {via: [name,
 * sentence, RFC]} (long and compact names, lower case), statuses: {"486": [sentence, RFC]}, params:
 * {branch: sentence}, sdp: {"a=rtpmap": sentence}}. */
void explain_put_json(struct buf *b);
