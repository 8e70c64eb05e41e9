/* Digest: the examples of the RFCs, what real phones computed, and what is refused. */

#include "sip/auth.h"

#include "fixture.h"

#include <string.h>

struct exchange {
	const char *method, *password, *credentials;
};

/* The response in the credentials is the one that the password gives. */
static void check_response(const struct exchange *x)
{
	struct sip_credentials c;
	char ha1[SIP_HA1_MAX], out[SIP_HA1_MAX];
	CHECK_EQ(sip_credentials_parse(str_c(x->credentials), &c), OK);
	CHECK(c.is_known_alg);
	struct str h = sip_ha1(c.alg, c.username, c.realm, str_c(x->password), ha1);
	CHECK_STR_EQ(sip_digest_response(&c, h, str_c(x->method), STR_NONE, out), c.response);
	h = sip_ha1(c.alg, c.username, c.realm, STR("wrong"), ha1);
	CHECK(!str_eq(sip_digest_response(&c, h, str_c(x->method), STR_NONE, out), c.response));
}

/* RFC 2617 3.5; [RFC7616 3.9.1]. */
TEST(rfc_examples)
{
	static const struct exchange list[] = {
		{"GET", "Circle Of Life",
		 "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", "
		 "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, "
		 "nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", "
		 "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""            },
		{"GET", "Circle of Life",
		 "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
		 "uri=\"/dir/index.html\", "
		 "algorithm=MD5, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
		 "nc=00000001, "
		 "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "
		 "response=\"8ca523f5e9506fed4657c9700eebdbec\", "
		 "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""},
		{"GET", "Circle of Life",
		 "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", "
		 "uri=\"/dir/index.html\", "
		 "algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
		 "nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "
		 "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", "
		 "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""},
	};
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		check_response(&list[i]);
}

/* As baresip, Linphone and PJSUA sent them. */
TEST(real_phones)
{
	static const struct exchange list[] = {
		{"REGISTER",  "secret1001",
		 "Digest username=\"1001\", realm=\"127.0.0.57\", "
		 "nonce=\"awK7o2sCundygfIcyZr3qZ78Zo4/NbaR\", "
		 "uri=\"sip:127.0.0.57;transport=udp\", "
		 "response=\"f66a8d64bcadb29d584e9058f47cc60f\", cnonce=\"629b2cc2a07330c3\", "
		 "qop=auth, "
		 "nc=00000001"						       },
		{"REGISTER",  "secret1001",
		 " Digest realm=\"127.0.0.57\", nonce=\"awK7p2sCunsFxhAJuIo7VUARwxHZDUy+\", "
		 "username=\"1001\",  uri=\"sip:127.0.0.57\", "
		 "response=\"d9f79e1a84b7b637a3f43548a2e09ab8\", cnonce=\"haj-To4p4kauO8Zg\", "
		 "nc=00000002, qop=auth"					     },
		{"REGISTER",  "secret1001",
		 "Digest username=\"1001\", realm=\"127.0.0.57\", "
		 "nonce=\"awK7q2sCun+2rUbh2baE8fsNV2z7C1bY\", "
		 "uri=\"sip:127.0.0.57:5060;transport=udp\", "
		 "response=\"65a6ce6058a253092108293be06a9b3e\", "
		 "cnonce=\"4aa46d4bb9934549b7390821b2d1f234\", nc=00000001, qop=auth"},
		{"SUBSCRIBE", "secret1001",
		 "Digest username=\"1001\", realm=\"127.0.0.57\", "
		 "nonce=\"awK7t2sCuosNAllcGOUPsxfYK/Z6u5qX\", uri=\"sip:1001@127.0.0.57\", "
		 "response=\"2c6ddfd62a290c4ae35330f25f3362bc\", cnonce=\"1afcd102b4af2769\", "
		 "qop=auth, "
		 "nc=00000001"						       },
		{"REGISTER",  "secret1002",
		 " Digest realm=\"127.0.0.57\", nonce=\"awK7yGsCupw91yc9BO2uxF7u4xH68+I/\", "
		 "username=\"1002\",  uri=\"sip:127.0.0.57\", "
		 "response=\"92e1d96bf4214c4bb1f2115fac9c1d6d\", cnonce=\"9sH2-8vTia~dRiK1\", "
		 "nc=00000001, qop=auth"					     },
	};
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		check_response(&list[i]);
}

/* Without qop as RFC 2069, and auth-int over the body. [RFC7616 3.4.1, 3.4.3] */
TEST(other_qops)
{
	char ha1[SIP_HA1_MAX], a[SIP_HA1_MAX], b[SIP_HA1_MAX], t[SIP_HA1_MAX], u[SIP_HA1_MAX];
	struct sip_credentials c = {.nonce = STR("n"), .uri = STR("sip:x"), .alg = MD_MD5};
	struct str h = sip_ha1(MD_MD5, STR("u"), STR("r"), STR("p"), ha1);
	const struct str a2[] = {STR("REGISTER"), STR("sip:x")};
	struct str ha2 = md_hex_joined(MD_MD5, a2, 2, t);
	const struct str plain[] = {h, STR("n"), ha2};
	CHECK_STR_EQ(sip_digest_response(&c, h, STR("REGISTER"), STR("body"), a),
		     md_hex_joined(MD_MD5, plain, 3, b));
	const struct str body = STR("body");
	const struct str a2_int[] = {STR("REGISTER"), STR("sip:x"),
				     md_hex_joined(MD_MD5, &body, 1, u)};
	ha2 = md_hex_joined(MD_MD5, a2_int, 3, t);
	c.qop = STR("auth-int");
	c.nc = STR("00000001");
	c.cnonce = STR("c");
	const struct str with_int[] = {h, STR("n"), c.nc, c.cnonce, c.qop, ha2};
	CHECK_STR_EQ(sip_digest_response(&c, h, STR("REGISTER"), body, a),
		     md_hex_joined(MD_MD5, with_int, 6, b));
}

/* What we send we understand, in every algorithm. [RFC8760 2] */
TEST(round_trip)
{
	static const enum md_alg algs[] = {MD_MD5, MD_SHA256, MD_SHA512_256};
	for (size_t i = 0; i < 3; i++) {
		char mem[512], text[1024], ha1[SIP_HA1_MAX], out[SIP_HA1_MAX];
		struct buf b, cb;
		struct sip_challenge ch;
		struct sip_credentials c;
		buf_init_fixed(&b, mem, sizeof(mem));
		buf_init_fixed(&cb, text, sizeof(text));
		sip_challenge_put(&b, STR("example.com"), STR("n0"), algs[i], i == 1);
		CHECK_EQ(sip_challenge_parse(buf_view(&b), &ch), OK);
		CHECK(ch.is_known_alg && !ch.is_sess && ch.has_qop && ch.qop_auth &&
		      !ch.qop_auth_int);
		CHECK_EQ(ch.alg, algs[i]);
		CHECK_EQ(ch.stale, i == 1);
		sip_credentials_put(&cb, &ch, STR("bob"), STR("zanzibar"), STR("INVITE"),
				    STR("sip:alice@example.com"), STR("cn"), 0x2a);
		CHECK_EQ(cb.err, OK);
		CHECK_EQ(sip_credentials_parse(buf_view(&cb), &c), OK);
		CHECK(c.is_known_alg && c.has_alg);
		CHECK_STR(c.nc, "0000002a");
		CHECK_STR(c.uri, "sip:alice@example.com");
		CHECK_EQ(c.response.n, 2 * md_size(algs[i]));
		struct str h = sip_ha1(c.alg, STR("bob"), STR("example.com"), STR("zanzibar"), ha1);
		CHECK_STR_EQ(sip_digest_response(&c, h, STR("INVITE"), STR_NONE, out), c.response);
	}
}

/* Strings end where they end, not at a NUL. */
TEST(nul_in_values)
{
	char mem[512];
	struct buf b;
	struct sip_challenge ch;
	struct sip_credentials c;
	const struct str text = STR("Digest realm=\"r\", nonce=\"a\0b\"");
	CHECK_EQ(sip_challenge_parse(text, &ch), OK);
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_credentials_put(&b, &ch, STR("u"), STR("p"), STR("BYE"), STR("sip:x"), STR("c"), 1);
	CHECK_EQ(sip_credentials_parse(buf_view(&b), &c), OK);
	CHECK_STR_EQ(c.nonce, STR("a\0b"));
}

TEST(challenge_text)
{
	char mem[256];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_challenge_put(&b, STR("r"), STR("n"), MD_SHA512_256, true);
	CHECK_STR(buf_view(&b), "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, "
				"qop=\"auth\", stale=true");
}

TEST(challenges_as_they_come)
{
	struct sip_challenge c;
	CHECK_EQ(sip_challenge_parse(
			 STR("digest realm = \"a \\\" b\" ,nonce=\"\",\r\n qop=\"auth-int,auth\","
			     "stale=TRUE,algorithm=\"md5\", opaque=\"\", domain=\"sip:x\", z=1,"),
			 &c),
		 OK);
	CHECK_STR(c.realm, "a \\\" b");
	CHECK(c.nonce.p && c.opaque.p && c.nonce.n == 0);
	CHECK(c.qop_auth && c.qop_auth_int && c.stale && c.is_known_alg && c.alg == MD_MD5);
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=\"r\", nonce=\"n\""), &c), OK);
	CHECK(c.is_known_alg && c.alg == MD_MD5 && !c.has_qop); /* RFC 2069 style */
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=r,nonce=n,qop=\"auth-x, auth\""), &c), OK);
	CHECK(c.has_qop && c.qop_auth && !c.qop_auth_int); /* [RFC7616 3.3] */
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=\"r\",nonce=\"n\",algorithm=MD5-sess"), &c),
		 OK);
	CHECK(c.is_sess);
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=\"r\",nonce=\"n\",algorithm=AKAv1-MD5"), &c),
		 OK);
	CHECK(!c.is_known_alg);
	CHECK_EQ(sip_challenge_parse(STR("Basic realm=\"r\""), &c), ERR_UNSUPPORTED);
	CHECK_STR(c.scheme, "Basic");
	static const char *const bad[] = {"",
					  "Digest",
					  "Digest realm=\"r\"",
					  "Digest nonce=\"n\"",
					  "Digest realm=\"r, nonce=\"n\"",
					  "Digest realm=r nonce=n",
					  "Digest realm, nonce=n",
					  "Digest =r, nonce=n",
					  "Digest realm=r, nonce=n, realm=q",
					  "Digest realm=r\", nonce=n",
					  "Digest realm=r\\, nonce=n",
					  "Digest,realm=r"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_challenge_parse(str_c(bad[i]), &c), ERR_SYNTAX);
}

TEST(credentials_as_they_come)
{
	struct sip_credentials c;
	/* the first REGISTER of an IMS phone */
	CHECK_EQ(sip_credentials_parse(
			 STR("Digest username=\"u\",realm=\"r\",nonce=\"\",uri=\"sip:r\","
			     "response=\"\""),
			 &c),
		 OK);
	CHECK(c.response.p && c.response.n == 0 && !c.has_alg && c.is_known_alg);
	CHECK_EQ(sip_credentials_parse(STR("Digest username=u,realm=r,nonce=n,uri=x,response=y,"
					   "algorithm=\"SHA-256\",qop=\"auth\",nc=\"00000001\""),
				       &c),
		 OK);
	CHECK(c.alg == MD_SHA256 && c.is_known_alg);
	CHECK_STR(c.qop, "auth");
	CHECK_STR(c.nc, "00000001");
	CHECK_EQ(sip_credentials_parse(STR("Digest username=u,realm=r,nonce=n,uri=x,response=y,"
					   "algorithm=SHA-256-sess"),
				       &c),
		 OK);
	CHECK(!c.is_known_alg);
	CHECK_EQ(sip_credentials_parse(STR("NoOneKnowsThisScheme opaque-data=here"), &c),
		 ERR_UNSUPPORTED);
	static const char *const bad[] = {
		"Digest realm=r,nonce=n,uri=x,response=y",
		"Digest username=u,nonce=n,uri=x,response=y",
		"Digest username=u,realm=r,uri=x,response=y",
		"Digest username=u,realm=r,nonce=n,response=y",
		"Digest username=u,realm=r,nonce=n,uri=x",
		"Digest username=u,realm=r,nonce=n,uri=x,response=y,username=v",
		"Digest username=\"u,realm=r,nonce=n,uri=x,response=y",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(sip_credentials_parse(str_c(bad[i]), &c), ERR_SYNTAX);
}

/* What has quotes and what has none is fixed. [RFC7616 3.4] [RFC8760 2.6] */
TEST(credentials_text)
{
	static const char *const parts[] = {
		"username=\"bob\"", "realm=\"r\"",   "nonce=\"n0\"", "uri=\"sip:a@b\"",
		"response=\"",      "cnonce=\"cn\"", "opaque=\"o\"", "algorithm=SHA-256",
		"qop=auth",         "nc=0000002a"};
	char mem[512];
	struct buf b;
	struct sip_challenge ch;
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=\"r\", nonce=\"n0\", opaque=\"o\", "
					 "algorithm=SHA-256, qop=\"auth\""),
				     &ch),
		 OK);
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_credentials_put(&b, &ch, STR("bob"), STR("p"), STR("INVITE"), STR("sip:a@b"), STR("cn"),
			    42);
	CHECK_EQ(b.err, OK);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (str_find(buf_view(&b), str_c(parts[i])) == SIZE_MAX)
			test_fail(__FILE__, __LINE__, "no %s in %s", parts[i], buf_cstr(&b));
}

TEST(choose_and_find)
{
	struct sip_challenge ch;
	struct sip_credentials c;
	struct sip_msg *m =
		MSG("SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nTo: "
		    "<sip:c@d>\r\n"
		    "From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
		    "WWW-Authenticate: Basic realm=\"b\"\r\n"
		    "WWW-Authenticate: Digest realm=\"r0\",nonce=\"n\",algorithm=MD5-sess\r\n"
		    "WWW-Authenticate: Digest realm=\"r1\",nonce=\"n\",algorithm=AKAv1-MD5\r\n"
		    "WWW-Authenticate: Digest realm=\"r2\",nonce=\"n\",qop=\"auth-int\"\r\n"
		    "WWW-Authenticate: Digest "
		    "realm=\"r3\",nonce=\"n\",algorithm=SHA-256,qop=\"auth\"\r\n"
		    "WWW-Authenticate: Digest "
		    "realm=\"r4\",nonce=\"n\",algorithm=MD5,qop=\"auth\"\r\n\r\n");
	CHECK(sip_challenge_choose(m, SIP_HDR_WWW_AUTHENTICATE, &ch));
	CHECK_STR(ch.realm, "r3"); /* the server's preference [RFC8760 2.3] */
	CHECK(!sip_challenge_choose(m, SIP_HDR_PROXY_AUTHENTICATE, &ch));
	sip_msg_free(m);
	m = MSG(REQ_START REQ_REST
		"Proxy-Authorization: Digest username=a,realm=one,nonce=n,uri=x,response=y\r\n"
		"Proxy-Authorization: Basic abc=\r\nProxy-Authorization: Digest broken\r\n"
		"Proxy-Authorization: Digest "
		"username=b,realm=two,nonce=n,uri=x,response=y\r\n\r\n");
	CHECK(sip_credentials_for(m, SIP_HDR_PROXY_AUTHORIZATION, STR("two"), &c));
	CHECK_STR(c.username, "b");
	CHECK(!sip_credentials_for(m, SIP_HDR_PROXY_AUTHORIZATION, STR("TWO"), &c));
	CHECK(!sip_credentials_for(m, SIP_HDR_AUTHORIZATION, STR("one"), &c));
	sip_msg_free(m);
}

TEST(awkward_user_names)
{
	char mem[1024], longname[300];
	struct buf b;
	struct sip_challenge ch;
	struct sip_credentials c;
	CHECK_EQ(sip_challenge_parse(STR("Digest realm=\"r\", nonce=\"n\", opaque=\"o\""), &ch),
		 OK);
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_credentials_put(&b, &ch, STR("a\"b\\c"), STR("p"), STR("BYE"), STR("sip:x"), STR("cn"),
			    1);
	CHECK_EQ(sip_credentials_parse(buf_view(&b), &c), OK);
	CHECK_STR(c.username, "a\\\"b\\\\c");
	CHECK_STR(c.opaque, "o");
	CHECK(!c.qop.p); /* as the challenge asked for: none */
	memset(longname, 'x', sizeof(longname));
	sip_credentials_put(&b, &ch, str_of(longname, sizeof(longname)), STR("p"), STR("BYE"),
			    STR("sip:x"), STR("cn"), 1);
	CHECK_EQ(b.err, ERR_LIMIT);
}
