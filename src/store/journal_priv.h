#pragma once
/* Inside the journals: their format, and what start-up finds (journal_load.c) for those that write
 * (journal.c). */

#include "base/hash.h"
#include "store/io_priv.h"

#define JRN_HEAD_BYTES 32u
#define JRN_REC_BYTES  8u /* check and len */
#define JRN_VERSION    1u

struct jrn_found { /* a file as start-up found it */
	uint64_t epoch, size, good_end, lost;
	uint32_t shard, n_shards, layout;
	bool is_damaged, is_torn;
};

struct st_journals {
	const char *name; /* of the set: "bindings" */
	struct st_io *io;
	struct jrn_found *found;
	size_t n_found, cap_found;
	enum err list_err;
	size_t n;
	uint32_t layout;
	struct st_journal *j;
};

#define JRN_NAME_MAX 64
void jrn_file_name(const struct st_journals *js, uint64_t epoch, uint32_t shard,
		   char out[JRN_NAME_MAX]);
void jrn_head_make(const struct st_journals *js, uint64_t epoch, uint32_t shard, uint32_t n_shards,
		   uint32_t layout, uint8_t out[JRN_HEAD_BYTES]);

static inline void jrn_put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t jrn_get_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Keyed by epoch and offset: bytes of another place are never taken for a record. */
static inline uint32_t jrn_check(uint64_t epoch, uint64_t off, const void *p, size_t n)
{
	uint8_t key[16];
	jrn_put_le(key, epoch, 8);
	jrn_put_le(key + 8, off, 8);
	return (uint32_t)siphash(key, p, n);
}

/* Reads one file again, a part at a time (journal_load.c). */
struct jrn_reader;
enum err jrn_reader_new(const struct st_journals *js, uint64_t epoch, uint32_t shard,
			struct jrn_reader **out);
void jrn_reader_free(struct jrn_reader *r);
/* ERR_MORE: there is more. */
enum err jrn_reader_step(struct jrn_reader *r, size_t max_bytes,
			 void (*fn)(void *arg, struct str key, struct str value), void *arg);
