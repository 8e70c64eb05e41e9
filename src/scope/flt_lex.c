/* The filter's lexer: words, strings, signs; each token remembers its place.
 *
 * A word may hold what stands in field names, numbers, addresses and unquoted text; it ends before
 * "..", which is a range. Strings know C's escapes; an unknown one keeps its backslash, so that
 * "\d" is a pattern; r"raw" strings know none. The first mistake is kept: what comes after it is
 * its consequence.
 */
#include "base/assert.h"
#include "scope/flt_priv.h"

#include <string.h>

void flt_complain(struct flt_parser *p, size_t at, size_t n, const char *fmt, ...)
{
	if (p->err)
		return;
	p->err = ERR_SYNTAX;
	p->err_at = at;
	p->err_n = n ? n : 1;
	va_list ap;
	va_start(ap, fmt);
	struct buf b;
	buf_init_fixed(&b, p->says, sizeof p->says - 1);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	p->says[b.n] = '\0';
}

void flt_no_memory(struct flt_parser *p)
{
	if (!p->err)
		p->err = ERR_NOMEM;
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':' || c == '/' || c == '@' || c == '+' ||
	       c == '%' || c == '*';
}

int flt_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One escape at s[*i] == '\\'. An unknown one keeps its backslash, so that "\d" is a pattern. */
static void unescape(struct str s, size_t *i, struct buf *out)
{
	static const char from[] = "abfnrtv0'\"\\", to[] = "\a\b\f\n\r\t\v\0'\"\\";
	char c = *i + 1 < s.n ? s.p[*i + 1] : '\\';
	const char *known = memchr(from, c, sizeof from - 1);
	if (c == 'x' && *i + 3 < s.n && flt_hex_digit(s.p[*i + 2]) >= 0 &&
	    flt_hex_digit(s.p[*i + 3]) >= 0) {
		buf_chr(out, (char)(flt_hex_digit(s.p[*i + 2]) * 16 + flt_hex_digit(s.p[*i + 3])));
		*i += 4;
		return;
	}
	if (known) {
		buf_chr(out, to[known - from]);
	} else {
		buf_chr(out, '\\');
		buf_chr(out, c);
	}
	*i += 2;
}

static void lex_string(struct flt_parser *p, bool is_raw)
{
	struct flt_token *t = &p->tok;
	size_t start = p->at + (is_raw ? 1 : 0) + 1, i = start;
	while (i < p->text.n && p->text.p[i] != '"')
		i += !is_raw && p->text.p[i] == '\\' ? 2 : 1;
	if (i >= p->text.n) {
		flt_complain(p, p->at, 1, "this string has no end: a closing \" is missing");
		t->kind = T_ERROR;
		return;
	}
	struct str s = str_sub(p->text, start, i - start);
	t->kind = T_STRING;
	t->n = i + 1 - t->at;
	p->at = i + 1;
	t->text = s;
	if (is_raw || str_chr(s, '\\') == SIZE_MAX)
		return;
	char *mem = arena_bytes(&p->f->arena, s.n + 1);
	if (!mem) {
		flt_no_memory(p);
		t->kind = T_ERROR;
		return;
	}
	struct buf b;
	buf_init_fixed(&b, mem, s.n + 1);
	for (size_t k = 0; k < s.n;)
		if (s.p[k] == '\\')
			unescape(s, &k, &b);
		else
			buf_chr(&b, s.p[k++]);
	t->text = buf_view(&b);
}

static const struct {
	struct str text;
	enum flt_token_kind kind;
	enum flt_op op;
	bool is_all;
} symbols[] = {
  /* longer ones first */
	{STR_INIT("==="),      T_OP,     OP_EQ,       true },
	{STR_INIT("!=="),      T_OP,     OP_NE,       false},
	{STR_INIT("=="),       T_OP,     OP_EQ,       false},
	{STR_INIT("!="),       T_OP,     OP_NE,       true },
	{STR_INIT("~="),       T_OP,     OP_NE,       false},
	{STR_INIT(">="),       T_OP,     OP_GE,       false},
	{STR_INIT("<="),       T_OP,     OP_LE,       false},
	{STR_INIT("&&"),       T_AND,    OP_NONE,     false},
	{STR_INIT("||"),       T_OR,     OP_NONE,     false},
	{STR_INIT(".."),       T_RANGE,  OP_NONE,     false},
	{STR_INIT(">"),        T_OP,     OP_GT,       false},
	{STR_INIT("<"),        T_OP,     OP_LT,       false},
	{STR_INIT("~"),        T_OP,     OP_MATCHES,  false},
	{STR_INIT("!"),        T_NOT,    OP_NONE,     false},
	{STR_INIT("("),        T_LPAREN, OP_NONE,     false},
	{STR_INIT(")"),        T_RPAREN, OP_NONE,     false},
	{STR_INIT("{"),        T_LBRACE, OP_NONE,     false},
	{STR_INIT("}"),        T_RBRACE, OP_NONE,     false},
	{STR_INIT(","),        T_COMMA,  OP_NONE,     false},
 /* words */
	{STR_INIT("eq"),       T_OP,     OP_EQ,       false},
	{STR_INIT("any_eq"),   T_OP,     OP_EQ,       false},
	{STR_INIT("all_eq"),   T_OP,     OP_EQ,       true },
	{STR_INIT("ne"),       T_OP,     OP_NE,       true },
	{STR_INIT("all_ne"),   T_OP,     OP_NE,       true },
	{STR_INIT("any_ne"),   T_OP,     OP_NE,       false},
	{STR_INIT("gt"),       T_OP,     OP_GT,       false},
	{STR_INIT("ge"),       T_OP,     OP_GE,       false},
	{STR_INIT("lt"),       T_OP,     OP_LT,       false},
	{STR_INIT("le"),       T_OP,     OP_LE,       false},
	{STR_INIT("contains"), T_OP,     OP_CONTAINS, false},
	{STR_INIT("matches"),  T_OP,     OP_MATCHES,  false},
	{STR_INIT("in"),       T_IN,     OP_NONE,     false},
	{STR_INIT("and"),      T_AND,    OP_NONE,     false},
	{STR_INIT("or"),       T_OR,     OP_NONE,     false},
	{STR_INIT("not"),      T_NOT,    OP_NONE,     false},
};
#define N_SIGNS 19 /* rows before the words */

static void lex_word(struct flt_parser *p)
{
	struct flt_token *t = &p->tok;
	size_t i = p->at;
	while (i < p->text.n && is_word_char(p->text.p[i]) &&
	       !(p->text.p[i] == '.' && i + 1 < p->text.n && p->text.p[i + 1] == '.'))
		i++;
	t->kind = T_WORD;
	t->text = str_sub(p->text, p->at, i - p->at);
	t->n = t->text.n;
	p->at = i;
	for (size_t k = N_SIGNS; k < ARRAY_LEN(symbols); k++)
		if (str_eq(symbols[k].text, t->text)) {
			t->kind = symbols[k].kind;
			t->op = symbols[k].op;
			t->is_all = symbols[k].is_all;
		}
}

void flt_next(struct flt_parser *p)
{
	struct str s = p->text;
	while (p->at < s.n && (s.p[p->at] == ' ' || (s.p[p->at] >= '\t' && s.p[p->at] <= '\r')))
		p->at++;
	p->tok = (struct flt_token){.kind = T_END, .at = p->at, .n = 1};
	if (p->at == s.n)
		return;
	struct str rest = str_skip(s, p->at);
	if (rest.p[0] == '"' || (rest.n > 1 && (rest.p[0] | 32) == 'r' && rest.p[1] == '"')) {
		lex_string(p, rest.p[0] != '"');
		return;
	}
	for (size_t i = 0; i < N_SIGNS; i++)
		if (str_starts(rest, symbols[i].text)) {
			p->tok.kind = symbols[i].kind;
			p->tok.op = symbols[i].op;
			p->tok.is_all = symbols[i].is_all;
			p->tok.text = symbols[i].text;
			p->tok.n = symbols[i].text.n;
			p->at += p->tok.n;
			return;
		}
	if (is_word_char(rest.p[0])) {
		lex_word(p);
		return;
	}
	p->tok.kind = T_ERROR;
	if (rest.p[0] == '=' || rest.p[0] == '&' || rest.p[0] == '|')
		flt_complain(p, p->at, 1, "`%c` alone means nothing; did you mean `%c%c`?",
			     rest.p[0], rest.p[0], rest.p[0]);
	else
		flt_complain(p, p->at, 1, "a filter has no `%c` here; text stands in double quotes",
			     (unsigned char)rest.p[0] < ' ' ? '?' : rest.p[0]);
}
