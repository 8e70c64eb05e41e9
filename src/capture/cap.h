#pragma once
/* Capture files as a stream of records: pcap and pcapng, plain or packed (gzip, zstd), from a path
 * or a pipe. One pass, one block of memory, no matter how large the file. */

#include "base/buf.h"

struct cap;

enum cap_link { /* https://www.tcpdump.org/linktypes.html, those that we open */
		CAP_LINK_NULL = 0,
		CAP_LINK_ETHERNET = 1,
		CAP_LINK_RAW_BSD = 12,
		CAP_LINK_RAW_OPENBSD = 14,
		CAP_LINK_RAW = 101,
		CAP_LINK_LOOP = 108,
		CAP_LINK_SLL = 113,
		CAP_LINK_IPV4 = 228,
		CAP_LINK_IPV6 = 229,
		CAP_LINK_PDU = 252, /* Wireshark's exported PDUs: `rung serve` streams them */
		CAP_LINK_SLL2 = 276,
};

struct cap_rec {
	uint32_t no;      /* from 1 */
	uint16_t link;    /* enum cap_link, or another number of that registry */
	uint32_t n;       /* bytes captured */
	uint32_t n_wire;  /* bytes that the frame had */
	int64_t at_ns;    /* since 1970 UTC, at most 2^62 */
	uint64_t off;     /* of the bytes in the (unpacked) file */
	const uint8_t *p; /* borrowed until the next call, of cap_wait too */
	/* for whoever writes the record again */
	uint32_t iface;      /* from 0: whose record it is */
	uint32_t snaplen;    /* of that interface, 0 without limit */
	bool is_ns;          /* its times are finer than µs */
	bool is_ng;          /* of a pcapng: iface is its own word */
	const char *if_name; /* may be NULL; borrowed like p */
	const char *if_desc; /* the same */
	uint32_t section;    /* pcapng: from 1 */
	uint8_t options;     /* enum cap_option, or-ed: which of the next ones it says */
	uint32_t flags, queue;
	uint64_t packet_id;
	struct str comment; /* pcapng: what people wrote to the packet, several joined by \0;
			       borrowed */
};

enum cap_option { CAP_HAS_FLAGS = 1, CAP_HAS_QUEUE = 2, CAP_HAS_ID = 4 };

struct cap_counts { /* what the sniffer counted */
	uint64_t n_received, n_dropped_kernel, n_dropped_iface;
};

/* "-" is the standard input. On failure *why (appended to) is a sentence with what to do:
 * ERR_NOTFOUND, ERR_IO (unreadable), ERR_UNSUPPORTED (another format), ERR_NOMEM. */
enum err cap_open(const char *path, struct cap **out, struct buf *why);
/* The same for a descriptor (a socket that streams a capture), which it takes over. */
enum err cap_open_fd(int fd, struct cap **out, struct buf *why);
/* The same for a capture in memory, which is copied. */
enum err cap_open_mem(struct str bytes, struct cap **out, struct buf *why);
void cap_close(struct cap *c);
/* The next record, or false at the end: then cap_problem tells whether it was the true one. */
bool cap_next(struct cap *c, struct cap_rec *r);
/* Keeps the capture readable again: a plain file is, anything else (pipe, socket, packed, memory)
 * is put aside unpacked as it is read. Called right after opening. ERR_IO: nowhere to put it;
 * ERR_UNSUPPORTED: it is no file but live. */
enum err cap_keep(struct cap *c);
/* n bytes at `off` of a record that was read, of a capture that is kept. ERR_IO. */
enum err cap_reread(const struct cap *c, uint64_t off, void *p, size_t n);
/* Whether it can be: cap_keep was called, or was not needed. */
bool cap_is_kept(const struct cap *c);
/* A second reader from the beginning, over what has been read of a capture that is kept. It may
 * outlive c. */
enum err cap_again(const struct cap *c, struct cap **out, struct buf *why);
/* For progress: bytes read of the file as it lies on the disk, and its size, 0 when unknown. */
uint64_t cap_n_read(const struct cap *c);
uint64_t cap_size(const struct cap *c);
/* TLS secrets that the capture holds (pcapng), as lines of a key log: those met since the last call
 * of this. Borrowed until the next cap_next. */
struct str cap_secrets(struct cap *c);
/* Waits at most ms for the next record. False: none came, or a signal did; true: cap_next does not
 * wait (a record, or the end). A plain file is always ready. */
bool cap_wait(struct cap *c, unsigned ms);
/* A descriptor that is readable when cap_wait may find something, to wait for it together with
 * others; -1: there is none, and it must be looked at again and again. */
int cap_fd(const struct cap *c);
/* From now on cap_next finds the end. */
void cap_stop(struct cap *c);
/* False where nobody counts: files. */
bool cap_count(struct cap *c, struct cap_counts *out);
/* What cut the reading short ("the file ends inside frame 12"), or NULL. */
const char *cap_problem(const struct cap *c);
/* Packets that the sniffer itself reported as lost (pcapng interface statistics). */
uint64_t cap_sniffer_drops(const struct cap *c);
