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
 * Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#include "capture/cap_write.h"

#include "base/grow.h"

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

enum {
	BLOCK_SHB = 0x0a0d0d0a,
	BLOCK_IDB = 1,
	BLOCK_ISB = 5,
	BLOCK_EPB = 6,
	BLOCK_DSB = 10,
};
enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	OPT_USERAPPL = 4, /* of a section */
	OPT_IF_NAME = 2,
	OPT_IF_TSRESOL = 9,
	OPT_ISB_RECV = 4,
	OPT_ISB_IFDROP = 5,
	OPT_ISB_OSDROP = 7,
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

static void put_u16(struct buf *b, uint16_t v)
{
	buf_put(b, &v, sizeof v);
}

static void put_u32(struct buf *b, uint32_t v)
{
	buf_put(b, &v, sizeof v);
}

static void put_padded(struct buf *b, const void *p, size_t n)
{
	buf_put(b, p, n);
	buf_fill(b, 0, -n & 3);
}

static void put_option(struct buf *b, uint16_t code, const void *p, size_t n)
{
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	put_u16(b, code);
	put_u16(b, (uint16_t)n);
	put_padded(b, p, n);
}

/* Returns where the block begins, for end_block. */
static size_t begin_block(struct buf *b, uint32_t type)
{
	size_t at = b->n;
	put_u32(b, type);
	put_u32(b, 0);
	return at;
}

static void end_block(struct buf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->n + 4 - at);
	put_u32(b, len);
	if (!b->err)
		memcpy(b->p + at + 4, &len, sizeof len);
}

static void put_section(struct cap_out *o)
{
	struct buf *b = &o->pending;
	size_t at = begin_block(b, BLOCK_SHB);
	put_u32(b, 0x1a2b3c4d);
	put_u32(b, 1); /* version 1.0 */
	buf_fill(b, (char)0xff, 8);
	put_option(b, OPT_USERAPPL, "rung scope", 10);
	put_u32(b, OPT_END);
	end_block(b, at);
	o->has_head = true;
}

static void put_iface(struct cap_out *o, const struct cap_rec *r)
{
	struct buf *b = &o->pending;
	size_t at = begin_block(b, BLOCK_IDB);
	uint8_t resol = r->is_ns ? 9 : 6;
	put_u16(b, r->link);
	put_u16(b, 0);
	put_u32(b, r->snaplen);
	if (r->if_name && r->if_name[0])
		put_option(b, OPT_IF_NAME, r->if_name, strlen(r->if_name));
	put_option(b, OPT_IF_TSRESOL, &resol, 1);
	put_u32(b, OPT_END);
	end_block(b, at);
}

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

static void put_packet(struct cap_out *o, const struct cap_rec *r, size_t iface, struct str comment)
{
	struct buf *b = &o->pending;
	uint64_t ticks = (uint64_t)r->at_ns / (o->ifaces[iface].is_ns ? 1 : 1'000);
	size_t at = begin_block(b, BLOCK_EPB);
	put_u32(b, (uint32_t)iface);
	put_u32(b, (uint32_t)(ticks >> 32));
	put_u32(b, (uint32_t)ticks);
	put_u32(b, r->n);
	put_u32(b, r->n_wire);
	put_padded(b, r->p, r->n);
	if (comment.n) {
		put_option(b, OPT_COMMENT, comment.p, comment.n);
		put_u32(b, OPT_END);
	}
	end_block(b, at);
}

/* --- pcap ------------------------------------------------------------------------------------ */

static void put_classic(struct cap_out *o, const struct cap_rec *r)
{
	struct buf *b = &o->pending;
	if (!o->has_head) {
		put_u32(b, r->is_ns ? 0xa1b23c4d : 0xa1b2c3d4);
		put_u16(b, 2);
		put_u16(b, 4);
		put_u32(b, 0);
		put_u32(b, 0);
		put_u32(b, r->snaplen ? r->snaplen : MAX_SNAPLEN);
		put_u32(b, r->link);
		o->has_head = true;
	}
	uint64_t ns = (uint64_t)r->at_ns;
	put_u32(b, (uint32_t)(ns / 1'000'000'000));
	put_u32(b, (uint32_t)(ns % 1'000'000'000 / (o->ifaces[0].is_ns ? 1 : 1'000)));
	put_u32(b, r->n);
	put_u32(b, r->n_wire);
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
	if (!o->has_head)
		put_section(o);
	if (iface == n_before)
		put_iface(o, r);
	put_packet(o, r, iface, comment.n ? comment : r->comment);
	return flush_if_full(o, why);
}

enum err cap_out_secrets(struct cap_out *o, uint32_t type, struct str secrets, struct buf *why)
{
	struct buf *b = &o->pending;
	if (o->is_broken)
		return ERR_IO;
	if (o->format == CAP_FORMAT_PCAP || !secrets.n)
		return OK;
	if (!o->has_head)
		put_section(o);
	size_t at = begin_block(b, BLOCK_DSB);
	put_u32(b, type);
	put_u32(b, (uint32_t)secrets.n);
	put_padded(b, secrets.p, secrets.n);
	end_block(b, at);
	return flush_if_full(o, why);
}

enum err cap_out_counts(struct cap_out *o, uint32_t iface, int64_t at_ns,
			const struct cap_counts *c, struct buf *why)
{
	struct buf *b = &o->pending;
	size_t i = 0;
	while (i < o->n_ifaces && o->ifaces[i].from != iface)
		i++;
	if (o->is_broken)
		return ERR_IO;
	if (o->format == CAP_FORMAT_PCAP || i == o->n_ifaces)
		return OK;
	uint64_t ticks = (uint64_t)at_ns / (o->ifaces[i].is_ns ? 1 : 1'000);
	size_t at = begin_block(b, BLOCK_ISB);
	put_u32(b, (uint32_t)i);
	put_u32(b, (uint32_t)(ticks >> 32));
	put_u32(b, (uint32_t)ticks);
	put_option(b, OPT_ISB_RECV, &c->n_received, 8);
	put_option(b, OPT_ISB_IFDROP, &c->n_dropped_iface, 8);
	put_option(b, OPT_ISB_OSDROP, &c->n_dropped_kernel, 8);
	put_u32(b, OPT_END);
	end_block(b, at);
	return flush_if_full(o, why);
}

enum err cap_out_close(struct cap_out *o, struct buf *why)
{
	if (!o)
		return OK;
	/* without a record it is a valid file, too */
	if (!o->has_head && o->format == CAP_FORMAT_PCAPNG)
		put_section(o);
	else if (!o->has_head) {
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
