/* See witness.h. It reads messages by lines, with nothing of our parser. A message that came is
 * kept until KEPT others have come; one that goes and has the same start (method or status),
 * Call-ID, CSeq and tags was passed on; any other is the exchange's own. */
#include "witness_legs.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT   1024 /* two seconds of a storm, and more */
#define BYTES  8192
#define FINALS 32768 /* a power of two */

struct kept {
	uint64_t key;
	size_t n;
	char bytes[BYTES];
};

struct final { /* of a server transaction */
	uint64_t key;
	uint16_t status;
};

struct witness {
	struct stage *s;
	struct wit_legs *legs;
	struct wit_records *records;
	size_t at;
	unsigned n_passed;
	struct final finals[FINALS];
	struct kept kept[KEPT];
};

/* --- messages by lines ------------------------------------------------------------------------ */

bool wit_next_line(struct str *rest, struct str *line)
{
	*line = str_cut(*rest, '\n', rest);
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return line->n > 0;
}

static bool is_named(struct str line, const char *name)
{
	size_t n = strlen(name);
	return line.n > n && line.p[n] == ':' && str_ieq(str_sub(line, 0, n), str_c(name));
}

struct str wit_value(struct str m, const char *name)
{
	struct str line;
	while (wit_next_line(&m, &line))
		if (is_named(line, name))
			return str_trim(str_skip(line, strlen(name) + 1));
	return STR_NONE;
}

unsigned wit_count(struct str m, const char *name)
{
	struct str line;
	unsigned n = 0;
	while (wit_next_line(&m, &line))
		n += is_named(line, name);
	return n;
}

static struct str param_of(struct str value, const char *name)
{
	size_t at = str_find(value, str_c(name));
	struct str rest;
	return at == SIZE_MAX ? STR_NONE : str_cut(str_skip(value, at + strlen(name)), ';', &rest);
}

struct str wit_body(struct str m)
{
	size_t at = str_find(m, STR("\r\n\r\n"));
	return at == SIZE_MAX ? STR_NONE : str_skip(m, at + 4);
}

unsigned wit_status(struct str m)
{
	uint32_t v;
	if (!str_starts(m, STR("SIP/2.0 ")))
		return 0;
	CHECK(str_u32(str_sub(m, 8, 3), &v));
	return v;
}

uint64_t wit_hash(const struct str *v, size_t n, uint64_t more)
{
	static const uint8_t key[16] = {7};
	uint64_t h = more;
	for (size_t i = 0; i < n; i++) {
		uint64_t in[2] = {h, siphash(key, v[i].p, v[i].n)};
		h = siphash(key, in, sizeof(in));
	}
	return h;
}

static uint64_t key_of(struct str m)
{
	struct str v[] = {wit_value(m, "Call-ID"), wit_value(m, "CSeq"),
			  param_of(wit_value(m, "From"), ";tag="),
			  param_of(wit_value(m, "To"), ";tag=")};
	return wit_hash(v, ARRAY_LEN(v), wit_status(m));
}

static void object(struct str in, struct str out, const char *why)
{
	printf("# %s\n" STR_FMT "\n--- passed on as\n" STR_FMT "\n", why, STR_ARG(in),
	       STR_ARG(out));
	CHECK(!"the witness objects: see above");
}

/* --- no message grows ------------------------------------------------------------------------- */

static bool is_of_the_way(struct str line)
{
	static const char *const names[] = {"Via",       "Max-Forwards",        "Record-Route",
					    "Route",     "Proxy-Authorization", "Max-Breadth",
					    "Diversion", "History-Info"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (is_named(line, names[i]))
			return true;
	return false;
}

/* The next line that is not of the way; false at the end of the head. */
static bool next_kept(struct str *rest, struct str *line)
{
	while (wit_next_line(rest, line))
		if (!is_of_the_way(*line))
			return true;
	return false;
}

static void check_way(struct str in, struct str out)
{
	uint32_t before = 0, after = 0;
	bool is_request = !wit_status(in);
	if (wit_count(out, "Via") != wit_count(in, "Via") + (is_request ? 1 : -1u))
		object(in, out, "Via");
	if (wit_count(out, "Record-Route") > wit_count(in, "Record-Route") + (is_request ? 2 : 0))
		object(in, out, "Record-Route");
	if (wit_count(out, "Route") > wit_count(in, "Route"))
		object(in, out, "Route");
	if (wit_count(out, "Proxy-Authorization") > wit_count(in, "Proxy-Authorization"))
		object(in, out, "credentials");
	if (wit_count(out, "Diversion") > 1 || wit_count(out, "History-Info") > 1)
		object(in, out, "where it was diverted");
	if (is_request && !(str_u32(wit_value(in, "Max-Forwards"), &before) &&
			    str_u32(wit_value(out, "Max-Forwards"), &after) && after + 1 == before))
		object(in, out, "Max-Forwards");
}

static void check_passed(struct str in, struct str out)
{
	struct str a = in, b = out, x, y, rest;
	bool has_x, has_y;
	x = str_cut(a, '\n', &a);
	y = str_cut(b, '\n', &b);
	if (!str_eq(str_cut(x, ' ', &rest), str_cut(y, ' ', &rest)))
		object(in, out, "start line");
	do {
		has_x = next_kept(&a, &x);
		has_y = next_kept(&b, &y);
		if (has_x != has_y || (has_x && !str_eq(x, y)))
			object(in, out, "a line differs");
	} while (has_x);
	if (!str_eq(wit_body(in), wit_body(out)))
		object(in, out, "the body differs");
	check_way(in, out);
}

/* --- one end for each ------------------------------------------------------------------------- */

static void check_final(struct witness *w, struct str m)
{
	struct str cseq = wit_value(m, "CSeq"), via = wit_value(m, "Via"), method;
	struct str v[] = {via, cseq, wit_value(m, "Call-ID")};
	uint16_t status = (uint16_t)wit_status(m);
	uint64_t key = wit_hash(v, ARRAY_LEN(v), 1);
	str_cut(cseq, ' ', &method);
	struct final *f = &w->finals[key % FINALS];
	unsigned n = 0;
	while (f->key && f->key != key) {
		f = f == &w->finals[FINALS - 1] ? w->finals : f + 1;
		CHECK(++n < FINALS);
	}
	bool is_fork = str_eq(method, STR("INVITE")) && status / 100 == 2;
	if (f->key && f->status != status && !is_fork) {
		printf("# before: %u\n", f->status);
		object(m, STR_NONE, "two final responses");
	}
	*f = (struct final){.key = key, .status = status};
}

/* --- the tap ---------------------------------------------------------------------------------- */

static void on_message(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		       const struct addr *from, const struct addr *to, struct str m)
{
	struct witness *w = ctx;
	uint64_t key = key_of(m);
	wit_legs_message(w->legs, at_us, is_sent, proto != TP_UDP, m);
	wit_records_message(w->records, at_us, from, to, m);
	if (!is_sent) {
		struct kept *k = &w->kept[w->at++ % KEPT];
		CHECK(m.n <= BYTES);
		k->key = key;
		k->n = m.n;
		memcpy(k->bytes, m.p, m.n);
		return;
	}
	if (wit_status(m) >= 200)
		check_final(w, m);
	/* CANCEL, ACK of a refusal, 100 Trying: hop by hop */
	if ((wit_count(m, "Via") == 1 && !wit_status(m)) || wit_status(m) == 100)
		return;
	for (size_t i = w->at; i > 0 && i + KEPT > w->at; i--) {
		const struct kept *k = &w->kept[(i - 1) % KEPT];
		if (k->key != key)
			continue;
		w->n_passed++;
		check_passed(str_of(k->bytes, k->n), m);
		return;
	}
}

static void on_leg(void *ctx, struct str of, struct str call_id)
{
	struct witness *w = ctx;
	wit_legs_note(w->legs, of, call_id);
	wit_records_note(w->records, of, call_id);
}

void witness_again(struct witness *w)
{
	wit_legs_forget(w->legs);
	wit_records_cut(w->records, env_now_us(w->s->envs[0]));
	memset(w->finals, 0, sizeof(w->finals));
	w->at = 0;
	for (size_t i = 0; i < w->s->n_shards; i++)
		exc_set_tap(w->s->exc, i, &(struct tp_tap){.ctx = w, .fn = on_message});
}

struct witness *witness_new(struct stage *s)
{
	struct witness *w = calloc(1, sizeof(*w));
	CHECK(w);
	w->s = s;
	w->legs = wit_legs_new();
	w->records = wit_records_new(w->legs);
	s->on_leg = on_leg;
	s->leg_ctx = w;
	witness_again(w);
	return w;
}

unsigned witness_passed(const struct witness *w)
{
	return w->n_passed;
}

unsigned witness_compared(const struct witness *w)
{
	return wit_legs_compared(w->legs);
}

void witness_check_calls(const struct witness *w)
{
	wit_records_end(w->records);
	wit_legs_check(w->legs);
}

void witness_free(struct witness *w)
{
	wit_records_free(w->records);
	wit_legs_free(w->legs);
	free(w);
}
