/* Pages of the routing policy: configurations, what is wrong with them, and where calls go. TAP,
 * one test per page; a last one holds docs/guide/keys.md against the schema.
 *
 *   pages FOLDER KEYS.md
 *
 * A page is prose and blocks. ```yaml is a configuration, which counts until the next; a ```diags
 * block behind it is all that is found wrong with it (without one: nothing). ```world says who has
 * an account and who is registered ("accounts 100 101", "registered 100", "down HOST"). A block
 *
 *   ```ask WHO FROM TO [host=H] [source=A] [at=2026-12-24,09:30,4] [dice=N] [method=M] [sip]
 *
 * is a request (WHO: user, trusted, nobody, or trunk, which is found by source) and what becomes of
 * it: the trace in words, a line "--", the plan. With `sip` a message with headers of the ```sip
 * block before it is part of the request. RUNG_GOLDEN_WRITE=1 writes what comes out into the page:
 * read the difference. */

#include "policy/decide.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAGES 64

struct page {
	struct pol_config *c;
	struct pol_diags d;
	bool is_loaded, had_diags;
	struct str accounts, registered, down, sip;
	struct buf got, fresh;
	unsigned n_bad;
};

static struct str read_file(const char *path)
{
	static const size_t cap = 1 << 20;
	FILE *f = fopen(path, "rb");
	char *p = malloc(cap);
	if (!f || !p) {
		printf("# cannot read %s\n", path);
		exit(1);
	}
	size_t n = fread(p, 1, cap, f);
	fclose(f);
	return str_of(p, n);
}

static bool is_listed(struct str list, struct str what)
{
	while (list.n)
		if (str_eq(str_cut(list, ' ', &list), what))
			return true;
	return false;
}

static bool has_account(void *ctx, struct str user)
{
	const struct page *p = ctx;
	return is_listed(p->accounts, user);
}

static bool is_registered(void *ctx, struct str user)
{
	const struct page *p = ctx;
	return is_listed(p->registered, user);
}

static bool is_up(void *ctx, const struct pol_trunk *t, const struct pol_host *h)
{
	const struct page *p = ctx;
	return !is_listed(p->down, h->host.s);
}

static bool is_ours(void *ctx, const struct sip_uri *u)
{
	return str_eq(u->host, STR("example.com"));
}

static void load(struct page *p, struct str text)
{
	if (p->is_loaded)
		pol_free(p->c);
	p->c = NULL;
	pol_diags_fini(&p->d);
	pol_diags_init(&p->d);
	p->is_loaded = pol_load(text, &p->c, &p->d) == OK;
	p->had_diags = false;
}

static void option(struct pol_request *rq, struct str word)
{
	struct str value = word, name = str_cut(word, '=', &value), part;
	uint32_t n;
	if (str_eq(name, STR("host"))) {
		rq->to_host = value;
		rq->is_ours = false;
	} else if (str_eq(name, STR("source"))) {
		(void)addr_parse(value, 5060, &rq->source);
	} else if (str_eq(name, STR("dice"))) {
		(void)str_u32(value, &rq->dice);
	} else if (str_eq(name, STR("method"))) {
		rq->method = value;
	} else if (str_eq(name, STR("at"))) {
		part = str_cut(value, ',', &value);
		if (part.n == 10 && str_u32(str_sub(part, 0, 4), &n))
			rq->at.date = n * 10000;
		if (str_u32(str_sub(part, 5, 2), &n))
			rq->at.date += n * 100;
		if (str_u32(str_sub(part, 8, 2), &n))
			rq->at.date += n;
		part = str_cut(value, ',', &value);
		if (str_u32(str_sub(part, 0, 2), &n))
			rq->at.minute = (uint16_t)(n * 60);
		if (str_u32(str_sub(part, 3, 2), &n))
			rq->at.minute = (uint16_t)(rq->at.minute + n);
		if (str_u32(value, &n))
			rq->at.day = (uint8_t)n;
	}
}

static struct sip_msg *message(struct str head)
{
	struct buf b;
	enum err e;
	buf_init(&b);
	buf_str(&b, STR("INVITE sip:1@example.com SIP/2.0\r\n"));
	while (head.n) {
		struct str line = str_cut(head, '\n', &head);
		buf_fmt(&b, STR_FMT "\r\n", STR_ARG(line));
	}
	buf_str(&b, STR("\r\n"));
	struct sip_msg *m = sip_msg_from(buf_view(&b), &e);
	buf_fini(&b);
	return m;
}

static void ask(struct page *p, struct str words)
{
	static struct pol_plan plan;
	struct pol_ask world = {p, has_account, is_registered, is_up, is_ours};
	struct str who = str_cut(words, ' ', &words);
	struct pol_request rq = {.from_user = str_cut(words, ' ', &words),
				 .to_user = str_cut(words, ' ', &words),
				 .from_host = STR("example.com"),
				 .to_host = STR("example.com"),
				 .is_ours = true,
				 .method = STR("INVITE"),
				 .domain = STR("example.com"),
				 .ask = &world,
				 .trace = &p->got};
	struct sip_msg *m = NULL;
	while (words.n) {
		struct str word = str_cut(words, ' ', &words);
		option(&rq, word);
		if (str_eq(word, STR("sip")))
			rq.msg = m = message(p->sip);
	}
	rq.who = str_eq(who, STR("user"))      ? POL_FROM_USER
		 : str_eq(who, STR("trusted")) ? POL_FROM_TRUSTED
		 : str_eq(who, STR("trunk"))   ? POL_FROM_TRUNK
					       : POL_FROM_NOBODY;
	if (rq.who == POL_FROM_USER)
		rq.user = rq.from_user;
	if (rq.who == POL_FROM_TRUNK)
		rq.trunk = pol_trunk_of(p->c, &rq.source);
	if (rq.who == POL_FROM_TRUNK && !rq.trunk) {
		buf_str(&p->got, STR("no trunk of that source\n"));
		return;
	}
	pol_decide(p->c, &rq, &plan);
	buf_str(&p->got, STR("--\n"));
	pol_plan_put(&plan, &p->got);
	struct buf json; /* its text is of the same plan; that it is made at all is enough here */
	buf_init(&json);
	pol_plan_json(&plan, STR_NONE, &json);
	p->n_bad += json.err != OK;
	buf_fini(&json);
	sip_msg_free(m);
}

static void world(struct page *p, struct str text)
{
	while (text.n) {
		struct str line = str_cut(text, '\n', &text), rest = line,
			   word = str_cut(line, ' ', &rest);
		if (str_eq(word, STR("accounts")))
			p->accounts = rest;
		else if (str_eq(word, STR("registered")))
			p->registered = rest;
		else if (str_eq(word, STR("down")))
			p->down = rest;
	}
}

/* A block of what must come out. */
static void compare(struct page *p, struct str head, struct str want)
{
	struct str got = buf_view(&p->got);
	buf_str(&p->fresh, got);
	if (str_eq(got, want))
		return;
	p->n_bad++;
	printf("# " STR_FMT "\n# got:\n", STR_ARG(head));
	while (got.n) {
		struct str line = str_cut(got, '\n', &got);
		printf("#   " STR_FMT "\n", STR_ARG(line));
	}
}

/* A configuration without a ```diags block behind it has nothing wrong. */
static void check_silent(struct page *p)
{
	if (!p->had_diags && p->d.first) {
		buf_clear(&p->got);
		pol_diags_put(&p->d, STR("rung.yaml"), &p->got);
		struct str got = buf_view(&p->got);
		printf("# not expected:\n# " STR_FMT, STR_ARG(got));
		p->n_bad++;
	}
	p->had_diags = true;
}

static void block(struct page *p, struct str head, struct str text)
{
	buf_clear(&p->got);
	if (str_eq(head, STR("diags"))) {
		pol_diags_put(&p->d, STR("rung.yaml"), &p->got);
		p->had_diags = true;
		compare(p, head, text);
		return;
	}
	check_silent(p);
	buf_clear(&p->got);
	if (str_eq(head, STR("yaml")))
		load(p, text);
	else if (str_eq(head, STR("world")))
		world(p, text);
	else if (str_eq(head, STR("sip")))
		p->sip = text;
	if (str_starts(head, STR("ask ")) && p->is_loaded) {
		ask(p, str_skip(head, 4));
		compare(p, head, text);
	} else {
		buf_str(&p->fresh, text);
	}
}

static unsigned run_page(const char *path)
{
	struct str all = read_file(path), rest = all;
	struct page p = {.had_diags = true};
	pol_diags_init(&p.d);
	buf_init(&p.got);
	buf_init(&p.fresh);
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		buf_fmt(&p.fresh, STR_FMT "\n", STR_ARG(line));
		if (!str_starts(line, STR("```")))
			continue;
		size_t end =
			str_starts(rest, STR("```\n")) ? 0 : str_find(rest, STR("\n```\n")) + 1;
		block(&p, str_skip(line, 3), str_sub(rest, 0, end));
		rest = str_skip(rest, end + 4);
		buf_str(&p.fresh, STR("```\n"));
	}
	check_silent(&p);
	if (getenv("RUNG_GOLDEN_WRITE")) {
		FILE *f = fopen(path, "wb");
		if (f) {
			fwrite(p.fresh.p, 1, p.fresh.n, f);
			fclose(f);
		}
	}
	pol_free(p.c);
	pol_diags_fini(&p.d);
	buf_fini(&p.got);
	buf_fini(&p.fresh);
	free((char *)(uintptr_t)all.p);
	return p.n_bad;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool keys_are_written(const char *path)
{
	struct buf b;
	buf_init(&b);
	pol_keys_put(&b);
	if (getenv("RUNG_GOLDEN_WRITE")) {
		FILE *f = fopen(path, "wb");
		if (f) {
			fwrite(b.p, 1, b.n, f);
			fclose(f);
		}
	}
	struct str want = read_file(path);
	bool is_same = str_eq(buf_view(&b), want);
	free((char *)(uintptr_t)want.p);
	buf_fini(&b);
	return is_same;
}

int main(int argc, char **argv)
{
	char *names[MAX_PAGES];
	unsigned n = 0, n_bad = 0;
	DIR *dir = argc == 3 ? opendir(argv[1]) : NULL;
	if (!dir)
		return 2;
	for (const struct dirent *e; (e = readdir(dir)) && n < MAX_PAGES;)
		if (str_ends(str_c(e->d_name), STR(".md")) && strcmp(e->d_name, "README.md") != 0)
			names[n++] = strdup(e->d_name);
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	printf("1..%u\n", n + 1);
	for (unsigned i = 0; i < n; i++) {
		char path[1024];
		snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]);
		unsigned bad = run_page(path);
		n_bad += bad;
		printf("%sok %u - %s\n", bad ? "not " : "", i + 1, names[i]);
		free(names[i]);
	}
	bool has_keys = keys_are_written(argv[2]);
	printf("%sok %u - docs/guide/keys.md is what the schema says\n", has_keys ? "" : "not ",
	       n + 1);
	return n_bad || !has_keys;
}
