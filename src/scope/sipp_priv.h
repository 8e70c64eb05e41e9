#pragma once
/* SIPp scenarios inside: sipp.c lines up the steps, sipp_text.c turns a message into a template. */

#include "scope/sipp.h"

struct sipp_side { /* who plays, and against whom */
	enum trk_side side;
	struct addr self, remote; /* as they were in the capture, with ports */
};

enum sipp_via {                  /* which transaction a message belongs to */
		SIPP_VIA_OWN,    /* a request: a branch of its own */
		SIPP_VIA_BRANCH, /* CANCEL, ACK of a refusal: the INVITE's, `back` steps ago */
		SIPP_VIA_LAST,   /* a response to what came last */
		SIPP_VIA_KEPT,   /* a response to the INVITE, after something else came */
};

struct sipp_msg { /* a message to be sent */
	const struct sip_msg *m;
	enum sipp_via via;
	unsigned back;
	bool in_dialog;  /* a request within it: to the peer's Contact, along the route set */
	bool adds_tag;   /* a response: the request had no To tag */
	bool to_refusal; /* ACK of a refusal: To as it came */
};

/* Appends text so that SIPp sends exactly that: its keywords' brackets, backslashes, "]]>" and what
 * is no printable character are escaped. */
void sipp_escape(struct buf *b, struct str text);
/* Appends the message with SIPp's keywords in place of what must differ. */
void sipp_message(struct buf *b, const struct sipp_side *s, const struct sipp_msg *x);
