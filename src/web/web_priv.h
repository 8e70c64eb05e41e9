#pragma once
/* Seen only by web.c (the server and its thread), api.c (which request is for what), accounts.c
 * (what lies in the data folder), bans.c and openapi.c. */

#include "store/store.h"
#include "web/web.h"

#include <jansson.h>

#define WEB_BODY_MAX 16384u
#define WEB_PAGE     100u /* rows of a page when nothing is said */
#define WEB_PAGE_MAX 1000u

struct web_bucket { /* of a rate limit */
	double n;
	uint64_t filled_us;
};

struct web {
	struct web_cfg cfg;
	char token[68];
	struct env *env;
	struct ev_shards *home; /* one loop: the thread's */
	struct st *st;
	struct st_cdrs *cdrs; /* NULL: none yet */
	struct buf realm;
	struct ev_thread *thread;
	struct lws_context *lws;
	struct lws_vhost *vhost;
	struct adm_msg stop;
	bool is_stopping;
	size_t n_requests;            /* being answered */
	struct web_bucket buckets[2]; /* of requests without the token, and with it */
};

enum web_method { WEB_GET, WEB_POST, WEB_PATCH, WEB_DELETE, WEB_OTHER };
struct web_req {
	struct web *web;
	struct lws *wsi;
	enum web_method method;
	char path[512];
	char query[1024];
	bool has_token, is_too_long;
	bool is_head; /* HEAD, answered as GET without the body [RFC9110 9.3.2] */
	struct buf body;
	struct adm_ask *ask; /* NULL: none */
	/* the answer */
	unsigned status;
	const char *type;
	char allow[40]; /* of 405: the methods of that path */
	struct buf out;
	bool is_ready; /* status, type and out are complete */
	size_t n_sent;
	bool has_head;
	uint64_t skip, limit; /* of a page */
};

/* web.c: the answer is complete. */
void web_reply(struct web_req *r, unsigned status, const char *type);
/* The same with a problem report [RFC9457] as body. */
[[gnu::format(printf, 3, 4)]] void web_problem(struct web_req *r, unsigned status, const char *fmt,
					       ...);
/* The value of a query parameter, empty when it is not there. */
struct str web_param(const struct web_req *r, const char *name);

/* api.c: the request is complete (with its body): answers now or later. */
void api_take(struct web_req *r);
/* A change is in the database: the answer goes when it is in force. */
void api_reload(struct web_req *r, unsigned status);

/* A ban for so many seconds (0: for ever), at the exchange. */
void api_ban(struct web_req *r, struct str who, uint64_t seconds, struct str reason);

/* accounts.c: the body as a JSON object, owned by the caller; NULL: answered. */
json_t *web_body_object(struct web_req *r);
/* accounts.c: kinds that are asked HERE. `key` may be empty. */
void here_list(struct web_req *r, enum adm_kind k, struct str key);
void here_account_add(struct web_req *r);
void here_account_change(struct web_req *r, struct str name);
void here_account_delete(struct web_req *r, struct str name);
/* bans.c */
void here_ban_add(struct web_req *r);

/* openapi.c: the document. */
void openapi_put(struct buf *b, const char *version);
