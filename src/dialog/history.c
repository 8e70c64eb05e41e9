/* The way of a request: the cache of RFC 7044.
 *
 * The entries are one list in the order of their indexes (the preorder of a tree): those that came
 * with the request, one for its request-URI if the hop before wrote none, and below that ours: each
 * target is a branch of what it was found from. A forward, an alias or a member of a group is an
 * entry of its own between the number called and the phone: a target inside [7]. A Contact of a 3xx
 * is a branch beside the one that was answered so [10.3 rule 4].
 *
 *     1        sip:200@office      what was called
 *     1.1      sip:101@office      a member of that group        mp=1
 *     1.1.1    sip:101@10.0.0.7    his phone                     rc=1.1
 *     1.2      sip:102@office      who follows him               mp=1
 *     1.2.1    sip:102@10.0.0.8                                  rc=1.2
 *
 * An entry gets its index when the request goes there (hist_start), so that numbers follow time;
 * it is kept, and so told to others than its own target, once something came back or nothing did
 * (hist_hear). With it are kept the entries that the response brought from further on.
 *
 * Decisions where the RFC leaves them: a provisional response keeps the entry, but gives it no
 * Reason, since a 200 that follows would stand beside `cause=180`; who rang his time counts as
 * silent (408), though our CANCEL was answered 487; who is left by somebody's forward has the
 * reason of the forward in his entry, too [7, MAY].
 *
 * Memory: one block, then the heap, freed whole; rows that cannot be made are entries that are
 * missing, which RFC 7044 11 asks everybody to live with. Bounds: MAX_ROWS, MAX_INDEX.
 *
 * [RFC7044] [RFC3326] */
#include "dialog/history_priv.h"

#define FIRST_ROOM  3072 /* most ways fit in: no further allocation */
#define MAX_ROWS    96
#define MAX_CAME    40 /* what came may be edits of a message (sip/edit.h) */
#define MAX_INDEX   80
#define MAX_REASONS 400

bool hist_header_next(struct str *rest, struct str *name, struct str *value)
{
	if (!rest->n)
		return false;
	*value = str_cut(*rest, '&', rest);
	*name = str_cut(*value, '=', value);
	return true;
}

/* Reads one value as a row; ERR_SYNTAX. */
static enum err read_row(struct str value, struct hist_row *r)
{
	struct sip_addr a;
	*r = (struct hist_row){.value = value, .is_kept = true, .is_answered = true};
	if (sip_addr_parse(value, &a) != OK)
		return ERR_SYNTAX;
	r->uri = str_cut(a.uri_text, '?', &r->headers);
	const char *end = a.uri_text.p + a.uri_text.n + a.has_brackets;
	r->params = str_of(end, (size_t)(value.p + value.n - end));
	if (!sip_param(a.params, STR("index"), &r->index))
		r->index = STR_NONE;
	return OK;
}

bool hist_is_asked(const struct sip_msg *m)
{
	return sip_has(m, SIP_HDR_HISTORY_INFO) ||
	       sip_has_token(m, SIP_HDR_SUPPORTED, STR("histinfo"));
}

/* So many, so deep, or so odd that they are passed on as they are. */
static bool is_too_long(const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct hist_row r;
	struct str v;
	unsigned n = 0;
	while (sip_each(m, SIP_HDR_HISTORY_INFO, &it, &v))
		if (++n > MAX_CAME || read_row(v, &r) != OK || r.index.n > MAX_INDEX)
			return true;
	return false;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct hist_row *new_row(struct hist *h)
{
	struct hist_row *r = NULL;
	if (h->n_rows < MAX_ROWS)
		r = arena_alloc(&h->mem, sizeof(*r));
	h->n_rows += r != NULL;
	return r;
}

/* Numbers by dots, compared one after the other. */
static int compare(struct str a, struct str b)
{
	while (a.n && b.n) {
		uint32_t x = 0, y = 0;
		(void)str_u32(str_cut(a, '.', &a), &x);
		(void)str_u32(str_cut(b, '.', &b), &y);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.n > 0) - (b.n > 0);
}

static bool is_below(struct str index, struct str top)
{
	return index.n > top.n && str_starts(index, top) && index.p[top.n] == '.';
}

/* Behind all that come before it, and behind one with the same index: that of another fork. */
static void place(struct hist *h, struct hist_row *r)
{
	struct hist_row **at = &h->first;
	for (struct hist_row **p = at; *p; p = &(*p)->next)
		if (compare((*p)->index, r->index) <= 0)
			at = &(*p)->next;
	r->next = *at;
	*at = r;
}

/* A number of a tel: URI as a user of ours. [RFC3261 19.1.6] */
static struct str uri_of(struct hist *h, struct str uri, struct str domain)
{
	struct str bare = str_cut(uri, '?', &uri);
	if (!str_istarts(bare, STR("tel:")) || !domain.n)
		return arena_str(&h->mem, bare);
	struct str number = str_cut(str_skip(bare, 4), ';', &bare);
	return arena_fmt(&h->mem, "sip:" STR_FMT "@" STR_FMT ";user=phone", STR_ARG(number),
			 STR_ARG(domain));
}

static struct hist_row *make(struct hist *h, struct hist_row *up, struct str uri, enum hist_by by)
{
	struct hist_row *r = up ? new_row(h) : NULL;
	if (!r)
		return NULL;
	r->up = up;
	r->is_mine = true;
	r->is_outside = up->is_outside;
	r->is_forward = up->is_forward;
	r->by = (uint8_t)by;
	r->uri = uri_of(h, uri, STR_NONE);
	return r->uri.n ? r : NULL;
}

/* ---- a request that came --------------------------------------------------------------------- */

static bool is_same_uri(struct str a, struct str b)
{
	struct sip_uri x, y;
	return str_eq(a, b) ||
	       (sip_uri_parse(a, &x) == OK && sip_uri_parse(b, &y) == OK && sip_uri_eq(&x, &y));
}

/* What came, in its order, and the hop before in its place if it wrote nothing. [RFC7044 9.1] */
static bool take_request(struct hist *h, const struct sip_msg *m, struct str domain)
{
	struct sip_iter it = {0};
	struct str v;
	struct hist_row **at = &h->first, *last = NULL;
	while (m && sip_each(m, SIP_HDR_HISTORY_INFO, &it, &v)) {
		struct hist_row *r = new_row(h);
		if (!r || read_row(v, r) != OK)
			return false;
		r->has_come = true;
		*at = last = r;
		at = &r->next;
	}
	h->root = last;
	if (last)
		last->is_answered = str_ifind(last->headers, STR("Reason=")) != SIZE_MAX;
	if (last && !last->index.n) /* whoever wrote none meant one */
		last->index = STR("1");
	if (last && is_same_uri(last->uri, m->ruri))
		return true;
	struct hist_row *r = new_row(h);
	if (!r)
		return false;
	if (!m) { /* nobody was before us: above the first entry there is none */
		h->root = r;
		return true;
	}
	*r = (struct hist_row){.uri = uri_of(h, m->ruri, domain), .is_mine = true, .is_kept = true};
	r->index = last ? arena_fmt(&h->mem, STR_FMT ".0", STR_ARG(last->index)) : STR("1");
	r->params = arena_fmt(&h->mem, ";index=" STR_FMT, STR_ARG(r->index));
	*at = h->root = r;
	return r->uri.n && r->index.n && r->params.n;
}

static bool take_ways(struct hist *h, const struct hist_ask *ask)
{
	size_t n = ask->n_ways ? ask->n_ways : 1;
	h->ways = arena_alloc(&h->mem, n * sizeof(*h->ways));
	if (!h->ways)
		return false;
	h->n_ways = n;
	h->ways[0] = h->root;
	for (size_t i = 1; i < n; i++) {
		const struct hist_way *w = &ask->ways[i];
		struct hist_row *r = make(h, h->ways[w->up], w->uri, (enum hist_by)w->by);
		if (!r)
			return false;
		r->cause = w->cause;
		r->is_forward |= w->cause > 0;
		h->ways[i] = r;
	}
	return true;
}

static struct hist *hist_new(struct block_cache *blocks, const struct sip_msg *m,
			     const struct hist_ask *ask)
{
	size_t room, own = (sizeof(struct hist) + 15) / 16 * 16;
	struct hist *h = block_get(blocks, own + FIRST_ROOM, &room);
	if (!h)
		return NULL;
	*h = (struct hist){.m = m,
			   .is_ours = ask->is_ours,
			   .ctx = ask->ctx,
			   .is_told = !m || hist_is_asked(m),
			   .is_private = ask->is_private,
			   .is_from_inside = ask->is_from_inside};
	h->is_open = h->is_told || ask->mode == HIST_ALWAYS;
	arena_init_in(&h->mem, (char *)h + own, room - own);
	if (take_request(h, m, ask->domain) && take_ways(h, ask))
		return h;
	hist_free(blocks, h);
	return NULL;
}

struct hist *hist_begin(struct block_cache *blocks)
{
	return hist_new(blocks, NULL, &(struct hist_ask){.is_from_inside = true});
}

enum err hist_open(struct block_cache *blocks, const struct sip_msg *m, const struct hist_ask *ask,
		   struct hist **out, bool *is_ours)
{
	*out = NULL;
	*is_ours = ask->mode != HIST_OFF && !m->to_tag.n && !is_too_long(m);
	if (!*is_ours || (ask->mode == HIST_ASKED && ask->n_ways < 2 && !hist_is_asked(m)))
		return OK;
	*out = hist_new(blocks, m, ask);
	return *out ? OK : ERR_NOMEM;
}

void hist_free(struct block_cache *blocks, struct hist *h)
{
	if (!h)
		return;
	arena_fini(&h->mem);
	block_put(blocks, h);
}

/* ---- targets --------------------------------------------------------------------------------- */

struct hist_row *hist_target(struct hist *h, size_t way, struct str uri, enum hist_by by,
			     bool is_outside)
{
	struct hist_row *up = h && way < h->n_ways ? h->ways[way] : NULL;
	if (!up)
		return NULL;
	bool is_it = !uri.n || str_eq(str_cut(uri, '?', &(struct str){0}), up->uri);
	struct hist_row *r = is_it && way ? up : make(h, up, uri.n ? uri : up->uri, by);
	if (r)
		r->is_outside = is_outside;
	return r;
}

struct hist_row *hist_redirected(struct hist *h, struct hist_row *from, struct str contact,
				 struct str params, bool is_outside)
{
	struct hist_row *r = h && from ? make(h, from->up, contact, HIST_NO) : NULL;
	struct str value;
	if (!r)
		return NULL;
	bool is_mp = sip_param(params, STR("mp"), &value);
	if (is_mp || sip_param(params, STR("rc"), &value))
		r->params = arena_fmt(&h->mem, ";%s=" STR_FMT, is_mp ? "mp" : "rc", STR_ARG(value));
	r->is_outside = is_outside;
	return r;
}

struct hist_row *hist_below(struct hist *h, struct hist_row *up, struct str uri)
{
	struct hist_row *r = h ? make(h, up, uri, HIST_RC) : NULL;
	if (r)
		r->is_outside = false;
	return r;
}

static void escape(struct buf *b, struct str s)
{
	static const struct str plain = STR_INIT("-_.!~*'()");
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool is_plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
				str_chr(plain, (char)c) != SIZE_MAX;
		if (is_plain)
			buf_chr(b, (char)c);
		else
			buf_fmt(b, "%%%02X", c);
	}
}

/* Why it is left, in its URI: the status, unless a Reason of the response has it with a text, and
 * the response's Reasons. [RFC7044 10.2] */
static void add_reason(struct hist *h, struct hist_row *r, const struct sip_msg *m, unsigned status)
{
	char mem[MAX_REASONS + 32];
	struct buf b;
	struct sip_iter it = {0};
	struct str v;
	struct sip_reason reason;
	bool has_status = false;
	if (r->is_answered || !str_istarts(r->uri, STR("sip")))
		return;
	r->is_answered = true;
	buf_init_fixed(&b, mem, sizeof(mem));
	while (m && sip_each(m, SIP_HDR_REASON, &it, &v)) {
		size_t at = b.n;
		buf_str(&b, STR("&Reason="));
		escape(&b, v);
		if (b.err || b.n > MAX_REASONS) { /* more than anybody means to say */
			b.n = at;
			b.err = OK;
		} else if (sip_reason_parse(v, &reason) == OK) {
			has_status |=
				str_ieq(reason.protocol, STR("SIP")) && reason.cause == status;
		}
	}
	struct str more = buf_view(&b);
	r->headers =
		has_status ? arena_fmt(&h->mem, STR_FMT STR_FMT, STR_ARG(r->headers), STR_ARG(more))
			   : arena_fmt(&h->mem, STR_FMT "&Reason=SIP%%3Bcause%%3D%u" STR_FMT,
				       STR_ARG(r->headers), status, STR_ARG(more));
	if (r->headers.n && r->headers.p[0] == '&')
		r->headers = str_skip(r->headers, 1);
	r->value = STR_NONE;
}

void hist_start(struct hist *h, struct hist_row *r)
{
	if (!h || !r || r->index.n || !r->up)
		return;
	hist_start(h, r->up); /* as deep as forwards lead: policy/plan.c */
	struct str up = r->up->index, given = r->params;
	if (up.n > MAX_INDEX)
		return;
	r->index =
		arena_fmt(&h->mem, STR_FMT "%s%u", STR_ARG(up), up.n ? "." : "", ++r->up->n_below);
	const char *by = str_eq(r->uri, r->up->uri) ? "np" : r->by == HIST_MP ? "mp" : "rc";
	if (r->by == HIST_NO)
		r->params = arena_fmt(&h->mem, ";index=" STR_FMT STR_FMT, STR_ARG(r->index),
				      STR_ARG(given));
	else
		r->params = arena_fmt(&h->mem, ";index=" STR_FMT ";%s=" STR_FMT, STR_ARG(r->index),
				      by, STR_ARG(up));
	if (r->cause)
		add_reason(h, r->up, NULL, r->cause);
	if (h->is_private && !r->is_outside)
		r->headers = STR("Privacy=history");
	if (r->index.n && r->params.n)
		place(h, r);
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* The entry that a response to r shows again. Beyond r two may have the same index: forks of who
 * knows no History-Info. [RFC7044 9.3] */
static struct hist_row *find(struct hist *h, const struct hist_row *r, const struct hist_row *is)
{
	bool is_beyond = is_below(is->index, r->index);
	for (struct hist_row *k = h->first; k; k = k->next)
		if (str_eq(k->index, is->index) && (!is_beyond || is_same_uri(k->uri, is->uri)))
			return k;
	return NULL;
}

static bool copy(struct hist *h, struct hist_row *to, const struct hist_row *from)
{
	to->value = arena_str(&h->mem, from->value);
	struct hist_row r;
	if (read_row(to->value, &r) != OK)
		return false;
	to->index = r.index;
	to->uri = r.uri;
	to->headers = r.headers;
	to->params = r.params;
	return true;
}

static bool asks_for_privacy(struct str headers)
{
	struct str name, value;
	while (hist_header_next(&headers, &name, &value))
		if (str_ieq(name, STR("Privacy")) && str_ifind(value, STR("history")) != SIZE_MAX)
			return true;
	return false;
}

/* What the response tells of its way beyond r; the last one there may not want to be named
 * [RFC7044 9.3 step 3, 10.1.1]. */
static void take_response(struct hist *h, struct hist_row *r, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v;
	struct hist_row is;
	while (sip_each(m, SIP_HDR_HISTORY_INFO, &it, &v)) {
		if (read_row(v, &is) != OK || !is.index.n || is.index.n > MAX_INDEX)
			continue;
		struct hist_row *old = find(h, r, &is);
		if (old == r && !r->is_answered && asks_for_privacy(is.headers))
			r->headers = STR("Privacy=history");
		if (old && !old->is_mine && !old->has_come) { /* it may have a Reason now */
			(void)copy(h, old, &is);
			continue;
		}
		struct hist_row *fresh = old ? NULL : new_row(h);
		if (!fresh || !copy(h, fresh, &is))
			continue;
		fresh->is_kept = fresh->is_answered = true;
		fresh->is_outside = r->is_outside;
		place(h, fresh);
	}
}

void hist_hear(struct hist *h, struct hist_row *r, const struct sip_msg *m, unsigned status)
{
	if (!h || !r || !r->index.n || status == 100)
		return;
	for (struct hist_row *up = r; up; up = up->up)
		up->is_kept = true;
	if (m)
		take_response(h, r, m);
	if (status >= 300)
		add_reason(h, r, m, status);
}
