/* A single-producer single-consumer ring of records.
 *
 *   | len | record, padded to 8 | len | record | SKIP ... end |   then from the beginning again
 *
 * Positions only ever grow; their low bits are the place in the ring. A record is contiguous: when
 * it does not fit before the end, the rest of the ring is skipped. Each side keeps its own copy of
 * the other's position and looks at the true one only when the copy says full or empty, so that the
 * two cores share no cache line in the steady state. What the consumer has popped stays in the ring
 * until it is released.
 *
 * A ring may lie in a mapped file: what was published and not released is then found by the process
 * that opens it next, however the last one ended. A record counts once head is behind it, which is
 * written after it, so that a kill leaves records whole or not at all. Power cuts are another
 * matter: pages reach the disk in any order, and the clock of the records begins anew; a file of
 * another boot is therefore begun afresh.
 *
 * Invariants:
 * 1. tail <= next <= head <= tail + size; bytes tail..head are published records.
 * 2. Only the producer writes head (release, after the record), only the consumer writes tail
 *    (release, when it is done with the record).
 * 3. A record is at most a quarter of the ring, so that one huge record cannot be in the way for
 * ever.
 */

#include "base/assert.h"
#include "event/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_LINE 64
#define HEAD       8 /* bytes before each record */
#define SKIP       UINT64_MAX

struct ev_ring {
	_Alignas(CACHE_LINE) _Atomic(uint64_t) head; /* the producer's line */
	uint64_t tail_seen;
	uint64_t reserved; /* position after the reserved record, 0: none */
	_Atomic(uint64_t) dropped;
	_Alignas(CACHE_LINE) _Atomic(uint64_t) tail; /* the consumer's line */
	uint64_t head_seen, next;
	_Alignas(CACHE_LINE) size_t size;
	char bytes[];
};

struct ring_file {                          /* the ring follows */
	_Alignas(CACHE_LINE) char magic[8]; /* written last */
	uint32_t layout, zero;
	char boot[40];
};
static const char magic[8] = "rungtap";

enum err ev_ring_new(size_t size_bytes, struct ev_ring **out)
{
	ASSERT(size_bytes >= 64 && (size_bytes & (size_bytes - 1)) == 0);
	struct ev_ring *r = aligned_alloc(CACHE_LINE, sizeof(*r) + size_bytes);
	if (!r)
		return ERR_NOMEM;
	memset(r, 0, sizeof(*r) + size_bytes); /* no page faults while it is used */
	r->size = size_bytes;
	*out = r;
	return OK;
}

void ev_ring_free(struct ev_ring *r)
{
	free(r);
}

static uint64_t *len_at(struct ev_ring *r, uint64_t pos)
{
	return (uint64_t *)(void *)(r->bytes + (pos & (r->size - 1)));
}

/* ---- in a file ------------------------------------------------------------------------------- */

static struct ev_ring *ring_of(struct ring_file *f)
{
	return (struct ev_ring *)(void *)(f + 1);
}

static size_t file_bytes(size_t size)
{
	return sizeof(struct ring_file) + sizeof(struct ev_ring) + size;
}

static bool read_boot(char boot[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot, 39) : 0;
	if (fd >= 0)
		close(fd);
	boot[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* What is published consists of whole records. */
static bool is_sound(struct ev_ring *r, size_t size)
{
	uint64_t at = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (r->size != size || at > head || head - at > size || (at | head) & 7)
		return false;
	while (at < head) {
		uint64_t len = *len_at(r, at), to_end = size - (at & (size - 1));
		if (len != SKIP && (!len || len > size / 4 || HEAD + ((len + 7) & ~7ull) > to_end))
			return false;
		at += len == SKIP ? to_end : HEAD + ((len + 7) & ~7ull);
		if (len == SKIP && at >= head) /* a record follows */
			return false;
	}
	return at == head;
}

static bool is_known(struct ring_file *f, size_t size, uint32_t layout, const char boot[40])
{
	return memcmp(f->magic, magic, sizeof(magic)) == 0 && f->layout == layout && boot[0] &&
	       memcmp(f->boot, boot, sizeof(f->boot)) == 0 && is_sound(ring_of(f), size);
}

static void begin_file(struct ring_file *f, size_t size, uint32_t layout, const char boot[40])
{
	memset(f->magic, 0, sizeof(f->magic));
	atomic_thread_fence(memory_order_release);
	struct ev_ring *r = ring_of(f);
	memset(r, 0, sizeof(*r) + size);
	r->size = size;
	f->layout = layout;
	memcpy(f->boot, boot, sizeof(f->boot));
	atomic_thread_fence(memory_order_release);
	memcpy(f->magic, magic, sizeof(magic));
}

/* All of its blocks at once: a full disk is an error here, and not a signal later. */
static enum err map_file(const char *path, size_t n, bool is_new, void **out)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (is_new ? O_CREAT : 0), 0600);
	struct stat st;
	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	void *p = MAP_FAILED;
	bool is_sized = is_new ? posix_fallocate(fd, 0, (off_t)n) == 0
			       : fstat(fd, &st) == 0 && st.st_size >= (off_t)n;
	if (is_sized)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	close(fd);
	*out = p;
	return p == MAP_FAILED ? ERR_IO : OK;
}

enum err ev_ring_open(const char *path, size_t size_bytes, uint32_t layout, bool is_new,
		      struct ev_ring **out)
{
	ASSERT(size_bytes >= 64 && (size_bytes & (size_bytes - 1)) == 0);
	char boot[40] = "";
	void *p;
	enum err e = map_file(path, file_bytes(size_bytes), is_new, &p);
	if (e)
		return e;
	struct ring_file *f = p;
	(void)read_boot(boot); /* without: nothing is known again */
	if (!is_known(f, size_bytes, layout, boot))
		begin_file(f, size_bytes, layout, boot);
	struct ev_ring *r = ring_of(f);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	r->tail_seen = r->head_seen = r->next = tail;
	r->reserved = 0;
	atomic_store_explicit(&r->dropped, 0, memory_order_relaxed);
	*out = r;
	return OK;
}

void ev_ring_close(struct ev_ring *r)
{
	if (r)
		munmap((struct ring_file *)(void *)r - 1, file_bytes(r->size));
}

/* ---- both sides ------------------------------------------------------------------------------ */

/* Are `need` bytes free after `head`? */
static bool has_room(struct ev_ring *r, uint64_t head, uint64_t need)
{
	if (head + need - r->tail_seen <= r->size)
		return true;
	r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head + need - r->tail_seen <= r->size;
}

void *ev_ring_try(struct ev_ring *r, size_t n)
{
	ASSERT(n > 0 && r->reserved == 0);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t need = HEAD + (((uint64_t)n + 7) & ~(uint64_t)7);
	uint64_t to_end = r->size - (head & (r->size - 1));
	uint64_t skip = need > to_end ? to_end : 0;
	if (n > r->size / 4 || !has_room(r, head, skip + need))
		return NULL;
	if (skip) {
		*len_at(r, head) = SKIP;
		head += skip;
	}
	*len_at(r, head) = n;
	r->reserved = head + need;
	return len_at(r, head) + 1;
}

void ev_ring_drop(struct ev_ring *r)
{
	atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
}

void *ev_ring_reserve(struct ev_ring *r, size_t n)
{
	void *p = ev_ring_try(r, n);
	if (!p)
		ev_ring_drop(r);
	return p;
}

void ev_ring_commit(struct ev_ring *r)
{
	ASSERT(r->reserved);
	atomic_store_explicit(&r->head, r->reserved, memory_order_release);
	r->reserved = 0;
}

struct str ev_ring_peek(struct ev_ring *r)
{
	if (r->next == r->head_seen) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (r->next == r->head_seen)
			return STR_NONE;
	}
	if (*len_at(r, r->next) == SKIP) /* a record follows: both were published at once */
		r->next += r->size - (r->next & (r->size - 1));
	uint64_t *len = len_at(r, r->next);
	return str_of((char *)(len + 1), *len);
}

void ev_ring_pop(struct ev_ring *r)
{
	ASSERT(r->next != r->head_seen && *len_at(r, r->next) != SKIP);
	r->next += HEAD + ((*len_at(r, r->next) + 7) & ~(uint64_t)7);
}

void ev_ring_release(struct ev_ring *r)
{
	atomic_store_explicit(&r->tail, r->next, memory_order_release);
}

uint64_t ev_ring_dropped(const struct ev_ring *r)
{
	return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}
