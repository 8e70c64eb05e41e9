/* The o= line of what one side is told.
 *
 * A side must see one session: the same user name, session id and address for as long as its dialog
 * lasts, and a version that grows by one whenever the description changes and by nothing when it
 * does not [RFC3264 8]. The descriptions come from whoever is on the other side just now: several
 * callees that ring, another party after a transfer, the exchange itself. So the first o= line that
 * a side is told is kept, and every later one is written in its image; all other lines pass
 * untouched. Where the other side stays the same the result is what it wrote itself.
 *
 * [RFC8866 5.2] [RFC3264 5, 8] */
#include "service/b2b_priv.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

struct origin_line {
	struct str before, head, version, tail, after; /* of the whole description */
};

/* Cuts the description around its o= line; false when that cannot be read. */
static bool cut(struct str sdp, struct origin_line *o)
{
	size_t at = str_starts(sdp, STR("o=")) ? 0 : str_find(sdp, STR("\no="));
	if (at == SIZE_MAX)
		return false;
	at += sdp.p[at] == '\n';
	struct str rest = str_skip(sdp, at), line = rest;
	size_t end = str_chr(line, '\n');
	line.n = end == SIZE_MAX ? line.n : end;
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	struct str tail = line;
	str_cut(tail, ' ', &tail);
	str_cut(tail, ' ', &tail);
	o->before = str_sub(sdp, 0, at);
	o->head = str_sub(line, 0, line.n - tail.n);
	o->version = str_cut(tail, ' ', &tail);
	o->tail = tail;
	o->after = str_skip(sdp, at + line.n);
	return o->version.n && o->tail.n;
}

static bool keep(struct b2b_origin *k, const struct origin_line *o)
{
	if (o->head.n + o->tail.n > 1024)
		return false;
	k->line = malloc(o->head.n + o->tail.n);
	if (!k->line)
		return false;
	memcpy(k->line, o->head.p, o->head.n);
	memcpy(k->line + o->head.n, o->tail.p, o->tail.n);
	k->n_head = (uint16_t)o->head.n;
	k->n_tail = (uint16_t)o->tail.n;
	if (!str_u64(o->version, &k->version))
		k->version = 1;
	return true;
}

/* Its writer is the one whose line was kept. */
static bool is_same(const struct b2b_origin *k, const struct origin_line *o)
{
	return str_eq(o->head, str_of(k->line, k->n_head)) &&
	       str_eq(o->tail, str_of(k->line + k->n_head, k->n_tail));
}

struct str b2b_sdp_for(struct b2b_leg *l, struct str sdp)
{
	struct buf *b = &l->call->b->sdp;
	struct b2b_origin *k = &l->origin;
	struct origin_line o;
	if (!cut(sdp, &o)) /* not ours to judge: its reader will refuse it */
		return sdp;
	uint32_t hash = hash_quick32(o.after);
	uint64_t version = 0;
	if (!k->line && !keep(k, &o))
		return STR_NONE;
	if (is_same(k, &o) && str_u64(o.version, &version) && version >= k->version)
		k->version = version;
	else if (hash != k->hash)
		k->version++;
	k->hash = hash;
	buf_clear(b);
	buf_str(b, o.before);
	buf_str(b, str_of(k->line, k->n_head));
	buf_u64(b, k->version);
	buf_chr(b, ' ');
	buf_str(b, str_of(k->line + k->n_head, k->n_tail));
	buf_str(b, o.after);
	return b->err == OK ? buf_view(b) : STR_NONE;
}

enum err b2b_set_sdp(struct b2b_leg *l, struct str sdp)
{
	struct str s = b2b_sdp_for(l, sdp);
	buf_clear(&l->sdp);
	buf_str(&l->sdp, s);
	return s.n ? l->sdp.err : ERR_NOMEM;
}
