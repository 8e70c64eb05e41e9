#pragma once
/* Wireshark's exported PDUs, link type 252: one message without headers, its protocol and addresses
 * in tags before it. What has no packet of its own is stored so: the exchange's live tap, messages
 * from agents of Homer. */

#include "base/addr.h"
#include "track/trk.h"

/* Appends the tags; the message is to follow. dissector: "sip", "rtcp" ... What is over TCP names
 * its transport besides, for the column of protocols: "WSS". */
void cap_pdu_put(struct buf *b, struct str dissector, const struct addr *from,
		 const struct addr *to, enum trk_transport over);
