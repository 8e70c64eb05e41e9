/* The message block, and reading the index. [RFC3261 7]
 *
 * One allocation: struct sip_msg, then the bytes as received, then free space, then the header
 * rows, which grow down from the end. The block belongs to whoever made it (a shard's pool, or the
 * heap by way of sip_msg_from); nothing here allocates but sip_msg_from.
 *
 * A list header may come as several lines, as one line with commas, or both; sip_each hides that.
 * Commas count only outside quoted strings and angle brackets. Headers that are no lists
 * (SIP_HF_LIST in headers.def says which are) give one value per line: Date and credentials have
 * commas of their own. [RFC3261 7.3.1]
 *
 * The verdict turns diagnostics into what the exchange does. A response is never answered, so what
 * would refuse a request makes a response be dropped, or be taken when only the request's rules
 * were broken (REJECT). ACK is never answered either. [RFC3261 8.1.3.3, 17.2, 18.1.2] */

#include "sip/msg.h"

#include "base/assert.h"
#include "sip/chars.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN     16
#define ROUND(n)  (((n) + ALIGN - 1) & ~(size_t)(ALIGN - 1))
#define BYTES_OFF ROUND(sizeof(struct sip_msg))
#define MIN_LINE  2 /* ":" and LF: the shortest line that makes a row */

size_t sip_msg_block_size(size_t n_bytes)
{
	size_t rows = n_bytes / MIN_LINE + 1;
	if (rows > SIP_MAX_ROWS)
		rows = SIP_MAX_ROWS;
	return BYTES_OFF + ROUND(n_bytes + rows * sizeof(struct sip_row));
}

struct sip_msg *sip_msg_init(void *block, size_t block_size)
{
	struct sip_msg *m = block;
	ASSERT(block_size >= BYTES_OFF + ALIGN);
	memset(m, 0, offsetof(struct sip_msg, first));
	memset(m->first, 0xff, sizeof(m->first));
	m->block_size = (uint32_t)block_size;
	m->bytes = (char *)block + BYTES_OFF;
	m->rows_end = (const struct sip_row *)(const void *)((char *)block +
							     (block_size & ~(size_t)(ALIGN - 1)));
	return m;
}

struct sip_msg *sip_msg_from(struct str bytes, enum err *result)
{
	size_t size = sip_msg_block_size(bytes.n), consumed;
	void *block = malloc(size);
	if (!block) {
		*result = ERR_NOMEM;
		return NULL;
	}
	struct sip_msg *m = sip_msg_init(block, size);
	if (bytes.n)
		memcpy(m->bytes, bytes.p, bytes.n);
	*result = sip_msg_index(m, bytes.n, false, &consumed);
	return m;
}

void sip_msg_free(struct sip_msg *m)
{
	free(m);
}

struct str sip_value(const struct sip_msg *m, enum sip_hdr_id id)
{
	unsigned i = m->first[id];
	return i == SIP_ROW_NONE ? STR_NONE : sip_row_value(m, sip_row(m, i));
}

struct str sip_value_named(const struct sip_msg *m, struct str name)
{
	enum sip_hdr_id id = sip_hdr_find(name);
	if (id != SIP_HDR_OTHER)
		return sip_value(m, id);
	for (unsigned i = m->first[SIP_HDR_OTHER]; i != SIP_ROW_NONE; i = sip_row(m, i)->next)
		if (str_ieq(sip_row_name(m, sip_row(m, i)), name))
			return sip_row_value(m, sip_row(m, i));
	return STR_NONE;
}

/* The comma that ends the list element at p, or end. */
static const char *element_end(const char *p, const char *end)
{
	for (; p < end && *p != ','; p++) {
		if (*p == '"') {
			p = cc_quote_end(p, end);
		} else if (*p == '<') {
			const char *close = memchr(p, '>', (size_t)(end - p));
			p = close ? close : end;
		}
		if (p == end)
			break;
	}
	return p;
}

#define ITER_DONE 0xffffu

bool sip_each(const struct sip_msg *m, enum sip_hdr_id id, struct sip_iter *it, struct str *value)
{
	if (it->row == ITER_DONE)
		return false;
	unsigned i = it->row ? it->row - 1u : m->first[id];
	for (; i != SIP_ROW_NONE; it->off = 0, i = sip_row(m, i)->next) {
		struct str v = sip_row_value(m, sip_row(m, i));
		const char *p = v.p + it->off, *end = v.p + v.n;
		if (!(sip_hdr_flags(id) & SIP_HF_LIST)) {
			unsigned next = sip_row(m, i)->next;
			it->row = next == SIP_ROW_NONE ? ITER_DONE : (uint16_t)(next + 1);
			*value = v;
			return true;
		}
		while (p < end && (*p == ',' || cc_is(*p, CC_WS)))
			p++;
		if (p == end)
			continue;
		/* without a comma, as nearly always, there is nothing to look for quotes for */
		const char *stop = memchr(p, ',', (size_t)(end - p)) ? element_end(p, end) : end;
		*value = str_of(p, (size_t)(cc_trim_end(p, stop) - p));
		it->row = (uint16_t)(i + 1);
		it->off = (uint16_t)(stop - v.p);
		return true;
	}
	it->row = ITER_DONE;
	return false;
}

unsigned sip_count(const struct sip_msg *m, enum sip_hdr_id id)
{
	struct sip_iter it = {0, 0};
	struct str v;
	unsigned n = 0;
	while (sip_each(m, id, &it, &v))
		n++;
	return n;
}

int sip_msg_verdict(const struct sip_msg *m, const struct sip_diag **why)
{
	const uint64_t light = 1u << SIP_SEV_NOTE | 1u << SIP_SEV_WARN;
	if (why)
		*why = NULL;
	if (!(m->worst & ~light))
		return 0;
	const struct sip_diag *d = NULL;
	for (unsigned i = 0; i < m->n_diags; i++) {
		enum sip_severity sev = sip_diag_severity(m->diags[i].code);
		if (sev < SIP_SEV_REJECT || (sev == SIP_SEV_REJECT && !m->is_request))
			continue;
		if (!d || (sev == SIP_SEV_DISCARD && sip_diag_severity(d->code) != sev))
			d = &m->diags[i];
	}
	if (!d)
		return 0;
	if (why)
		*why = d;
	if (!m->is_request || m->method == SIP_ACK || sip_diag_severity(d->code) == SIP_SEV_DISCARD)
		return -1;
	return (int)sip_diag_status(d->code);
}
