#pragma once
/* What the SIP tests share: messages from literals. */

#include "sip/msg.h"
#include "test.h"

/* A message from the heap; the case fails when it cannot be indexed. */
static inline struct sip_msg *msg(struct str bytes)
{
	enum err e;
	struct sip_msg *m = sip_msg_from(bytes, &e);
	CHECK(m);
	CHECK_EQ(e, OK);
	return m;
}

#define MSG(lit) msg(STR(lit))

/* True when the message has that diagnostic. */
static inline bool has_diag(const struct sip_msg *m, unsigned code)
{
	for (unsigned i = 0; i < m->n_diags; i++)
		if (m->diags[i].code == code)
			return true;
	return false;
}

/* A request that nothing is wrong with: start line and headers before and after what a case is
 * about. */
#define REQ_START                                                                                  \
	"INVITE sip:bob@example.com SIP/2.0\r\n"                                                   \
	"Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKabc;rport\r\n"
#define REQ_REST                                                                                   \
	"Max-Forwards: 70\r\n"                                                                     \
	"From: \"Alice\" <sip:alice@example.com>;tag=1928301774\r\n"                               \
	"To: <sip:bob@example.com>\r\n"                                                            \
	"Call-ID: a84b4c76e66710@192.0.2.1\r\n"                                                    \
	"CSeq: 314159 INVITE\r\n"
#define REQ_END "Content-Length: 0\r\n\r\n"
