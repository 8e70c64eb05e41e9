/* GRUUs as URIs: what is put can be read, and nothing else. [RFC5627 5.4] */
#include "service/gruu.h"

#include "test.h"

#include <string.h>

static const struct gruu_self self = {.key = "0123456789abcdef"};
#define PHONE STR("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>")

static struct str make(char mem[512], const char *aor, const char *user, struct str instance,
		       const char *call_id, uint64_t nonce)
{
	struct sip_uri u;
	struct buf b;
	buf_init_fixed(&b, mem, 512);
	CHECK_EQ(sip_uri_parse(str_c(aor), &u), OK);
	struct gruu_of of = {.aor_uri = &u,
			     .user = str_c(user),
			     .instance = instance,
			     .call_id = str_c(call_id),
			     .is_sips = u.scheme == SIP_URI_SIPS,
			     .nonce = nonce};
	gruu_put(&self, &b, &of);
	CHECK_EQ(b.err, OK);
	return buf_view(&b);
}

static struct str part(struct str params, const char *name)
{
	struct str v = STR_NONE;
	CHECK(sip_param(params, str_c(name), &v));
	return v;
}

static bool read_with(const struct gruu_self *s, struct str text, struct gruu *g)
{
	struct sip_uri u;
	CHECK_EQ(sip_uri_parse(text, &u), OK);
	return gruu_read(s, &u, g);
}

TEST(gruu_public)
{
	char mem[512];
	struct gruu g;
	struct str pub =
		part(make(mem, "sip:100@[2001:db8::1]:5070", "100", PHONE, "c", 1), "pub-gruu");
	CHECK_STR(pub,
		  "sip:100@[2001:db8::1]:5070;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
	CHECK(read_with(&self, pub, &g));
	CHECK(!g.is_temp);
	CHECK(gruu_is_meant(&g, PHONE, STR("any")));
	CHECK(!gruu_is_meant(&g, STR("<urn:uuid:another>"), STR("any")));
	CHECK(!gruu_is_meant(&g, STR_NONE, STR("any")));
	/* an instance with characters that no parameter has */
	struct str odd = STR("<x:\\y;z\" 1>");
	pub = part(make(mem, "sip:100@h", "100", odd, "c", 1), "pub-gruu");
	CHECK(read_with(&self, pub, &g));
	CHECK(gruu_is_meant(&g, odd, STR_NONE));
	CHECK(!read_with(&self, STR("sip:100@h"), &g));
	CHECK(!read_with(&self, STR("sip:h;gr=x"), &g));
}

TEST(gruu_temporary)
{
	char a[512], b[512];
	struct gruu g;
	struct str t1 = part(make(a, "sip:100@h", "100", PHONE, "call-1", 0x123456789abcdef7),
			     "temp-gruu"),
		   t2 = part(make(b, "sip:100@h", "100", PHONE, "call-1", 0xfedcba9876543210),
			     "temp-gruu");
	size_t same = 0;
	for (size_t i = 10; i < t1.n && i < t2.n; i++)
		same += t1.p[i] == t2.p[i];
	CHECK_EQ(t1.n, t2.n);
	CHECK(same < t1.n / 4); /* nobody sees that they are one phone's */
	CHECK(read_with(&self, t1, &g));
	CHECK(g.is_temp);
	CHECK_STR(str_of(g.user, g.n_user), "100");
	CHECK(gruu_is_meant(&g, PHONE, STR("call-1")));
	CHECK(!gruu_is_meant(&g, PHONE, STR("call-2"))); /* registered anew */
	CHECK(!gruu_is_meant(&g, STR("<urn:uuid:another>"), STR("call-1")));
	/* one character changed, or another exchange's: nobody */
	static const struct gruu_self other = {.key = "another one"};
	CHECK(read_with(&other, t1, &g));
	CHECK_EQ(g.n_user, 0);
	for (size_t i = 10; i < t1.n - 6; i++) {
		char c = a[t1.p - a + i];
		a[t1.p - a + i] = c == 'x' ? 'y' : 'x';
		CHECK(read_with(&self, t1, &g));
		CHECK(!gruu_is_meant(&g, PHONE, STR("call-1")) || g.n_user == 0);
		a[t1.p - a + i] = c;
	}
	CHECK(read_with(&self, STR("sip:tgruu.@h;gr"), &g));
	CHECK_EQ(g.n_user, 0);
	/* a name that is too long for one gets none */
	char name[66] = {0};
	memset(name, 'u', 65);
	CHECK_EQ(make(b, "sip:100@h", name, PHONE, "c", 1).n, 0);
}
