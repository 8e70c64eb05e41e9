/* Cuts a published PIDF into its elements, so that those of several phones make one document.
 *
 * expat says whether the document is well-formed and where its elements begin and end; what is
 * passed on are the bytes between, untouched: extensions that we do not know (RFC 4480, and
 * whatever comes) go through. An element that is moved under another root takes along the
 * namespaces that its old root declared and it does not declare itself. Document types are refused:
 * nothing expands here.
 *
 * Ids must be unique in a document [XML]; phones all call theirs "t1". A prefix keeps them apart,
 * and since it depends on the publication only, an element has the same id in each document.
 */
#include "service/pidf.h"

#include "base/assert.h"

#include <expat.h>
#include <stdio.h>

#define PIDF      "urn:ietf:params:xml:ns:pidf"
#define MAX_NS    16
#define MAX_DEPTH 32u

struct cut {
	XML_Parser xml;
	struct str doc;
	struct buf *out;
	unsigned slot, depth;
	bool is_bad;
	size_t at; /* where the present element begins */
	struct {
		char prefix[32], uri[128];
		bool is_hidden; /* the present element declares it anew */
	} ns[MAX_NS];
	unsigned n_ns;
};

void xml_put(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '&')
			buf_str(b, STR("&amp;"));
		else if (c == '<')
			buf_str(b, STR("&lt;"));
		else if (c == '>')
			buf_str(b, STR("&gt;"));
		else if (c == '"')
			buf_str(b, STR("&quot;"));
		else if (c < 0x20 || c == 0x7f)
			buf_chr(b, ' ');
		else
			buf_chr(b, (char)c);
	}
}

static void stop(struct cut *c)
{
	c->is_bad = true;
	XML_StopParser(c->xml, XML_FALSE);
}

static void on_doctype(void *arg, const char *name, const char *sysid, const char *pubid,
		       int has_subset)
{
	stop(arg);
}

/* Comes before the start of the element that declares it. */
static void on_namespace(void *arg, const char *prefix, const char *uri)
{
	struct cut *c = arg;
	struct str p = str_c(prefix);
	for (unsigned i = 0; c->depth == 1 && i < c->n_ns; i++)
		c->ns[i].is_hidden |= str_eq(str_c(c->ns[i].prefix), p);
	if (c->depth || !uri)
		return;
	if (c->n_ns == MAX_NS || !str_copy(c->ns[c->n_ns].prefix, sizeof(c->ns[0].prefix), p) ||
	    !str_copy(c->ns[c->n_ns].uri, sizeof(c->ns[0].uri), str_c(uri)))
		stop(c);
	else
		c->n_ns++;
}

static void on_start(void *arg, const char *name, const char **attrs)
{
	struct cut *c = arg;
	if (c->depth == 0 && !str_eq(str_c(name), STR(PIDF " presence")))
		stop(c);
	if (c->depth == 1)
		c->at = (size_t)XML_GetCurrentByteIndex(c->xml);
	if (++c->depth > MAX_DEPTH)
		stop(c);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Offset just behind the opening quote of the attribute `id` in a start tag; 0: it has none. */
static size_t find_id(struct str tag)
{
	char quote = 0;
	for (size_t i = 1; i < tag.n && (quote || tag.p[i] != '>'); i++) {
		if (quote) {
			quote = tag.p[i] == quote ? 0 : quote;
			continue;
		}
		if (tag.p[i] == '"' || tag.p[i] == '\'')
			quote = tag.p[i];
		if (!is_space(tag.p[i - 1]) || !str_starts(str_skip(tag, i), STR("id")))
			continue;
		size_t k = i + 2;
		while (k < tag.n && (is_space(tag.p[k]) || tag.p[k] == '='))
			k++;
		if (k > i + 2 && k < tag.n && (tag.p[k] == '"' || tag.p[k] == '\''))
			return k + 1;
	}
	return 0;
}

static void put_element(struct cut *c, struct str raw)
{
	size_t n_name = 1;
	while (n_name < raw.n && !is_space(raw.p[n_name]) && raw.p[n_name] != '/' &&
	       raw.p[n_name] != '>')
		n_name++;
	size_t id = c->slot ? find_id(raw) : 0;
	buf_str(c->out, str_sub(raw, 0, n_name));
	for (unsigned i = 0; i < c->n_ns; i++) {
		struct str prefix = str_c(c->ns[i].prefix), uri = str_c(c->ns[i].uri);
		if (c->ns[i].is_hidden || (!prefix.n && str_eq(uri, STR(PIDF))))
			continue;
		buf_str(c->out, prefix.n ? STR(" xmlns:") : STR(" xmlns"));
		buf_str(c->out, prefix);
		buf_str(c->out, STR("=\""));
		xml_put(c->out, uri);
		buf_chr(c->out, '"');
	}
	if (id > n_name) {
		buf_str(c->out, str_sub(raw, n_name, id - n_name));
		buf_fmt(c->out, "s%u.", c->slot);
		n_name = id;
	}
	buf_str(c->out, str_skip(raw, n_name));
	buf_chr(c->out, '\n');
}

static void on_end(void *arg, const char *name)
{
	struct cut *c = arg;
	if (--c->depth != 1)
		return;
	size_t end =
		(size_t)XML_GetCurrentByteIndex(c->xml) + (size_t)XML_GetCurrentByteCount(c->xml);
	if (c->at >= end || end > c->doc.n) {
		stop(c);
		return;
	}
	put_element(c, str_sub(c->doc, c->at, end - c->at));
	for (unsigned i = 0; i < c->n_ns; i++)
		c->ns[i].is_hidden = false;
}

enum err pidf_elements_put(struct str doc, unsigned slot, struct buf *out)
{
	struct cut c = {.doc = doc, .out = out, .slot = slot};
	if (doc.n > INT32_MAX)
		return ERR_SYNTAX;
	/* the encoding is given: what is passed on must be UTF-8 as it stands */
	c.xml = XML_ParserCreateNS("UTF-8", ' ');
	if (!c.xml)
		return ERR_NOMEM;
	XML_SetUserData(c.xml, &c);
	XML_SetElementHandler(c.xml, on_start, on_end);
	XML_SetStartNamespaceDeclHandler(c.xml, on_namespace);
	XML_SetStartDoctypeDeclHandler(c.xml, on_doctype);
	enum XML_Status status = XML_Parse(c.xml, doc.p, (int)doc.n, 1);
	bool is_memory = XML_GetErrorCode(c.xml) == XML_ERROR_NO_MEMORY;
	XML_ParserFree(c.xml);
	if (status != XML_STATUS_OK || c.is_bad)
		return is_memory ? ERR_NOMEM : ERR_SYNTAX;
	return out->err;
}
