#pragma once
/* One party's audio in a call: the negotiation (sdp/oa) and the stream (media/session) joined, so
 * that whoever runs a SIP session only hands SDP bodies through. Used by the phone and by the echo
 * test. [RFC3264] */

#include "media/session.h"

struct md_leg {
	struct md_session *session; /* NULL while closed */
	struct sdp_oa oa;
	struct sdp_local local;
};

struct md_leg_config {
	struct md_config media;
	const char *codecs; /* in order of preference, "PCMU,PCMA"; NULL: both */
	const char *tool;   /* for s=; borrowed */
	struct addr shown; /* the address to put into SDP when it is not media.local; ADDR_NONE: the
			      same */
	uint64_t id;       /* random: of the o= line */
};

/* Opens the ports. ERR_NET or ERR_UNSUPPORTED (an unknown codec name) with *why. The leg is the
 * caller's memory. */
enum err md_leg_open(struct md_leg *leg, struct ev_loop *l, const struct md_leg_config *cfg,
		     const char **why);
void md_leg_close(struct md_leg *leg); /* harmless on a closed or zeroed one */
/* Writes an offer with this direction as we wish it. */
enum err md_leg_offer(struct md_leg *leg, enum sdp_dir dir, struct buf *out);
/* Answers an offer and applies it; 0, or the status to refuse with and *why. */
unsigned md_leg_answer(struct md_leg *leg, struct str offer, enum sdp_dir dir, struct buf *out,
		       struct sdp_why *why);
/* Applies the answer to our offer; `is_early`: a preview, our offer stays pending. false with *why:
 * not acceptable. */
bool md_leg_take(struct md_leg *leg, struct str answer, bool is_early, struct sdp_why *why);
