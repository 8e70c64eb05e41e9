/* What is spoken over TCP, and the messages in it.
 *
 * A direction keeps the bytes of the unit (message, frame) that is not complete yet. What it speaks
 * is found by content, again and again until it is known:
 *
 *	UNKNOWN ── SIP start line ──► SIP ── framing lost ──► UNKNOWN
 *	   ├────── "GET ", "HTTP/" ─► HTTP ── Upgrade: websocket ─► WS
 *	   ├────── "HEP3" ─► HEP (an agent of Homer: messages of other addresses)
 *	   └────── TLS record ──────► is_tls: what is inside begins as UNKNOWN again
 *
 * TLS is a filter before all that: while is_tls, a direction's bytes go to cap_tls, and what that
 * opens is read as if it had come so. When it is out of step (a gap), the next segment that begins
 * with a record takes it up again, and SIP in the clear ends it.
 *
 * UNKNOWN keeps nothing but an unfinished first line, so other protocols cost one look per segment,
 * and SIP that begins in mid-stream is found at the next segment that starts with a start line.
 *
 * Invariants:
 * 1. p[at .. n) is what was not consumed, at most MAX_UNIT bytes and a segment.
 * 2. A message is handed out when its last byte comes, and once.
 *
 * [RFC3261 18.3] [RFC7118]
 */
#include "capture/cap_tcp_priv.h"

#include "wire/hep.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FIRST_LINE 8'192u
#define MAX_HTTP_HEAD  16'384u

static void emit(const struct reader *r, struct str bytes, bool is_ws)
{
	enum trk_transport transport = r->d->is_tls ? is_ws ? TRK_WSS : TRK_TLS
				       : is_ws      ? TRK_WS
						    : TRK_TCP;
	struct cap_seg seg = *r->seg;
	seg.first_no = r->d->first_no;
	r->t->fn(r->t->arg, bytes, &r->d->from, r->to, transport, &seg);
	r->d->first_no = r->no;
}

static void forget_unit(struct dir *d)
{
	d->at = d->n = 0;
	wire_frame_init(&d->frame, MAX_UNIT);
}

static bool append(struct dir *d, const uint8_t *p, size_t n)
{
	if (d->at) {
		memmove(d->p, d->p + d->at, d->n - d->at);
		d->n -= d->at;
		d->at = 0;
	}
	if (d->n + n > MAX_UNIT + 65'536) {
		d->speaks = UNKNOWN;
		forget_unit(d);
	}
	if (d->n + n > d->cap) {
		size_t cap = d->cap ? d->cap : 4'096;
		while (cap < d->n + n)
			cap *= 2;
		uint8_t *q = realloc(d->p, cap);
		if (!q)
			return false;
		d->p = q;
		d->cap = cap;
	}
	memcpy(d->p + d->n, p, n);
	d->n += n;
	return true;
}

static void read_units(const struct reader *r);

static void on_bytes(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	if (append(d, p, n)) {
		read_units(r);
	} else {
		d->speaks = UNKNOWN;
		forget_unit(d);
	}
}

static void on_plain(void *arg, int way, const uint8_t *p, size_t n)
{
	on_bytes(arg, p, n);
}

static void feed_tls(const struct reader *r, const uint8_t *p, size_t n)
{
	struct reader inside = *r;
	if (cap_tls_feed(r->c->tls, (int)(r->d - r->c->d), p, n, on_plain, &inside))
		return;
	r->d->is_tls = false;
	if (r->d->speaks != WS)
		r->d->speaks = UNKNOWN;
	forget_unit(r->d);
	if (cap_sip_start(p, n) == CAP_YES)
		on_bytes(r, p, n);
}

/* The bytes at hand begin with a record; their place is needed for what is inside. */
static void begin_tls(const struct reader *r)
{
	struct dir *d = r->d;
	uint8_t *bytes = d->p;
	size_t at = d->at, n = d->n;
	if (!r->c->tls)
		r->c->tls = cap_tls_new(&r->t->tls);
	d->p = NULL;
	d->cap = 0;
	forget_unit(d);
	d->is_tls = r->c->tls != NULL;
	if (d->is_tls)
		feed_tls(r, bytes + at, n - at);
	free(bytes);
}

/* Each reader returns whether to go on with what is left. */
static bool read_unknown(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	if (cap_ws_looks_like_sip(p, n)) {
		d->speaks = WS;
		return true;
	}
	enum cap_start tls = d->is_tls ? CAP_NO : cap_tls_start(p, n);
	if (tls == CAP_YES)
		begin_tls(r);
	if (tls != CAP_NO)
		return false;
	if (n >= 5 && (memcmp(p, "GET ", 4) == 0 || memcmp(p, "HTTP/", 5) == 0)) {
		d->speaks = HTTP;
		return true;
	}
	if (n >= 6 && wire_hep_starts(p, n)) {
		d->speaks = HEP;
		return true;
	}
	enum cap_start s = cap_sip_start(p, n);
	if (s == CAP_YES) {
		d->speaks = SIP;
		wire_frame_init(&d->frame, MAX_UNIT);
		return true;
	}
	if (s == CAP_NO || n > MAX_FIRST_LINE)
		forget_unit(d);
	return false;
}

static bool read_hep(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	struct wire_hep h;
	size_t used;
	enum err e = wire_hep_parse(p, n, &h, &used);
	if (e == ERR_MORE)
		return false;
	if (e) {
		d->speaks = UNKNOWN;
		forget_unit(d);
		return false;
	}
	if (h.type == WIRE_HEP_SIP && !h.is_packed && h.from.family && h.to.family &&
	    cap_sip_start(h.payload.p, h.payload.n) == CAP_YES) {
		struct cap_seg seg = *r->seg;
		seg.first_no = d->first_no;
		seg.is_hep = true;
		r->t->fn(r->t->arg, h.payload, &h.from, &h.to,
			 h.ip_proto == CAP_TCP ? TRK_TCP : TRK_UDP, &seg);
	}
	d->first_no = r->no;
	d->at += used;
	return true;
}

static bool read_sip(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	size_t len = 0;
	switch (wire_frame_next(&d->frame, (const char *)p, n, &len)) {
	case WIRE_MESSAGE:
		emit(r, str_of((const char *)p, len), false);
		break;
	case WIRE_PING:
	case WIRE_PONG:
	case WIRE_SKIP:
		break;
	case WIRE_ERROR:
		if (d->frame.error == WIRE_BAD_LENGTH || d->frame.error == WIRE_TOO_LARGE)
			emit(r, str_of((const char *)p, d->frame.head_n), false);
		d->speaks = UNKNOWN;
		forget_unit(d);
		return false;
	case WIRE_MORE:
		return false;
	}
	d->at += len;
	return len > 0;
}

static bool read_http(const struct reader *r, const uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	struct str s = {(const char *)p, n};
	size_t end = str_find(s, STR("\r\n\r\n"));
	if (end == SIZE_MAX) {
		if (n > MAX_HTTP_HEAD) {
			d->speaks = UNKNOWN;
			forget_unit(d);
		}
		return false;
	}
	struct str head = str_sub(s, 0, end);
	d->speaks = UNKNOWN;
	if (str_ifind(head, STR("\r\nupgrade:")) != SIZE_MAX &&
	    str_ifind(head, STR("websocket")) != SIZE_MAX) {
		d->speaks = WS;
		d->at += end + 4;
		return true;
	}
	forget_unit(d);
	return false;
}

static bool read_ws(const struct reader *r, uint8_t *p, size_t n)
{
	struct dir *d = r->d;
	size_t used = 0;
	struct str msg;
	switch (wire_ws_next(&d->ws, p, n, &used, &msg)) {
	case WIRE_WS_MESSAGE:
		if (cap_sip_start(msg.p, msg.n) == CAP_YES)
			emit(r, msg, true);
		break;
	case WIRE_WS_PING:
	case WIRE_WS_CLOSE:
	case WIRE_WS_SKIP:
		break;
	case WIRE_WS_MORE:
		return false;
	case WIRE_WS_ERROR:
		d->speaks = UNKNOWN;
		forget_unit(d);
		wire_ws_gap(&d->ws);
		return false;
	}
	r->t->saw_ws = true;
	d->at += used;
	return true;
}

static void read_units(const struct reader *r)
{
	struct dir *d = r->d;
	bool go_on = true;
	while (go_on && d->at < d->n) {
		uint8_t *p = d->p + d->at;
		size_t n = d->n - d->at;
		switch ((enum speaks)d->speaks) {
		case UNKNOWN:
			go_on = read_unknown(r, p, n);
			break;
		case SIP:
			go_on = read_sip(r, p, n);
			break;
		case HTTP:
			go_on = read_http(r, p, n);
			break;
		case WS:
			go_on = read_ws(r, p, n);
			break;
		case HEP:
			go_on = read_hep(r, p, n);
			break;
		}
	}
	if (d->at == d->n)
		d->at = d->n = 0;
}

void cap_talk_bytes(const struct reader *r, const uint8_t *p, size_t n)
{
	if (r->d->is_tls)
		feed_tls(r, p, n);
	else
		on_bytes(r, p, n);
}

void cap_talk_reset(struct dir *d)
{
	d->speaks = UNKNOWN;
	d->is_tls = false;
	wire_ws_gap(&d->ws);
	forget_unit(d);
}

void cap_talk_gap(const struct reader *r, uint32_t n)
{
	struct dir *d = r->d;
	if (d->speaks == SIP || d->speaks == HTTP || d->speaks == HEP)
		d->speaks = UNKNOWN;
	forget_unit(d);
	wire_ws_gap(&d->ws);
	if (r->c->tls)
		cap_tls_gap(r->c->tls, (int)(d - r->c->d), n);
	d->is_tls = false;
}
