#pragma once
/* Where a capture is written to: one file, or a ring of files that are begun anew by size or time,
 * named as dumpcap names them (calls_00001_20261126235959.pcapng). */

#include "capture/cap_write.h"

struct cap_ring_cfg {
	const char *path;     /* "-": standard output */
	uint32_t filesize_kb; /* 1,000 bytes each; a file ends before it would be larger; 0: any */
	uint32_t n_files;     /* kept: the oldest is deleted; 0: all */
	double duration_s;    /* of packets in one file; 0: any */
};
struct cap_ring;
/* ERR_LIMIT: n_files without filesize or duration; ERR_IO, ERR_NOMEM. *why as in cap_write.h. */
enum err cap_ring_open(const struct cap_ring_cfg *cfg, struct cap_ring **out, struct buf *why);
/* "filesize:KB", "files:N", "duration:S" into cfg; false: it is none of them. */
bool cap_ring_option(struct cap_ring_cfg *cfg, struct str option);
enum err cap_ring_rec(struct cap_ring *g, const struct cap_rec *r, struct str comment,
		      struct buf *why);
/* Kept, and written at the head of each further file. */
enum err cap_ring_secrets(struct cap_ring *g, uint32_t type, struct str secrets, struct buf *why);
enum err cap_ring_flush(struct cap_ring *g, struct buf *why);
uint64_t cap_ring_n(const struct cap_ring *g); /* records written */
/* counts (may be NULL): what the sniffer counted. Frees; NULL is harmless. */
enum err cap_ring_close(struct cap_ring *g, const struct cap_counts *counts, struct buf *why);
