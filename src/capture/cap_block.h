#pragma once
/* Blocks of a pcapng, appended to a buf: of captures written, and of the exchange's live stream. */

#include "capture/cap.h"

void cap_block_section(struct buf *b); /* the first block */
/* The interface of r: link type, snaplen, name, and whether ticks are ns or µs. They are numbered
 * from 0 in the order of their blocks, which come before their packets. */
void cap_block_iface(struct buf *b, const struct cap_rec *r);
/* A packet: n, n_wire, p of r. ticks: since 1970, of the interface. The comment may be empty, or
 * several joined by \0. */
void cap_block_packet(struct buf *b, uint32_t iface, uint64_t ticks, const struct cap_rec *r,
		      struct str comment);
/* What was counted on the interface so far. */
void cap_block_counts(struct buf *b, uint32_t iface, uint64_t ticks, const struct cap_counts *c);
/* Secrets for what follows; type: CAP_SECRETS_TLS and others. */
void cap_block_secrets(struct buf *b, uint32_t type, struct str secrets);
