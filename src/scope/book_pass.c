/* One pass over the records of a file, for tests that rows cannot answer.
 *
 * The bytes of a frame are those of its record. A header line of a plain row can be found by its
 * name: such a message was skimmed, so its lines end in CR LF and none is folded. That is several
 * times faster than to take the frame apart and to index the message, and since the filter's own
 * evaluator is asked about the values, no less exact.
 *
 * A text that every fitting value contains is looked for first: most records do not have it.
 *
 * Invariant: plain rows and records rise together; a plain row's message lies in the record of its
 * frame.
 */
#include "scope/book_pass.h"

#include "base/hash.h"
#include "scope/book_scan.h"
#include "sip/chars.h"
#include "sip/tables.h"

#include <string.h>

#define MAX_NAME  40u
#define N_ANSWERS 32u
#define MAX_VALUE 64u /* of one whose answer is remembered */

struct answer {
	uint32_t n; /* 0: none yet */
	bool fits;
	char value[MAX_VALUE];
};

struct pass {
	const struct flt_node *n;
	bool is_of_frame;
	struct str first; /* looked for first; may be empty */
	char name[MAX_NAME + 1];
	/* of the record */
	struct str frame, message;
	const char *at; /* where `first` stands */
	struct flt_val values[FLT_MAX_VALUES];
	unsigned n_values;
	struct answer answers[N_ANSWERS];
};

static bool has_short_name(enum sip_hdr_id id)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	for (const char *c = letters; *c; c++)
		if (sip_hdr_find(str_of(c, 1)) == id)
			return true;
	return false;
}

static bool is_of_frame(const struct flt_node *n)
{
	return str_eq(n->left->field->name, STR("frame"));
}

bool book_can_pass(const struct flt_node *n)
{
	bool is_usual =
		n->kind == NODE_EXISTS || (n->kind == NODE_TEST && n->right->kind == TERM_LITERAL);
	if (!is_usual || n->left->kind != TERM_FIELD || n->left->spans)
		return false;
	enum sip_hdr_id id = flt_header_of(n->left->field);
	return is_of_frame(n) || (id && !has_short_name(id) && sip_hdr_name(id).n < MAX_NAME);
}

static void begin(struct pass *p, const struct flt_node *n)
{
	*p = (struct pass){.n = n, .is_of_frame = is_of_frame(n)};
	if (!p->is_of_frame) {
		struct buf b;
		buf_init_fixed(&b, p->name, sizeof p->name);
		buf_chr(&b, '\n');
		buf_str(&b, sip_hdr_name(flt_header_of(n->left->field)));
		p->first = buf_view(&b);
	} else if (n->kind == NODE_TEST && n->op == OP_CONTAINS) {
		p->first = flt_bytes(n->right->type, &n->right->lit);
	}
}

/* The value behind the name of a line, or a NULL pointer when the name goes on. */
static struct str value_at(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	if (p == end || *p != ':')
		return STR_NONE;
	const char *eol = memchr(p, '\r', (size_t)(end - p));
	p = cc_skip_ws(p + 1, end);
	return eol && p <= eol ? str_of(p, (size_t)(cc_trim_end(p, eol) - p)) : str_of(end, 0);
}

/* The lines of the header that the test is about. */
static void read_values(struct pass *p)
{
	const char *at = p->at, *end = p->message.p + p->message.n;
	p->n_values = 0;
	for (; at && p->n_values < FLT_MAX_VALUES; at = book_line_find(at, end, p->first)) {
		at += p->first.n;
		struct str v = value_at(at, end);
		if (v.p)
			p->values[p->n_values++] = (struct flt_val){.s = v, .layer = 1};
	}
}

static unsigned get(void *arg, const struct flt_field *f, struct flt_val *out)
{
	const struct pass *p = arg;
	(void)f;
	memcpy(out, p->values, p->n_values * sizeof *out);
	return p->n_values;
}

/* Of most headers a capture holds few values, again and again. */
static bool header_fits(struct finding *x, struct pass *p)
{
	read_values(p);
	struct str v = p->n_values == 1 ? p->values[0].s : STR_NONE;
	if (!v.n || v.n > MAX_VALUE)
		return flt_node_match_from(x->f, p->n, get, p);
	struct answer *a = &p->answers[hash_quick32(v) % N_ANSWERS];
	if (!str_eq(str_of(a->value, a->n), v)) {
		a->n = (uint32_t)v.n;
		memcpy(a->value, v.p, v.n);
		a->fits = flt_node_match_from(x->f, p->n, get, p);
	}
	return a->fits;
}

static bool fits(struct finding *x, struct pass *p)
{
	struct str s = p->is_of_frame ? p->frame : p->message;
	if (p->first.n) {
		const char *end = s.p + s.n;
		p->at = p->is_of_frame ? book_text_find(s.p, end, p->first, false)
				       : book_line_find(s.p, end, p->first);
		if (!p->at)
			return false;
	}
	if (!p->is_of_frame)
		return header_fits(x, p);
	p->values[0] = (struct flt_val){.s = p->frame, .u = p->frame.n, .layer = 1};
	p->n_values = 1;
	return flt_node_match_from(x->f, p->n, get, p);
}

enum err book_pass(struct finding *x, const struct flt_node *n, uint64_t *rows)
{
	const struct trk *t = x->b->trk;
	struct cap_rec r = {0};
	struct cap *c = NULL;
	struct buf why;
	struct pass p;
	begin(&p, n);
	buf_init(&why);
	enum err e = cap_again(x->b->cap, &c, &why);
	buf_fini(&why);
	for (uint32_t row = 0; !e && row < x->n; row++) {
		const struct trk_ev *ev = trk_ev(t, row + 1);
		if (!ev->is_plain)
			continue;
		do
			e = cap_next(c, &r) ? OK : ERR_IO;
		while (!e && r.no < ev->frame_no);
		if (e || ev->file_off < r.off || ev->file_off + ev->n_bytes > r.off + r.n) {
			e = ERR_IO; /* the file is another one by now */
			break;
		}
		p.frame = str_of((const char *)r.p, r.n);
		p.message = str_of((const char *)r.p + (ev->file_off - r.off), ev->n_bytes);
		rows[row / 64] |= (uint64_t)fits(x, &p) << row % 64;
	}
	cap_close(c);
	return e;
}
