/* Peers made of text. A host, its bare sockets, a list of all that came. Streams are cut into
 * messages by their Content-Length, found as text.
 *
 * raw_get runs the simulation until the wanted message is there, so a test reads like a ladder:
 * say, get, say, get. Times are virtual; nothing here waits for a clock. */
#include "raw.h"

#include "base/buf.h"
#include "base/digest.h"
#include "net/dns.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct addr address(const char *ip, uint16_t port)
{
	struct addr a;
	CHECK(addr_parse(str_c(ip), port, &a));
	a.port = port;
	return a;
}

static struct addr server(const struct raw *r)
{
	return address(strchr(r->ip, ':') ? STAGE_SERVER6 : STAGE_SERVER, 5060);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void keep(struct raw_sock *k, const struct addr *from, struct str bytes)
{
	struct raw *r = k->raw;
	CHECK(r->n_msgs < RAW_MSGS);
	struct raw_msg *m = malloc(sizeof(*m) + bytes.n + 1);
	if (!m) /* while allocations fail: lost */
		return;
	memcpy(m->bytes, bytes.p, bytes.n);
	m->bytes[bytes.n] = 0;
	m->raw = r;
	m->sock = (int)(k - r->socks);
	m->at_us = env_now_us(r->env);
	m->from = *from;
	m->is_taken = false;
	m->text = str_of(m->bytes, bytes.n);
	r->msgs[r->n_msgs++] = m;
}

static void on_udp(void *arg, unsigned events)
{
	static char bytes[65536];
	struct raw_sock *k = arg;
	struct env_rx rx;
	struct env_icmp icmp;
	for (;;) {
		enum err e = env_recv(k->env_sock, bytes, sizeof(bytes), &rx);
		if (e == ERR_NET && env_icmp_next(k->env_sock, &icmp) == OK) {
			k->raw->n_icmp++;
			continue;
		}
		if (e)
			return;
		keep(k, &rx.from, str_of(bytes, rx.n));
	}
}

static struct str find_line(struct str text, const char *name, unsigned nth)
{
	size_t n_name = strlen(name), end = str_find(text, STR("\r\n\r\n"));
	struct str rest = str_sub(text, 0, end == SIZE_MAX ? text.n : end + 2);
	while (rest.n) {
		size_t at = str_find(rest, STR("\r\n"));
		struct str line = str_sub(rest, 0, at);
		rest = at == SIZE_MAX ? STR_NONE : str_skip(rest, at + 2);
		if (line.n > n_name && line.p[n_name] == ':' && str_istarts(line, str_c(name)) &&
		    nth-- == 0)
			return str_trim(str_skip(line, n_name + 1));
	}
	return STR_NONE;
}

static void cut_stream(struct raw_sock *k)
{
	struct addr peer = env_peer(k->env_sock);
	for (;;) {
		while (k->in.n >= 2 && memcmp(k->in.p, "\r\n", 2) == 0)
			memmove(k->in.p, k->in.p + 2, k->in.n -= 2);
		struct str all = buf_view(&k->in);
		size_t end = str_find(all, STR("\r\n\r\n"));
		if (end == SIZE_MAX)
			return;
		uint32_t n_body = 0;
		if (!str_starts(all, STR("HTTP/1.1 101")))
			CHECK(str_u32(find_line(all, "Content-Length", 0), &n_body));
		size_t n = end + 4 + n_body;
		if (all.n < n)
			return;
		keep(k, &peer, str_sub(all, 0, n));
		memmove(k->in.p, k->in.p + n, k->in.n -= n);
	}
}

static void on_tcp(void *arg, unsigned events)
{
	struct raw_sock *k = arg;
	char bytes[4096];
	size_t n;
	if (events & ENV_WRITE) {
		k->is_up = true;
		env_want(k->env_sock, ENV_READ);
	}
	for (;;) {
		enum err e = env_read(k->env_sock, bytes, sizeof(bytes), &n);
		if (e == ERR_MORE)
			return;
		if (e) {
			cut_stream(k);
			k->has_ended = true;
			env_close(k->env_sock);
			k->env_sock = NULL;
			return;
		}
		buf_put(&k->in, bytes, n);
		cut_stream(k);
	}
}

static struct raw_sock *add_sock(struct raw *r)
{
	CHECK(r->n_socks < RAW_SOCKS);
	struct raw_sock *k = &r->socks[r->n_socks++];
	k->raw = r;
	buf_init(&k->in);
	return k;
}

static void on_listener(void *arg, unsigned events)
{
	struct raw_sock *l = arg;
	for (;;) {
		struct env_sock *s;
		struct addr peer;
		struct raw_sock *k = &l->raw->socks[l->raw->n_socks];
		CHECK(l->raw->n_socks < RAW_SOCKS);
		if (env_accept(l->env_sock, on_tcp, k, &s, &peer))
			return;
		k = add_sock(l->raw);
		k->env_sock = s;
		k->local = env_local(s);
		k->is_up = true;
	}
}

/* ---- hosts and sockets ----------------------------------------------------------------------- */

struct raw *raw_new(struct stage *s, const char *ip, uint16_t port, const char *user)
{
	struct raw *r = calloc(1, sizeof(*r));
	CHECK(r);
	struct addr a = address(ip, 0);
	r->stage = s;
	snprintf(r->ip, sizeof(r->ip), "%s", ip);
	snprintf(r->user, sizeof(r->user), "%s", user);
	CHECK_EQ(sim_host_new(s->sim, user, &a, 1, &r->host), OK);
	CHECK_EQ(sim_env_new(r->host, &r->env), OK);
	ev_loop_init(&r->loop, r->env);
	sim_add_loop(s->sim, &r->loop);
	CHECK_EQ(raw_udp(r, port), 0);
	return r;
}

void raw_free(struct raw *r)
{
	sim_del_loop(r->stage->sim, &r->loop);
	for (int i = 0; i < r->n_socks; i++) {
		env_close(r->socks[i].env_sock);
		buf_fini(&r->socks[i].in);
	}
	for (size_t i = 0; i < r->n_msgs; i++)
		free(r->msgs[i]);
	ev_loop_fini(&r->loop);
	env_free(r->env);
	free(r);
}

int raw_udp(struct raw *r, uint16_t port)
{
	const char *why = "";
	struct raw_sock *k = add_sock(r);
	struct addr a = address(r->ip, port);
	CHECK_EQ(env_udp_open(r->env, &a, 0, on_udp, k, &k->env_sock, &why), OK);
	k->is_udp = k->is_up = true;
	k->local = env_local(k->env_sock);
	return (int)(k - r->socks);
}

int raw_listen(struct raw *r, uint16_t port)
{
	const char *why = "";
	struct raw_sock *k = add_sock(r);
	struct addr a = address(r->ip, port);
	CHECK_EQ(env_tcp_listen(r->env, &a, 0, on_listener, k, &k->env_sock, &why), OK);
	k->is_listener = true;
	k->local = env_local(k->env_sock);
	return (int)(k - r->socks);
}

static bool is_settled(void *arg)
{
	struct raw_sock *k = arg;
	return k->is_up || k->has_ended;
}

int raw_connect(struct raw *r)
{
	return raw_connect_to(r, server(r).port);
}

int raw_connect_to(struct raw *r, uint16_t port)
{
	struct raw_sock *k = add_sock(r);
	struct addr to = server(r);
	to.port = port;
	CHECK_EQ(env_tcp_connect(r->env, NULL, &to, on_tcp, k, &k->env_sock), OK);
	CHECK(stage_run_until(r->stage, 5, is_settled, k));
	CHECK(k->is_up);
	k->local = env_local(k->env_sock);
	return (int)(k - r->socks);
}

void raw_close(struct raw *r, int sock)
{
	env_close(r->socks[sock].env_sock);
	r->socks[sock].env_sock = NULL;
}

/* ---- sending --------------------------------------------------------------------------------- */

void raw_bytes_to(struct raw *r, int sock, const struct addr *to, struct str bytes)
{
	struct raw_sock *k = &r->socks[sock];
	size_t n;
	CHECK(k->env_sock);
	if (k->is_udp) {
		CHECK_EQ(env_send(k->env_sock, bytes.p, bytes.n, to, NULL), OK);
		return;
	}
	CHECK_EQ(env_write(k->env_sock, bytes.p, bytes.n, &n), OK);
	CHECK_EQ(n, bytes.n);
}

void raw_bytes(struct raw *r, int sock, struct str bytes)
{
	struct addr to = server(r);
	raw_bytes_to(r, sock, &to, bytes);
}

static void with_crlf(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_chr(out, '\r');
		buf_chr(out, s.p[i]);
	}
}

/* Texts are made in fixed memory: allocations that a test lets fail shall be the exchange's. */
static char text_mem[65536], wire_mem[65536];

static void send_text(struct raw *r, int sock, const struct addr *to, struct str text)
{
	struct buf b;
	buf_init_fixed(&b, wire_mem, sizeof(wire_mem));
	with_crlf(text, &b);
	CHECK_EQ(b.err, OK);
	raw_bytes_to(r, sock, to, buf_view(&b));
}

void raw_say(struct raw *r, int sock, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK(n > 0 && (size_t)n < sizeof(text));
	struct addr to = server(r);
	send_text(r, sock, &to, str_of(text, (size_t)n));
}

/* ---- matching -------------------------------------------------------------------------------- */

struct wanted {
	struct raw *raw;
	const char *start;
	struct raw_msg *found;
};

static bool has_come(void *arg)
{
	struct wanted *w = arg;
	w->found = NULL;
	for (size_t i = 0; i < w->raw->n_msgs && !w->found; i++)
		if (!w->raw->msgs[i]->is_taken &&
		    str_starts(w->raw->msgs[i]->text, str_c(w->start)))
			w->found = w->raw->msgs[i];
	return w->found != NULL;
}

struct raw_msg *raw_poll(struct raw *r, const char *start)
{
	struct wanted w = {.raw = r, .start = start};
	if (has_come(&w))
		w.found->is_taken = true;
	return w.found;
}

struct raw_msg *raw_get(struct raw *r, const char *start, double seconds)
{
	struct wanted w = {.raw = r, .start = start};
	if (!has_come(&w) && !stage_run_until(r->stage, seconds, has_come, &w)) {
		char have[400] = "";
		for (size_t i = 0; i < r->n_msgs; i++) {
			size_t at = strlen(have);
			struct str line =
				str_sub(r->msgs[i]->text, 0, str_chr(r->msgs[i]->text, '\r'));
			if (!r->msgs[i]->is_taken)
				snprintf(have + at, sizeof(have) - at, " [" STR_FMT "]",
					 STR_ARG(str_sub(line, 0, 60)));
		}
		test_fail(__FILE__, __LINE__, "%s: no \"%s\" in %.1f s; there is:%s", r->user,
			  start, seconds, have);
	}
	w.found->is_taken = true;
	return w.found;
}

void raw_none(struct raw *r, const char *start, double seconds)
{
	struct wanted w = {.raw = r, .start = start};
	stage_run(r->stage, seconds);
	if (has_come(&w))
		test_fail(__FILE__, __LINE__, "%s: unwanted \"%.60s\"", r->user, w.found->bytes);
}

void raw_flush(struct raw *r)
{
	for (size_t i = 0; i < r->n_msgs; i++)
		r->msgs[i]->is_taken = true;
}

struct str raw_header(const struct raw_msg *m, const char *name, unsigned nth)
{
	return find_line(m->text, name, nth);
}

unsigned raw_count(const struct raw_msg *m, const char *name)
{
	unsigned n = 0;
	while (find_line(m->text, name, n).n)
		n++;
	return n;
}

bool raw_has(const struct raw_msg *m, const char *text)
{
	return str_find(m->text, str_c(text)) != SIZE_MAX;
}

struct str raw_body(const struct raw_msg *m)
{
	size_t at = str_find(m->text, STR("\r\n\r\n"));
	return at == SIZE_MAX ? STR_NONE : str_skip(m->text, at + 4);
}

struct str raw_uri(const struct raw_msg *m)
{
	struct str rest = str_skip(m->text, str_chr(m->text, ' ') + 1);
	return str_sub(rest, 0, str_chr(rest, ' '));
}

const char *raw_cstr(struct str s, char *out, size_t cap)
{
	CHECK(str_copy(out, cap, s));
	return out;
}

/* ---- requests -------------------------------------------------------------------------------- */

static unsigned serial(void)
{
	static unsigned n;
	return ++n;
}

static const char *or_else(const char *s, const char *other)
{
	return s ? s : other;
}

static void fill(const struct raw *r, struct raw_req *q)
{
	if (!q->call_id[0])
		snprintf(q->call_id, sizeof(q->call_id), "raw-%u@%s", serial(), r->ip);
	if (!q->tag[0])
		snprintf(q->tag, sizeof(q->tag), "t%u", serial());
	if (!q->branch[0])
		snprintf(q->branch, sizeof(q->branch), "z9hG4bK-raw-%u", serial());
	if (!q->cseq)
		q->cseq = 1;
	if (!q->from_user)
		q->from_user = r->user;
}

static void put_via(const struct raw *r, int sock, const struct raw_req *q, struct buf *b)
{
	const struct raw_sock *k = &r->socks[sock];
	char text[ADDR_TEXT_MAX];
	buf_fmt(b, "Via: SIP/2.0/%s %s;branch=%s%s\n", k->is_udp ? "UDP" : "TCP",
		addr_text(&k->local, text), q->branch, or_else(q->via_params, ";rport"));
}

static void put_from(const struct raw_req *q, struct buf *b)
{
	if (q->from)
		buf_fmt(b, "From: %s;tag=%s\n", q->from, q->tag);
	else
		buf_fmt(b, "From: <sip:%s@" STAGE_SERVER ">;tag=%s\n", q->from_user, q->tag);
}

static void put_to(const struct raw_req *q, struct buf *b)
{
	if (q->to)
		buf_fmt(b, "To: %s\n", q->to);
	else
		buf_fmt(b, "To: <%s>\n", q->uri);
}

static void finish(struct raw *r, int sock, struct buf *b)
{
	struct addr to = server(r);
	CHECK_EQ(b->err, OK);
	send_text(r, sock, &to, buf_view(b));
}

void raw_request(struct raw *r, int sock, struct raw_req *q)
{
	struct buf b;
	char text[ADDR_TEXT_MAX];
	const char *body = or_else(q->body, "");
	size_t n_body = 0;
	fill(r, q);
	buf_init_fixed(&b, text_mem, sizeof(text_mem));
	buf_fmt(&b, "%s %s SIP/2.0\n", q->method, q->uri);
	put_via(r, sock, q, &b);
	if (!q->no_max_forwards)
		buf_fmt(&b, "Max-Forwards: %d\n",
			q->max_forwards == 0  ? 70
			: q->max_forwards < 0 ? 0
					      : q->max_forwards);
	buf_fmt(&b, "%s", or_else(q->route, ""));
	put_from(q, &b);
	put_to(q, &b);
	buf_fmt(&b, "Call-ID: %s\nCSeq: %u %s\n", q->call_id, q->cseq, q->method);
	if (!q->contact)
		buf_fmt(&b, "Contact: <sip:%s@%s>\n", r->user,
			addr_text(&r->socks[sock].local, text));
	else if (q->contact[0])
		buf_fmt(&b, "Contact: %s\n", q->contact);
	buf_fmt(&b, "%s%s", q->auth, or_else(q->extra, ""));
	for (const char *p = body; *p; p++)
		n_body += *p == '\n' ? 2 : 1;
	if (!q->no_length)
		buf_fmt(&b, "Content-Length: %zu\n", n_body);
	buf_fmt(&b, "\n%s", body);
	finish(r, sock, &b);
}

void raw_ack(struct raw *r, int sock, const struct raw_req *q, const struct raw_msg *final)
{
	struct buf b;
	struct str to = raw_header(final, "To", 0);
	buf_init_fixed(&b, text_mem, sizeof(text_mem));
	buf_fmt(&b, "ACK %s SIP/2.0\n", q->uri);
	put_via(r, sock, q, &b);
	buf_fmt(&b, "Max-Forwards: 70\n%s", or_else(q->route, ""));
	put_from(q, &b);
	buf_fmt(&b, "To: " STR_FMT "\nCall-ID: %s\nCSeq: %u ACK\nContent-Length: 0\n\n",
		STR_ARG(to), q->call_id, q->cseq);
	finish(r, sock, &b);
}

void raw_cancel(struct raw *r, int sock, const struct raw_req *q, const char *extra)
{
	struct buf b;
	buf_init_fixed(&b, text_mem, sizeof(text_mem));
	buf_fmt(&b, "CANCEL %s SIP/2.0\n", q->uri);
	put_via(r, sock, q, &b);
	buf_fmt(&b, "Max-Forwards: 70\n%s", or_else(q->route, ""));
	put_from(q, &b);
	put_to(q, &b);
	buf_fmt(&b, "Call-ID: %s\nCSeq: %u CANCEL\n%sContent-Length: 0\n\n", q->call_id, q->cseq,
		or_else(extra, ""));
	finish(r, sock, &b);
}

static struct str quoted(struct str value, const char *name)
{
	struct str rest = str_skip(value, str_find(value, str_c(name)) + strlen(name));
	return str_sub(rest, 0, str_chr(rest, '"'));
}

void raw_answer_challenge(struct raw *r, struct raw_req *q, const struct raw_msg *challenge)
{
	bool is_proxy = str_starts(challenge->text, STR("SIP/2.0 407"));
	struct str v =
		raw_header(challenge, is_proxy ? "Proxy-Authenticate" : "WWW-Authenticate", 0);
	struct str realm = quoted(v, "realm=\""), nonce = quoted(v, "nonce=\"");
	char h1[2 * MD_MAX], h2[2 * MD_MAX], h3[2 * MD_MAX];
	CHECK(realm.n && nonce.n);
	struct str a1[] = {str_c(r->user), realm, STR(STAGE_PASSWORD)};
	struct str a2[] = {str_c(q->method), str_c(q->uri)};
	struct str ha1 = md_hex_joined(MD_MD5, a1, 3, h1), ha2 = md_hex_joined(MD_MD5, a2, 2, h2);
	struct str all[] = {ha1, nonce, STR("00000001"), STR("c"), STR("auth"), ha2};
	struct str answer = md_hex_joined(MD_MD5, all, 6, h3);
	snprintf(q->auth, sizeof(q->auth),
		 "%s: Digest username=\"%s\", realm=\"" STR_FMT "\", nonce=\"" STR_FMT
		 "\", uri=\"%s\", response=\"" STR_FMT
		 "\", algorithm=MD5, cnonce=\"c\", qop=auth, nc=00000001\n",
		 is_proxy ? "Proxy-Authorization" : "Authorization", r->user, STR_ARG(realm),
		 STR_ARG(nonce), q->uri, STR_ARG(answer));
	q->cseq++;
	q->branch[0] = 0;
}

void raw_ask(struct raw *r, int sock, struct raw_req *q)
{
	raw_request(r, sock, q);
	bool is_register = strcmp(q->method, "REGISTER") == 0;
	struct raw_msg *m = raw_get(r, is_register ? "SIP/2.0 401" : "SIP/2.0 407", 5);
	if (strcmp(q->method, "INVITE") == 0)
		raw_ack(r, sock, q, m);
	raw_answer_challenge(r, q, m);
	raw_request(r, sock, q);
}

void raw_register(struct raw *r, int sock, const char *contact, const char *extra)
{
	char to[80];
	snprintf(to, sizeof(to), "<sip:%s@" STAGE_SERVER ">", r->user);
	struct raw_req q = {.method = "REGISTER",
			    .uri = "sip:" STAGE_SERVER,
			    .to = to,
			    .contact = contact,
			    .extra = extra};
	raw_ask(r, sock, &q);
	struct raw_msg *m = raw_get(r, "SIP/2.0 ", 5);
	CHECK(raw_has(m, "SIP/2.0 200"));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void copy_lines(const struct raw_msg *req, const char *name, struct buf *b)
{
	for (unsigned i = 0; i < raw_count(req, name); i++) {
		struct str v = raw_header(req, name, i);
		buf_fmt(b, "%s: " STR_FMT "\n", name, STR_ARG(v));
	}
}

/* The only Via, with the source of the request. */
static void put_seen_via(const struct raw_msg *req, struct buf *b)
{
	struct str via = raw_header(req, "Via", 0);
	struct addr ip = req->from;
	char text[ADDR_TEXT_MAX];
	size_t at = str_find(via, STR(";rport"));
	CHECK(at != SIZE_MAX);
	ip.port = 0;
	buf_fmt(b, "Via: " STR_FMT ";rport=%u;received=%s" STR_FMT "\n",
		STR_ARG(str_sub(via, 0, at)), req->from.port, addr_text(&ip, text),
		STR_ARG(str_skip(via, at + 6)));
}

void raw_reply(struct raw *r, const struct raw_msg *req, const char *status, const char *tag,
	       const char *extra, const char *body)
{
	struct buf b;
	struct str to = raw_header(req, "To", 0);
	char text[ADDR_TEXT_MAX];
	size_t n_body = 0;
	buf_init_fixed(&b, text_mem, sizeof(text_mem));
	buf_fmt(&b, "SIP/2.0 %s\n", status);
	if (r->tells_source)
		put_seen_via(req, &b);
	else
		copy_lines(req, "Via", &b);
	copy_lines(req, "Record-Route", &b);
	copy_lines(req, "From", &b);
	buf_fmt(&b, "To: " STR_FMT "%s%s\n", STR_ARG(to), tag ? ";tag=" : "", or_else(tag, ""));
	copy_lines(req, "Call-ID", &b);
	copy_lines(req, "CSeq", &b);
	buf_fmt(&b, "Contact: <sip:%s@%s>\n%s", r->user,
		addr_text(&r->socks[req->sock].local, text), or_else(extra, ""));
	for (const char *p = or_else(body, ""); *p; p++)
		n_body += *p == '\n' ? 2 : 1;
	buf_fmt(&b, "Content-Length: %zu\n\n%s", n_body, or_else(body, ""));
	CHECK_EQ(b.err, OK);
	send_text(r, req->sock, &req->from, buf_view(&b));
}

const char *raw_routes(const struct raw_msg *m, char *out, size_t cap)
{
	bool is_response = str_starts(m->text, STR("SIP/2.0 "));
	unsigned n = raw_count(m, "Record-Route");
	size_t at = 0;
	out[0] = 0;
	for (unsigned i = 0; i < n; i++) {
		struct str v = raw_header(m, "Record-Route", is_response ? n - 1 - i : i);
		int len = snprintf(out + at, cap - at, "Route: " STR_FMT "\n", STR_ARG(v));
		CHECK(len > 0 && (size_t)len < cap - at);
		at += (size_t)len;
	}
	return out;
}

void raw_dns(struct stage *s, const char *name, const char *ip)
{
	struct addr a = address(ip, 0);
	for (size_t i = 0; i < s->n_shards; i++)
		CHECK_EQ(dns_table_add(tp_dns(exc_transport(s->exc, i)), str_c(name), &a, 3600),
			 OK);
}

static void dns_rr(struct stage *s, const char *name, enum dns_type type, const struct dns_rr *rr,
		   const char *target, const char *service)
{
	for (size_t i = 0; i < s->n_shards; i++)
		CHECK_EQ(dns_table_add_rr(tp_dns(exc_transport(s->exc, i)), str_c(name), type, rr,
					  str_c(target), str_c(service), 3600),
			 OK);
}

void raw_srv(struct stage *s, const char *name, uint16_t priority, uint16_t port,
	     const char *target)
{
	struct dns_rr rr = {.priority = priority, .port = port};
	dns_rr(s, name, DNS_SRV, &rr, target, "");
}

void raw_naptr(struct stage *s, const char *name, const char *service, const char *target)
{
	struct dns_rr rr = {.flag = 's'};
	dns_rr(s, name, DNS_NAPTR, &rr, target, service);
}
