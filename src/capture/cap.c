/* Capture files: the common half, and the classic pcap format.
 *
 * The file is read once, in blocks of CAP_BLOCK bytes; a packing is known by its first bytes and
 * taken off on the way (cap_pack.c). A short read is no end: a pipe or socket is shown as far as it
 * came. A record is handed out where it lies in the block; when the block ends inside a record, the
 * piece is moved to the front and the rest read behind it. The block grows only for a record larger
 * than itself, up to CAP_MAX_RECORD.
 *
 * Why not libpcap: it opens pcapng files only when all interfaces share one link type and
 * resolution, does not unpack, cannot tell the offset of a record, and its loop costs twice
 * ours.
 *
 * Invariants:
 * 1. at <= end <= cap; block[at .. end) is unread; off is the file's offset of block[at].
 * 2. A record is handed out whole or not at all.
 * 3. Once `problem` is set nothing more is read: what was read before stays good.
 *
 * Format: draft-ietf-opsawg-pcap; the variant with magic a1b2cd34 has eight more bytes per record.
 */
#include "capture/cap_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_US       0xa1b2c3d4u
#define MAGIC_NS       0xa1b23c4du
#define MAGIC_MODIFIED 0xa1b2cd34u
#define MAGIC_NG       0x0a0d0d0au

static uint32_t swap32(uint32_t v)
{
	return __builtin_bswap32(v);
}

bool cap_fail(struct cap *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	c->is_over = true;
	if (!c->problem[0])
		vsnprintf(c->problem, sizeof c->problem, fmt, ap);
	va_end(ap);
	return false;
}

/* Reads up to `room` bytes of the file as it lies on the disk; 0 at the end. */
static size_t read_raw(void *arg, uint8_t *p, size_t room)
{
	struct cap *c = arg;
	ssize_t got = c->fd < 0    ? 0 /* memory is there already */
		      : c->is_file ? pread(c->fd, p, room, (off_t)c->n_read)
				   : read(c->fd, p, room);
	if (got < 0)
		c->is_broken = true;
	c->n_read += got > 0 ? (uint64_t)got : 0;
	return got > 0 ? (size_t)got : 0;
}

/* The same, unpacked. */
static size_t read_some(struct cap *c, uint8_t *p, size_t room)
{
	return c->pack ? cap_pack_read(c->pack, p, room) : read_raw(c, p, room);
}

static void refill(struct cap *c, size_t n)
{
	memmove(c->block, c->block + c->at, c->end - c->at);
	c->end -= c->at;
	c->at = 0;
	while (c->end < n && !c->is_eof) {
		uint8_t *p = c->block + c->end;
		size_t got = read_some(c, p, c->cap - c->end);
		uint64_t off;
		if (c->is_spooled && got && spool_put(&c->spool, p, got, &off) != OK) {
			cap_fail(c, "there is no room to put the capture aside (TMPDIR)");
			got = 0;
		}
		c->is_eof = got == 0;
		c->end += got;
	}
}

bool cap_fill(struct cap *c, size_t n, const char *what)
{
	if (n > c->cap) {
		uint8_t *p = realloc(c->block, n);
		if (!p)
			return cap_fail(c, "no memory for a record of %zu bytes", n);
		c->block = p;
		c->cap = n;
	}
	refill(c, n);
	if (c->end - c->at >= n)
		return true;
	enum cap_pack_problem packing = c->pack ? cap_pack_problem(c->pack) : CAP_PACK_FINE;
	if (c->is_broken || packing == CAP_PACK_DAMAGED)
		return cap_fail(c, "the file cannot be read beyond frame %u: it is damaged", c->no);
	if (packing == CAP_PACK_CUT)
		return cap_fail(c,
				"the packed file ends early, after frame %u (cut off while it was "
				"written?)",
				c->no);
	if (c->end > c->at || what)
		cap_fail(c,
			 "the file ends inside %s after frame %u (cut off while it was written?)",
			 what ? what : "a record's header", c->no);
	return false;
}

/* The record that lies at hand. */
static inline void take_classic(struct cap *c, struct cap_rec *r)
{
	const uint8_t *h = cap_here(c);
	uint32_t sec = cap_u32(c, h), frac = cap_u32(c, h + 4), n = cap_u32(c, h + 8);
	size_t n_hdr = c->rec_hdr;
	*r = (struct cap_rec){.n = n, .n_wire = cap_u32(c, h + 12)};
	r->at_ns = (int64_t)sec * 1'000'000'000 + (int64_t)frac * (c->is_ns ? 1 : 1'000);
	r->is_ns = c->is_ns;
	r->link = c->ifaces[0].link;
	r->snaplen = c->ifaces[0].snaplen;
	r->no = ++c->no;
	r->off = c->off + n_hdr;
	r->p = h + n_hdr;
	cap_skip(c, n_hdr + n);
}

static inline bool has_classic(const struct cap *c)
{
	size_t n = c->end - c->at;
	return n >= c->rec_hdr && n - c->rec_hdr >= cap_u32(c, cap_here(c) + 8);
}

[[gnu::noinline]] static bool read_classic(struct cap *c, struct cap_rec *r)
{
	if (!cap_need(c, c->rec_hdr, NULL))
		return false;
	uint32_t n = cap_u32(c, cap_here(c) + 8);
	if (n > CAP_MAX_RECORD)
		return cap_fail(c, "frame %u says it has %u bytes: the file is damaged there",
				c->no + 1, n);
	if (!cap_need(c, c->rec_hdr + n, "a frame"))
		return false;
	take_classic(c, r);
	return true;
}

static inline bool classic_next(struct cap *c, struct cap_rec *r)
{
	if (!has_classic(c) || cap_u32(c, cap_here(c) + 8) > CAP_MAX_RECORD)
		return read_classic(c, r);
	take_classic(c, r);
	return true;
}

[[gnu::noinline]] static bool source_next(struct cap *c, struct cap_rec *r)
{
	const unsigned long_ms = 1'000;
	while (!c->source->next(c->source_ctx, r)) {
		if (c->problem[0])
			return false;
		c->source->wait(c->source_ctx, long_ms);
	}
	r->no = ++c->no;
	return true;
}

bool cap_next(struct cap *c, struct cap_rec *r)
{
	if (c->is_over)
		return false;
	if (c->source)
		return source_next(c, r);
	return c->is_ng ? capng_next(c, r) : classic_next(c, r);
}

static enum err open_classic(struct cap *c, uint32_t magic)
{
	if (!cap_need(c, 24, "the file's header"))
		return ERR_IO;
	uint32_t native = magic;
	if (magic == swap32(MAGIC_US) || magic == swap32(MAGIC_NS) ||
	    magic == swap32(MAGIC_MODIFIED)) {
		c->is_swapped = true;
		native = swap32(magic);
	}
	c->is_ns = native == MAGIC_NS;
	c->rec_hdr = native == MAGIC_MODIFIED ? 24 : 16;
	c->ifaces = calloc(1, sizeof *c->ifaces);
	if (!c->ifaces)
		return ERR_NOMEM;
	c->n_ifaces = c->cap_ifaces = 1;
	/* the upper half may tell the length of a frame check sequence */
	c->ifaces[0].link = (uint16_t)cap_u32(c, cap_here(c) + 20);
	c->ifaces[0].snaplen = cap_u32(c, cap_here(c) + 16);
	cap_skip(c, 24);
	return OK;
}

/* Other formats that people have; named so that the error says what to do. */
static const char *other_format(const uint8_t *p, size_t n)
{
	static const struct {
		const char *magic;
		uint8_t n;
		const char *name;
	} known[] = {
		{"snoop\0\0\0",          8,  "a snoop capture"                    },
		{"GMBU",                 4,  "a Microsoft Network Monitor capture"},
		{"RTSS",                 4,  "a Microsoft Network Monitor capture"},
		{"\xfd\x37zXZ",          5,  "packed with xz"                     },
		{"BZh",                  3,  "packed with bzip2"                  },
		{"PK\x03\x04",           4,  "a ZIP archive"                      },
		{"TRSNIFF data    \x1a", 17, "a Sniffer capture"                  },
	};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (n >= known[i].n && memcmp(p, known[i].magic, known[i].n) == 0)
			return known[i].name;
	return NULL;
}

static enum err open_format(struct cap *c, struct buf *why)
{
	if (!cap_need(c, 4, NULL)) {
		if (c->problem[0] && c->end == c->at)
			buf_fmt(why, "%s", c->problem);
		else
			buf_fmt(why, "%s",
				c->end == c->at ? "the file is empty" : "the file is too short");
		return ERR_IO;
	}
	uint32_t magic;
	memcpy(&magic, cap_here(c), sizeof magic);
	if (magic == MAGIC_NG) {
		c->is_ng = true;
		return OK;
	}
	static const uint32_t classic[] = {MAGIC_US, MAGIC_NS, MAGIC_MODIFIED};
	for (size_t i = 0; i < 3; i++)
		if (magic == classic[i] || magic == swap32(classic[i])) {
			enum err e = open_classic(c, magic);
			if (e)
				buf_fmt(why, "%s", c->problem[0] ? c->problem : "no memory");
			return e;
		}
	const char *name = other_format(cap_here(c), c->end - c->at);
	if (name)
		buf_fmt(why, "the file is %s; unpack it, or convert it with `editcap -F pcapng`",
			name);
	else
		buf_fmt(why, "not a capture file: pcap and pcapng are read, plain or packed "
			     "with gzip or zstd");
	return ERR_UNSUPPORTED;
}

/* Says why a path cannot be opened, in the order in which people err. */
static enum err explain_path(const char *path, struct buf *why)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		buf_fmt(why, "there is no such file");
		return ERR_NOTFOUND;
	}
	if (S_ISDIR(st.st_mode)) {
		buf_fmt(why, "that is a directory");
		return ERR_IO;
	}
	if (access(path, R_OK) != 0)
		buf_fmt(why, "no permission to read it");
	else
		buf_fmt(why, "it cannot be opened");
	return ERR_IO;
}

/* A packing is known by its magic; what was read of it becomes the unpacker's first input. */
static enum err unpack_if_packed(struct cap *c)
{
	refill(c, 4);
	enum err e = cap_pack_new(c->block, c->end, read_raw, c, &c->pack);
	if (e)
		return e == ERR_UNSUPPORTED ? OK : e;
	c->end = 0;
	c->is_eof = false;
	return OK;
}

static enum err open_any(int fd, struct str bytes, struct cap **out, struct buf *why)
{
	struct cap *c = calloc(1, sizeof *c);
	if (!c) {
		if (fd >= 0)
			close(fd);
		return ERR_NOMEM;
	}
	struct stat st;
	c->fd = fd;
	spool_init(&c->spool, 0);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		off_t at = lseek(fd, 0, SEEK_CUR); /* the standard input may stand anywhere */
		c->is_file = true;
		c->n_read = at > 0 ? (uint64_t)at : 0;
		c->size = st.st_size > 0 ? (uint64_t)st.st_size : 0;
	}
	c->cap = fd < 0 ? bytes.n + 1 : CAP_BLOCK;
	c->block = malloc(c->cap);
	if (c->block && bytes.n) {
		memcpy(c->block, bytes.p, bytes.n);
		c->end = bytes.n;
	}
	enum err e = c->block ? unpack_if_packed(c) : ERR_NOMEM;
	if (!e)
		e = open_format(c, why);
	if (e) {
		cap_close(c);
		return e;
	}
	*out = c;
	return OK;
}

enum err cap_open_fd(int fd, struct cap **out, struct buf *why)
{
	return open_any(fd, STR_NONE, out, why);
}

enum err cap_open_mem(struct str bytes, struct cap **out, struct buf *why)
{
	return open_any(-1, bytes, out, why);
}

enum err cap_open(const char *path, struct cap **out, struct buf *why)
{
	struct stat st;
	bool is_pipe = strcmp(path, "-") == 0;
	if (!is_pipe && (stat(path, &st) != 0 || S_ISDIR(st.st_mode)))
		return explain_path(path, why);
	int fd = is_pipe ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return explain_path(is_pipe ? "/dev/stdin" : path, why);
	return cap_open_fd(fd, out, why);
}

/* A file that was entered in its middle has other offsets than ours: it is put aside, too. */
static bool is_plain_file(const struct cap *c)
{
	return c->is_file && !c->pack && c->n_read == c->off + (c->end - c->at);
}

bool cap_is_kept(const struct cap *c)
{
	return c->is_spooled || is_plain_file(c);
}

enum err cap_keep(struct cap *c)
{
	uint64_t off;
	if (c->source)
		return ERR_UNSUPPORTED;
	if (cap_is_kept(c))
		return OK;
	c->is_spooled = true;
	return spool_put(&c->spool, c->block, c->end, &off);
}

enum err cap_reread(const struct cap *c, uint64_t off, void *p, size_t n)
{
	if (c->is_spooled)
		return spool_get(&c->spool, off, p, n) ? ERR_IO : OK;
	return pread(c->fd, p, n, (off_t)off) == (ssize_t)n ? OK : ERR_IO;
}

enum err cap_again(const struct cap *c, struct cap **out, struct buf *why)
{
	int fd = dup(c->is_spooled ? c->spool.fd : c->fd);
	if (fd < 0)
		return ERR_IO;
	lseek(fd, 0, SEEK_SET);
	return open_any(fd, STR_NONE, out, why);
}

uint64_t cap_n_read(const struct cap *c)
{
	return c->n_read;
}

uint64_t cap_size(const struct cap *c)
{
	return c->size;
}

static bool is_at_hand(struct cap *c)
{
	return c->is_ng ? capng_at_hand(c) : has_classic(c);
}

bool cap_wait(struct cap *c, unsigned ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	if (c->is_over)
		return true;
	if (c->source)
		return c->source->wait(c->source_ctx, ms);
	/* what came may be a block without a packet: another one is waited for */
	while (c->fd >= 0 && !c->is_eof && !is_at_hand(c) && !c->problem[0]) {
		size_t n = c->end - c->at;
		if (poll(&p, 1, (int)ms) <= 0)
			return false;
		if (!c->is_ng || n == c->cap)
			break;
		refill(c, n + 1);
	}
	return true;
}

int cap_fd(const struct cap *c)
{
	if (c->source)
		return c->source->fd ? c->source->fd(c->source_ctx) : -1;
	return c->fd;
}

void cap_stop(struct cap *c)
{
	c->is_over = true;
}

bool cap_count(struct cap *c, struct cap_counts *out)
{
	*out = (struct cap_counts){0};
	return c->source && c->source->count(c->source_ctx, out);
}

enum err cap_open_source(const struct cap_source *source, void *ctx, struct cap **out,
			 struct buf *why)
{
	struct cap *c = calloc(1, sizeof *c);
	if (!c) {
		buf_fmt(why, "no memory");
		source->close(ctx);
		return ERR_NOMEM;
	}
	c->fd = -1;
	c->source = source;
	c->source_ctx = ctx;
	*out = c;
	return OK;
}

void cap_close(struct cap *c)
{
	if (!c)
		return;
	if (c->source)
		c->source->close(c->source_ctx);
	if (c->fd >= 0)
		close(c->fd);
	cap_pack_free(c->pack);
	buf_fini(&c->secrets);
	buf_fini(&c->comments);
	spool_fini(&c->spool);
	free(c->ifaces);
	free(c->block);
	free(c);
}

struct str cap_secrets(struct cap *c)
{
	if (c->is_told)
		return STR_NONE;
	c->is_told = true;
	return buf_view(&c->secrets);
}

const char *cap_problem(const struct cap *c)
{
	return c->problem[0] ? c->problem : NULL;
}

uint64_t cap_sniffer_drops(const struct cap *c)
{
	uint64_t n = c->drops;
	for (size_t i = 0; i < c->n_ifaces; i++)
		n += c->ifaces[i].drops;
	return n;
}
