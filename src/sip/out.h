#pragma once
/* Building messages in straight-line code; the error is sticky in the buffer and looked at once, in
 * sip_out_end. */

#include "sip/hdr.h"

struct sip_out {
	struct buf *b;
};

/* A value that would begin a line of its own (CR or LF not followed by white space) makes the
 * message fail with ERR_SYNTAX: no header can be smuggled in through a value. */
void sip_out_request(struct sip_out *o, struct buf *b, struct str method, struct str ruri);
/* Start line, then Via(s), From, To (with to_tag added when it has none and to_tag is not empty),
 * Call-ID, CSeq copied from req, in its bytes. `received`: the packet's source, put into the
 * topmost Via as received and rport (RFC 3581 4), may be NULL. 100 has no to_tag and copies
 * Timestamp. [RFC3261 8.2.6] */
void sip_out_response(struct sip_out *o, struct buf *b, const struct sip_msg *req, unsigned status,
		      struct str reason, struct str to_tag, const struct addr *received);
void sip_out_hdr(struct sip_out *o, enum sip_hdr_id id, struct str value);
void sip_out_named(struct sip_out *o, struct str name, struct str value);
[[gnu::format(printf, 3, 4)]] void sip_out_fmt(struct sip_out *o, enum sip_hdr_id id,
					       const char *fmt, ...);
/* The value of Date. [RFC3261 20.17] */
void sip_date_put(struct buf *b, uint64_t wall_s);
/* Copies all lines of that id from m (Record-Route into a response, Via ...). */
void sip_out_copy(struct sip_out *o, const struct sip_msg *m, enum sip_hdr_id id);
/* Content-Type (when content_type is not empty), Content-Length, empty line, body. Every message
 * ends with it. */
enum err sip_out_end(struct sip_out *o, struct str content_type, struct str body);
/* CANCEL for a request as it was sent [RFC3261 9.1], ACK for a non-2xx final response [17.1.1.3]:
 * both take the bytes of the request as sent (parsed) and keep its topmost Via and Route. */
enum err sip_out_cancel(struct buf *b, const struct sip_msg *invite_sent);
enum err sip_out_ack_non2xx(struct buf *b, const struct sip_msg *invite_sent,
			    const struct sip_msg *response);
