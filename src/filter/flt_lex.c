/* The filter's lexer: words, strings, characters, signs; each token remembers its place.
 *
 * A word may hold what stands in field names, numbers, addresses, bytes and unquoted text; it ends
 * before "..", which is a range, and takes a "/24" along only when it looks like an address, since
 * else `/` divides. A `-` inside a word belongs to it ("User-Agent", "00-1b"), so that a difference
 * needs a space before its sign, as in Wireshark.
 *
 * Strings know C's escapes and refuse others; r"raw" strings know none, and keep the backslash that
 * lets a quote stand in them. Slices, "[0:3]" and "#[1-2]", are read here too: their signs mean
 * something else than outside. The first mistake is kept: what comes after it is its consequence.
 */
#include "base/assert.h"
#include "filter/flt_priv.h"

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

void *flt_alloc(struct flt_parser *p, size_t n)
{
	void *mem = arena_alloc(&p->f->arena, n);
	if (!mem)
		flt_no_memory(p);
	return mem;
}

struct str flt_shown(struct str s)
{
	return str_sub(s, 0, 50);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_word_char(char c)
{
	return is_alpha(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == ':';
}

int flt_hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* --- strings ------------------------------------------------------------------------------------
 */

static void put_utf8(struct buf *b, uint32_t c)
{
	static const struct {
		uint32_t below;
		uint8_t lead, more;
	} forms[] = {
		{0x80,       0x00, 0},
                {0x800,      0xc0, 1},
                {0x10000,    0xe0, 2},
                {UINT32_MAX, 0xf0, 3}
        };
	unsigned i = 0;
	while (c >= forms[i].below)
		i++;
	buf_chr(b, (char)(forms[i].lead | c >> (6 * forms[i].more)));
	for (unsigned k = forms[i].more; k-- > 0;)
		buf_chr(b, (char)(0x80 | (c >> (6 * k) & 0x3f)));
}

/* Digits of `base` at s[at], at most `most`; how many there are. */
static unsigned digits(struct str s, size_t at, unsigned base, unsigned most, uint32_t *out)
{
	unsigned n = 0;
	*out = 0;
	while (n < most && at + n < s.n) {
		int d = flt_hex_digit(s.p[at + n]);
		if (d < 0 || (unsigned)d >= base)
			break;
		*out = *out * base + (unsigned)d;
		n++;
	}
	return n;
}

/* One escape at s[at] == '\\': how many bytes it takes, 0 when there is no such escape. */
static size_t unescape(struct str s, size_t at, struct buf *out)
{
	static const char from[] = "abfnrtv'\"\\", to[] = "\a\b\f\n\r\t\v'\"\\";
	char c = at + 1 < s.n ? s.p[at + 1] : '\0';
	const char *known = c ? memchr(from, c, sizeof from - 1) : NULL;
	uint32_t v;
	unsigned n;
	if (known) {
		buf_chr(out, to[known - from]);
		return 2;
	}
	if (c == 'x' && (n = digits(s, at + 2, 16, 2, &v)) > 0) {
		buf_chr(out, (char)v);
		return 2 + n;
	}
	if ((n = digits(s, at + 1, 8, 3, &v)) > 0 && v < 256) {
		buf_chr(out, (char)v);
		return 1 + n;
	}
	unsigned want = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	if (!want || digits(s, at + 2, 16, want, &v) != want || v > 0x10ffff)
		return 0;
	put_utf8(out, v);
	return 2 + want;
}

static bool unescape_all(struct flt_parser *p, struct str s, size_t at, struct str *out)
{
	*out = s;
	if (str_chr(s, '\\') == SIZE_MAX)
		return true;
	char *mem = arena_bytes(&p->f->arena, s.n + 1);
	if (!mem) {
		flt_no_memory(p);
		return false;
	}
	struct buf b;
	buf_init_fixed(&b, mem, s.n + 1);
	for (size_t i = 0; i < s.n;) {
		size_t n = 1;
		if (s.p[i] != '\\')
			buf_chr(&b, s.p[i]);
		else
			n = unescape(s, i, &b);
		if (!n) {
			struct str what = str_sub(s, i, 2);
			flt_complain(p, at + i, what.n,
				     "`" STR_FMT "` is no escape; a backslash is written twice, or "
				     "once in r\"...\"",
				     STR_ARG(what));
			return false;
		}
		i += n;
	}
	*out = buf_view(&b);
	return true;
}

/* "..." or '...', with a leading r not looking at escapes. */
static void lex_quoted(struct flt_parser *p, bool is_raw)
{
	struct flt_token *t = &p->tok;
	size_t start = p->at + (is_raw ? 1 : 0) + 1, i = start;
	char quote = p->text.p[start - 1];
	while (i < p->text.n && p->text.p[i] != quote)
		i += p->text.p[i] == '\\' ? 2 : 1;
	t->kind = T_ERROR;
	if (i >= p->text.n) {
		flt_complain(p, p->at, 1, "this %s has no end: a closing %c is missing",
			     quote == '"' ? "string" : "character", quote);
		return;
	}
	struct str s = str_sub(p->text, start, i - start);
	t->n = i + 1 - t->at;
	p->at = i + 1;
	if (is_raw)
		t->text = s;
	else if (!unescape_all(p, s, start, &t->text))
		return;
	if (quote == '\'' && t->text.n != 1) {
		flt_complain(p, t->at, t->n,
			     "single quotes hold one character; text stands in double quotes");
		return;
	}
	t->kind = quote == '"' ? T_STRING : T_CHAR;
}

/* --- signs and words --------------------------------------------------------------------------
 */

static const struct symbol {
	struct str text;
	enum flt_token_kind kind;
	enum flt_op op;
	bool is_all;
} signs[] = {
  /* longer ones first */
	{STR_INIT("==="), T_OP,       OP_EQ,      true },
        {STR_INIT("!=="), T_OP,       OP_NE,      false},
	{STR_INIT("=="),  T_OP,       OP_EQ,      false},
        {STR_INIT("!="),  T_OP,       OP_NE,      true },
	{STR_INIT("~="),  T_OP,       OP_NE,      false},
        {STR_INIT(">="),  T_OP,       OP_GE,      false},
	{STR_INIT("<="),  T_OP,       OP_LE,      false},
        {STR_INIT("&&"),  T_AND,      OP_NONE,    false},
	{STR_INIT("||"),  T_OR,       OP_NONE,    false},
        {STR_INIT(".."),  T_RANGE,    OP_NONE,    false},
	{STR_INIT(">"),   T_OP,       OP_GT,      false},
        {STR_INIT("<"),   T_OP,       OP_LT,      false},
	{STR_INIT("~"),   T_OP,       OP_MATCHES, false},
        {STR_INIT("!"),   T_NOT,      OP_NONE,    false},
	{STR_INIT("+"),   T_ARITH,    OP_ADD,     false},
        {STR_INIT("-"),   T_ARITH,    OP_SUB,     false},
	{STR_INIT("*"),   T_ARITH,    OP_MUL,     false},
        {STR_INIT("/"),   T_ARITH,    OP_DIV,     false},
	{STR_INIT("%"),   T_ARITH,    OP_MOD,     false},
        {STR_INIT("&"),   T_ARITH,    OP_BITAND,  false},
	{STR_INIT("("),   T_LPAREN,   OP_NONE,    false},
        {STR_INIT(")"),   T_RPAREN,   OP_NONE,    false},
	{STR_INIT("{"),   T_LBRACE,   OP_NONE,    false},
        {STR_INIT("}"),   T_RBRACE,   OP_NONE,    false},
	{STR_INIT("["),   T_LBRACKET, OP_NONE,    false},
        {STR_INIT(","),   T_COMMA,    OP_NONE,    false},
	{STR_INIT("#"),   T_HASH,     OP_NONE,    false},
};
static const struct symbol words[] = {
	{STR_INIT("and"),         T_AND,   OP_NONE,     false},
	{STR_INIT("or"),          T_OR,    OP_NONE,     false},
	{STR_INIT("not"),         T_NOT,   OP_NONE,     false},
	{STR_INIT("eq"),          T_OP,    OP_EQ,       false},
	{STR_INIT("any_eq"),      T_OP,    OP_EQ,       false},
	{STR_INIT("all_eq"),      T_OP,    OP_EQ,       true },
	{STR_INIT("ne"),          T_OP,    OP_NE,       true },
	{STR_INIT("all_ne"),      T_OP,    OP_NE,       true },
	{STR_INIT("any_ne"),      T_OP,    OP_NE,       false},
	{STR_INIT("gt"),          T_OP,    OP_GT,       false},
	{STR_INIT("ge"),          T_OP,    OP_GE,       false},
	{STR_INIT("lt"),          T_OP,    OP_LT,       false},
	{STR_INIT("le"),          T_OP,    OP_LE,       false},
	{STR_INIT("contains"),    T_OP,    OP_CONTAINS, false},
	{STR_INIT("matches"),     T_OP,    OP_MATCHES,  false},
	{STR_INIT("bitwise_and"), T_ARITH, OP_BITAND,   false},
	{STR_INIT("in"),          T_IN,    OP_NONE,     false},
	{STR_INIT("any"),         T_ANY,   OP_NONE,     false},
	{STR_INIT("all"),         T_ALL,   OP_NONE,     false},
};

static void set_symbol(struct flt_token *t, const struct symbol *s)
{
	t->kind = s->kind;
	t->op = s->op;
	t->is_all = s->is_all;
}

static bool looks_like_address(struct str s)
{
	bool has_sign = false;
	for (size_t i = 0; i < s.n; i++) {
		has_sign = has_sign || s.p[i] == '.' || s.p[i] == ':';
		if (flt_hex_digit(s.p[i]) < 0 && s.p[i] != '.' && s.p[i] != ':')
			return false;
	}
	return has_sign;
}

static void lex_word(struct flt_parser *p)
{
	struct flt_token *t = &p->tok;
	struct str s = p->text;
	size_t i = p->at;
	while (i < s.n && is_word_char(s.p[i]) &&
	       !(s.p[i] == '.' && i + 1 < s.n && s.p[i + 1] == '.'))
		i++;
	if (i + 1 < s.n && s.p[i] == '/' && is_digit(s.p[i + 1]) &&
	    looks_like_address(str_sub(s, p->at, i - p->at)))
		for (i++; i < s.n && is_digit(s.p[i]);)
			i++;
	t->kind = T_WORD;
	t->text = str_sub(s, p->at, i - p->at);
	t->n = t->text.n;
	p->at = i;
	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		if (str_eq(words[k].text, t->text))
			set_symbol(t, &words[k]);
}

static void lex_unknown(struct flt_parser *p, char c)
{
	p->tok.kind = T_ERROR;
	if (c == '=' || c == '|')
		flt_complain(p, p->at, 1, "`%c` alone means nothing; did you mean `%c%c`?", c, c,
			     c);
	else
		flt_complain(p, p->at, 1, "a filter has no `%c` here; text stands in double quotes",
			     (unsigned char)c < ' ' ? '?' : c);
}

static void skip_space(struct flt_parser *p)
{
	struct str s = p->text;
	while (p->at < s.n && (s.p[p->at] == ' ' || (s.p[p->at] >= '\t' && s.p[p->at] <= '\r')))
		p->at++;
}

void flt_next(struct flt_parser *p)
{
	skip_space(p);
	p->tok = (struct flt_token){.kind = T_END, .at = p->at, .n = 1};
	struct str rest = str_skip(p->text, p->at);
	if (!rest.n)
		return;
	char c = rest.p[0];
	if (c == '"' || c == '\'') {
		lex_quoted(p, false);
		return;
	}
	if (rest.n > 1 && (c | 32) == 'r' && rest.p[1] == '"') {
		lex_quoted(p, true);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (str_starts(rest, signs[i].text)) {
			set_symbol(&p->tok, &signs[i]);
			p->tok.text = signs[i].text;
			p->tok.n = signs[i].text.n;
			p->at += p->tok.n;
			return;
		}
	if (is_word_char(c))
		lex_word(p);
	else
		lex_unknown(p, c);
}

/* --- slices -----------------------------------------------------------------------------------
 */

static bool lex_offset(struct flt_parser *p, int32_t *out)
{
	struct str s = p->text;
	skip_space(p);
	size_t at = p->at, start = at;
	bool is_negative = at < s.n && s.p[at] == '-';
	at += is_negative;
	bool is_hex = at + 1 < s.n && s.p[at] == '0' && (s.p[at + 1] | 32) == 'x';
	bool is_octal = !is_hex && at + 1 < s.n && s.p[at] == '0' && is_digit(s.p[at + 1]);
	at += is_hex ? 2 : 0;
	uint32_t v;
	unsigned n = digits(s, at, is_hex ? 16 : is_octal ? 8 : 10, 7, &v);
	size_t end = at + n;
	if (!n || (end < s.n && (is_alpha(s.p[end]) || is_digit(s.p[end])))) {
		flt_complain(p, start, 1, "an offset is expected here: [i:j] [i-j] [i] [:j] [i:]");
		return false;
	}
	*out = is_negative ? -(int32_t)v : (int32_t)v;
	p->at = end;
	skip_space(p);
	return true;
}

static char peek(struct flt_parser *p)
{
	skip_space(p);
	return p->at < p->text.n ? p->text.p[p->at] : '\0';
}

/* [i:j] i and a length; [i-j] i to j; [i] one; [:j] the first j; [i:] all from i on. */
static bool lex_span(struct flt_parser *p, struct flt_span *out)
{
	size_t start = p->at;
	*out = (struct flt_span){.n = 1};
	if (peek(p) != ':' && !lex_offset(p, &out->from))
		return false;
	char c = peek(p);
	if (c == '-') {
		p->at++;
		out->is_to = true;
		if (!lex_offset(p, &out->to))
			return false;
		if ((out->from < 0) == (out->to < 0) && out->to < out->from) {
			flt_complain(p, start, p->at - start,
				     "a slice goes from the lower offset to the higher one");
			return false;
		}
	} else if (c == ':') {
		p->at++;
		c = peek(p);
		out->is_open = c == ',' || c == ']';
		if (!out->is_open && !lex_offset(p, &out->n))
			return false;
		if (out->n <= 0) {
			flt_complain(p, start, p->at - start, "a slice has a length of 1 or more");
			return false;
		}
	}
	return true;
}

struct flt_span *flt_spans(struct flt_parser *p)
{
	struct flt_span *first = NULL, **tail = &first;
	size_t open = p->tok.at;
	char c;
	do {
		struct flt_span *s = flt_alloc(p, sizeof *s);
		if (!s || !lex_span(p, s))
			return NULL;
		*tail = s;
		tail = &s->next;
		c = peek(p);
		p->at += c == ',' || c == ']';
	} while (c == ',');
	if (c != ']') {
		if (c)
			flt_complain(p, p->at, 1, "`,` or `]` is expected here");
		flt_complain(p, open, 1, "this `[` is never closed");
		return NULL;
	}
	flt_next(p);
	return p->err ? NULL : first;
}

struct flt_span *flt_layers(struct flt_parser *p)
{
	if (p->at < p->text.n && p->text.p[p->at] == '[') {
		p->tok.at = p->at++;
		return flt_spans(p);
	}
	struct flt_span *s = flt_alloc(p, sizeof *s);
	if (!s)
		return NULL;
	uint32_t v;
	unsigned n = digits(p->text, p->at, 10, 6, &v);
	if (!n) {
		flt_complain(p, p->at, 1, "`#` is followed by the number of a layer, or by [...]");
		return NULL;
	}
	*s = (struct flt_span){.from = (int32_t)v, .n = 1};
	p->at += n;
	flt_next(p);
	return p->err ? NULL : s;
}
