#pragma once
/* What we are called behind a NAT: peers outside tell it in each answer (received, rport), and it
 * is named to such peers where nothing was set with tp_advertise. IPv4 alone: the other family
 * needs no translation. [RFC3581 4] [RFC3261 18.2.1] */

#include "transport/transport.h"

/* A table that all shards of an exchange read and one fills: IPv4 address outside; UDP port
 * outside, and the port here that it stands for. 0: not known. */
#define TP_SEEN_WORDS 3

/* From now on tp_local_for and tp_is_local go by that table too; borrowed. */
void tp_set_seen(struct tp *tp, const struct ev_words *seen);
/* How the sender of this response saw its request come; ADDR_NONE: it cannot be told. */
struct addr tp_seen_in(const struct sip_msg *resp);
/* Takes what a response to a request that went to `dst` tells. True when our address outside is
 * another one now; so is what tp_local_for says. */
bool tp_seen_learn(struct tp *tp, struct ev_words *seen, const struct tp_dst *dst,
		   const struct sip_msg *resp);
/* tp_local_for without any NAT: what a packet to dst leaves this machine with. */
enum err tp_own_for(struct tp *tp, const struct tp_dst *dst, struct addr *out);
