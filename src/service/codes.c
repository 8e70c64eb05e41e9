/* The rejections that rung makes by itself, and how they look on the wire and to people.
 *
 * One table, codes.def. A number never changes its meaning once released; new rows take new
 * numbers. The wire form is a Warning with code 399 (miscellaneous, for humans) and the agent
 * "rung" (and a second one where RFCs give a number), and for requests that end something a Reason
 * of the protocol "rung" (RFC 3326 allows tokens beside SIP and Q.850): both carry the number
 * first, so that `rung explain` and the analyzer find it again. The texts are plain ASCII without
 * quotes: they need no escaping.
 */
#include "service/codes.h"

#include "base/assert.h"

#define LINES_MAX 6144 /* the Warning, the longest challenges, a long way of a request */

static const struct code_info infos[] = {
	{0},
#define CODE(number, id, status, text, cause, remedy)                                              \
	{number, status, STR_INIT(#id), STR_INIT(text), STR_INIT(cause), STR_INIT(remedy)},
#include "service/codes.def"
#undef CODE
};

static const struct str warnings[] = {
	{0},
#define CODE(number, id, status, text, cause, remedy)                                              \
	STR_INIT("Warning: 399 rung \"" #number " " text "\"\r\n"),
#include "service/codes.def"
#undef CODE
};

const struct code_info *code_info(enum code c)
{
	return c > CODE_NONE && c < CODE__N ? &infos[c] : NULL;
}

static bool is_named(struct str name, struct str s)
{
	if (name.n != s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] == '-' ? '_' : s.p[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c != name.p[i])
			return false;
	}
	return true;
}

enum code code_find(struct str s)
{
	uint32_t n = 0;
	bool is_number = str_u32(s, &n);
	for (int i = 1; i < CODE__N; i++) {
		const struct code_info *info = &infos[i];
		if (is_number ? info->number == n : is_named(info->name, s))
			return (enum code)i;
	}
	return CODE_NONE;
}

/* What other programs know by a number of its own. [RFC5630 5.3] */
static struct str known_warning(enum code c)
{
	return c == CODE_NO_SECURE_HOP ? STR("Warning: 380 rung \"SIPS Not Allowed\"\r\n")
	       : c == CODE_SIPS_ONLY   ? STR("Warning: 381 rung \"SIPS Required\"\r\n")
				       : STR_NONE;
}

void code_warning_put(struct buf *b, enum code c)
{
	ASSERT(code_info(c));
	buf_str(b, warnings[c]);
	buf_str(b, known_warning(c));
}

void code_reason_put(struct buf *b, enum code c)
{
	const struct code_info *i = code_info(c);
	ASSERT(i);
	buf_fmt(b, "rung;cause=%u;text=\"" STR_FMT "\"", i->number, STR_ARG(i->text));
}

/* The Warning, and the caller's lines. */
static enum err put_lines(struct buf *b, enum code c, struct str extra_lines)
{
	code_warning_put(b, c);
	buf_str(b, extra_lines);
	return b->err;
}

enum err code_reply(struct tsx_mgr *m, tsx_id st, enum code c, unsigned status,
		    struct str extra_lines)
{
	char mem[LINES_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	enum err e = put_lines(&b, c, extra_lines);
	status = status ? status : infos[c].status;
	return e == OK ? tsx_reply(m, st, status, STR_NONE, buf_view(&b)) : e;
}

enum err code_reply_and_forget(struct tsx_mgr *m, tsx_id st, enum code c, unsigned status,
			       struct str extra_lines)
{
	char mem[LINES_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	enum err e = put_lines(&b, c, extra_lines);
	status = status ? status : infos[c].status;
	return e == OK ? tsx_reply_and_forget(m, st, status, buf_view(&b)) : e;
}

void code_explain_put(struct buf *b, enum code c)
{
	const struct code_info *i = code_info(c);
	ASSERT(i);
	buf_fmt(b, "%u " STR_FMT " (%u): " STR_FMT "\n", i->number, STR_ARG(i->name), i->status,
		STR_ARG(i->text));
	buf_fmt(b, "  Cause:  " STR_FMT "\n", STR_ARG(i->cause));
	buf_fmt(b, "  Remedy: " STR_FMT "\n", STR_ARG(i->remedy));
}
