/* The HTML page: a skeleton, a style, the data, a script (html/).
 *
 * The data are JSON in a script element that no browser runs, every `<`, `>`, `&` and line
 * separator in it escaped: nothing in a capture can end the element. The script puts peers' words
 * into the page as text nodes only. Should that ever fail, the Content-Security-Policy holds: it
 * allows this one script and this one style, by their SHA-256, sound from data: URIs, and nothing
 * else; no request can leave the page.
 *
 *	{title, explain: {...}, calls: [{ladder, text: [...], audio?} or {call}],
 *	 without, omitted, limit}
 *
 * `ladder` is what lad_json.c says, `text` the messages of its rows (null for media; {base64} where
 * they are not UTF-8), `audio` a list of {call, side, codec, seconds, wav?, problem?}, its WAV in
 * base64.
 */
#include "scope/page.h"

#include "base/digest.h"
#include "page_body.inc"
#include "page_css.inc"
#include "page_js.inc"
#include "scope/explain.h"
#include "scope/lad.h"
#include "scope/view.h"

static void put_hash(struct buf *b, struct str s)
{
	uint8_t digest[MD_MAX];
	md_raw(MD_SHA256, s, digest);
	buf_str(b, STR("'sha256-"));
	b64_put(b, digest, md_size(MD_SHA256));
	buf_str(b, STR("'"));
}

static void put_html(struct buf *b, struct str s)
{
	struct buf plain;
	buf_init(&plain);
	buf_plain(&plain, s);
	for (size_t i = 0; i < plain.n; i++)
		if (str_chr(STR("<>&\"'"), plain.p[i]) == SIZE_MAX)
			buf_chr(b, plain.p[i]);
		else
			buf_fmt(b, "&#%d;", plain.p[i]);
	if (plain.err)
		b->err = plain.err;
	buf_fini(&plain);
}

/* JSON that may stand inside a script element: what is escaped can only be inside a string. */
static void put_data(struct buf *b, struct str json)
{
	size_t done = 0; /* what stands before it is written */
	for (size_t i = 0; i < json.n; i++) {
		uint8_t c = (uint8_t)json.p[i];
		bool is_separator = c == 0xe2 && json.n - i >= 3 &&
				    (uint8_t)json.p[i + 1] == 0x80 &&
				    ((uint8_t)json.p[i + 2] & 0xfe) == 0xa8;
		if (c != '<' && c != '>' && c != '&' && !is_separator)
			continue;
		buf_put(b, json.p + done, i - done);
		if (is_separator)
			buf_fmt(b, "\\u20%02x", (uint8_t)json.p[i + 2] - 0x80);
		else
			buf_fmt(b, "\\u%04x", c);
		i += is_separator ? 2 : 0;
		done = i + 1;
	}
	buf_put(b, json.p + done, json.n - done);
}

void page_begin(struct page *p, struct buf *b, struct book *book, struct str title)
{
	struct buf text;
	*p = (struct page){.b = b, .book = book};
	buf_str(b, STR("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		       "media-src data:; base-uri 'none'; form-action 'none'; script-src "));
	put_hash(b, str_of(page_js, sizeof page_js));
	buf_str(b, STR("; style-src "));
	put_hash(b, str_of(page_css, sizeof page_css));
	buf_str(b, STR("\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>"));
	put_html(b, title);
	buf_str(b, STR(" – rung scope</title>\n<style>"));
	buf_put(b, page_css, sizeof page_css);
	buf_str(b, STR("</style>\n</head>\n"));
	buf_put(b, page_body, sizeof page_body);
	buf_str(b, STR("<script type=\"application/json\" id=\"data\">\n"));
	buf_init(&text);
	buf_str(&text, STR("{\"title\":"));
	buf_json(&text, title);
	buf_str(&text, STR(",\"explain\":"));
	explain_put_json(&text);
	buf_str(&text, STR(",\"calls\":["));
	put_data(b, buf_view(&text));
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
}

static enum err put_message(struct page *p, struct buf *b, const struct sheet_row *r)
{
	struct str bytes;
	enum err e = r->ev ? book_bytes(p->book, trk_ev_id(r->ev), &bytes) : ERR_NOTFOUND;
	if (e == ERR_NOTFOUND) {
		buf_str(b, STR("null"));
		return OK;
	}
	if (e)
		return e;
	p->n_messages++;
	p->n_bytes += bytes.n;
	size_t at = b->n;
	buf_json(b, bytes);
	if (!b->err && str_find(str_of(b->p + at, b->n - at), STR("\xef\xbf\xbd")) != SIZE_MAX) {
		b->n = at; /* not UTF-8: a replacement character is in it */
		buf_str(b, STR("{\"base64\":\""));
		b64_put(b, bytes.p, bytes.n);
		buf_str(b, STR("\"}"));
	}
	return OK;
}

static void put_sounds(struct buf *b, const struct page_sound *v, size_t n)
{
	buf_str(b, STR(",\"audio\":["));
	for (size_t i = 0; i < n; i++) {
		buf_fmt(b,
			"%s{\"call\":%u,\"side\":\"%s\",\"seconds\":%.3f,\"codec\":", i ? "," : "",
			v[i].no, v[i].is_caller ? "caller" : "callee", v[i].seconds);
		buf_json(b, v[i].codec);
		if (v[i].problem) {
			buf_str(b, STR(",\"problem\":"));
			buf_json(b, str_c(v[i].problem));
		}
		if (v[i].wav.n) {
			buf_str(b, STR(",\"wav\":\""));
			b64_put(b, v[i].wav.p, v[i].wav.n);
			buf_chr(b, '"');
		}
		buf_chr(b, '}');
	}
	buf_chr(b, ']');
}

static enum err put_ladder(struct page *p, struct buf *b, const struct sheet *s,
			   const struct page_sound *v, size_t n)
{
	enum err e = OK;
	buf_str(b, STR("{\"ladder\":"));
	lad_put_json(b, book_trk(p->book), s);
	buf_str(b, STR(",\"text\":["));
	for (size_t i = 0; i < s->n_rows && !e; i++) {
		buf_str(b, i ? STR(",\n") : STR("\n"));
		e = put_message(p, b, &s->rows[i]);
	}
	buf_chr(b, ']');
	if (n)
		put_sounds(b, v, n);
	buf_chr(b, '}');
	return e;
}

enum err page_add_audio(struct page *p, const struct sheet *s, const struct page_sound *v, size_t n)
{
	bool is_full = p->n_messages + s->n_rows > PAGE_MAX_MESSAGES || p->n_bytes > PAGE_MAX_BYTES;
	struct buf text;
	enum err e = OK;
	if (p->n_calls == PAGE_MAX_CALLS) {
		p->n_omitted++;
		return OK;
	}
	buf_init(&text);
	buf_str(&text, p->n_calls++ ? STR(",\n") : STR("\n"));
	if (!is_full) {
		e = put_ladder(p, &text, s, v, n);
	} else {
		p->n_without++;
		buf_str(&text, STR("{\"call\":"));
		view_call(&text, book_trk(p->book), s->legs[0].call, s->legs[0].v,
			  &(struct view_opts){.is_json = true});
		buf_chr(&text, '}');
	}
	put_data(p->b, buf_view(&text));
	e = e ? e : text.err;
	buf_fini(&text);
	return e;
}

enum err page_add(struct page *p, const struct sheet *s)
{
	return page_add_audio(p, s, NULL, 0);
}

void page_end(struct page *p)
{
	buf_fmt(p->b, "\n],\"without\":%u,\"omitted\":%u,\"limit\":%u}\n</script>\n<script>",
		p->n_without, p->n_omitted, PAGE_MAX_MESSAGES);
	buf_put(p->b, page_js, sizeof page_js);
	buf_str(p->b, STR("</script>\n</body>\n</html>\n"));
}
