/* Captures written.
 *
 * Blocks are collected in `pending` and handed to the system FLUSH_BYTES at a time, or when the
 * owner says so. Each block carries its own length, so that a write which came to an end in
 * mid-file (disk full, quota) is cut back to the last whole block: walk `pending` up to what was
 * written, ftruncate. An interface of the input becomes an interface of the output at its first
 * record; the pair (interface, link type) tells them apart, for one input interface has one link
 * type, and records made by hand have no interface.
 *
 * pcap knows one link type and one resolution for the whole file: both are those of the first
 * record.
 *
 * Invariants: `pending` holds whole blocks; what the file holds is whole blocks; after `is_broken`
 * nothing is written.
 *
 * Format: draft-ietf-opsawg-pcap; pcapng: cap_block.
 */
#include "capture/cap_write.h"

#include "base/grow.h"
#include "capture/cap_block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (256u << 10)
#define MAX_SNAPLEN 262'144u

struct iface {
	uint32_t from; /* cap_rec.iface */
	uint16_t link;
	bool is_ns;
};

struct cap_out {
	int fd;
	enum cap_format format;
	bool has_head, is_broken, is_stdout;
	struct buf pending;
	uint64_t written;
	struct iface *ifaces;
	size_t n_ifaces, cap_ifaces;
};

enum cap_format cap_format_of(struct str path)
{
	return str_ends(path, STR(".pcap")) ? CAP_FORMAT_PCAP : CAP_FORMAT_PCAPNG;
}

static enum err fail(struct buf *why, const char *what, int error)
{
	buf_fmt(why, "%s: %s", what, strerror(error));
	return ERR_IO;
}

enum err cap_out_open(const char *path, enum cap_format format, struct cap_out **out,
		      struct buf *why)
{
	struct cap_out *o = calloc(1, sizeof *o);
	if (!o) {
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	o->format = format;
	o->is_stdout = strcmp(path, "-") == 0;
	o->fd = o->is_stdout ? STDOUT_FILENO
			     : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	buf_init(&o->pending);
	if (o->fd < 0) {
		enum err e = fail(why, "it cannot be written", errno);
		free(o);
		return e;
	}
	*out = o;
	return OK;
}

/* --- to the system --------------------------------------------------------------------------- */

static uint32_t u32_at(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* How many of the first n pending bytes are whole blocks. */
static size_t whole(const struct cap_out *o, size_t n)
{
	enum { PCAP_HEAD = 24, PCAP_REC = 16 };
	size_t at = 0;
	if (o->format == CAP_FORMAT_PCAP && !o->written && n >= PCAP_HEAD)
		at = PCAP_HEAD;
	while (n - at >= PCAP_REC) {
		size_t len = o->format == CAP_FORMAT_PCAP ? PCAP_REC + u32_at(o->pending.p + at + 8)
							  : u32_at(o->pending.p + at + 4);
		if (len > n - at)
			break;
		at += len;
	}
	return at;
}

enum err cap_out_flush(struct cap_out *o, struct buf *why)
{
	size_t at = 0;
	if (o->is_broken)
		return ERR_IO;
	if (o->pending.err) {
		o->is_broken = true;
		buf_fmt(why, "no memory for what is to be written");
		return ERR_NOMEM;
	}
	while (at < o->pending.n) {
		ssize_t n = write(o->fd, o->pending.p + at, o->pending.n - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			enum err e = fail(why, "it cannot be written on", n ? errno : ENOSPC);
			o->is_broken = true;
			o->written += whole(o, at);
			if (!o->is_stdout && ftruncate(o->fd, (off_t)o->written) == 0)
				buf_fmt(why, "; what was written is whole");
			return e;
		}
		at += (size_t)n;
	}
	o->written += at;
	buf_clear(&o->pending);
	return OK;
}

static enum err flush_if_full(struct cap_out *o, struct buf *why)
{
	if (o->is_broken)
		return ERR_IO;
	return o->pending.n >= FLUSH_BYTES || o->pending.err ? cap_out_flush(o, why) : OK;
}

uint64_t cap_out_bytes(const struct cap_out *o)
{
	return o->written + o->pending.n;
}

/* --- pcapng ---------------------------------------------------------------------------------- */

/* The output's interface for this record, described before its first one. */
static enum err iface_of(struct cap_out *o, const struct cap_rec *r, size_t *out)
{
	for (size_t i = o->n_ifaces; i-- > 0;)
		if (o->ifaces[i].from == r->iface && o->ifaces[i].link == r->link) {
			*out = i;
			return OK;
		}
	struct iface *a = grow(o->ifaces, &o->cap_ifaces, o->n_ifaces, sizeof *a);
	if (!a)
		return ERR_NOMEM;
	o->ifaces = a;
	*out = o->n_ifaces;
	o->ifaces[o->n_ifaces++] =
		(struct iface){.from = r->iface, .link = r->link, .is_ns = r->is_ns};
	return OK;
}

static void begin(struct cap_out *o)
{
	if (!o->has_head)
		cap_block_section(&o->pending);
	o->has_head = true;
}

static uint64_t ticks_of(const struct cap_out *o, size_t iface, int64_t at_ns)
{
	return (uint64_t)at_ns / (o->ifaces[iface].is_ns ? 1 : 1'000);
}

/* --- pcap ------------------------------------------------------------------------------------ */

static void put_classic(struct cap_out *o, const struct cap_rec *r)
{
	struct buf *b = &o->pending;
	uint64_t ns = (uint64_t)r->at_ns;
	const uint32_t head[] = {r->is_ns ? 0xa1b23c4d : 0xa1b2c3d4,    2 | 4 << 16, 0, 0,
				 r->snaplen ? r->snaplen : MAX_SNAPLEN, r->link};
	const uint32_t rec[] = {(uint32_t)(ns / 1'000'000'000),
				(uint32_t)(ns % 1'000'000'000 / (o->ifaces[0].is_ns ? 1 : 1'000)),
				r->n, r->n_wire};
	if (!o->has_head)
		buf_put(b, head, sizeof head);
	o->has_head = true;
	buf_put(b, rec, sizeof rec);
	buf_put(b, r->p, r->n);
}

static enum err classic_rec(struct cap_out *o, const struct cap_rec *r, struct buf *why)
{
	size_t iface;
	if (o->n_ifaces && o->ifaces[0].link != r->link) {
		buf_fmt(why,
			"frame %u has another link type (%u) than those before (%u), which pcap "
			"cannot hold: write a .pcapng",
			r->no, r->link, o->ifaces[0].link);
		return ERR_UNSUPPORTED;
	}
	if (!o->n_ifaces && iface_of(o, r, &iface)) {
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	put_classic(o, r);
	return flush_if_full(o, why);
}

/* --- both ------------------------------------------------------------------------------------ */

enum err cap_out_rec(struct cap_out *o, const struct cap_rec *r, struct str comment,
		     struct buf *why)
{
	size_t n_before = o->n_ifaces, iface;
	if (o->is_broken)
		return ERR_IO;
	if (o->format == CAP_FORMAT_PCAP)
		return classic_rec(o, r, why);
	if (iface_of(o, r, &iface)) {
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	begin(o);
	if (iface == n_before)
		cap_block_iface(&o->pending, r);
	cap_block_packet(&o->pending, (uint32_t)iface, ticks_of(o, iface, r->at_ns), r,
			 comment.n ? comment : r->comment);
	return flush_if_full(o, why);
}

enum err cap_out_secrets(struct cap_out *o, uint32_t type, struct str secrets, struct buf *why)
{
	if (o->is_broken)
		return ERR_IO;
	if (o->format == CAP_FORMAT_PCAP || !secrets.n)
		return OK;
	begin(o);
	cap_block_secrets(&o->pending, type, secrets);
	return flush_if_full(o, why);
}

enum err cap_out_counts(struct cap_out *o, uint32_t iface, int64_t at_ns,
			const struct cap_counts *c, struct buf *why)
{
	size_t i = 0;
	while (i < o->n_ifaces && o->ifaces[i].from != iface)
		i++;
	if (o->is_broken)
		return ERR_IO;
	if (o->format == CAP_FORMAT_PCAP || i == o->n_ifaces)
		return OK;
	cap_block_counts(&o->pending, (uint32_t)i, ticks_of(o, i, at_ns), c);
	return flush_if_full(o, why);
}

enum err cap_out_close(struct cap_out *o, struct buf *why)
{
	if (!o)
		return OK;
	/* without a record it is a valid file, too */
	if (o->format == CAP_FORMAT_PCAPNG) {
		begin(o);
	} else if (!o->has_head) {
		static const struct cap_rec none = {.link = CAP_LINK_ETHERNET};
		size_t head = 24;
		o->n_ifaces = 0;
		enum err e = classic_rec(o, &none, why);
		(void)e; /* the flush below tells */
		o->pending.n = o->pending.n < head ? o->pending.n : head;
	}
	enum err e = cap_out_flush(o, why);
	if (!o->is_stdout && close(o->fd) != 0 && e == OK)
		e = fail(why, "closing it failed", errno);
	buf_fini(&o->pending);
	free(o->ifaces);
	free(o);
	return e;
}
