/* The table of objects.def, and the forms of its rows.
 *
 * What a peer said (names, agents, reasons) is masked for a terminal and quoted for JSON and
 * spreadsheets here, so that no caller can forget it. Times are µs inside, RFC 3339 in UTC outside,
 * and local without a zone in the columns for people. */
#include "admin/object.h"

#include "base/assert.h"
#include "scope/view.h"

#include <time.h>

static const struct adm_object objects[ADM__N] = {
#define OBJECT(id, one, many, key, where, what, doc)                                               \
	[ADM_##id] = {one, many, ADM_F_##id##_##key, ADM_##where, what, doc, ADM_F_##id},
#define FIELD(object, name, type, width, doc)
#include "admin/objects.def"
#undef OBJECT
#undef FIELD
};

static const struct adm_field fields[ADM_F__N] = {
#define OBJECT(id, one, many, key, where, what, doc)
#define FIELD(object, name, type, width, doc)                                                      \
	[ADM_F_##object##_##name] = {#name, ADM_##type, width, doc},
#include "admin/objects.def"
#undef OBJECT
#undef FIELD
};

/* A column of a terminal is at least this far from the next. */
#define GAP 2

const struct adm_object *adm_object(enum adm_kind k)
{
	return &objects[k];
}

const struct adm_field *adm_fields(enum adm_kind k, size_t *n)
{
	size_t end = k + 1 < ADM__N ? (size_t)objects[k + 1].first : (size_t)ADM_F__N;
	*n = end - objects[k].first;
	return &fields[objects[k].first];
}

bool adm_kind_find(struct str plural, enum adm_kind *out)
{
	for (size_t k = 0; k < ADM__N; k++) {
		*out = (enum adm_kind)k;
		if (str_eq(plural, str_c(objects[k].many)))
			return true;
	}
	return false;
}

bool adm_may(enum adm_kind k, char what)
{
	return str_chr(str_c(objects[k].what), what) != SIZE_MAX;
}

/* ---- rows ------------------------------------------------------------------------------------ */

void adm_row_init(struct adm_row *r, enum adm_kind k)
{
	*r = (struct adm_row){.kind = k};
}

static struct st_val *value(struct adm_row *r, enum adm_field_id f)
{
	size_t i = (size_t)f - (size_t)objects[r->kind].first;
	ASSERT(i < ADM_FIELDS_MAX);
	return &r->v[i];
}

void adm_text(struct adm_row *r, enum adm_field_id f, struct str s)
{
	*value(r, f) = (struct st_val){.s = s, .is_set = s.n > 0};
}

void adm_number(struct adm_row *r, enum adm_field_id f, uint64_t n)
{
	*value(r, f) = (struct st_val){.n = n, .is_set = true};
}

void adm_row_of_account(struct adm_row *r, const struct st_account *a)
{
	adm_row_init(r, ADM_account);
	adm_text(r, ADM_F_account_name, a->user);
	adm_number(r, ADM_F_account_enabled, a->is_enabled);
	adm_number(r, ADM_F_account_changed, a->changed_s * 1'000'000);
}

const struct st_val *adm_value(const struct adm_row *r, enum adm_field_id f)
{
	return &r->v[(size_t)f - (size_t)objects[r->kind].first];
}

struct str adm_key(const struct adm_row *r)
{
	return adm_value(r, objects[r->kind].key)->s;
}

bool adm_row_has(const struct adm_row *r, struct str part)
{
	size_t n;
	(void)adm_fields(r->kind, &n);
	for (size_t i = 0; i < n; i++)
		if (!part.n || (r->v[i].s.n && str_ifind(r->v[i].s, part) != SIZE_MAX))
			return true;
	return false;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void put_local_time(struct buf *b, uint64_t us)
{
	time_t s = (time_t)(us / 1'000'000);
	struct tm tm;
	localtime_r(&s, &tm);
	buf_fmt(b, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_plain(struct buf *b, const struct adm_field *f, const struct st_val *v)
{
	if (!v->is_set)
		return;
	switch (f->type) {
	case ADM_TEXT:
		buf_plain(b, v->s);
		return;
	case ADM_COUNT:
		buf_u64(b, v->n);
		return;
	case ADM_TIME:
		put_local_time(b, v->n);
		return;
	case ADM_SPAN:
		buf_fmt(b, "%.3f", (double)v->n / 1e6);
		return;
	case ADM_FLAG:
		buf_str(b, v->n ? STR("yes") : STR("no"));
		return;
	}
}

static void put_csv(struct buf *b, const struct adm_field *f, const struct st_val *v)
{
	if (v->is_set && f->type == ADM_TEXT)
		view_csv_text(b, v->s);
	else if (v->is_set && f->type == ADM_TIME)
		view_put_time(b, v->n);
	else
		put_plain(b, f, v);
}

static void put_json(struct buf *b, const struct adm_field *f, const struct st_val *v)
{
	if (f->type == ADM_TEXT) {
		buf_json(b, v->s);
	} else if (f->type == ADM_TIME) {
		buf_chr(b, '"');
		view_put_time(b, v->n);
		buf_chr(b, '"');
	} else if (f->type == ADM_FLAG) {
		buf_str(b, v->n ? STR("true") : STR("false"));
	} else {
		put_plain(b, f, v);
	}
}

/* ---- rows, written --------------------------------------------------------------------------- */

/* Characters on the terminal, as near as it matters: bytes that begin one. */
static size_t columns_of(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void pad(struct buf *b, size_t from, unsigned width)
{
	size_t n = b->err == OK ? columns_of(str_skip(buf_view(b), from)) : 0;
	buf_fill(b, ' ', (n < width ? width - n : 0) + GAP);
}

/* Without what a last empty column would leave behind. */
static void end_line(struct buf *b)
{
	while (b->err == OK && b->n && b->p[b->n - 1] == ' ')
		b->n--;
	buf_chr(b, '\n');
}

static void put_columns(struct buf *b, const struct adm_row *r)
{
	size_t n;
	const struct adm_field *f = adm_fields(r->kind, &n);
	for (size_t i = 0; i < n; i++) {
		size_t from = b->n;
		if (!f[i].width)
			continue;
		put_plain(b, &f[i], &r->v[i]);
		pad(b, from, f[i].width);
	}
	end_line(b);
}

static void put_object(struct buf *b, const struct adm_row *r)
{
	size_t n;
	const struct adm_field *f = adm_fields(r->kind, &n);
	char sep = '{';
	for (size_t i = 0; i < n; i++) {
		if (!r->v[i].is_set)
			continue;
		buf_chr(b, sep);
		buf_json(b, str_c(f[i].name));
		buf_chr(b, ':');
		put_json(b, &f[i], &r->v[i]);
		sep = ',';
	}
	buf_str(b, sep == '{' ? STR("{}\n") : STR("}\n"));
}

static void put_record(struct buf *b, const struct adm_row *r)
{
	size_t n;
	const struct adm_field *f = adm_fields(r->kind, &n);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_chr(b, ',');
		put_csv(b, &f[i], &r->v[i]);
	}
	buf_str(b, STR("\r\n"));
}

static void put_sheet(struct buf *b, const struct adm_row *r)
{
	size_t n;
	const struct adm_field *f = adm_fields(r->kind, &n);
	for (size_t i = 0; i < n; i++) {
		if (!r->v[i].is_set)
			continue;
		buf_fmt(b, "%-14s  ", f[i].name);
		put_plain(b, &f[i], &r->v[i]);
		buf_chr(b, '\n');
	}
}

void adm_put_row(struct buf *b, const struct adm_row *r, enum adm_format f)
{
	static void (*const how[ADM__FORMATS])(struct buf *, const struct adm_row *) = {
		[ADM_AS_TEXT] = put_columns,
		[ADM_AS_JSON] = put_object,
		[ADM_AS_CSV] = put_record,
		[ADM_AS_SHEET] = put_sheet};
	how[f](b, r);
}

void adm_put_head(struct buf *b, enum adm_kind k, enum adm_format how)
{
	size_t n;
	const struct adm_field *f = adm_fields(k, &n);
	for (size_t i = 0; i < n && how == ADM_AS_CSV; i++)
		buf_fmt(b, "%s%s", i ? "," : "", f[i].name);
	if (how == ADM_AS_CSV)
		buf_str(b, STR("\r\n"));
	if (how != ADM_AS_TEXT)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t from = b->n;
		if (!f[i].width)
			continue;
		for (const char *p = f[i].name; *p; p++)
			buf_chr(b, *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p);
		pad(b, from, f[i].width);
	}
	end_line(b);
}

void adm_put_help(struct buf *b, enum adm_kind k)
{
	size_t n;
	const struct adm_field *f = adm_fields(k, &n);
	buf_fmt(b, "Fields of a %s (%s):\n", objects[k].one, objects[k].doc);
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "  %-14s %s\n", f[i].name, f[i].doc);
}

/* ---- formats --------------------------------------------------------------------------------- */

static const char *const formats[ADM__FORMATS] = {
	[ADM_AS_TEXT] = "text",
	[ADM_AS_JSON] = "json",
	[ADM_AS_CSV] = "csv",
	[ADM_AS_SHEET] = "sheet",
};

const char *adm_format_name(enum adm_format f)
{
	return formats[f];
}

bool adm_format_find(struct str name, enum adm_format *out)
{
	for (size_t i = 0; i < ADM__FORMATS; i++) {
		*out = (enum adm_format)i;
		if (str_eq(name, str_c(formats[i])))
			return true;
	}
	return false;
}
