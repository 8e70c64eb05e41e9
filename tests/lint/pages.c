/* The lint's pages: each rule of lint/lint.def is shown to fire, and shown not to fire on a
 * message that comes near and is right. TAP, one test per page, and a last one that every rule has
 * both.
 *
 *   pages FOLDER
 *
 * messages.md holds the messages to start from, as ```base NAME blocks. A page is prose and cases;
 * a case is one or several ```sip blocks and a ```findings block that ends it.
 *
 *   ```sip A>B 0.5 invite [tcp|ws|cut|NAME=N]
 *
 * is the base message `invite` from host A to host B half a second after the first, changed by the
 * lines of the block: "= line" replaces the start line; "Name: value" replaces all headers of that
 * name, or is added at the end; "Name: -" takes them out; "+ line" adds a line as it is. After an
 * empty line follows another body; a body "-" is none. Content-Length is worked out unless a line
 * says it. \xHH is a byte, and a backslash at the end of a line keeps its CRLF out. Base `raw` is
 * an empty message: all lines follow. `cut`: the capture does not hold all of it; `id=N`: the IP
 * identification.
 *
 * The findings block lists "FRAME code" for all that must be found, nothing else may be, and
 * "not code" for the rules that the case comes near to. FRAME counts the ```sip blocks. Behind the
 * code may stand @ and the text at the caret. */

#include "lint/lint.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAGES 64

static struct str bases;
static uint8_t has_hit[LINT__N], has_near[LINT__N];

static struct str read_file(const char *folder, const char *name)
{
	char path[1'024];
	static const size_t cap = 1 << 20;
	snprintf(path, sizeof path, "%s/%s", folder, name);
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

static void free_file(struct str s)
{
	free((char *)(uintptr_t)s.p);
}

/* --- messages ------------------------------------------------------------------------------------
 */

static struct str take_block(struct str *page)
{
	size_t end = str_find(*page, STR("\n```\n"));
	struct str block = str_starts(*page, STR("```")) ? STR_NONE : str_sub(*page, 0, end + 1);
	*page = str_skip(*page, block.n);
	(void)str_cut(*page, '\n', page);
	return block;
}

static bool base_find(struct str name, struct str *out)
{
	struct str page = bases;
	if (str_eq(name, STR("raw"))) {
		*out = STR_NONE;
		return true;
	}
	while (page.n) {
		struct str line = str_cut(page, '\n', &page);
		if (!str_starts(line, STR("```base ")))
			continue;
		struct str block = take_block(&page);
		if (str_eq(str_skip(line, 8), name)) {
			*out = block;
			return true;
		}
	}
	return false;
}

struct draft {
	struct str lines[128];
	unsigned n;
	struct str body;
};

static struct str name_of(struct str line)
{
	return str_sub(line, 0, str_chr(line, ':'));
}

static void drop(struct draft *d, unsigned i)
{
	d->n--;
	memmove(d->lines + i, d->lines + i + 1, (d->n - i) * sizeof d->lines[0]);
}

static void edit(struct draft *d, struct str line)
{
	if (str_starts(line, STR("= "))) {
		d->lines[0] = str_skip(line, 2);
		return;
	}
	if (str_starts(line, STR("+ ")) || !d->n) {
		d->lines[d->n] = d->n ? str_skip(line, 2) : line;
		d->n++;
		return;
	}
	bool is_done = str_ends(line, STR(": -"));
	for (unsigned i = 1; i < d->n; i++) {
		if (!str_ieq(name_of(d->lines[i]), name_of(line)))
			continue;
		if (is_done) {
			drop(d, i--);
		} else {
			d->lines[i] = line;
			is_done = true;
		}
	}
	if (!is_done)
		d->lines[d->n++] = line;
}

static void put_escaped(struct buf *b, struct str text)
{
	while (text.n) {
		struct str line = str_cut(text, '\n', &text);
		bool is_joined = false;
		for (size_t i = 0; i < line.n; i++) {
			unsigned c;
			if (line.p[i] != '\\') {
				buf_chr(b, line.p[i]);
			} else if (i + 1 == line.n) {
				is_joined = true;
			} else if (line.p[i + 1] == 'x' && i + 3 < line.n &&
				   sscanf(line.p + i + 2, "%2x", &c) == 1) {
				buf_chr(b, (char)c);
				i += 3;
			} else {
				buf_chr(b, line.p[i]);
			}
		}
		buf_str(b, is_joined ? STR_NONE : STR("\r\n"));
	}
}

/* Up to the empty line: head; behind it: body. False when there is no empty line. */
static bool split(struct str block, struct str *head, struct str *body)
{
	bool is_first = str_starts(block, STR("\n"));
	size_t at = is_first ? 0 : str_find(block, STR("\n\n"));
	*head = str_sub(block, 0, is_first ? 0 : at == SIZE_MAX ? block.n : at + 1);
	*body = at == SIZE_MAX ? STR_NONE : str_skip(block, at + (is_first ? 1 : 2));
	return at != SIZE_MAX;
}

static void make(struct buf *out, struct str base, struct str edits, bool is_raw)
{
	struct draft d = {.n = 0};
	struct str head, body, more;
	bool has_length = is_raw;
	if (is_raw) {
		put_escaped(out, edits);
		return;
	}
	(void)split(base, &head, &d.body);
	while (head.n)
		d.lines[d.n++] = str_cut(head, '\n', &head);
	if (split(edits, &more, &body))
		d.body = str_eq(body, STR("-\n")) ? STR_NONE : body;
	while (more.n) {
		struct str line = str_cut(more, '\n', &more);
		has_length |=
			str_istarts(line, STR("Content-Length:")) || str_starts(line, STR("+ l:"));
		edit(&d, line);
	}
	struct buf b;
	buf_init(&b);
	put_escaped(&b, d.body);
	for (unsigned i = 0; i < d.n; i++) {
		put_escaped(out, d.lines[i]);
		if (!d.lines[i].n)
			buf_str(out, STR("\r\n"));
	}
	if (!has_length)
		buf_fmt(out, "Content-Length: %zu\r\n", b.n);
	buf_str(out, STR("\r\n"));
	buf_str(out, buf_view(&b));
	buf_fini(&b);
}

/* --- cases
 * ---------------------------------------------------------------------------------------- */

static struct addr host(char letter)
{
	static const char *const hosts[] = {"A192.0.2.21:5060", "B192.0.2.43:5060",
					    "P192.0.2.57:5060", "C192.0.2.65:5060",
					    "Q192.0.2.58:5060", "N10.0.0.1:5060"};
	struct addr a = {0};
	for (unsigned i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		if (hosts[i][0] == letter && !addr_parse(str_c(hosts[i] + 1), 0, &a))
			exit(1);
	return a;
}

struct run {
	struct lint *l;
	unsigned frame, case_no;
	bool is_good;
};

static void begin(struct run *r)
{
	lint_free(r->l);
	r->l = lint_new(&(struct lint_cfg){0});
	r->frame = 0;
	r->case_no++;
}

static void complain(struct run *r, const char *what, struct str more)
{
	printf("# case %u: %s " STR_FMT "\n", r->case_no, what, STR_ARG(more));
	r->is_good = false;
}

/* A>B TIME BASE options */
static void play(struct run *r, struct str info, struct str block)
{
	struct str hop = str_cut(info, ' ', &info), at = str_cut(info, ' ', &info);
	struct str name = str_cut(info, ' ', &info), base;
	struct buf b;
	if (hop.n != 3 || !base_find(name, &base)) {
		complain(r, "no such base:", name);
		return;
	}
	buf_init(&b);
	make(&b, base, block, str_eq(name, STR("raw")));
	struct trk_packet p = {.at_us = 1'000'000'000 + (uint64_t)(atof(at.p) * 1e6),
			       .frame_no = ++r->frame,
			       .from = host(hop.p[0]),
			       .to = host(hop.p[2]),
			       .bytes = buf_view(&b)};
	while (info.n) {
		struct str o = str_cut(info, ' ', &info);
		uint32_t id = 0;
		p.is_cut |= str_eq(o, STR("cut"));
		p.transport = str_eq(o, STR("tcp"))  ? TRK_TCP
			      : str_eq(o, STR("ws")) ? TRK_WS
						     : p.transport;
		if (str_starts(o, STR("id=")) && str_u32(str_skip(o, 3), &id))
			p.ip_id = (uint16_t)id;
	}
	enum err e = lint_message(r->l, &p, true);
	if (e)
		complain(r, "not taken:", str_c(err_text(e)));
	buf_fini(&b);
}

static const struct lint_kind *found(const struct run *r, enum lint_rule rule, unsigned frame)
{
	for (const struct lint_peer *p = lint_first(r->l); p; p = p->next)
		for (const struct lint_kind *k = p->kinds; k; k = k->next)
			for (unsigned i = 0; k->rule == rule && i < k->n_frames; i++)
				if (!frame || k->frames[i] == frame)
					return k;
	return NULL;
}

static void expect(struct run *r, struct str line, uint8_t want[64][LINT__N])
{
	struct str text, head = str_cut(line, '@', &text);
	struct str code, first = str_cut(str_trim(head), ' ', &code);
	enum lint_rule rule = lint_find_rule(code);
	uint32_t frame = 0;
	bool is_not = str_eq(first, STR("not"));
	if (!rule || (!is_not && (!str_u32(first, &frame) || frame >= 64))) {
		complain(r, "cannot be read:", line);
		return;
	}
	if (is_not) {
		has_near[rule] = 1;
		if (found(r, rule, 0))
			complain(r, "found:", code);
		return;
	}
	has_hit[rule] = want[frame][rule] = 1;
	const struct lint_kind *k = found(r, rule, frame);
	if (!k)
		complain(r, "not found:", line);
	else if (text.n && !str_starts(str_skip(k->line, k->caret), str_trim(text)))
		complain(r, "the caret stands at:", str_skip(k->line, k->caret));
}

static void compare(struct run *r, struct str block)
{
	static uint8_t want[64][LINT__N];
	memset(want, 0, sizeof want);
	while (block.n)
		expect(r, str_cut(block, '\n', &block), want);
	for (const struct lint_peer *p = lint_first(r->l); p; p = p->next)
		for (const struct lint_kind *k = p->kinds; k; k = k->next)
			for (unsigned i = 0; i < k->n_frames; i++)
				if (k->frames[i] < 64 && !want[k->frames[i]][k->rule]) {
					printf("# frame %u, " STR_FMT "\n", k->frames[i],
					       STR_ARG(k->line));
					complain(r, "found too:",
						 str_c(lint_about((enum lint_rule)k->rule)->code));
				}
}

static bool run_page(struct str page)
{
	struct run r = {.is_good = true};
	begin(&r);
	while (page.n) {
		struct str line = str_cut(page, '\n', &page);
		if (!str_starts(line, STR("```")))
			continue;
		struct str info = str_skip(line, 3), block = take_block(&page);
		if (str_starts(info, STR("sip "))) {
			play(&r, str_skip(info, 4), block);
		} else if (str_eq(info, STR("findings"))) {
			compare(&r, block);
			begin(&r);
		}
	}
	lint_free(r.l);
	return r.is_good && r.case_no > 1 && !r.frame;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv)
{
	char *names[MAX_PAGES];
	unsigned n = 0, n_failed = 0, n_missing = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (!dir)
		return 2;
	bases = read_file(argv[1], "messages.md");
	for (struct dirent *d; (d = readdir(dir)) && n < MAX_PAGES;)
		if (str_ends(str_c(d->d_name), STR(".md")) && strcmp(d->d_name, "README.md") != 0)
			names[n++] = strdup(d->d_name);
	closedir(dir);
	qsort(names, n, sizeof names[0], by_name);
	for (unsigned i = 0; i < n; i++) {
		struct str page = read_file(argv[1], names[i]);
		bool is_good = strcmp(names[i], "messages.md") == 0 || run_page(page);
		n_failed += !is_good;
		printf("%sok %u - %s\n", is_good ? "" : "not ", i + 1, names[i]);
		free_file(page);
		free(names[i]);
	}
	for (unsigned r = 1; r < LINT__N; r++) {
		if (!has_hit[r] || !has_near[r])
			printf("# %s: %s%s\n", lint_about((enum lint_rule)r)->code,
			       has_hit[r] ? "" : "no page that fires it; ",
			       has_near[r] ? "" : "no page that comes near");
		n_missing += !has_hit[r] || !has_near[r];
	}
	printf("%sok %u - every rule fires on a page and keeps still on another\n1..%u\n",
	       n_missing ? "not " : "", n + 1, n + 1);
	free_file(bases);
	return n_failed || n_missing || !n ? 1 : 0;
}
