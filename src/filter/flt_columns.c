/* What -T fields and -T json print of a frame, with tshark's settings of -E. */
#include "filter/flt.h"

#include <time.h>

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

/* One field of the array, eight columns in; `comma` where one stands before it. */
static bool put_member(struct buf *b, const struct flt_columns *c, const struct flt_field *f,
		       const struct cap_frame *fr, bool has_comma)
{
	struct flt_val v[FLT_MAX_VALUES];
	unsigned at, n = chosen(c, flt_field_get(f, fr, v), &at);
	struct buf text;
	if (!n)
		return has_comma;
	buf_init(&text);
	buf_fmt(b, "%s\n        \"" STR_FMT "\": [", has_comma ? "," : "", STR_ARG(f->name));
	for (unsigned k = 0; k < n; k++) {
		buf_clear(&text);
		flt_val_put(&text, f, &v[at + k]);
		buf_str(b, k ? STR(",\n          ") : STR("\n          "));
		buf_json(b, buf_view(&text));
	}
	buf_str(b, STR("\n        ]"));
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
	return true;
}

void flt_columns_put_array(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr,
			   uint32_t *n_put)
{
	char day[16] = "";
	struct tm tm;
	time_t t = (time_t)(fr->rec.at_ns / 1'000'000'000);
	bool has_comma = false;
	if (localtime_r(&t, &tm))
		strftime(day, sizeof day, "%Y-%m-%d", &tm);
	buf_fmt(b,
		"%s\n  {\n    \"_index\": \"packets-%s\",\n    \"_type\": \"doc\",\n"
		"    \"_score\": null,\n    \"_source\": {\n      \"layers\": {",
		(*n_put)++ ? "," : "[", day);
	for (size_t i = 0; i < c->n; i++)
		has_comma = put_member(b, c, c->fields[i], fr, has_comma);
	buf_str(b, has_comma ? STR("\n      }\n    }\n  }") : STR("}\n    }\n  }"));
}

void flt_columns_end_array(struct buf *b, uint32_t n_put)
{
	buf_str(b, n_put ? STR("\n]\n") : STR("[]\n"));
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
