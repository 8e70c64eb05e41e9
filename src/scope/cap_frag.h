#pragma once
/* IP fragments put together, IPv4 and IPv6 alike. Bounded: when too many datagrams are unfinished,
 * the oldest is forgotten. */

#include "scope/cap_pkt.h"

struct cap_frags;
struct cap_frags *cap_frags_new(void); /* NULL without memory */
void cap_frags_free(struct cap_frags *f);
/* k is a fragment (k->is_fragment). True when it completed its datagram: then k is changed to that
 * (cap_pkt_transport), its payload borrowed until the next call. */
bool cap_frags_add(struct cap_frags *f, struct cap_pkt *k, int64_t at_ns);
