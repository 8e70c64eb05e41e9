/* URIs, their parameters and equality, name-addr. */

#include "sip/uri.h"
#include "base/assert.h"

#include "test.h"

#include <string.h>

struct want {
	const char *text;
	enum err err;
	enum sip_scheme scheme;
	const char *user, *password, *host, *params, *headers;
	int port;
};

/* [RFC3261 19.1.3] and what RFC 4475 and 5118 make of URIs. */
TEST(parse)
{
	static const struct want wants[] = {
		{"sip:alice@atlanta.com",                                  OK,						       SIP_URI_SIP, "alice", "", "atlanta.com", "", "", 0},
		{"sip:alice:secretword@atlanta.com;transport=tcp",                                                 OK,												       SIP_URI_SIP, "alice",
		 "secretword", "atlanta.com", "transport=tcp", "", 0},
		{"sips:alice@atlanta.com?subject=project%20x&priority=urgent",                                                      OK,													    SIP_URI_SIPS,
		 "alice", "", "atlanta.com", "", "subject=project%20x&priority=urgent", 0},
		{"sip:+1-212-555-1212:1234@gateway.com;user=phone",                                                        OK,                                                                 SIP_URI_SIP,
		 "+1-212-555-1212", "1234", "gateway.com", "user=phone", "", 0},
		{"SIPS:1212@gateway.com",					     OK,SIP_URI_SIPS, "1212", "", "gateway.com", "", "", 0},
		{"sip:alice@192.0.2.4",					   OK,										    SIP_URI_SIP, "alice", "", "192.0.2.4", "", "", 0},
		{"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",                                                       OK,													       SIP_URI_SIP, "", "",
		 "atlanta.com", "method=REGISTER", "to=alice%40atlanta.com", 0},
		{"sip:alice;day=tuesday@atlanta.com", OK,SIP_URI_SIP, "alice;day=tuesday", "",
		 "atlanta.com", "", "", 0},
		{"sip:user;par=u%40example.net@example.com",                                                      OK,												 SIP_URI_SIP,
		 "user;par=u%40example.net", "", "example.com", "", "", 0},
		{"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/"
		 ";;*:&it+has=1,weird!*pas$wo~d_too."
		 "(doesn't-it)@example.com",		   OK,									  SIP_URI_SIP, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
		 "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)", "example.com", "", "", 0},
		{"sip:[2001:db8::10]:5070",        OK,       SIP_URI_SIP, "", "", "2001:db8::10", "", "", 5070},
		{"sip:[2001:db8::10:5070]",                                        OK,											  SIP_URI_SIP, "", "", "2001:db8::10:5070", "", "",
		 0},
		{"sip:user@[2001:db8:::192.0.2.1]",                                            OK,												  SIP_URI_SIP, "user", "",
		 "2001:db8:::192.0.2.1", "", "", 0},
		{"sip:#21#@pbx:5060;lr",							OK,											  SIP_URI_SIP, "#21#", "", "pbx", "lr", "", 5060},
		{"sip:a@b.:0",					    OK,												       SIP_URI_SIP, "a", "", "b.", "", "", 0},
		{"sip:2001:db8::10",					   ERR_SYNTAX												},
		{"sip:a@b:65536",						       ERR_SYNTAX													      },
		{"sip:a@b:",            ERR_SYNTAX},
		{"sip:a@b:5060x",						      ERR_SYNTAX												  },
		{"sip:a@[2001:db8::1",						      ERR_SYNTAX													    },
		{"sip:a@[192.0.2.1]", ERR_SYNTAX},
		{"sip:a@[]",						      ERR_SYNTAX													   },
		{"sip:a@b@c",				       ERR_SYNTAX								      },
		{"sip:@b",							ERR_SYNTAX									     },
		{"sip:a@",					     ERR_SYNTAX																		},
		{"sip:",					    ERR_SYNTAX												 },
		{"sip",						       ERR_SYNTAX													      },
		{"", ERR_SYNTAX},
		{"1sip:a@b",						      ERR_SYNTAX												},
		{"sip:a%4@b",						      ERR_SYNTAX													    },
		{"sip:a%zz@b",              ERR_SYNTAX						 },
		{"sip:a b@c",      ERR_SYNTAX								      },
		{"sip:a@b;x y",						      ERR_SYNTAX													   },
		{"sip:a@b;x=<",							ERR_SYNTAX										       },
		{"sip:a@b>",					     ERR_SYNTAX											    },
		{"sip:a@b/c",					  ERR_SYNTAX											       },
		{"sip:a@b?h=%",						    ERR_SYNTAX													   },
		{" sip:a@b",               ERR_SYNTAX},
		{"tel:+1-201-555-0123",						      OK,											   SIP_URI_TEL, "+1-201-555-0123", "", "", "", "", 0},
		{"TEL:7042;phone-context=example.com",                                                      OK,														  SIP_URI_TEL, "7042", "", "",
		 "phone-context=example.com", "", 0},
		{"tel:*21#",                        OK,				   SIP_URI_TEL, "*21#", "", "", "", "", 0},
		{"tel:+",						  ERR_SYNTAX												       },
		{"tel:",						      ERR_SYNTAX													   },
		{"tel:12z",							ERR_SYNTAX											  },
		{"urn:service:sos",					     ERR_UNSUPPORTED,      SIP_URI_OTHER, "", "", "", "", "", 0},
		{"soap.beep://192.0.2.103:3002",						   ERR_UNSUPPORTED,												       SIP_URI_OTHER, "", "", "", "", "",
		 0},
		{"isbn:29 83",						    ERR_SYNTAX													   },
	};
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want *w = &wants[i];
		struct sip_uri u;
		enum err e = sip_uri_parse(str_c(w->text), &u);
		if (e != w->err)
			test_fail(__FILE__, __LINE__, "%s gives %s", w->text, err_text(e));
		CHECK_STR_EQ(u.all, str_c(w->text));
		if (e == ERR_SYNTAX)
			continue;
		CHECK_EQ(u.scheme, w->scheme);
		CHECK_STR_EQ(u.user, str_c(w->user));
		CHECK_STR_EQ(u.password, str_c(w->password));
		CHECK_STR_EQ(u.host, str_c(w->host));
		CHECK_STR_EQ(u.params, str_c(w->params));
		CHECK_STR_EQ(u.headers, str_c(w->headers));
		CHECK_EQ(u.port, w->port);
		CHECK_EQ(u.has_user, u.user.n > 0);
	}
}

TEST(parse_addresses)
{
	struct sip_uri u;
	char text[ADDR_TEXT_MAX];
	CHECK_EQ(sip_uri_parse(STR("sip:a@[2001:DB8:0::1]:5062;lr"), &u), OK);
	CHECK(u.is_ip && u.has_port);
	CHECK_STR_EQ(str_c(addr_text(&u.ip, text)), STR("[2001:db8::1]:5062"));
	CHECK_EQ(sip_uri_parse(STR("sip:192.0.2.300"), &u), OK);
	CHECK(!u.is_ip); /* a strange name, but no address */
	CHECK_EQ(sip_uri_parse(STR("sip:192.0.2.3"), &u), OK);
	CHECK(u.is_ip && !u.has_port && u.ip.port == 0);
	CHECK_EQ(sip_uri_parse(STR("sip:a@[2001:db8:::192.0.2.1]"), &u), OK);
	CHECK(u.is_ip);
	CHECK_STR_EQ(str_c(addr_text(&u.ip, text)), STR("2001:db8::c000:201"));
	CHECK_EQ(sip_uri_parse(STR("sip:x@h;+sip.rendering=%22no%22;gr"), &u), OK);
}

static bool eq(const char *a, const char *b)
{
	struct sip_uri ua, ub;
	enum err ea = sip_uri_parse(str_c(a), &ua), eb = sip_uri_parse(str_c(b), &ub);
	CHECK(ea == OK || ea == ERR_UNSUPPORTED);
	CHECK(eb == OK || eb == ERR_UNSUPPORTED);
	CHECK(sip_uri_eq(&ua, &ua));
	CHECK(sip_uri_eq(&ub, &ub));
	bool is_eq = sip_uri_eq(&ua, &ub);
	CHECK_EQ(is_eq, sip_uri_eq(&ub, &ua)); /* symmetric, if not transitive */
	return is_eq;
}

/* The examples of [RFC3261 19.1.4]. */
TEST(equal_by_the_book)
{
	CHECK(eq("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"));
	CHECK(eq("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
	CHECK(eq("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"));
	CHECK(eq("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
	CHECK(eq("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		 "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"));
	CHECK(eq("sip:alice@atlanta.com?subject=project%20x&priority=urgent",
		 "sip:alice@atlanta.com?priority=urgent&subject=project%20x"));
}

TEST(unequal_by_the_book)
{
	CHECK(!eq("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
	CHECK(!eq("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
	CHECK(!eq("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
	CHECK(!eq("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
	CHECK(!eq("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
	CHECK(!eq("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
	/* two that the first ignores, but that differ from each other */
	CHECK(!eq("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
}

TEST(equality_details)
{
	CHECK(!eq("sip:a@b", "sips:a@b"));
	CHECK(!eq("sip:a@b", "sip:b"));
	CHECK(!eq("sip:a:x@b", "sip:a@b"));
	CHECK(!eq("sip:a:x@b", "sip:a:X@b"));
	CHECK(!eq("sip:a%3Bb@c", "sip:a;b@c")); /* reserved: escaped is another character */
	CHECK(eq("sip:a%3bb@c", "sip:a%3Bb@c"));
	CHECK(eq("sip:%41@c", "sip:A@c"));
	CHECK(!eq("sip:%2541@c", "sip:%41@c")); /* once only [RFC4475 3.1.1.3] */
	CHECK(!eq("sip:%00@c", "sip:%00%00@c"));
	CHECK(!eq("sip:a@b;maddr=x", "sip:a@b"));
	CHECK(!eq("sip:a@b;ttl=1", "sip:a@b"));
	CHECK(!eq("sip:a@b;user=phone", "sip:a@b"));
	CHECK(!eq("sip:a@b;method=INVITE", "sip:a@b"));
	CHECK(eq("sip:a@b;lr", "sip:a@b"));
	CHECK(!eq("sip:a@b?x=1&x=1", "sip:a@b?x=1&x=2"));
	CHECK(!eq("sip:a@b?x=1&x=1", "sip:a@b?x=1"));
	CHECK(!eq("sip:a@b?X=1&", "sip:a@b?y=2&x=1"));
	CHECK(eq("sip:a@b?X=1&y=2", "sip:a@b?y=2&x=1"));
	CHECK(eq("sip:[2001:db8::1]", "sip:[2001:DB8:0:0::1]"));
	CHECK(eq("sip:a@b;%6C%72=v%61lue%25%34%31", "sip:a@b;lr=value%2541"));
	CHECK(eq("tel:+1-201-555-0123", "TEL:+12015550123"));
	CHECK(!eq("tel:+12015550123", "tel:12015550123"));
	CHECK(!eq("tel:7042;phone-context=a.com", "tel:7042"));
	CHECK(eq("tel:7042;ext=1;phone-context=A.com", "tel:7042;phone-context=a.com;ext=1"));
	CHECK(!eq("tel:7042;ext;ext=o", "tel:7042;ext"));
	CHECK(!eq("tel:7042;ext", "tel:7042;ext;ext=o"));
	CHECK(eq("URN:service:sos", "urn:service:sos"));
	CHECK(!eq("urn:service:sos", "urn:service:SOS"));
}

/* Beyond a number of parts that no honest URI has, only the same text is equal. */
TEST(equality_of_monsters)
{
	char a[2048], b[2048];
	struct buf ba, bb;
	struct sip_uri ua, ub;
	buf_init_fixed(&ba, a, sizeof(a));
	buf_init_fixed(&bb, b, sizeof(b));
	buf_str(&ba, STR("sip:h"));
	for (int i = 0; i < 200; i++)
		buf_fmt(&ba, ";p%d", i);
	buf_str(&bb, STR("sip:H"));
	buf_str(&bb, str_skip(buf_view(&ba), 5));
	CHECK_EQ(sip_uri_parse(buf_view(&ba), &ua), OK);
	CHECK_EQ(sip_uri_parse(buf_view(&bb), &ub), OK);
	CHECK(sip_uri_eq(&ua, &ua));
	CHECK(!sip_uri_eq(&ua, &ub));
}

TEST(params)
{
	struct str v;
	struct str p =
		STR("tag=88sja8x;Expires = 3600 ;+sip.instance=\"<urn:a;b=\\\"c>\";lr;x=;;y");
	CHECK(sip_param(p, STR("TAG"), &v));
	CHECK_STR(v, "88sja8x");
	CHECK(sip_param(p, STR("expires"), &v));
	CHECK_STR(v, "3600");
	CHECK(sip_param(p, STR("+sip.instance"), &v));
	CHECK_STR(v, "<urn:a;b=\\\"c>");
	CHECK(sip_param(p, STR("lr"), &v));
	CHECK(!v.p);
	CHECK(sip_param(p, STR("x"), &v));
	CHECK(v.p && v.n == 0);
	CHECK(sip_param(p, STR("y"), &v));
	CHECK(!sip_param(p, STR("b"), &v));
	CHECK(!sip_param(p, STR("ta"), &v));
	CHECK(!sip_param(STR_NONE, STR("x"), &v));
	CHECK(!sip_param(STR(" ; ;"), STR("x"), &v));
	CHECK(sip_param(STR("a=\"open;b=1"), STR("a"), &v));
	CHECK_STR(v, "open;b=1");
	CHECK(sip_param(STR("\r\n newparam =\r\n\tnewvalue ;\r\n  second"), STR("newparam"), &v));
	CHECK_STR(v, "newvalue");
}

TEST(escapes)
{
	char mem[64];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK(sip_unescape(&b, STR("a%20b%00%7Ec%")) == false);
	CHECK_EQ(b.n, 0);
	CHECK(sip_unescape(&b, STR("a%20b%00%7E%25%34%31")));
	CHECK_STR_EQ(buf_view(&b), str_of("a b\0~%41", 8));
	buf_clear(&b);
	sip_escape_user(&b, STR("a b@c:%\xc3\xa4"));
	CHECK_STR(buf_view(&b), "a%20b%40c%3A%25%C3%A4");
}

/* [RFC3261 19.1.1] table 1 */
TEST(as_a_request_uri)
{
	static const char *const cases[][2] = {
		{"sip:a@b:5070;lr;x=%41?h=1",               "sip:a@b:5070;lr;x=%41"   },
		{"sip:a@b;method=INVITE",                   "sip:a@b"                 },
		{"sip:a;method=x@b;Method=INVITE;maddr=c?", "sip:a;method=x@b;maddr=c"},
		{"sip:a@b;x;method=INVITE;y=?h=;method=z",  "sip:a@b;x;y="            },
		{"sips:b?h=1",                              "sips:b"                  },
		{"tel:+1;ext=2",                            "tel:+1;ext=2"            },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char mem[128];
		struct buf b;
		struct sip_uri u;
		buf_init_fixed(&b, mem, sizeof(mem));
		CHECK_EQ(sip_uri_parse(str_c(cases[i][0]), &u), OK);
		sip_uri_put_request(&b, &u);
		CHECK_STR_EQ(buf_view(&b), str_c(cases[i][1]));
	}
}

static struct str aor(const char *text, struct buf *b)
{
	struct sip_uri u;
	buf_clear(b);
	CHECK_EQ(sip_uri_parse(str_c(text), &u), OK);
	CHECK_EQ(sip_aor_put(b, &u), OK);
	return buf_view(b);
}

/* [RFC3261 10.3] step 5: canonical form. */
TEST(address_of_record)
{
	char mem[128];
	struct buf b;
	struct sip_uri u;
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK_STR(aor("sip:%61lice:pw@Atlanta.COM:5070;transport=tcp?x=y", &b),
		  "alice@atlanta.com");
	CHECK_STR(aor("sips:Alice@atlanta.com", &b), "Alice@atlanta.com");
	CHECK_STR(aor("sip:Atlanta.com", &b), "atlanta.com");
	CHECK_STR(aor("sip:a@[2001:DB8:0::1]:5060", &b), "a@[2001:db8::1]");
	CHECK_STR_EQ(aor("sip:null-%00-null@example.com", &b),
		     str_of("null-\0-null@example.com", 23));
	CHECK_STR(aor("sip:sips%3Auser%40example.com@example.net", &b),
		  "sips:user@example.com@example.net");
	CHECK_EQ(sip_uri_parse(STR("tel:+1"), &u), OK);
	CHECK_EQ(sip_aor_put(&b, &u), ERR_UNSUPPORTED);
}

struct want_addr {
	const char *text;
	enum err err;
	const char *display, *uri, *params;
	bool has_brackets;
	enum err uri_err;
};

/* [RFC3261 20.10, 25.1] [RFC4475 3.1.1.6, 3.1.2.6, 3.1.2.13, 3.1.2.14] */
TEST(name_addr)
{
	static const struct want_addr wants[] = {
		{"\"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s", OK,                 "A. G. Bell",
		 "sip:agb@bell-telephone.com", "tag=a48s", true, OK},
		{"sip:+12125551212@server.phone2net.com;tag=887s",                            OK,                                    "",
		 "sip:+12125551212@server.phone2net.com", "tag=887s", false, OK},
		{"Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",                                                     OK,                                                                       "Anonymous",
		 "sip:c8oqz84zk7z@privacy.org", "tag=hyh8", true, OK},
		{"caller<sip:caller@example.com>;tag=323",                          OK,       "caller", "sip:caller@example.com",
		 "tag=323", true, OK},
		{"<sip:a@b;user=phone>",					     OK,							  "", "sip:a@b;user=phone", "", true, OK},
		{"sip:a@b;user=phone",						       OK,                        "", "sip:a@b", "user=phone", false, OK},
		{"\"a \\\" > < b\" <sip:a@b>",                                            OK,                                               "a \\\" > < b", "sip:a@b", "", true, OK},
		{"\"\" <sip:a@b>",						   OK,								   "", "sip:a@b", "", true, OK},
		{"\r\n <sip:a@b>\r\n ;\r\n tag = 1 ",                OK,       "", "sip:a@b", "\r\n tag = 1", true, OK},
		{"<urn:service:sos>",                               OK,								   "", "urn:service:sos", "", true, ERR_UNSUPPORTED},
		{"< sip:a@b >",						     OK,								       "", " sip:a@b ", "", true, ERR_SYNTAX},
		{"<>",         OK,"", "", "", true, ERR_SYNTAX},
		{"tel:112",						     OK,								   "", "tel:112", "", false, OK},
		{"\"Mr. J. User <sip:j.user@example.com>",                                                       ERR_SYNTAX                                                     },
		{"sip:user@example.com?Route=%3Csip:sip.example.com%3E",                                                     ERR_SYNTAX                                      },
		{"sip:a,b@c",						  ERR_SYNTAX								 },
		{"sip:a@b <sip:c@d>",                            ERR_SYNTAX},
		{"<sip:a@b",					      ERR_SYNTAX							     },
		{"<sip:a@b> x",						     ERR_SYNTAX								      },
		{"\"x\" sip:a@b",   ERR_SYNTAX},
		{"no brackets",						     ERR_SYNTAX								  },
		{"",						       ERR_SYNTAX				      },
		{"   ",						     ERR_SYNTAX						       },
		{"**",						   ERR_SYNTAX								  },
	};
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want_addr *w = &wants[i];
		struct sip_addr a;
		enum err e = sip_addr_parse(str_c(w->text), &a);
		if (e != w->err)
			test_fail(__FILE__, __LINE__, "%s gives %s", w->text, err_text(e));
		if (e != OK)
			continue;
		CHECK_STR_EQ(a.display, str_c(w->display));
		CHECK_STR_EQ(a.uri_text, str_c(w->uri));
		CHECK_STR_EQ(a.params, str_c(w->params));
		CHECK_EQ(a.has_brackets, w->has_brackets);
		CHECK_EQ(a.uri_err, w->uri_err);
		CHECK(!a.is_star);
		CHECK_EQ(sip_addr_shape(str_c(w->text), &a), OK);
		CHECK_STR_EQ(a.display, str_c(w->display));
		CHECK_STR_EQ(a.uri_text, str_c(w->uri));
		CHECK_EQ(a.uri_err, OK);
		CHECK(!a.uri.host.n && !a.uri.user.n);
	}
	struct sip_addr a;
	CHECK_EQ(sip_addr_parse(STR(" * "), &a), OK);
	CHECK(a.is_star);
}
