/* What lies in the data folder: accounts and call records, read and changed by the API's own
 * handles. They block, but nobody but the API's thread waits. A change is answered when the
 * exchange has it in force, so that a phone that is given its password a moment later can register.
 */
#include "web/web_priv.h"

#include "admin/when.h"
#include "service/accounts.h"

#include <jansson.h>
#include <string.h>

/* ---- lists ----------------------------------------------------------------------------------- */

struct page {
	struct web_req *r;
	struct str key, filter;
	uint64_t skip, left;
	bool is_more;
	size_t n_rows;
};

static bool add_row(struct page *p, const struct adm_row *row)
{
	if ((p->key.n && !str_eq(adm_key(row), p->key)) || !adm_row_has(row, p->filter))
		return true;
	if (p->skip) {
		p->skip--;
		return true;
	}
	if (!p->left) {
		p->is_more = true;
		return false;
	}
	p->left--;
	if (p->n_rows++)
		buf_chr(&p->r->out, ',');
	adm_put_row(&p->r->out, row, ADM_AS_JSON);
	return true;
}

static bool on_account(void *arg, const struct st_account *a)
{
	struct adm_row row;
	adm_row_of_account(&row, a);
	return add_row(arg, &row);
}

static bool on_cdr(void *arg, const struct st_cdr *cdr)
{
	struct adm_row row;
	adm_row_init(&row, ADM_cdr);
	memcpy(row.v, cdr->v, sizeof(cdr->v));
	return add_row(arg, &row);
}

static enum err list_cdrs(struct web_req *r, struct page *p)
{
	struct st_cdr_filter f = {.user = web_param(r, "user"),
				  .call_id = p->key,
				  .session_id = web_param(r, "session_id")};
	struct str since = web_param(r, "since"), until = web_param(r, "until");
	uint64_t now_us = env_wall_us(r->web->env);
	if ((since.n && !adm_when_parse(since, now_us, &f.since_us)) ||
	    (until.n && !adm_when_parse(until, now_us, &f.until_us)))
		return ERR_SYNTAX;
	if (!p->filter.n) { /* the database skips faster than we do */
		f.skip = p->skip;
		p->skip = 0;
	}
	return st_cdrs_each(r->web->cdrs, &f, on_cdr, p);
}

void here_list(struct web_req *r, enum adm_kind k, struct str key)
{
	struct page p = {.r = r, .key = key, .filter = web_param(r, "filter")};
	p.skip = key.n ? 0 : r->skip;
	p.left = key.n ? 1 : r->limit;
	enum err e =
		k == ADM_account ? st_accounts_each(r->web->st, on_account, &p) : list_cdrs(r, &p);
	if (!key.n)
		buf_chr(&r->out, ']');
	if (!key.n && p.is_more)
		buf_fmt(&r->out, ",\"next\":%llu", (unsigned long long)r->skip + r->limit);
	if (!key.n)
		buf_str(&r->out, STR("}\n"));
	if (e == ERR_SYNTAX)
		web_problem(r, 400,
			    "since and until want 90m, 2h, 7d, 2026-11-27[T08:30[Z]], or seconds "
			    "since 1970");
	else if (e)
		web_problem(r, 500, "the data folder cannot be read: %s", err_text(e));
	else if (key.n && !p.n_rows)
		web_problem(r, 404, "there is no %s `" STR_FMT "`", adm_object(k)->one,
			    STR_ARG(key));
	else
		web_reply(r, 200, "application/json");
}

/* ---- changes --------------------------------------------------------------------------------- */

struct wish { /* what a body asks for; strings are the JSON's */
	json_t *json;
	const char *name, *password;
	int enabled; /* -1: not said */
};

json_t *web_body_object(struct web_req *r)
{
	json_error_t error;
	json_t *json = json_loadb(r->body.n ? r->body.p : "", r->body.n, 0, &error);
	if (json_is_object(json))
		return json;
	web_problem(r, 400, "the body is no JSON object%s%s", json ? "" : ": ",
		    json ? "" : error.text);
	json_decref(json);
	return NULL;
}

/* False: answered. */
static bool read_wish(struct web_req *r, bool has_name, struct wish *w)
{
	const char *key;
	json_t *v;
	*w = (struct wish){.json = web_body_object(r), .enabled = -1};
	if (!w->json)
		return false;
	json_object_foreach(w->json, key, v)
	{
		if (has_name && strcmp(key, "name") == 0 && json_is_string(v)) {
			w->name = json_string_value(v);
		} else if (strcmp(key, "password") == 0 && json_is_string(v)) {
			w->password = json_string_value(v);
		} else if (strcmp(key, "enabled") == 0 && json_is_boolean(v)) {
			w->enabled = json_is_true(v);
		} else {
			web_problem(r, 400,
				    "`%.64s` is not expected there: %spassword (texts), enabled "
				    "(true, false)",
				    key, has_name ? "name, " : "");
			json_decref(w->json);
			return false;
		}
	}
	return true;
}

/* The given password or a made one, into `out`; false: answered. */
static bool find_password(struct web_req *r, const struct wish *w, struct buf *out)
{
	struct buf why;
	if (!w->password) {
		acc_password_make(r->web->env, out);
		return true;
	}
	buf_init(&why);
	bool is_good = acc_password_check(str_c(w->password), &why) == OK;
	if (!is_good)
		web_problem(r, 400, STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	buf_str(out, str_c(w->password));
	return is_good;
}

static void store_failed(struct web_req *r)
{
	web_problem(r, 500, STR_FMT, STR_ARG(st_why(r->web->st)));
}

static void put_account(struct buf *b, const struct st_account *a, struct str made)
{
	buf_str(b, STR("{\"name\":"));
	buf_json(b, a->user);
	buf_fmt(b, ",\"enabled\":%s", a->is_enabled ? "true" : "false");
	if (made.n) {
		buf_str(b, STR(",\"password\":"));
		buf_json(b, made);
	}
	buf_str(b, STR("}\n"));
}

/* Stores the account, with a new password when there is one. */
static void store(struct web_req *r, const struct wish *w, struct st_account *a, bool is_new)
{
	char mem[600];
	struct buf password;
	buf_init_fixed(&password, mem, sizeof(mem));
	if (is_new || w->password) {
		if (!find_password(r, w, &password))
			return;
		acc_set_password(a, buf_view(&r->web->realm), buf_view(&password));
	}
	if (w->enabled >= 0)
		a->is_enabled = w->enabled;
	a->changed_s = env_wall_us(r->web->env) / 1'000'000;
	enum err e = st_account_put(r->web->st, a, is_new ? ST_ADD : ST_REPLACE);
	if (e == ERR_STATE && is_new) {
		web_problem(r, 409, "account `" STR_FMT "` exists already", STR_ARG(a->user));
	} else if (e) {
		store_failed(r);
	} else {
		put_account(&r->out, a, w->password ? STR_NONE : buf_view(&password));
		api_reload(r, is_new ? 201 : 200);
	}
}

void here_account_add(struct web_req *r)
{
	struct wish w;
	struct buf why;
	if (!read_wish(r, true, &w))
		return;
	struct st_account a = {.user = str_c(w.name), .is_enabled = true};
	buf_init(&why);
	if (acc_name_check(a.user, &why) != OK)
		web_problem(r, 400, "name: " STR_FMT, STR_ARG(buf_view(&why)));
	else
		store(r, &w, &a, true);
	buf_fini(&why);
	json_decref(w.json);
}

static void no_such(struct web_req *r, struct str name, enum err e)
{
	if (e == ERR_NOTFOUND)
		web_problem(r, 404, "there is no account `" STR_FMT "`", STR_ARG(name));
	else
		store_failed(r);
}

void here_account_change(struct web_req *r, struct str name)
{
	struct wish w;
	struct st_account a;
	if (!read_wish(r, false, &w))
		return;
	enum err e = st_account_get(r->web->st, name, &a);
	if (e)
		no_such(r, name, e);
	else
		store(r, &w, &a, false);
	json_decref(w.json);
}

void here_account_delete(struct web_req *r, struct str name)
{
	enum err e = st_account_del(r->web->st, name);
	if (e)
		no_such(r, name, e);
	else
		api_reload(r, 204);
}
