#pragma once
/* HEP, Homer's encapsulation, on sockets: messages from capture agents as records, and messages
 * sent on as an agent does. */

#include "capture/cap_walk.h"

#define CAP_HEP_PORT 9060

/* Listens at "udp:ADDR:PORT" or "tcp:ADDR:PORT" for any number of agents. Records are exported PDUs
 * (CAP_LINK_PDU) of SIP, RTP and RTCP with the agent's time. key (may be NULL): what agents must
 * show; others are counted and ignored. On failure *why is a sentence: ERR_SYNTAX, ERR_NET,
 * ERR_NOMEM. Counts: packets received, those with a wrong key or damaged as dropped. */
enum err cap_open_hep(const char *at, const char *key, struct cap **out, struct buf *why);

struct cap_hep_to {
	const char *to;  /* "udp:ADDR:PORT" or "tcp:ADDR:PORT" */
	const char *key; /* may be NULL */
	uint32_t agent;  /* number of this agent */
	bool is_paced;   /* at most 10,000 packets a second: a file is read faster than anyone can
			    receive */
};
struct cap_hep_out;
/* ERR_SYNTAX, ERR_NET (TCP: nobody answers within 5 s), ERR_NOMEM. */
enum err cap_hep_connect(const struct cap_hep_to *cfg, struct cap_hep_out **out, struct buf *why);
/* Sends the frame's SIP messages. ERR_NET: the connection is gone (UDP never says so). */
enum err cap_hep_frame(struct cap_hep_out *o, const struct cap_frame *fr, struct buf *why);
/* The same of one message that was not in a frame, without waiting: UDP only. What the socket does
 * not take is lost and counted. */
void cap_hep_message(struct cap_hep_out *o, const struct trk_packet *p);
uint64_t cap_hep_n_sent(const struct cap_hep_out *o);
/* Of those, datagrams that the other side refused, or that were too large. */
uint64_t cap_hep_n_lost(const struct cap_hep_out *o);
void cap_hep_close(struct cap_hep_out *o); /* NULL is harmless */
