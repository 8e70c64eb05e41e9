#pragma once
/* How a phone is reached: where its Contact says, or where its request came from. */

#include "transport/transport.h"

/* Only a phone that sent the request itself has its connection, and its NAT, in common with it. */
bool nat_is_direct(const struct sip_msg *m);
/* The phone of this Contact, in this request, is to be reached the way that the request came. */
bool nat_is_by_source(const struct tp_rx *rx, const struct sip_uri *contact);
