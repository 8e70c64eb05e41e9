/* Published presence documents, cut into elements that may stand beside others. [RFC3863] */
#include "service/pidf.h"
#include "base/buf.h"
#include "test.h"

#define NS "urn:ietf:params:xml:ns:pidf"

static enum err cut(const char *doc, unsigned slot, struct buf *out)
{
	buf_clear(out);
	return pidf_elements_put(str_c(doc), slot, out);
}

TEST(elements_pass_untouched)
{
	struct buf b;
	buf_init(&b);
	CHECK_EQ(cut("<?xml version=\"1.0\"?><presence xmlns=\"" NS "\" entity=\"sip:a@b\">\n"
		     "<!-- x --><tuple id=\"t1\"><status><basic>open</basic></status></tuple>\n"
		     "<note>caf\xc3\xa9 &amp; more</note><note/></presence>",
		     0, &b),
		 OK);
	CHECK_STR(buf_view(&b), "<tuple id=\"t1\"><status><basic>open</basic></status></tuple>\n"
				"<note>caf\xc3\xa9 &amp; more</note>\n<note/>\n");
	buf_fini(&b);
}

TEST(namespaces_come_along)
{
	struct buf b;
	buf_init(&b);
	CHECK_EQ(cut("<p:presence xmlns:p='" NS "' xmlns:r='urn:x' xmlns='urn:y'>"
		     "<p:tuple xmlns:r='urn:z' valid='1' id = 't1'/><r:note "
		     "id='id=1'/></p:presence>",
		     2, &b),
		 OK);
	CHECK_STR(buf_view(&b), "<p:tuple xmlns:p=\"" NS "\" xmlns=\"urn:y\" xmlns:r='urn:z' "
				"valid='1' id = 's2.t1'/>\n"
				"<r:note xmlns:p=\"" NS "\" xmlns:r=\"urn:x\" xmlns=\"urn:y\" "
				"id='s2.id=1'/>\n");
	buf_fini(&b);
}

TEST(what_is_no_pidf_is_refused)
{
	static const char *const bad[] = {
		"",
		"hello",
		"<presence/>",
		"<presence xmlns='urn:other'/>",
		"<other xmlns='" NS "'/>",
		"<presence xmlns='" NS "'>",
		"<presence xmlns='" NS "'><tuple></presence>",
		"<presence xmlns='" NS "'><tuple id='1' id='2'/></presence>",
		"<presence xmlns='" NS "'><x:tuple/></presence>",
		"<presence xmlns='" NS "'>\xff</presence>",
		"<!DOCTYPE presence [<!ENTITY a \"b\">]><presence xmlns='" NS "'>&a;</presence>",
		"<presence xmlns='" NS "'/><presence xmlns='" NS "'/>",
	};
	struct buf b;
	buf_init(&b);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(cut(bad[i], 1, &b), ERR_SYNTAX);
	buf_fini(&b);
}

TEST(deep_documents_are_refused)
{
	struct buf doc, out;
	buf_init(&doc);
	buf_init(&out);
	buf_str(&doc, STR("<presence xmlns='" NS "'>"));
	for (unsigned i = 0; i < 100; i++)
		buf_str(&doc, STR("<a>"));
	for (unsigned i = 0; i < 100; i++)
		buf_str(&doc, STR("</a>"));
	buf_str(&doc, STR("</presence>"));
	CHECK_EQ(doc.err, OK);
	CHECK_EQ(pidf_elements_put(buf_view(&doc), 0, &out), ERR_SYNTAX);
	buf_fini(&doc);
	buf_fini(&out);
}

TEST(text_is_escaped)
{
	struct buf b;
	buf_init(&b);
	xml_put(&b, STR("a<b>&\"c\x01\r\n"));
	CHECK_STR(buf_view(&b), "a&lt;b&gt;&amp;&quot;c   ");
	buf_fini(&b);
}
