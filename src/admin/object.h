#pragma once
/* The object model of administration: kinds of objects and their fields (objects.def), rows of
 * them, and every form in which rows leave: text in columns, JSON, CSV. The same for the control
 * socket, the commands and the API. */

#include "base/buf.h"
#include "store/cdr.h"
#include "store/store.h"

#define OBJECT(id, one, many, key, where, what, doc) ADM_##id,
#define FIELD(object, name, type, width, doc)
enum adm_kind {
#include "admin/objects.def"
	ADM__N
};
#undef OBJECT
#undef FIELD
/* ADM_F_call_state and so on, numbered through; ADM_F_call is the first of its kind. */
#define OBJECT(id, one, many, key, where, what, doc) ADM_F_##id, ADM_BACK_##id = ADM_F_##id - 1,
#define FIELD(object, name, type, width, doc)        ADM_F_##object##_##name,
enum adm_field_id {
#include "admin/objects.def"
	ADM_F__N
};
#undef OBJECT
#undef FIELD

enum adm_type { ADM_TEXT, ADM_COUNT, ADM_TIME, ADM_SPAN, ADM_FLAG };
enum adm_where { ADM_SHARDS, ADM_SCOPE, ADM_HERE };

struct adm_field {
	const char *name;
	enum adm_type type;
	unsigned width; /* columns on a terminal; 0: not shown in a list there */
	const char *doc;
};
struct adm_object {
	const char *one, *many; /* "call", "calls" */
	enum adm_field_id key;  /* the field that names an object */
	enum adm_where where;
	const char *what; /* letters of objects.def */
	const char *doc;
	enum adm_field_id first;
};
const struct adm_object *adm_object(enum adm_kind k);
const struct adm_field *adm_fields(enum adm_kind k, size_t *n);
bool adm_kind_find(struct str plural, enum adm_kind *out);
bool adm_may(enum adm_kind k, char what);

#define ADM_FIELDS_MAX 32
struct adm_row { /* texts are borrowed */
	enum adm_kind kind;
	struct st_val v[ADM_FIELDS_MAX];
};
void adm_row_init(struct adm_row *r, enum adm_kind k);               /* all fields unset */
void adm_text(struct adm_row *r, enum adm_field_id f, struct str s); /* empty: stays unset */
void adm_number(struct adm_row *r, enum adm_field_id f, uint64_t n);
const struct st_val *adm_value(const struct adm_row *r, enum adm_field_id f);
/* The account as an object; its texts are those of `a`. */
void adm_row_of_account(struct adm_row *r, const struct st_account *a);
struct str adm_key(const struct adm_row *r);
/* Some text of the row contains `part`, in any case; empty: true. */
bool adm_row_has(const struct adm_row *r, struct str part);

enum adm_format { ADM_AS_TEXT, ADM_AS_JSON, ADM_AS_CSV, ADM_AS_SHEET, ADM__FORMATS };
bool adm_format_find(struct str name, enum adm_format *out); /* "text", "json", "csv", "sheet" */
const char *adm_format_name(enum adm_format f);
/* The heading of a listing; JSON and sheets have none. */
void adm_put_head(struct buf *b, enum adm_kind k, enum adm_format f);
/* One row with its line end: columns, an object, a record [RFC4180]; or a sheet: all fields below
 * each other, each with its name. */
void adm_put_row(struct buf *b, const struct adm_row *r, enum adm_format f);
/* A paragraph per kind with its fields, for the manual. */
void adm_put_help(struct buf *b, enum adm_kind k);
