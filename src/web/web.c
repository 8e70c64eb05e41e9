/* The server: libwebsockets on a thread of its own.
 *
 * The thread sleeps in lws_service. What comes home of its questions lies in the inbox of a loop
 * that is turned here (home); that loop's env is one descriptor among those that libwebsockets
 * watches, so that either wakes it. Nothing is shared with other threads but inbox messages.
 *
 * A request is an object of ours, kept in the session memory of its connection by a pointer. Its
 * way: HTTP (path, token) → body, if there is one → api_take → web_reply, now or when a question
 * has come home → WRITEABLE: head, then the body in pieces. A connection that closes while the
 * question is away leaves it without a reader; it is freed at its homecoming.
 *
 * Bounds: MAX_REQUESTS at a time (503), a bucket of RATE a second for all (429), bodies and paths
 * by web_priv.h (413), and after a wrong token a pause that doubles, during which every token is
 * refused unread (429): a guesser gets nowhere, and the comparison takes the same time whatever was
 * sent.
 *
 * [RFC6750] [RFC9457] */
#include "web/web_priv.h"

#include "event/thread.h"
#include "service/accounts.h"

/* OpenSSL, which the library's header includes, has a type of that name. */
#define ERR_STATE openssl_err_state
#include <fcntl.h>
#include <libwebsockets.h>
#undef ERR_STATE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_REQUESTS 64u
#define RATE         200.0
#define BURST        400.0
#define CHUNK        16384u
#define TOKEN_BYTES  32u

struct session {
	struct web_req *req;
};

/* ---- answers --------------------------------------------------------------------------------- */

void web_reply(struct web_req *r, unsigned status, const char *type)
{
	if (r->out.err) {
		buf_clear(&r->out);
		status = 503;
		type = NULL;
	}
	r->status = status;
	r->type = type;
	r->is_ready = true;
	lws_callback_on_writable(r->wsi);
}

static const char *title_of(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

void web_problem(struct web_req *r, unsigned status, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	buf_init(&text);
	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	buf_clear(&r->out);
	buf_fmt(&r->out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":",
		title_of(status), status);
	buf_json(&r->out, buf_view(&text));
	buf_str(&r->out, STR("}\n"));
	buf_fini(&text);
	web_reply(r, status, "application/problem+json");
}

struct str web_param(const struct web_req *r, const char *name)
{
	struct str rest = str_c(r->query);
	while (rest.n) {
		struct str value, key = str_cut(str_cut(rest, '\n', &rest), '=', &value);
		if (str_eq(key, str_c(name)))
			return value;
	}
	return STR_NONE;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void req_free(struct web_req *r)
{
	if (!r)
		return;
	r->web->n_requests--;
	if (r->ask && r->ask->is_away)
		r->ask->ctx = NULL;
	else
		adm_ask_free(r->ask);
	buf_fini(&r->body);
	buf_fini(&r->out);
	free(r);
}

static bool has_rate(struct web_bucket *b, uint64_t now_us)
{
	b->n += (double)(now_us - b->filled_us) / 1e6 * RATE;
	b->filled_us = now_us;
	if (b->n > BURST)
		b->n = BURST;
	if (b->n < 1)
		return false;
	b->n -= 1;
	return true;
}

/* Both sides padded to one size: how much was right cannot be timed. */
static bool is_same(const char *a, const char *b, size_t n)
{
	volatile uint8_t diff = 0;
	for (size_t i = 0; i < n; i++)
		diff |= (uint8_t)(a[i] ^ b[i]);
	return diff == 0;
}

static bool has_token(const struct web *w, struct lws *wsi)
{
	static const char scheme[] = "Bearer ";
	char header[160] = "", given[sizeof(w->token)] = {0};
	if (lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION) <= 0)
		return false;
	size_t n = strlen(header), n_scheme = sizeof(scheme) - 1;
	if (n < n_scheme || strncasecmp(header, scheme, n_scheme) != 0)
		return false;
	bool is_fitting = n - n_scheme < sizeof(given);
	memcpy(given, header + n_scheme, is_fitting ? n - n_scheme : 0);
	return is_same(given, w->token, sizeof(given)) & is_fitting;
}

static enum web_method method_of(struct lws *wsi, char **path, int *n, bool *is_head)
{
	int m = lws_http_get_uri_and_method(wsi, path, n);
	*is_head = m == LWSHUMETH_HEAD;
	return m == LWSHUMETH_GET      ? WEB_GET
	       : m == LWSHUMETH_HEAD   ? WEB_GET
	       : m == LWSHUMETH_POST   ? WEB_POST
	       : m == LWSHUMETH_PATCH  ? WEB_PATCH
	       : m == LWSHUMETH_DELETE ? WEB_DELETE
				       : WEB_OTHER;
}

/* "a=1", "b=2" ..., decoded by the library, one a line. */
static bool read_query(struct web_req *r)
{
	size_t at = 0;
	int n;
	for (int i = 0; (n = lws_hdr_fragment_length(r->wsi, WSI_TOKEN_HTTP_URI_ARGS, i)) > 0;
	     i++) {
		if (at + (size_t)n + 2 > sizeof(r->query) ||
		    lws_hdr_copy_fragment(r->wsi, r->query + at, (int)(sizeof(r->query) - at),
					  WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
			return false;
		at += strlen(r->query + at);
		r->query[at++] = '\n';
	}
	return true;
}

static struct web_req *req_new(struct web *w, struct lws *wsi)
{
	struct web_req *r = w->n_requests < MAX_REQUESTS ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	r->web = w;
	r->wsi = wsi;
	buf_init(&r->body);
	buf_init(&r->out);
	w->n_requests++;
	return r;
}

/* True: its body is still to come. */
static bool begin(struct web *w, struct web_req *r)
{
	char *path = NULL, length[24] = "";
	int n = 0;
	uint64_t n_body = 0;
	r->method = method_of(r->wsi, &path, &n, &r->is_head);
	r->is_too_long = !path || !str_copy(r->path, sizeof(r->path), str_of(path, (size_t)n)) ||
			 !read_query(r);
	if (lws_hdr_copy(r->wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0)
		(void)str_u64(str_c(length), &n_body);
	r->is_too_long |= n_body > WEB_BODY_MAX;
	r->has_token = has_token(w, r->wsi);
	if (!has_rate(&w->buckets[r->has_token], env_now_us(w->env))) {
		web_problem(r, 429, "too many requests; try again in a few seconds");
		return false;
	}
	bool has_body = n_body > 0 && !r->is_too_long && r->has_token;
	if (!has_body)
		api_take(r);
	return has_body;
}

static void forget(struct session *s)
{
	req_free(s->req);
	s->req = NULL;
}

static int on_http(struct web *w, struct session *s, struct lws *wsi)
{
	forget(s);
	s->req = req_new(w, wsi);
	if (!s->req)
		return lws_return_http_status(wsi, 503, NULL) ? -1 : 0;
	begin(w, s->req);
	return 0;
}

static int on_body(struct session *s, const void *p, size_t n)
{
	struct web_req *r = s->req;
	if (!r || r->is_ready)
		return 0; /* refused already: read past it */
	if (r->body.n + n > WEB_BODY_MAX)
		return -1;
	buf_put(&r->body, p, n);
	return 0;
}

static void on_body_end(struct session *s)
{
	struct web_req *r = s->req;
	if (!r || r->is_ready || r->ask)
		return;
	if (r->body.err)
		web_problem(r, 503, "not enough memory");
	else
		api_take(r);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool put_header(struct web_req *r, const char *name, const char *value, uint8_t **p,
		       uint8_t *end)
{
	return lws_add_http_header_by_name(r->wsi, (const uint8_t *)name, (const uint8_t *)value,
					   (int)strlen(value), p, end) == 0;
}

static bool send_head(struct web_req *r)
{
	uint8_t mem[LWS_PRE + 1024], *start = mem + LWS_PRE, *p = start,
				     *end = mem + sizeof(mem) - 1;
	if (lws_add_http_header_status(r->wsi, r->status, &p, end) ||
	    lws_add_http_header_content_length(r->wsi, r->out.n, &p, end))
		return false;
	bool is_good = put_header(r, "cache-control:", "no-store", &p, end);
	if (r->type)
		is_good &= put_header(r, "content-type:", r->type, &p, end);
	if (r->status == 401)
		is_good &= put_header(r, "www-authenticate:", "Bearer realm=\"rung\"", &p, end);
	if (r->status == 405)
		is_good &= put_header(r, "allow:", r->allow, &p, end);
	if (r->status == 429)
		is_good &= put_header(r, "retry-after:", "5", &p, end);
	if (!is_good || lws_finalize_write_http_header(r->wsi, start, &p, end))
		return false;
	r->has_head = true;
	return true;
}

/* A connection that is kept may end without a word to us: nothing is left for then. */
static int finish(struct session *s)
{
	struct lws *wsi = s->req->wsi;
	forget(s);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_writable(struct session *s)
{
	struct web_req *r = s->req;
	uint8_t mem[LWS_PRE + CHUNK];
	if (!r || !r->is_ready)
		return 0;
	if (!r->has_head) {
		if (!send_head(r))
			return -1;
		if (!r->out.n || r->is_head)
			return finish(s);
		lws_callback_on_writable(r->wsi);
		return 0;
	}
	size_t n = r->out.n - r->n_sent;
	if (!n)
		return 0;
	if (n > CHUNK)
		n = CHUNK;
	memcpy(mem + LWS_PRE, r->out.p + r->n_sent, n);
	bool is_last = r->n_sent + n == r->out.n;
	int sent = lws_write(r->wsi, mem + LWS_PRE, n,
			     is_last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
	if (sent < (int)n)
		return -1;
	r->n_sent += n;
	if (is_last)
		return finish(s);
	lws_callback_on_writable(r->wsi);
	return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t n)
{
	struct session *s = user;
	struct web *w = lws_context_user(lws_get_context(wsi));
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_http(w, s, wsi);
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(s, in, n);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		on_body_end(s);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(s);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		if (s)
			forget(s);
		return 0;
	default:
		return 0;
	}
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The loop's own descriptor: what it has to do is done between two calls of lws_service. */
static int on_loop(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		   size_t n)
{
	return 0;
}

static const struct lws_protocols protocols[] = {
	{.name = "http",				   .callback = on_event, .per_session_data_size = sizeof(struct session)},
	{.name = "loop", .callback = on_loop},
	{.name = NULL				  },
};

static void web_main(void *arg)
{
	struct web *w = arg;
	struct ev_loop *l = ev_shard(w->home, 0);
	for (;;) {
		env_poll(w->env, 0);
		ev_turn(l);
		if (w->is_stopping)
			return;
		lws_service(w->lws, env_os_sleeps(w->env, true) ? 0 : -1);
		env_os_sleeps(w->env, false);
	}
}

static void drop_stop(struct adm_msg *m)
{
	/* it is a part of struct web */
}

static void run_stop(struct adm_msg *m, struct ev_loop *l)
{
	CONTAINER_OF(m, struct web, stop)->is_stopping = true;
}

/* ---- making it ------------------------------------------------------------------------------- */

static enum err read_token(struct web *w, struct buf *why)
{
	char path[600];
	uint8_t random[TOKEN_BYTES];
	struct buf hex;
	snprintf(path, sizeof(path), "%s/api.token", w->cfg.dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, w->token, sizeof(w->token) - 1) : -1;
	if (fd >= 0)
		close(fd);
	w->token[n > 0 ? n : 0] = 0;
	w->token[strcspn(w->token, " \r\n")] = 0;
	if (strlen(w->token) >= 16)
		return OK;
	buf_init_fixed(&hex, w->token, sizeof(w->token));
	env_entropy(random, sizeof(random));
	buf_hex(&hex, random, sizeof(random));
	const char *text = buf_cstr(&hex);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_good = fd >= 0 && text && write(fd, text, hex.n) == (ssize_t)hex.n &&
		       write(fd, "\n", 1) == 1;
	if (fd >= 0)
		is_good &= close(fd) == 0;
	if (is_good)
		return OK;
	buf_fmt(why, "%s cannot be written", path);
	return ERR_IO;
}

static enum err open_files(struct web *w, struct buf *why)
{
	enum err e = st_open(w->cfg.dir, 0, &w->st, why);
	if (e == OK)
		e = st_cdrs_open(w->cfg.dir, false, &w->cdrs, why);
	return e == OK ? acc_realm(w->st, w->env, STR_NONE, &w->realm) : e;
}

static enum err open_server(struct web *w, struct buf *why)
{
	char host[ADDR_TEXT_MAX];
	struct addr a = w->cfg.listen;
	struct buf name;
	struct lws_context_creation_info info = {
		.port = a.port,
		.protocols = protocols,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.user = w,
		.keepalive_timeout = 30,
		.timeout_secs = 10,
		.server_string = "rung",
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND};
	buf_init_fixed(&name, host, sizeof(host));
	addr_put_host(&name, &a);
	info.iface = addr_is_any(&a) ? NULL : buf_cstr(&name);
	if (a.family != ADDR_V6)
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	lws_set_log_level(0, NULL);
	w->lws = lws_create_context(&info);
	w->vhost = w->lws ? lws_create_vhost(w->lws, &info) : NULL;
	if (!w->vhost) {
		buf_fmt(why, "the address is in use, or not of this machine");
		return ERR_NET;
	}
	lws_sock_file_fd_type fd = {.filefd = fcntl(env_os_fd(w->env), F_DUPFD_CLOEXEC, 0)};
	if (fd.filefd < 0 ||
	    !lws_adopt_descriptor_vhost(w->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "loop", NULL)) {
		buf_str(why, STR("too many open files"));
		return ERR_IO;
	}
	return OK;
}

enum err web_new(const struct web_cfg *cfg, struct web **out, struct buf *why)
{
	struct web *w = calloc(1, sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->cfg = *cfg;
	buf_init(&w->realm);
	enum err e = env_os_new(&w->env);
	if (e == OK)
		e = ev_shards_new(&w->env, 1, &w->home);
	if (e == OK) {
		adm_listen(w->home);
		e = read_token(w, why);
	}
	if (e == OK)
		e = open_files(w, why);
	if (e == OK)
		e = open_server(w, why);
	if (e == OK)
		e = ev_thread_start("web", web_main, w, &w->thread);
	if (e) {
		if (!why->n)
			buf_str(why, str_c(err_text(e)));
		web_free(w);
		return e;
	}
	*out = w;
	return OK;
}

void web_stop(struct web *w)
{
	if (!w || !w->thread)
		return;
	w->stop = (struct adm_msg){.msg.kind = INBOX_CONTROL, .run = run_stop, .drop = drop_stop};
	ev_send(w->home, 0, &w->stop.msg);
	ev_thread_join(w->thread);
	w->thread = NULL;
}

void web_free(struct web *w)
{
	if (!w)
		return;
	web_stop(w);
	if (w->lws)
		lws_context_destroy(w->lws);
	if (w->home)
		ev_shards_free(w->home);
	if (w->env)
		env_free(w->env);
	st_cdrs_close(w->cdrs);
	st_close(w->st);
	buf_fini(&w->realm);
	free(w);
}
