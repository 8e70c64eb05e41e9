/* What all shards share: accounts, passwords, domains, codes. */
#include "registrar_rig.h"
#include "service/codes.h"
#include "test.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

TEST_NO_OOM(changed_accounts_are_seen_within_a_second)
{
	struct rig *r = rig_new(2, NULL);
	CHECK_EQ(acc_count(r->acc), 3);
	uint64_t generation = acc_generation(r->acc);
	CHECK_EQ(rig_register(r, &(struct ask){.to = "<sip:400@192.0.2.1>",
					       .user = "400",
					       .password = "new"}),
		 401);
	struct st_account a = {.user = STR("400"), .is_enabled = true};
	acc_set_password(&a, STR("rung-test"), STR("new"));
	CHECK_EQ(st_account_put(r->st, &a, ST_ADD), OK);
	rig_run_s(r, 2);
	CHECK(acc_generation(r->acc) > generation);
	CHECK(acc_has(r->acc, STR("400")));
	CHECK(!acc_has(r->acc, STR("300")));
	CHECK(!acc_has(r->acc, STR("40")));
	CHECK_EQ(rig_register(r, &(struct ask){.cseq = 10,
					       .to = "<sip:400@192.0.2.1>",
					       .user = "400",
					       .password = "new"}),
		 200);
	generation = acc_generation(r->acc);
	rig_run_s(r, 10);
	CHECK_EQ(acc_generation(r->acc), generation); /* nothing changed, nothing is read */
	rig_free(r, false);
}

static unsigned n_told;
static void on_reloaded(void *ctx, enum err e)
{
	n_told += e == OK;
}

TEST(reload_tells_when_it_is_done)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(st_account_del(r->st, STR("200")), OK);
	n_told = 0;
	acc_reload(r->acc, on_reloaded, NULL);
	acc_reload(r->acc, on_reloaded, NULL);
	CHECK_EQ(n_told, 0);
	sim_run(r->sim, sim_now_us(r->sim) + 1000);
	CHECK_EQ(n_told, 2);
	CHECK(!acc_has(r->acc, STR("200")));
	rig_free(r, false);
}

TEST_NO_OOM(many_accounts)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(st_begin(r->st), OK);
	for (unsigned i = 0; i < 3000; i++) {
		char name[16];
		int n = snprintf(name, sizeof(name), "u%u", i);
		struct st_account a = {.user = str_of(name, (size_t)n), .is_enabled = i % 3};
		a.ha1[MD_SHA256][5] = (uint8_t)i;
		CHECK_EQ(st_account_put(r->st, &a, ST_ADD), OK);
	}
	CHECK_EQ(st_commit(r->st), OK);
	rig_run_s(r, 2);
	CHECK_EQ(acc_count(r->acc), 3003);
	for (unsigned i = 0; i < 3100; i++) {
		char name[16];
		struct acc_user u;
		int n = snprintf(name, sizeof(name), "u%u", i);
		CHECK_EQ(acc_find(r->acc, str_of(name, (size_t)n), &u), i < 3000);
		CHECK_EQ(u.is_enabled, i < 3000 && i % 3);
		if (i < 3000)
			CHECK_EQ(u.ha1[MD_SHA256][5], (uint8_t)i);
	}
	rig_free(r, false);
}

TEST_NO_OOM(ha1_is_what_rfc_7616_says)
{
	struct st_account a = {.user = STR("Mufasa")};
	char hex[64];
	struct buf b;
	acc_set_password(&a, STR("http-auth@example.org"), STR("Circle of Life"));
	buf_init_fixed(&b, hex, sizeof(hex));
	buf_hex(&b, a.ha1[MD_MD5], 16);
	CHECK_STR_EQ(buf_view(&b), STR("3d78807defe7de2157e2b0b6573a855f"));
	buf_clear(&b);
	buf_hex(&b, a.ha1[MD_SHA256], 32);
	CHECK_STR_EQ(buf_view(&b),
		     STR("7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b479"
			 "4232"));
}

TEST_NO_OOM(names_and_passwords)
{
	struct buf why;
	struct rig *r = rig_new(1, NULL);
	buf_init(&why);
	CHECK_EQ(acc_name_check(STR("100"), &why), OK);
	CHECK_EQ(acc_name_check(STR("m\xc3\xbcller.a-b_c+d"), &why), OK);
	CHECK_EQ(why.n, 0);
	CHECK_EQ(acc_name_check(STR(""), &why), ERR_SYNTAX);
	CHECK_EQ(acc_name_check(STR("a b"), &why), ERR_SYNTAX);
	CHECK_EQ(acc_name_check(STR("100@h"), &why), ERR_SYNTAX);
	CHECK(why.n > 0);
	CHECK_EQ(acc_password_check(STR("x"), &why), OK);
	CHECK_EQ(acc_password_check(STR(""), &why), ERR_SYNTAX);
	CHECK_EQ(acc_password_check(STR("a\nb"), &why), ERR_SYNTAX);
	buf_clear(&why);
	acc_password_make(r->env[0], &why);
	CHECK_EQ(why.n, 19);
	CHECK_EQ(why.p[4], '-');
	for (size_t i = 0; i < why.n; i++)
		CHECK(!strchr("01259iloszuv", why.p[i]) || why.p[i] == '9');
	struct buf second;
	buf_init(&second);
	acc_password_make(r->env[0], &second);
	CHECK(!str_eq(buf_view(&why), buf_view(&second)));
	buf_fini(&why);
	buf_fini(&second);
	rig_free(r, false);
}

static void collect(void *arg, struct str user, struct str password)
{
	buf_fmt(arg, STR_FMT "=%zu ", STR_ARG(user), password.n);
}

TEST(the_first_minute)
{
	struct rig *r = rig_new(1, NULL);
	struct buf b, realm;
	uint8_t key[16], again[16];
	buf_init(&b);
	buf_init(&realm);
	CHECK_EQ(acc_first(r->st, r->env[0], STR("x"), 2, collect, &b), OK);
	CHECK_EQ(b.n, 0); /* there are accounts */
	for (unsigned i = 1; i <= 3; i++) {
		char name[4] = {(char)('0' + i), '0', '0', 0};
		CHECK_EQ(st_account_del(r->st, str_c(name)), OK);
	}
	CHECK_EQ(acc_first(r->st, r->env[0], STR("x"), 2, collect, &b), OK);
	CHECK_STR_EQ(buf_view(&b), STR("100=19 101=19 "));
	CHECK_EQ(acc_realm(r->st, r->env[0], STR_NONE, &realm), OK);
	CHECK(str_starts(buf_view(&realm), STR("rung-")));
	buf_clear(&b);
	CHECK_EQ(acc_realm(r->st, r->env[0], STR("other"), &b), OK);
	CHECK_STR_EQ(buf_view(&b), buf_view(&realm)); /* decided once */
	CHECK_EQ(acc_key(r->st, r->env[0], STR("nonce"), key, 16), OK);
	CHECK_EQ(acc_key(r->st, r->env[0], STR("nonce"), again, 16), OK);
	CHECK(memcmp(key, again, 16) == 0);
	buf_fini(&b);
	buf_fini(&realm);
	rig_free(r, false);
}

TEST(which_hosts_are_ours)
{
	struct rig *r = rig_new(1, NULL);
	struct tp *tp = r->shard[0].tp;
	static const struct {
		const char *host;
		uint16_t port;
		bool bare, named; /* with no names configured; with "Example.org", "*.pbx.test" */
	} c[] = {
		{"192.0.2.1",     0,    true,  true },
		{"192.0.2.1",     5060, true,  true },
		{"192.0.2.1",     5062, false, false},
		{"192.0.2.2",     0,    false, false},
		{"LilKR",         0,    true,  false},
		{"lilkr.local",   0,    true,  false},
		{"lilkr.",        5060, true,  false},
		{"lilkr",         5099, false, false},
		{"localhost",     0,    true,  true },
		{"example.org",   0,    false, true },
		{"EXAMPLE.ORG.",  0,    false, true },
		{"a.example.org", 0,    false, false},
		{"a.pbx.test",    0,    false, true },
		{"a.b.pbx.test",  0,    false, false},
		{"pbx.test",      0,    false, false},
		{"203.0.113.7",   0,    false, true },
		{"",              0,    false, false},
	};
	static const struct str names[] = {STR_INIT("Example.org"), STR_INIT("*.pbx.test"),
					   STR_INIT("203.0.113.7")};
	struct dom *named;
	struct str bad = STR_NONE;
	CHECK_EQ(dom_new(names, 3, STR("rung-test"), STR("lilkr"), &bad, &named), OK);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct str host = str_c(c[i].host);
		if (dom_is_ours(r->dom, tp, host, c[i].port) != c[i].bare ||
		    dom_is_ours(named, tp, host, c[i].port) != c[i].named)
			test_fail(__FILE__, __LINE__, "%s:%u", c[i].host, c[i].port);
	}
	CHECK_STR_EQ(dom_first(named), STR("example.org"));
	CHECK_STR_EQ(dom_canonical(named), STR("rung-test"));
	dom_free(named);
	static const struct str wrong[] = {STR_INIT("exa mple"), STR_INIT(".x"), STR_INIT("a..b"),
					   STR_INIT("sip:x")};
	for (size_t i = 0; i < 4; i++) {
		CHECK_EQ(dom_new(&wrong[i], 1, STR("r"), STR_NONE, &bad, &named), ERR_SYNTAX);
		CHECK_STR_EQ(bad, wrong[i]);
	}
	rig_free(r, false);
}

TEST_NO_OOM(addresses_of_record)
{
	struct rig *r = rig_new(1, NULL);
	struct sip_uri u;
	char mem[100];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	CHECK_EQ(sip_uri_parse(STR("sip:o%27neil@lilkr;transport=tcp"), &u), OK);
	CHECK(dom_uri_is_ours(r->dom, r->shard[0].tp, &u));
	CHECK_EQ(dom_aor_put(r->dom, &u, &b), OK);
	CHECK_STR_EQ(buf_view(&b), STR("o'neil@rung-test"));
	CHECK_STR_EQ(dom_user_of_aor(r->dom, buf_view(&b)), STR("o'neil"));
	buf_clear(&b);
	CHECK_EQ(sip_uri_parse(STR("sip:lilkr"), &u), OK);
	CHECK_EQ(dom_aor_put(r->dom, &u, &b), ERR_SYNTAX);
	CHECK_EQ(sip_uri_parse(STR("sip:a%00b@lilkr"), &u), OK);
	CHECK_EQ(dom_aor_put(r->dom, &u, &b), ERR_SYNTAX);
	rig_free(r, false);
}

/* [RFC3261 10.3]: another registrar may know what this one does not */
TEST(a_registrar_has_no_6xx)
{
	for (int i = 1; i < CODE__N; i++) {
		const struct code_info *info = code_info((enum code)i);
		CHECK(info->number / 1000 > 3 || info->status < 600);
	}
}

TEST_NO_OOM(codes_can_be_found_and_printed)
{
	struct buf b;
	buf_init(&b);
	CHECK_EQ(code_find(STR("2002")), CODE_AUTH_FAILED);
	CHECK_EQ(code_find(STR("auth-failed")), CODE_AUTH_FAILED);
	CHECK_EQ(code_find(STR("AUTH_FAILED")), CODE_AUTH_FAILED);
	CHECK_EQ(code_find(STR("auth-fail")), CODE_NONE);
	CHECK_EQ(code_find(STR("1")), CODE_NONE);
	CHECK(!code_info(CODE_NONE));
	code_warning_put(&b, CODE_REG_ORDER);
	CHECK_STR_EQ(buf_view(&b),
		     STR("Warning: 399 rung \"3006 older than the last registration\"\r\n"));
	buf_clear(&b);
	code_reason_put(&b, CODE_OFFLINE);
	CHECK_STR_EQ(buf_view(&b), STR("rung;cause=4002;text=\"not registered\""));
	for (int i = 1; i < CODE__N; i++) {
		const struct code_info *info = code_info((enum code)i);
		CHECK(info->status >= 300 && info->status < 700);
		CHECK(info->cause.n > 10 && info->remedy.n > 5);
		CHECK(str_chr(info->text, '"') == SIZE_MAX);
		CHECK_EQ(code_find(info->name), i);
		for (int k = 1; k < i; k++)
			CHECK(code_info((enum code)k)->number != info->number);
		buf_clear(&b);
		code_explain_put(&b, (enum code)i);
		CHECK(b.err == OK && b.n > 40);
	}
	buf_fini(&b);
}
