#pragma once
/* Packets from a network interface, by libpcap. */

#include "capture/cap.h"

struct cap_live_cfg {
	const char *iface;   /* "eth0", "lo", "any" */
	const char *filter;  /* in libpcap's language; NULL: all */
	uint32_t snaplen;    /* bytes kept of a packet; 0: 262,144 */
	uint32_t buffer_mib; /* of the kernel's ring; 0: 16 */
	bool is_promiscuous; /* also what is meant for other machines: mirror ports */
};
/* On failure *why is a sentence with what to do: ERR_NOTFOUND no such interface, ERR_AUTH the right
 * is missing, ERR_SYNTAX the filter, ERR_STATE the interface is down, ERR_IO, ERR_NOMEM. */
enum err cap_open_live(const struct cap_live_cfg *cfg, struct cap **out, struct buf *why);
/* The interfaces, a line each: name, what it is, addresses. */
enum err cap_interfaces(struct buf *b, struct buf *why);
