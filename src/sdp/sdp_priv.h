#pragma once
/* Shared by the readers of this folder. */

#include "sdp/sdp.h"

/* Takes the next word off *s (blanks and tabs part words); empty at the end. */
struct str sdp_word(struct str *s);
/* A payload type 0..127, or SDP_PT_NONE. */
uint8_t sdp_pt(struct str s);
/* "101 telephone-event/8000/1" into pt, name, clock, channels. [RFC8866 6.6] */
bool sdp_rtpmap_read(struct str v, struct sdp_fmt *out);
enum sdp_proto sdp_proto_find(struct str s);
