#pragma once
/* Captures written: pcapng or pcap, one record after the other. What was written is a valid file at
 * any time, also when the disk gets full: then it is cut behind the last whole record. */

#include "capture/cap.h"

struct cap_out;
enum cap_format { CAP_FORMAT_PCAPNG, CAP_FORMAT_PCAP };

/* By the name's end: ".pcap" is pcap, all else pcapng. */
enum cap_format cap_format_of(struct str path);
/* Makes the file (an existing one is overwritten); "-" is the standard output. On failure of this
 * and the following *why (appended to) is a sentence: ERR_IO, ERR_NOMEM. */
enum err cap_out_open(const char *path, enum cap_format format, struct cap_out **out,
		      struct buf *why);
/* A record as it was read, or made by hand: link, n, n_wire, at_ns, p; iface tells records of one
 * interface from another's (0 will do). Times keep nanoseconds where r->is_ns. comment (pcapng) may
 * be empty: then the record's own is kept. ERR_UNSUPPORTED: pcap can hold but one link type. After
 * ERR_IO nothing more is written. */
enum err cap_out_rec(struct cap_out *o, const struct cap_rec *r, struct str comment,
		     struct buf *why);
/* pcapng: a decryption secrets block; type CAP_SECRETS_TLS: lines of a key log. Goes before the
 * records that need it. pcap has no place for it: ignored. */
enum { CAP_SECRETS_TLS = 0x544c534b };
enum err cap_out_secrets(struct cap_out *o, uint32_t type, struct str secrets, struct buf *why);
/* pcapng: what the sniffer counted on an interface that had records (0 else), up to at_ns. */
enum err cap_out_counts(struct cap_out *o, uint32_t iface, int64_t at_ns,
			const struct cap_counts *c, struct buf *why);
/* Hands everything to the system. */
enum err cap_out_flush(struct cap_out *o, struct buf *why);
uint64_t cap_out_bytes(const struct cap_out *o); /* of the file so far */
/* Flushes, closes, frees; NULL is harmless. */
enum err cap_out_close(struct cap_out *o, struct buf *why);
