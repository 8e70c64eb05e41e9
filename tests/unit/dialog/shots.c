/* See shots.h. */
#include "shots.h"

#include <string.h>

struct shot shots[SHOTS];
unsigned n_shots;

static void take(void *arg, const struct sim_packet *p)
{
	if (p->bytes.n <= 4)
		return;
	CHECK(n_shots < ARRAY_LEN(shots));
	shots[n_shots].from = (char)('a' + p->from.ip[3] - 1);
	CHECK(str_copy(shots[n_shots++].text, sizeof(shots[0].text), p->bytes));
}

struct pair watched(void)
{
	struct pair p = pair_new();
	n_shots = 0;
	sim_tap(p.w->sim, take, NULL);
	return p;
}

/* The n-th message of that party that begins so; NULL when there is none. */
const char *maybe_shot(char from, const char *start, unsigned n)
{
	for (unsigned i = 0; i < n_shots; i++)
		if (shots[i].from == from && str_starts(str_c(shots[i].text), str_c(start)) &&
		    n-- == 0)
			return shots[i].text;
	return NULL;
}

const char *shot(char from, const char *start, unsigned n)
{
	const char *text = maybe_shot(from, start, n);
	if (!text)
		test_fail(__FILE__, __LINE__, "%c has not said \"%s\" %u times", from, start,
			  n + 1);
	return text;
}

bool shot_is_request(const char *text)
{
	return strncmp(text, "SIP/", 4) != 0;
}

/* The n-th header line of that name, without its name. */
struct str shot_line(const char *text, const char *name, unsigned n)
{
	struct str rest = str_c(text), none;
	while (rest.n) {
		struct str l = str_cut(rest, '\n', &rest);
		l.n -= l.n && l.p[l.n - 1] == '\r';
		if (!l.n)
			return STR_NONE;
		if (str_ieq(str_cut(l, ':', &none), str_c(name)) && n-- == 0)
			return str_trim(str_skip(l, strlen(name) + 1));
	}
	return STR_NONE;
}

unsigned shot_count(const char *text, const char *name)
{
	unsigned n = 0;
	while (shot_line(text, name, n).p)
		n++;
	return n;
}

bool has(struct str s, const char *part)
{
	return str_find(s, str_c(part)) != SIZE_MAX;
}

uint32_t shot_cseq(const char *text)
{
	struct str rest;
	uint32_t n = 0;
	CHECK(str_u32(str_cut(shot_line(text, "CSeq", 0), ' ', &rest), &n));
	return n;
}

struct str shot_uri(const char *text)
{
	struct str rest;
	str_cut(str_c(text), ' ', &rest);
	return str_cut(rest, ' ', &rest);
}

/* What stands between the angle brackets. */
struct str in_brackets(struct str value)
{
	size_t at = str_chr(value, '<');
	CHECK(at != SIZE_MAX);
	return str_sub(value, at + 1, str_chr(value, '>') - at - 1);
}
