/* What of a request's way is told to whom.
 *
 * A target hears what is kept and how the request comes to itself; who asked hears what is kept.
 * Towards another domain we are the privacy service: `Privacy: history` or `header` of the message
 * hides all entries of this domain, `Privacy=history` in an entry's URI that one, whoever wrote it;
 * no Privacy leaves in an entry. A hidden entry has its index and its Reason and nothing else.
 *
 * Of this domain is what our hosts are named in, and each target inside, whose URI names a phone's
 * address. [RFC7044 9.2, 9.4, 10.1.2] [RFC3323 4.1.1.3] */
#include "dialog/history_priv.h"

#define NOBODY "anonymous.invalid"

bool hist_wants_privacy(const struct sip_msg *m, struct str kind)
{
	struct str rest = sip_value(m, SIP_HDR_PRIVACY);
	while (rest.n)
		if (str_ieq(str_trim(str_cut(rest, ';', &rest)), kind))
			return true;
	return false;
}

void hist_put_privacy(struct buf *out, const struct sip_msg *m)
{
	struct str rest = sip_value(m, SIP_HDR_PRIVACY);
	size_t n = 0;
	while (rest.n) {
		struct str one = str_trim(str_cut(rest, ';', &rest));
		if (str_ieq(one, STR("history")))
			continue;
		buf_str(out, n++ ? STR(";") : STR("Privacy: "));
		buf_str(out, one);
	}
	if (n)
		buf_str(out, STR("\r\n"));
}

static bool hides_all(const struct sip_msg *m)
{
	return m && (hist_wants_privacy(m, STR("history")) || hist_wants_privacy(m, STR("header")));
}

static bool is_here(const struct hist *h, const struct hist_row *r)
{
	struct sip_uri u;
	if (r->is_mine && r->up && !r->is_outside)
		return true;
	return sip_uri_parse(r->uri, &u) == OK && h->is_ours(h->ctx, &u);
}

/* Headers of the URI: Privacy never crosses; who is hidden keeps why he was left. */
static bool put_headers(struct buf *b, struct str headers, bool is_hidden)
{
	struct str name, value, all = headers;
	bool asks = false;
	char sep = '?';
	while (hist_header_next(&headers, &name, &value))
		if (str_ieq(name, STR("Privacy")))
			asks |= str_ifind(value, STR("history")) != SIZE_MAX;
	is_hidden |= asks;
	for (headers = all; b && hist_header_next(&headers, &name, &value);) {
		if (str_ieq(name, STR("Privacy")) || (is_hidden && !str_ieq(name, STR("Reason"))))
			continue;
		buf_fmt(b, "%c" STR_FMT "=" STR_FMT, sep, STR_ARG(name), STR_ARG(value));
		sep = '&';
	}
	return is_hidden;
}

/* As it leaves for another domain; without `b`: does it differ then? */
static bool put_outside(const struct hist *h, const struct hist_row *r, bool is_all_hidden,
			struct buf *b)
{
	bool is_nobody = str_ends(r->uri, STR("@" NOBODY));
	bool is_hidden = put_headers(NULL, r->headers, is_all_hidden && is_here(h, r));
	is_hidden &= !is_nobody;
	if (b) {
		buf_chr(b, '<');
		buf_str(b, is_hidden ? STR("sip:anonymous@" NOBODY) : r->uri);
		put_headers(b, r->headers, is_hidden);
		buf_chr(b, '>');
		buf_str(b, r->params);
	}
	return is_hidden || str_ifind(r->headers, STR("Privacy=")) != SIZE_MAX;
}

static void put_inside(const struct hist_row *r, struct buf *b)
{
	if (r->value.n) {
		buf_str(b, r->value);
		return;
	}
	buf_fmt(b, "<" STR_FMT "%s" STR_FMT ">" STR_FMT, STR_ARG(r->uri), r->headers.n ? "?" : "",
		STR_ARG(r->headers), STR_ARG(r->params));
}

/* It is on the way to `to`. */
static bool leads_to(const struct hist_row *r, const struct hist_row *to)
{
	while (to && to != r)
		to = to->up;
	return to != NULL;
}

static void put_rows(const struct hist *h, const struct hist_row *to, bool is_whole,
		     bool is_outside, bool is_all_hidden, struct buf *out)
{
	struct str sep = STR("History-Info: ");
	for (const struct hist_row *r = h->first; r; r = r->next) {
		if ((!r->is_kept && !leads_to(r, to)) || (r->has_come && !is_whole))
			continue;
		buf_str(out, sep);
		sep = STR(", ");
		if (is_outside)
			put_outside(h, r, is_all_hidden, out);
		else
			put_inside(r, out);
	}
	if (sep.n == 2)
		buf_str(out, STR("\r\n"));
}

void hist_put_request(const struct hist *h, const struct hist_row *r, bool is_outside,
		      struct buf *out, bool *is_whole)
{
	bool is_hidden = is_outside && hides_all(h->m);
	if (!r || !(h->is_open || r->is_forward))
		return;
	for (const struct hist_row *k = h->first; k; k = k->next)
		if (k->has_come)
			*is_whole |=
				!k->value.n || (is_outside && put_outside(h, k, is_hidden, NULL));
	put_rows(h, r, *is_whole, is_outside, is_hidden, out);
}

void hist_put_response(const struct hist *h, const struct sip_msg *m, struct buf *out)
{
	bool is_outside = !h->is_from_inside;
	if (h->is_told)
		put_rows(h, NULL, true, is_outside, is_outside && (hides_all(m) || hides_all(h->m)),
			 out);
}

bool hist_hides_from_sender(const struct hist *h)
{
	return !h->is_from_inside;
}

void hist_put_param(const struct hist *h, enum hist_by by, struct buf *out)
{
	buf_fmt(out, ";%s=" STR_FMT, by == HIST_MP ? "mp" : "rc", STR_ARG(h->root->index));
}

size_t hist_size(const struct hist *h)
{
	size_t n = 64;
	for (const struct hist_row *r = h ? h->first : NULL; r; r = r->next)
		n += r->value.n + r->uri.n + r->headers.n + r->params.n + sizeof(NOBODY) + 32;
	return n;
}
