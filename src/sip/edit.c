/* Changes to a received message: a sorted list of {offset, delete, insert}, applied in one copy.
 *
 * The list is kept sorted as edits come, by offset; at one offset pure inserts stand before an edit
 * that deletes, and inserts keep the order given. So sip_splice is one walk, and overlap is seen
 * there: an edit that begins before the last one's end is our own mistake, ERR_STATE.
 *
 * Invariants
 *  1. Bytes outside of the edits are copied as received; no edit, no change. [RFC3261 16.6: proxies
 *     must not reorder or alter what they do not understand]
 *  2. Removing all values of a header line, one by one, removes the line.
 *
 * Removing one value of a list takes its comma along, and which comma that is depends on what else
 * of the line goes. So each removal in a line does the line anew: the values that are to stay
 * decide what is cut. */

#include "sip/edit.h"

#include "sip/chars.h"

#include <stdio.h>

void sip_edits_init(struct sip_edits *ed, const struct sip_msg *m)
{
	ed->msg = m;
	ed->n = 0;
	ed->err = OK;
}

static bool goes_before(const struct sip_edit *new, const struct sip_edit *old)
{
	return new->off < old->off || (new->off == old->off &&new->del == 0 && old->del > 0);
}

void sip_edit(struct sip_edits *ed, uint32_t off, uint32_t del, struct str ins)
{
	if (ed->err != OK)
		return;
	if (ed->n == SIP_MAX_EDITS) {
		ed->err = ERR_LIMIT;
		return;
	}
	struct sip_edit e = {off, del, ins};
	unsigned i = ed->n++;
	for (; i > 0 && goes_before(&e, &ed->e[i - 1]); i--)
		ed->e[i] = ed->e[i - 1];
	ed->e[i] = e;
}

void sip_edit_replace(struct sip_edits *ed, struct str old_in_msg, struct str with)
{
	sip_edit(ed, (uint32_t)(old_in_msg.p - ed->msg->bytes), (uint32_t)old_in_msg.n, with);
}

void sip_edit_ruri(struct sip_edits *ed, struct str uri)
{
	sip_edit_replace(ed, ed->msg->ruri, uri);
}

/* Where the line of a row ends: behind its LF, or at the end of the headers. */
static uint32_t row_end(const struct sip_msg *m, const struct sip_row *r)
{
	const char *p = m->bytes + r->val_off + r->val_len, *end = m->bytes + m->head_n;
	while (p < end) {
		if (*p++ == '\n' && (p == end || (*p != ' ' && *p != '\t')))
			break;
	}
	return (uint32_t)(p - m->bytes);
}

/* Offset of the empty line that ends the headers, or head_n when it is missing. */
static uint32_t headers_end(const struct sip_msg *m)
{
	uint32_t n = m->head_n, blank = 0;
	if (n >= 1 && m->bytes[n - 1] == '\n')
		blank = n >= 2 && m->bytes[n - 2] == '\r' ? 2 : 1;
	return blank && n > blank && m->bytes[n - blank - 1] == '\n' ? n - blank : n;
}

void sip_edit_insert_before(struct sip_edits *ed, enum sip_hdr_id id, struct str lines)
{
	const struct sip_msg *m = ed->msg;
	unsigned row = m->first[id] != SIP_ROW_NONE ? m->first[id] : 0;
	sip_edit(ed, m->n_rows ? sip_row(m, row)->name_off : headers_end(m), 0, lines);
}

void sip_edit_append(struct sip_edits *ed, struct str lines)
{
	sip_edit(ed, headers_end(ed->msg), 0, lines);
}

/* Drops the pure deletions inside [from, to): another one will take their place. */
static void drop_deletions(struct sip_edits *ed, uint32_t from, uint32_t to)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ed->n; i++) {
		const struct sip_edit *e = &ed->e[i];
		if (e->off >= from && e->off < to && e->del > 0 && e->ins.n == 0)
			continue;
		ed->e[n++] = *e;
	}
	ed->n = n;
}

void sip_edit_remove_row(struct sip_edits *ed, unsigned row)
{
	const struct sip_row *r = sip_row(ed->msg, row);
	uint32_t end = row_end(ed->msg, r);
	if (ed->err != OK)
		return;
	drop_deletions(ed, r->name_off, end);
	sip_edit(ed, r->name_off, end - r->name_off, STR_NONE);
}

void sip_edit_remove(struct sip_edits *ed, enum sip_hdr_id id)
{
	for (unsigned i = ed->msg->first[id]; i != SIP_ROW_NONE; i = sip_row(ed->msg, i)->next)
		sip_edit_remove_row(ed, i);
}

static bool is_deleted(const struct sip_edits *ed, uint32_t off)
{
	for (unsigned i = 0; i < ed->n; i++) {
		const struct sip_edit *e = &ed->e[i];
		if (e->del > 0 && e->ins.n == 0 && off >= e->off && off < e->off + e->del)
			return true;
	}
	return false;
}

static uint32_t off_of(const struct sip_edits *ed, const char *p)
{
	return (uint32_t)(p - ed->msg->bytes);
}

/* The next value of one line; as sip_each, but it stops where the line ends. */
static bool next_in_row(const struct sip_msg *m, enum sip_hdr_id id, unsigned row,
			struct sip_iter *it, struct str *value)
{
	return sip_each(m, id, it, value) && value->p >= m->bytes + sip_row(m, row)->val_off &&
	       value->p < m->bytes + row_end(m, sip_row(m, row));
}

static struct sip_iter row_start(unsigned row)
{
	return (struct sip_iter){(uint16_t)(row + 1), 0};
}

/* True when some value of the line is neither `value` nor removed already. */
static bool keeps_any(const struct sip_edits *ed, enum sip_hdr_id id, unsigned row,
		      struct str value)
{
	struct sip_iter it = row_start(row);
	struct str v;
	while (next_in_row(ed->msg, id, row, &it, &v))
		if (v.p != value.p && !is_deleted(ed, off_of(ed, v.p)))
			return true;
	return false;
}

/* Cuts value out of a line in which something stays. Walking from the front: a run of removed
 * values before one that stays is cut up to that one; a run at the end is cut from the end of the
 * last one that stays. All cuts of the line are collected in `ed` anew. */
static void cut_values(struct sip_edits *ed, enum sip_hdr_id id, unsigned row, struct str value)
{
	const struct sip_row *r = sip_row(ed->msg, row);
	struct sip_edits old = *ed; /* is_deleted must see the state before */
	struct sip_iter it = row_start(row);
	const char *run = NULL, *kept_end = NULL;
	struct str v;
	drop_deletions(ed, r->val_off, row_end(ed->msg, r));
	while (next_in_row(ed->msg, id, row, &it, &v)) {
		bool goes = v.p == value.p || is_deleted(&old, off_of(ed, v.p));
		if (goes && !run) {
			run = v.p;
		} else if (!goes) {
			if (run)
				sip_edit(ed, off_of(ed, run), (uint32_t)(v.p - run), STR_NONE);
			run = NULL;
			kept_end = v.p + v.n;
		}
	}
	const char *end = ed->msg->bytes + r->val_off + r->val_len;
	if (run)
		sip_edit(ed, off_of(ed, kept_end), (uint32_t)(end - kept_end), STR_NONE);
}

void sip_edit_remove_value(struct sip_edits *ed, enum sip_hdr_id id, struct str value)
{
	const struct sip_msg *m = ed->msg;
	if (ed->err != OK)
		return;
	for (unsigned i = m->first[id]; i != SIP_ROW_NONE; i = sip_row(m, i)->next) {
		const struct sip_row *r = sip_row(m, i);
		if (value.p < m->bytes + r->val_off || value.p > m->bytes + r->val_off + r->val_len)
			continue;
		if (keeps_any(ed, id, i, value))
			cut_values(ed, id, i, value);
		else
			sip_edit_remove_row(ed, i);
		return;
	}
	ed->err = ERR_STATE;
}

void sip_edit_body(struct sip_edits *ed, struct str body, struct str content_type)
{
	const struct sip_msg *m = ed->msg;
	int n = snprintf(ed->length, sizeof(ed->length), "%zu", body.n);
	struct str length = str_of(ed->length, (size_t)n);
	if (sip_has(m, SIP_HDR_CONTENT_TYPE) && content_type.n) {
		sip_edit_replace(ed, sip_value(m, SIP_HDR_CONTENT_TYPE), content_type);
	} else if (sip_has(m, SIP_HDR_CONTENT_TYPE)) {
		sip_edit_remove(ed, SIP_HDR_CONTENT_TYPE);
	} else if (content_type.n) {
		sip_edit_append(ed, STR("Content-Type: "));
		sip_edit_append(ed, content_type);
		sip_edit_append(ed, STR("\r\n"));
	}
	if (sip_has(m, SIP_HDR_CONTENT_LENGTH)) {
		sip_edit_replace(ed, sip_value(m, SIP_HDR_CONTENT_LENGTH), length);
	} else {
		sip_edit_append(ed, STR("Content-Length: "));
		sip_edit_append(ed, length);
		sip_edit_append(ed, STR("\r\n"));
	}
	sip_edit_replace(ed, m->body, body);
}

enum err sip_splice(const struct sip_edits *ed, struct buf *out)
{
	const struct sip_msg *m = ed->msg;
	uint32_t at = 0;
	size_t grow = m->n_bytes;
	if (ed->err != OK)
		return ed->err;
	for (unsigned i = 0; i < ed->n; i++)
		grow += ed->e[i].ins.n;
	enum err e = buf_reserve(out, grow);
	if (e != OK)
		return e;
	for (unsigned i = 0; i < ed->n; i++) {
		const struct sip_edit *d = &ed->e[i];
		if (d->off < at || d->off > m->n_bytes || d->del > m->n_bytes - d->off)
			return ERR_STATE;
		buf_put(out, m->bytes + at, d->off - at);
		buf_str(out, d->ins);
		at = d->off + d->del;
	}
	buf_put(out, m->bytes + at, m->n_bytes - at);
	return out->err;
}
