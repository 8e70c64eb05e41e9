#pragma once
/* UDP and TCP conversations as Wireshark numbers them, and its analysis of sequence numbers. Kept
 * only where a field asks for it: cap_walk_conversations. */

#include "capture/cap_pkt.h"
#include "capture/cap_seq.h"
#include "capture/cap_stun.h"

enum cap_complete { /* as in tcp.completeness */
		    CAP_COMPLETE_SYN = 1,
		    CAP_COMPLETE_SYNACK = 2,
		    CAP_COMPLETE_ACK = 4,
		    CAP_COMPLETE_DATA = 8,
		    CAP_COMPLETE_FIN = 16,
		    CAP_COMPLETE_RST = 32,
};

struct cap_seen {         /* what is known of one UDP or TCP header */
	bool is_there;    /* it belongs to a conversation */
	bool has_times;   /* not UDP that an ICMP error quotes, or that is empty */
	uint32_t stream;  /* number of the conversation, UDP and TCP apart */
	int64_t since_ns; /* the first packet of the conversation */
	int64_t delta_ns; /* the one before */
	struct cap_seq_seen tcp;
	uint8_t completeness;       /* of TCP, before this segment: enum cap_complete, or-ed */
	bool has_fin, is_first_fin; /* the segment has one; its sender was the first to close */
	struct cap_stun_seen stun;  /* UDP; all zero: it is no STUN */
	uint32_t setup_frame; /* of the SDP that named its destination, else its source; 0 none */
};

struct cap_convs;
/* max: the conversation that is silent longest gives way to one more; 0: no bound. NULL without
 * memory. */
struct cap_convs *cap_convs_new(size_t max);
void cap_convs_free(struct cap_convs *c);
/* SDP in frame_no (of an answer: the frame of its request) names an end for media: what comes from
 * there or goes there is one conversation from now on, of RTCP the same as before. */
void cap_convs_name(struct cap_convs *c, const struct addr *end, uint32_t frame_no, bool is_rtcp);
/* What is known of each k->ports[i], at [i]; borrowed until the next call. */
const struct cap_seen *cap_convs_add(struct cap_convs *c, const struct cap_pkt *k,
				     const struct cap_rec *r);
