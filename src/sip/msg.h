#pragma once
/* A SIP message: one block that holds this struct, the bytes as received, and the header rows
 * (which grow down from the end of the block). Parsed once; `const` for life afterwards. Whatever
 * is not eager is parsed when asked, by the functions of sip/hdr.h and sip/uri.h, into the caller's
 * struct. All `struct str` point into the block. [RFC3261 7, 25] */

#include "base/buf.h"
#include "sip/tables.h"

struct sip_diag {      /* one thing that is not as the grammar says */
	uint16_t code; /* enum sip_diag_code: text, RFC section, severity in diag.def */
	uint16_t hdr;  /* index of the header row, or SIP_ROW_NONE */
	uint32_t off;  /* byte offset into the message */
};
#define SIP_MAX_DIAGS 16
#define SIP_MAX_ROWS  256
#define SIP_ROW_NONE  0xffffu

struct sip_row {       /* one header field line; values of a list are split when asked */
	uint8_t id;    /* enum sip_hdr_id; SIP_HDR_OTHER when unknown */
	uint8_t flags; /* SIP_ROW_FOLDED, SIP_ROW_COMPACT */
	uint16_t next; /* next row of the same id, or SIP_ROW_NONE */
	uint16_t name_off, name_len;
	uint16_t val_off, val_len; /* trimmed; may contain folds when SIP_ROW_FOLDED */
};
enum { SIP_ROW_FOLDED = 1, SIP_ROW_COMPACT = 2 };

struct sip_msg {
	struct sip_msg *next;           /* for its owner's queues and free lists */
	uint32_t refs;                  /* not atomic: one shard at a time */
	uint32_t block_size;            /* of the whole allocation */
	char *bytes;                    /* as received */
	const struct sip_row *rows_end; /* row i is rows_end[-1 - i] */
	uint32_t n_bytes; /* of the message, body included; what follows in a datagram is cut off */
	uint32_t head_n;  /* start line, headers and the empty line */

	bool is_request;
	uint8_t method;         /* enum sip_method: of the request line, or of CSeq in a response */
	uint16_t status;        /* responses */
	struct str method_name; /* as written; of CSeq in a response */
	struct str ruri, reason, version;

	/* eager fields; empty or zero where absent or unreadable (then there is a diagnostic) */
	struct str via; /* the topmost Via value (up to the comma), unparsed */
	struct str via_branch, via_host, via_params;
	uint16_t via_port; /* 0 when not given */
	bool via_has_rport;
	struct str call_id, from_tag, to_tag;
	uint32_t cseq;
	bool has_cseq, has_max_forwards, has_content_length;
	uint8_t max_forwards;
	uint32_t content_length;
	struct str body;

	uint16_t n_rows, n_diags;
	uint32_t worst;             /* bit set of the severities seen */
	uint16_t first[SIP_HDR__N]; /* row of the first header with that id, or SIP_ROW_NONE */
	struct sip_diag diags[SIP_MAX_DIAGS];
};

/* How much a block must hold for n bytes of message. Always enough for SIP_MAX_ROWS or n/4 rows,
 * whichever is less. */
size_t sip_msg_block_size(size_t n_bytes);
/* Makes an empty message of a block of memory that the caller owns and keeps aligned to 16. */
struct sip_msg *sip_msg_init(void *block, size_t block_size);
/* A message on the heap with `bytes` copied and indexed; NULL without memory. For tests, tools and
 * slow paths. */
struct sip_msg *sip_msg_from(struct str bytes, enum err *result);
void sip_msg_free(struct sip_msg *m); /* only for sip_msg_from */

/* Index pass over bytes that were stored at m->bytes (capacity: block). `is_stream`: the message
 * ends by Content-Length and what follows is not ours; else it is a datagram: without
 * Content-Length the body reaches its end, bytes beyond Content-Length are cut off, too few are a
 * diagnostic. OK: indexed, perhaps with diagnostics. ERR_MORE: stream only, the message is not
 * complete. ERR_SYNTAX: no SIP message at all (start line unreadable). ERR_LIMIT: over 65,535
 * header bytes or 256 rows; what came before is indexed, so that it can be answered. A stream that
 * gives OK without has_content_length cannot be framed any further: answer and close it. Leading
 * CRLFs are skipped (RFC 3261 7.5). *consumed is how many bytes were used (also for ERR_SYNTAX in a
 * datagram). */
enum err sip_msg_index(struct sip_msg *m, size_t n_bytes, bool is_stream, size_t *consumed);

static inline const struct sip_row *sip_row(const struct sip_msg *m, unsigned i)
{
	return &m->rows_end[-1 - (int)i];
}
static inline struct str sip_row_value(const struct sip_msg *m, const struct sip_row *r)
{
	return (struct str){m->bytes + r->val_off, r->val_len};
}
static inline struct str sip_row_name(const struct sip_msg *m, const struct sip_row *r)
{
	return (struct str){m->bytes + r->name_off, r->name_len};
}
static inline bool sip_has(const struct sip_msg *m, enum sip_hdr_id id)
{
	return m->first[id] != SIP_ROW_NONE;
}
/* Value of the first header line of that id, or STR_NONE. */
struct str sip_value(const struct sip_msg *m, enum sip_hdr_id id);
/* Walks the single values of a list header across its lines, commas in quotes and angle brackets
 * respected: struct sip_iter it = {0}; struct str v; while (sip_each(m, SIP_HDR_VIA, &it, &v)) ...
 */
struct sip_iter {
	uint16_t row; /* 1 + row being walked; 0 = start */
	uint16_t off; /* within its value */
};
bool sip_each(const struct sip_msg *m, enum sip_hdr_id id, struct sip_iter *it, struct str *value);
unsigned sip_count(const struct sip_msg *m, enum sip_hdr_id id); /* values, not lines */
/* First header line named `name` (for headers outside the table), or STR_NONE. */
struct str sip_value_named(const struct sip_msg *m, struct str name);

/* What the exchange does with the diagnostics: the worst consequence of them all. 0: accept; a
 * status (400, 505 ...) with which to refuse a request; -1: discard without an answer. *why gets
 * the first diagnostic that led to it (may be NULL). [RFC3261 16.3, 18.3] */
int sip_msg_verdict(const struct sip_msg *m, const struct sip_diag **why);

/* The Call-ID of unparsed bytes, for finding the owning shard; false when there is none. It is the
 * index code itself, so that compact, folded and duplicate headers behave alike. */
bool sip_peek_call_id(struct str bytes, struct str *call_id);
