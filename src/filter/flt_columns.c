/* What -T fields and -T json print of a frame, with tshark's settings of -E. */
#include "filter/flt.h"

bool flt_columns_set(struct flt_columns *c, struct str setting, struct buf *why)
{
	struct str v, name = str_cut(setting, '=', &v);
	char one = v.n == 1 ? v.p[0] : '\0';
	if (str_eq(v, STR("/t")))
		one = '\t';
	else if (str_eq(v, STR("/s")))
		one = ' ';
	bool is_flag = one == 'y' || one == 'n';
	if (str_eq(name, STR("header")) && is_flag) {
		c->has_header = one == 'y';
		return true;
	}
	if (str_eq(name, STR("separator")) && one) {
		c->separator = one;
		return true;
	}
	if (str_eq(name, STR("aggregator")) && one) {
		c->aggregator = one;
		return true;
	}
	if (str_eq(name, STR("occurrence")) && (one == 'f' || one == 'l' || one == 'a')) {
		c->occurrence = one;
		return true;
	}
	if (str_eq(name, STR("quote")) && (one == 'd' || one == 's' || one == 'n')) {
		c->quote = one == 'd' ? '"' : one == 's' ? '\'' : '\0';
		return true;
	}
	buf_fmt(why,
		"`" STR_FMT "` is no setting of -E: header=y|n, separator=C (/t tab, /s space), "
		"aggregator=C, occurrence=f|l|a, quote=d|s|n",
		STR_ARG(setting));
	return false;
}

/* Which of n values are printed: from *at on, how many. */
static unsigned chosen(const struct flt_columns *c, unsigned n, unsigned *at)
{
	*at = c->occurrence == 'l' && n ? n - 1 : 0;
	return n && c->occurrence != 'a' ? 1 : n;
}

static void put_quote(struct buf *b, const struct flt_columns *c)
{
	if (c->quote)
		buf_chr(b, c->quote);
}

void flt_columns_head(struct buf *b, const struct flt_columns *c)
{
	for (size_t i = 0; c->has_header && i < c->n; i++) {
		if (i)
			buf_chr(b, c->separator);
		buf_str(b, c->fields[i]->name);
	}
	if (c->has_header)
		buf_chr(b, '\n');
}

/* A line end in a value would end the line; tshark writes it as an escape. */
static void put_text(struct buf *b, struct str s)
{
	static const char from[] = "\a\b\f\n\r\t\v", to[] = "abfnrtv";
	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(from, s.p[i]) : NULL;
		if (at)
			buf_chr(b, '\\');
		buf_chr(b, at ? to[at - from] : s.p[i]);
	}
}

static void put_value(struct buf *b, const struct flt_field *f, const struct flt_val *v)
{
	if (f->type == FLT_STR)
		put_text(b, v->s);
	else
		flt_val_put(b, f, v);
}

void flt_columns_put(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr)
{
	struct flt_val v[FLT_MAX_VALUES];
	for (size_t i = 0; i < c->n; i++) {
		unsigned at, n = chosen(c, flt_field_get(c->fields[i], fr, v), &at);
		if (i)
			buf_chr(b, c->separator);
		if (n)
			put_quote(b, c);
		for (unsigned k = 0; k < n; k++) {
			if (k)
				buf_chr(b, c->aggregator);
			put_value(b, c->fields[i], &v[at + k]);
		}
		if (n)
			put_quote(b, c);
	}
	buf_chr(b, '\n');
}

void flt_columns_json(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr)
{
	struct flt_val v[FLT_MAX_VALUES];
	struct buf text;
	const char *comma = "";
	buf_init(&text);
	buf_chr(b, '{');
	for (size_t i = 0; i < c->n; i++) {
		unsigned at, n = chosen(c, flt_field_get(c->fields[i], fr, v), &at);
		if (!n)
			continue;
		buf_fmt(b, "%s\"" STR_FMT "\":[", comma, STR_ARG(c->fields[i]->name));
		comma = ",";
		for (unsigned k = 0; k < n; k++) {
			buf_clear(&text);
			flt_val_put(&text, c->fields[i], &v[at + k]);
			buf_str(b, k ? STR(",") : STR_NONE);
			buf_json(b, buf_view(&text));
		}
		buf_chr(b, ']');
	}
	buf_str(b, STR("}\n"));
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
}
