/* Rows of the object model in each of their forms, and questions as lines, to and fro. */
#include "test.h"

#include "admin/line.h"
#include "admin/object.h"

#include <stdio.h>
#include <string.h>

static void fill(struct adm_row *r)
{
	adm_row_init(r, ADM_registration);
	adm_text(r, ADM_F_registration_aor, STR("100@x"));
	adm_text(r, ADM_F_registration_contact, STR("sip:a\"b@1.2.3.4"));
	adm_text(r, ADM_F_registration_user_agent, STR("=1+1\x1b[2J"));
	adm_number(r, ADM_F_registration_expires, 60);
	adm_number(r, ADM_F_registration_nat, 1);
}

static void check_form(enum adm_format f, const char *want)
{
	struct adm_row r;
	struct buf b;
	buf_init(&b);
	fill(&r);
	adm_put_row(&b, &r, f);
	bool is_same = b.err == OK && str_eq(buf_view(&b), str_c(want));
	if (b.err == OK && !is_same)
		CHECK_STR_EQ(buf_view(&b), str_c(want));
	buf_fini(&b);
	CHECK(is_same);
}

/* What a peer says moves no terminal, breaks no quotes and is no formula. */
TEST(rows_in_each_form)
{
	char text[140];
	snprintf(text, sizeof(text), "%-26s  %-40s  %-22s  %-6s  60\n", "100@x", "sip:a\"b@1.2.3.4",
		 "", "");
	check_form(ADM_AS_TEXT, text);
	check_form(ADM_AS_JSON, "{\"aor\":\"100@x\",\"contact\":\"sip:a\\\"b@1.2.3.4\","
				"\"expires\":60,\"user_agent\":\"=1+1\\u001b[2J\",\"nat\":true}\n");
	check_form(ADM_AS_CSV, "100@x,\"sip:a\"\"b@1.2.3.4\",,,60,'=1+1?[2J,,,yes,,,,\r\n");
	check_form(ADM_AS_SHEET, "aor             100@x\n"
				 "contact         sip:a\"b@1.2.3.4\n"
				 "expires         60\n"
				 "user_agent      =1+1?[2J\n"
				 "nat             yes\n");
}

TEST(rows_are_filtered)
{
	struct adm_row r;
	fill(&r);
	CHECK(adm_row_has(&r, STR_NONE));
	CHECK(adm_row_has(&r, STR("SIP:A")));
	CHECK(!adm_row_has(&r, STR("101")));
	CHECK_STR(adm_key(&r), "100@x");
}

/* Every kind has a key among its fields, room for its values, and a description of each. */
TEST(table_is_complete)
{
	for (int k = 0; k < ADM__N; k++) {
		size_t n;
		enum adm_kind found;
		const struct adm_object *o = adm_object((enum adm_kind)k);
		const struct adm_field *f = adm_fields((enum adm_kind)k, &n);
		CHECK(n > 0 && n <= ADM_FIELDS_MAX);
		CHECK(o->key >= o->first && o->key < o->first + (int)n);
		CHECK(adm_kind_find(str_c(o->many), &found));
		CHECK_EQ(found, k);
		for (size_t i = 0; i < n; i++)
			CHECK(f[i].name[0] && f[i].doc[0]);
	}
}

TEST(questions_to_and_fro)
{
	struct adm_ask q = {.verb = ADM_DO_DELETE,
			    .kind = ADM_call,
			    .format = ADM_AS_CSV,
			    .skip = 7,
			    .limit = 9,
			    .key = "a b@c",
			    .filter = "x\ty"},
		       got = {0};
	struct buf b;
	buf_init(&b);
	enum err e = adm_line_put(&b, &q);
	if (e == OK)
		e = adm_line_parse(str_trim(buf_view(&b)), &got);
	buf_fini(&b);
	CHECK_EQ(e, OK);
	CHECK_EQ(got.verb, ADM_DO_DELETE);
	CHECK_EQ(got.kind, ADM_call);
	CHECK_EQ(got.format, ADM_AS_CSV);
	CHECK_EQ(got.skip, 7);
	CHECK_EQ(got.limit, 9);
	CHECK_STR_EQ(str_c(got.key), STR("a b@c"));
	CHECK_STR_EQ(str_c(got.filter), STR("x?y"));
}

TEST(questions_that_are_none)
{
	static const char *const bad[] = {"",
					  "ask",
					  "ask\tlist",
					  "ask\tlist\tthings\tjson\t0\t0\t\t",
					  "ask\tlist\tcalls\txml\t0\t0\t\t",
					  "ask\tlist\tcalls\tjson\t-1\t0\t\t",
					  "reload"};
	struct adm_ask q = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(adm_line_parse(str_c(bad[i]), &q), ERR_SYNTAX);
	char line[700];
	snprintf(line, sizeof(line), "ask\tlist\tcalls\tjson\t0\t0\t%0*d\t", ADM_TEXT_MAX, 0);
	CHECK_EQ(adm_line_parse(str_c(line), &q), ERR_SYNTAX);
}

TEST(answers_to_and_fro)
{
	struct adm_ask q = {.is_end = true, .result = ADM_NOT_OURS, .n_rows = 2, .why = "no\nway"};
	struct adm_outcome o;
	struct buf b;
	buf_init(&q.out);
	buf_str(&q.out, STR("=one\ntwo\n"));
	buf_init(&b);
	adm_line_answer(&b, &q);
	struct str rest = buf_view(&b), one = str_cut(rest, '\n', &rest),
		   two = str_cut(rest, '\n', &rest);
	bool is_good = b.err == OK && q.out.err == OK && str_eq(one, STR(" =one")) &&
		       str_eq(two, STR(" two")) && adm_line_outcome(rest, &o) == OK &&
		       o.result == ADM_NOT_OURS && o.n_rows == 2 && str_eq(o.why, STR("no?way"));
	CHECK_EQ(adm_line_outcome(STR(" =done 0 0 "), &o), ERR_SYNTAX);
	CHECK_EQ(adm_line_outcome(STR("=fine 0 0 "), &o), ERR_SYNTAX);
	buf_fini(&b);
	buf_fini(&q.out);
	CHECK(is_good);
}
