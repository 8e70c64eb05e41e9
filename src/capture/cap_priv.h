#pragma once
/* Shared by the two file formats. */

#include "capture/cap.h"
#include "capture/cap_pack.h"
#include "capture/spool.h"

#define CAP_BLOCK                                                                                  \
	(128u << 10) /* stays in the L2 cache: three times faster than mmap (measured)             \
		      */
#define CAP_MAX_RECORD (16u << 20) /* a longer record is a corrupt length */

struct cap_iface {
	uint16_t link;
	uint32_t snaplen;
	uint8_t tsresol; /* as in if_tsresol: bit 7 = power of two */
	int64_t offset_ns;
	uint64_t drops;
	char name[32], desc[128]; /* cut, when longer */
};

/* Where records come from when it is no file: an interface, agents of Homer. */
struct cap_source {
	bool (*next)(void *ctx, struct cap_rec *r); /* false: none there now */
	bool (*wait)(void *ctx, unsigned ms);       /* as cap_wait */
	bool (*count)(void *ctx, struct cap_counts *out);
	void (*close)(void *ctx);
	int (*fd)(void *ctx); /* as cap_fd; may be NULL */
};

struct cap {
	const struct cap_source *source; /* NULL: a file */
	void *source_ctx;
	bool is_over; /* stopped, or there is a problem */
	int fd;
	bool is_file;    /* regular: read by position, so that others may read it too */
	uint64_t n_read; /* of fd */
	uint64_t size;   /* of a regular file */
	bool is_spooled; /* what is read is put aside */
	struct spool spool;
	bool is_broken;        /* the file cannot be read on */
	struct cap_pack *pack; /* NULL: the file is not packed */
	uint8_t *block;
	size_t at, end, cap; /* unread bytes are block[at .. end) */
	uint64_t off;        /* of block[at] in the file */
	uint32_t no;
	bool is_eof, is_ng, is_swapped, is_ns;
	unsigned rec_hdr; /* bytes of a classic record's header */
	struct cap_iface *ifaces;
	size_t n_ifaces, cap_ifaces;
	struct buf secrets;       /* key log lines since somebody asked */
	bool is_told;             /* secrets: somebody did; the next ones begin anew */
	struct buf comments;      /* of the record, when it has several */
	uint32_t n_sections;      /* begun */
	uint32_t n_ifaces_before; /* in sections that ended */
	uint64_t drops;           /* of sections that ended */
	char problem[160];
};

bool cap_fill(struct cap *c, size_t n, const char *what);
/* Makes n bytes available at block[at]; false at the end of the file, with `problem` set when a
 * record was begun or memory is short. */
static inline bool cap_need(struct cap *c, size_t n, const char *what)
{
	return c->end - c->at >= n || cap_fill(c, n, what);
}
static inline const uint8_t *cap_here(const struct cap *c)
{
	return c->block + c->at;
}
static inline void cap_skip(struct cap *c, size_t n)
{
	c->at += n;
	c->off += n;
}
static inline uint16_t cap_u16(const struct cap *c, const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap16(v) : v;
}
static inline uint32_t cap_u32(const struct cap *c, const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap32(v) : v;
}
bool capng_next(struct cap *c, struct cap_rec *r);
/* Whether that finds a packet in what was read; takes in what stands before it. */
bool capng_at_hand(struct cap *c);

/* Takes ctx over, also when it fails. */
enum err cap_open_source(const struct cap_source *source, void *ctx, struct cap **out,
			 struct buf *why);
[[gnu::format(printf, 2, 3)]] bool cap_fail(struct cap *c, const char *fmt, ...);
