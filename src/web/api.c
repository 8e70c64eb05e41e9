/* Which request is for what. Paths are /v1/KIND and /v1/KIND/KEY for every kind of
 * admin/objects.def, with what that kind allows; beside them /v1/reload, /v1/reload/confirmed,
 * /metrics, /healthz and /openapi.json.
 *
 * A list is a page: at most `limit` rows from `skip` on, gathered from the pieces of one question;
 * so what a request may take of memory is bounded by WEB_PAGE_MAX rows. */
#include "web/web_priv.h"

#include "admin/measure.h"
#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static const char json[] = "application/json";

/* ---- asking the exchange --------------------------------------------------------------------- */

static void answer_page(struct web_req *r, const struct adm_ask *q, struct str key)
{
	if (key.n && !q->n_rows) {
		web_problem(r, 404, "there is no %s `" STR_FMT "`", adm_object(q->kind)->one,
			    STR_ARG(key));
		return;
	}
	if (!key.n) {
		buf_str(&r->out, STR("]"));
		if (q->is_more)
			buf_fmt(&r->out, ",\"next\":%llu", (unsigned long long)r->skip + r->limit);
		buf_str(&r->out, STR("}\n"));
	}
	web_reply(r, 200, json);
}

/* Rows end with a line end each; an array has commas between them. */
static void add_rows(struct web_req *r, struct str rows, bool is_array)
{
	while (rows.n) {
		struct str row = str_cut(rows, '\n', &rows);
		bool is_first = r->out.n && r->out.p[r->out.n - 1] == '[';
		if (is_array && !is_first)
			buf_chr(&r->out, ',');
		buf_str(&r->out, row);
		if (!is_array)
			buf_chr(&r->out, '\n');
	}
}

/* What the exchange thinks of its configuration file, a line each. */
static void answer_notes(struct web_req *r, struct str lines)
{
	buf_str(&r->out, STR("{\"notes\":["));
	for (bool is_first = true; lines.n; is_first = false) {
		if (!is_first)
			buf_chr(&r->out, ',');
		buf_json(&r->out, str_cut(lines, '\n', &lines));
	}
	buf_str(&r->out, STR("]}\n"));
	web_reply(r, 200, json);
}

static void answer_end(struct web_req *r, struct adm_ask *q)
{
	static const unsigned statuses[] = {
		[ADM_DONE] = 200,         [ADM_NO_SUCH] = 404, [ADM_NOT_OURS] = 409,
		[ADM_NOT_POSSIBLE] = 405, [ADM_REFUSED] = 409, [ADM_FAILED] = 500};
	struct str text = buf_view(&q->out);
	if (q->result == ADM_REFUSED) {
		web_problem(r, 409, STR_FMT, STR_ARG(str_trim(text)));
	} else if (q->result == ADM_FAILED && q->verb == ADM_DO_ADD) {
		web_problem(r, 409, "%s", q->why);
	} else if (q->result != ADM_DONE) {
		web_problem(r, statuses[q->result], "%s", q->why);
	} else if (q->verb == ADM_DO_MEASURE) {
		adm_put_metrics(&r->out, q);
		web_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8");
	} else if (q->verb == ADM_DO_LIST) {
		answer_page(r, q, str_c(q->key));
	} else if (q->verb == ADM_DO_RECONFIGURE) {
		answer_notes(r, text);
	} else if (q->verb == ADM_DO_RELOAD && r->out.n) {
		web_reply(r, r->status, json);
	} else if (q->verb == ADM_DO_ADD) {
		web_reply(r, 201, json);
	} else {
		web_reply(r, 204, NULL);
	}
}

static void on_piece(struct adm_ask *q)
{
	struct web_req *r = q->ctx;
	if (!r) {
		adm_ask_free(q);
		return;
	}
	if (q->verb == ADM_DO_LIST)
		add_rows(r, buf_view(&q->out), !q->key[0]);
	if (!q->is_end) {
		adm_go_on(q);
		return;
	}
	r->ask = NULL;
	answer_end(r, q);
	adm_ask_free(q);
}

static void ask_with(struct web_req *r, enum adm_verb verb, enum adm_kind kind, struct str key,
		     struct str filter)
{
	struct adm_ask *q = adm_ask_new(r->web->cfg.adm, r->web->home);
	if (!q || !str_copy(q->key, sizeof(q->key), key) ||
	    !str_copy(q->filter, sizeof(q->filter), filter)) {
		adm_ask_free(q);
		web_problem(r, q ? 414 : 503,
			    q ? "a part of the path, query or body is too long"
			      : "not enough memory");
		return;
	}
	q->verb = verb;
	q->kind = kind;
	q->format = ADM_AS_JSON;
	q->skip = key.n ? 0 : r->skip;
	q->limit = key.n ? 0 : r->limit;
	q->on_piece = on_piece;
	q->ctx = r;
	r->ask = q;
	adm_ask(q);
}

static void ask(struct web_req *r, enum adm_verb verb, enum adm_kind kind, struct str key)
{
	ask_with(r, verb, kind, key, web_param(r, "filter"));
}

void api_ban(struct web_req *r, struct str who, uint64_t seconds, struct str reason)
{
	r->skip = 0;
	r->limit = seconds;
	buf_str(&r->out, STR("{\"address\":"));
	buf_json(&r->out, who);
	buf_str(&r->out, STR(",\"by_hand\":true}\n"));
	ask_with(r, ADM_DO_ADD, ADM_ban, who, reason);
}

void api_reload(struct web_req *r, unsigned status)
{
	r->status = status;
	ask(r, ADM_DO_RELOAD, ADM_account, STR_NONE);
}

#define CONFIRM_MAX_S 86400

static void reconfigure(struct web_req *r, bool is_confirmed)
{
	struct str confirm = web_param(r, "confirm");
	r->skip = r->limit = 0;
	if (confirm.n &&
	    (is_confirmed || !str_u64(confirm, &r->limit) || r->limit > CONFIRM_MAX_S)) {
		web_problem(r, 400, "confirm wants seconds, at most %u, and goes with /v1/reload",
			    CONFIRM_MAX_S);
		return;
	}
	ask(r, ADM_DO_RECONFIGURE, ADM_account, is_confirmed ? STR("confirmed") : STR_NONE);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static bool take_page(struct web_req *r)
{
	struct str skip = web_param(r, "skip"), limit = web_param(r, "limit");
	r->skip = 0;
	r->limit = WEB_PAGE;
	if ((skip.n && !str_u64(skip, &r->skip)) || (limit.n && !str_u64(limit, &r->limit)) ||
	    !r->limit || r->limit > WEB_PAGE_MAX) {
		web_problem(r, 400, "skip wants a number, limit one of 1 to %u", WEB_PAGE_MAX);
		return false;
	}
	return true;
}

static void get(struct web_req *r, enum adm_kind k, struct str key)
{
	if (!take_page(r))
		return;
	if (!key.n)
		buf_str(&r->out, STR("{\"items\":["));
	if (adm_object(k)->where == ADM_HERE)
		here_list(r, k, key);
	else
		ask(r, ADM_DO_LIST, k, key);
}

/* [RFC9110 15.5.6] */
static void not_allowed(struct web_req *r, const char *allow)
{
	snprintf(r->allow, sizeof(r->allow), "%s", allow);
	web_problem(r, 405, "that method is not possible here; see /openapi.json");
}

static void object_not_allowed(struct web_req *r, enum adm_kind k, bool is_one)
{
	char allow[sizeof(r->allow)];
	snprintf(allow, sizeof(allow), "GET, HEAD%s%s%s",
		 !is_one && adm_may(k, 'C') ? ", POST" : "",
		 is_one && adm_may(k, 'U') ? ", PATCH" : "",
		 is_one && adm_may(k, 'D') ? ", DELETE" : "");
	not_allowed(r, allow);
}

static void take_object(struct web_req *r, enum adm_kind k, struct str key)
{
	bool is_delete = r->method == WEB_DELETE && key.n && adm_may(k, 'D');
	if (r->method == WEB_GET)
		get(r, k, key);
	else if (is_delete && k == ADM_account)
		here_account_delete(r, key);
	else if (is_delete)
		ask(r, ADM_DO_DELETE, k, key);
	else if (r->method == WEB_POST && !key.n && adm_may(k, 'C'))
		k == ADM_ban ? here_ban_add(r) : here_account_add(r);
	else if (r->method == WEB_PATCH && key.n && adm_may(k, 'U'))
		here_account_change(r, key);
	else
		object_not_allowed(r, k, key.n);
}

static void take_v1(struct web_req *r, struct str path)
{
	struct str key, name = str_cut(path, '/', &key), names[ADM__N];
	enum adm_kind k;
	bool is_confirmed = str_eq(path, STR("reload/confirmed"));
	if (is_confirmed || str_eq(path, STR("reload"))) {
		if (r->method == WEB_POST)
			reconfigure(r, is_confirmed);
		else
			not_allowed(r, "POST");
		return;
	}
	if (adm_kind_find(name, &k)) {
		take_object(r, k, key);
		return;
	}
	for (size_t i = 0; i < ADM__N; i++)
		names[i] = str_c(adm_object((enum adm_kind)i)->many);
	struct str near = str_nearest(name, names, ADM__N);
	if (near.n)
		web_problem(r, 404, "there is no /v1/" STR_FMT ", did you mean /v1/" STR_FMT "?",
			    STR_ARG(name), STR_ARG(near));
	else
		web_problem(r, 404, "there is no /v1/" STR_FMT "; see /openapi.json",
			    STR_ARG(name));
}

/* What everybody may ask. */
static bool take_open(struct web_req *r, struct str path)
{
	bool is_health = str_eq(path, STR("/healthz"));
	if (!is_health && !str_eq(path, STR("/openapi.json")))
		return false;
	if (r->method != WEB_GET) {
		not_allowed(r, "GET, HEAD");
	} else if (is_health) {
		buf_str(&r->out, STR("ok\n"));
		web_reply(r, 200, "text/plain; charset=utf-8");
	} else {
		openapi_put(&r->out, r->web->cfg.version);
		web_reply(r, 200, json);
	}
	return true;
}

void api_take(struct web_req *r)
{
	struct str path = str_c(r->path);
	if (r->is_too_long)
		web_problem(r, 413,
			    "the request is too long: at most %u bytes of body and %zu of path",
			    WEB_BODY_MAX, sizeof(r->path) - 1);
	else if (take_open(r, path))
		return;
	else if (!r->has_token)
		web_problem(
			r, 401,
			"this needs `Authorization: Bearer TOKEN`, with the token of %s/api.token",
			r->web->cfg.dir);
	else if (str_eq(path, STR("/metrics")) && r->method == WEB_GET)
		ask(r, ADM_DO_MEASURE, ADM_statistic, STR_NONE);
	else if (str_eq(path, STR("/metrics")))
		not_allowed(r, "GET, HEAD");
	else if (str_starts(path, STR("/v1/")))
		take_v1(r, str_skip(path, 4));
	else
		web_problem(r, 404, "there is nothing at that path; see /openapi.json");
}
