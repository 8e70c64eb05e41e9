/* See form.h. Readers of what we write, each a descent over a cursor; depth is bounded. */
#include "form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_ATTRS 32

struct cursor {
	const uint8_t *p, *end;
	unsigned depth;
};

static struct cursor over(struct str s)
{
	const uint8_t *p = (const uint8_t *)(s.n ? s.p : "");
	return (struct cursor){p, p + s.n, 0};
}

/* Length of the UTF-8 sequence at p, 0 when it is none. */
static size_t utf8_at(const uint8_t *p, const uint8_t *end, uint32_t *cp)
{
	uint32_t c = p[0];
	size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (!n || (size_t)(end - p) < n)
		return 0;
	if (n > 1)
		c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 63);
	}
	*cp = c;
	bool is_bad = c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000);
	return is_bad ? 0 : n;
}

bool form_is_utf8(struct str s)
{
	struct cursor c = over(s);
	uint32_t cp;
	for (size_t n; c.p < c.end; c.p += n)
		if (!(n = utf8_at(c.p, c.end, &cp)))
			return false;
	return true;
}

static bool take(struct cursor *c, const char *lit)
{
	const uint8_t *p = c->p; /* no memcmp: under a fuzzer each call of it is recorded */
	while (*lit && p < c->end && *p == (uint8_t)*lit) {
		p++;
		lit++;
	}
	if (*lit)
		return false;
	c->p = p;
	return true;
}

static void skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool json_string(struct cursor *c)
{
	uint32_t cp;
	size_t n;
	if (!take(c, "\""))
		return false;
	for (; c->p < c->end && *c->p != '"'; c->p += n) {
		n = 1;
		if (*c->p >= ' ' && *c->p < 0x7f && *c->p != '\\')
			continue;
		if (!(n = utf8_at(c->p, c->end, &cp)) || cp < ' ')
			return false;
		if (cp != '\\')
			continue;
		if (++c->p == c->end || !*c->p || !strchr("\"\\/bfnrtu", *c->p))
			return false;
		if (*c->p != 'u')
			continue;
		if (c->end - c->p < 5)
			return false;
		for (int i = 1; i < 5; i++)
			if (!is_hex(c->p[i]))
				return false;
		n = 5;
	}
	return take(c, "\"");
}

static size_t digits(struct cursor *c)
{
	const uint8_t *from = c->p;
	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return (size_t)(c->p - from);
}

static bool json_number(struct cursor *c)
{
	take(c, "-");
	bool is_zero = c->p < c->end && *c->p == '0';
	size_t n = digits(c);
	if (!n || (is_zero && n > 1) || (take(c, ".") && !digits(c)))
		return false;
	if (take(c, "e") || take(c, "E")) {
		if (!take(c, "+"))
			take(c, "-");
		return digits(c);
	}
	return true;
}

static bool json_value(struct cursor *c);

static bool json_list(struct cursor *c, const char *end, bool has_names)
{
	skip_space(c);
	if (take(c, end))
		return true;
	do {
		skip_space(c);
		if (has_names && !json_string(c))
			return false;
		skip_space(c);
		if ((has_names && !take(c, ":")) || !json_value(c))
			return false;
		skip_space(c);
	} while (take(c, ","));
	return take(c, end);
}

static bool json_value(struct cursor *c)
{
	bool ok;
	if (++c->depth > MAX_DEPTH)
		return false;
	skip_space(c);
	if (c->p == c->end)
		return false;
	if (*c->p == '"')
		ok = json_string(c);
	else if (take(c, "{"))
		ok = json_list(c, "}", true);
	else if (take(c, "["))
		ok = json_list(c, "]", false);
	else
		ok = take(c, "true") || take(c, "false") || take(c, "null") || json_number(c);
	c->depth--;
	return ok;
}

bool form_is_json(struct str s)
{
	struct cursor c = over(s);
	if (!json_value(&c))
		return false;
	skip_space(&c);
	return c.p == c.end;
}

bool form_is_json_lines(struct str s)
{
	while (s.n)
		if (!form_is_json(str_cut(s, '\n', &s)))
			return false;
	return true;
}

/* --- XML -------------------------------------------------------------------------------------- */

static struct str xml_name(struct cursor *c)
{
	const uint8_t *from = c->p;
	while (c->p < c->end &&
	       ((*c->p >= 'a' && *c->p <= 'z') || (*c->p >= 'A' && *c->p <= 'Z') || *c->p == '_' ||
		*c->p == ':' ||
		(c->p > from && (*c->p == '-' || *c->p == '.' || (*c->p >= '0' && *c->p <= '9')))))
		c->p++;
	return str_of((const char *)from, (size_t)(c->p - from));
}

static bool xml_entity(struct cursor *c)
{
	static const char *const known[] = {"lt;", "gt;", "amp;", "quot;", "apos;"};
	for (size_t i = 0; i < 5; i++)
		if (take(c, known[i]))
			return true;
	if (!take(c, "#"))
		return false;
	unsigned long v;
	if (take(c, "x")) {
		char *end;
		v = strtoul((const char *)c->p, &end, 16); /* text is followed by a 0 */
		c->p = (const uint8_t *)end;
	} else {
		const uint8_t *from = c->p;
		if (!digits(c))
			return false;
		v = strtoul((const char *)from, NULL, 10);
	}
	return v <= 0x10ffff && (v >= ' ' || v == '\t' || v == '\n' || v == '\r') && take(c, ";");
}

/* Characters up to `end`, which is left. */
static bool xml_text(struct cursor *c, char end)
{
	uint32_t cp;
	while (c->p < c->end && *c->p != (uint8_t)end && *c->p != '<') {
		if (take(c, "&")) {
			if (!xml_entity(c))
				return false;
			continue;
		}
		size_t n = utf8_at(c->p, c->end, &cp);
		if (!n || (cp < ' ' && cp != '\n' && cp != '\t' && cp != '\r') || cp == 0xfffe ||
		    cp == 0xffff)
			return false;
		c->p += n;
	}
	return c->p < c->end || end == '<';
}

static bool skip_to(struct cursor *c, const char *end)
{
	while (c->p < c->end)
		if (take(c, end))
			return true;
		else if (*c->p < ' ' && *c->p != '\n' && *c->p != '\t' && *c->p != '\r')
			return false;
		else
			c->p++;
	return false;
}

static bool xml_comment(struct cursor *c)
{
	while (c->p < c->end) {
		if (take(c, "-->"))
			return true;
		if (take(c, "--"))
			return false;
		c->p++;
	}
	return false;
}

static bool xml_attrs(struct cursor *c)
{
	struct str names[MAX_ATTRS];
	unsigned n = 0;
	for (;;) {
		skip_space(c);
		if (c->p == c->end || *c->p == '>' || *c->p == '/' || *c->p == '?')
			return true;
		struct str name = xml_name(c);
		if (!name.n || !take(c, "=") || n == MAX_ATTRS)
			return false;
		for (unsigned i = 0; i < n; i++)
			if (str_eq(names[i], name))
				return false;
		names[n++] = name;
		char q = c->p < c->end ? (char)*c->p : 0;
		if (q != '"' && q != '\'')
			return false;
		c->p++;
		if (!xml_text(c, q) || c->p == c->end || *c->p != (uint8_t)q)
			return false;
		c->p++;
	}
}

static bool xml_element(struct cursor *c)
{
	if (++c->depth > MAX_DEPTH)
		return false;
	struct str name = xml_name(c);
	if (!name.n || !xml_attrs(c))
		return false;
	bool is_empty = take(c, "/>");
	if (!is_empty && !take(c, ">"))
		return false;
	while (!is_empty) {
		if (!xml_text(c, '<') || c->p == c->end)
			return false;
		if (take(c, "</")) {
			struct str end = xml_name(c);
			skip_space(c);
			if (!str_eq(end, name) || !take(c, ">"))
				return false;
			break;
		}
		bool ok = take(c, "<![CDATA[") ? skip_to(c, "]]>")
			  : take(c, "<!--")    ? xml_comment(c)
					       : take(c, "<") && xml_element(c);
		if (!ok)
			return false;
	}
	c->depth--;
	return true;
}

bool form_is_xml(struct str s)
{
	struct cursor c = over(s);
	bool ok = true, has_root = false;
	for (skip_space(&c); ok && c.p < c.end; skip_space(&c))
		if (take(&c, "<?"))
			ok = skip_to(&c, "?>");
		else if (take(&c, "<!--"))
			ok = xml_comment(&c);
		else if (take(&c, "<!"))
			ok = skip_to(&c, ">");
		else {
			ok = !has_root && take(&c, "<") && xml_element(&c);
			has_root = true;
		}
	return ok && has_root;
}

/* --- text, CSV -------------------------------------------------------------------------------- */

static bool take_colour(struct cursor *c)
{
	if (!take(c, "\033["))
		return false;
	while (c->p < c->end && ((*c->p >= '0' && *c->p <= '9') || *c->p == ';'))
		c->p++;
	return take(c, "m");
}

bool form_is_text(struct str s, bool has_colour)
{
	struct cursor c = over(s);
	uint32_t cp;
	while (c.p < c.end) {
		if (*c.p >= ' ' && *c.p < 0x7f) { /* nearly all of it */
			c.p++;
			continue;
		}
		if (has_colour && take_colour(&c))
			continue;
		if (take(&c, "\r\n"))
			continue;
		size_t n = utf8_at(c.p, c.end, &cp);
		/* controls, and those that turn the direction of writing */
		if (!n || (cp < ' ' && cp != '\n') || (cp >= 0x7f && cp < 0xa0) ||
		    (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
			return false;
		c.p += n;
	}
	return true;
}

static bool csv_field(struct cursor *c)
{
	bool is_quoted = take(c, "\"");
	if (c->p < c->end && strchr("=+@\t\r", *c->p) && *c->p)
		return false;
	if (!is_quoted) {
		while (c->p < c->end && *c->p != ',' && *c->p != '\n' && *c->p != '\r') {
			if (*c->p == '"')
				return false;
			c->p++;
		}
		return true;
	}
	while (c->p < c->end) {
		if (!take(c, "\"")) {
			c->p++;
			continue;
		}
		if (!take(c, "\""))
			return true;
	}
	return false;
}

bool form_is_csv(struct str s)
{
	struct cursor c = over(s);
	unsigned want = 0;
	while (c.p < c.end) {
		unsigned n = 0;
		do {
			if (!csv_field(&c))
				return false;
			n++;
		} while (take(&c, ","));
		take(&c, "\r");
		if (!take(&c, "\n") || (want && n != want))
			return false;
		want = n;
	}
	return true;
}

void form_check(bool is_good, const char *what, const struct buf *text)
{
	if (is_good)
		return;
	fprintf(stderr, "not so: %s\n", what);
	fwrite(text->p, 1, text->n, stderr);
	fputc('\n', stderr);
	abort();
}
