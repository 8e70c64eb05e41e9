/* What `rung scope` writes to files of their own. A file appears whole, or not at all: it is
 * written beside its place and then renamed. */
#include "cmd/scope_priv.h"
#include "scope/page.h"
#include "scope/sipp.h"
#include "scope/wav.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail_write(const struct scope *s, const char *path)
{
	if (s->is_screen)
		return EXIT_FAILED;
	fprintf(stderr,
		"rung scope: %s: it cannot be written (no such folder, no permission, or the "
		"disk is full)\n",
		path);
	return EXIT_FAILED;
}

struct file { /* being written beside its place */
	const char *path;
	char temp[1'024];
	FILE *f;
	bool ok;
};

static bool file_begin(struct file *x, const char *path)
{
	*x = (struct file){.path = path, .ok = true};
	int n = snprintf(x->temp, sizeof x->temp, "%s.tmp", path);
	if (n >= 0 && (size_t)n < sizeof x->temp)
		x->f = fopen(x->temp, "wb");
	return x->f;
}

static bool file_put(void *arg, const void *p, size_t n)
{
	struct file *x = arg;
	x->ok = x->ok && fwrite(p, 1, n, x->f) == n;
	return x->ok;
}

static bool file_end(struct file *x)
{
	x->ok = fclose(x->f) == 0 && x->ok;
	if (x->ok && rename(x->temp, x->path) == 0)
		return true;
	unlink(x->temp);
	return false;
}

static int write_file(const struct scope *s, const char *path, struct str text)
{
	struct file x;
	if (!file_begin(&x, path))
		return fail_write(s, path);
	file_put(&x, text.p, text.n);
	return file_end(&x) ? EXIT_DONE : fail_write(s, path);
}

static int export_side(struct scope *s, const struct trk_call *c, enum trk_side side)
{
	static const char *const roles[] = {"caller", "callee"};
	char path[1'000];
	int n = snprintf(path, sizeof path, "%s-%s.xml", s->sipp, roles[side]);
	if (n < 0 || (size_t)n >= sizeof path)
		return fail_write(s, s->sipp);
	buf_clear(&s->out);
	enum err e = sipp_put(&s->out, s->book, c, side);
	if (e == ERR_NOTFOUND) {
		fprintf(stderr, "rung scope: nothing of the %s's side is in the capture: no %s\n",
			roles[side], path);
		return EXIT_DONE;
	}
	if (e) {
		fprintf(stderr, "rung scope: %s: %s\n", path, err_text(e));
		return EXIT_FAILED;
	}
	int code = write_file(s, path, buf_view(&s->out));
	if (code == EXIT_DONE)
		printf("%s\n", path);
	return code;
}

/* Reads the book and finds the call that the flags name. -1, or an exit code. */
static int read_the_call(struct scope *s, const struct trk_call **out)
{
	int code = scope_open_book(s);
	if (code < 0)
		code = scope_read_book(s);
	if (code >= 0)
		return code;
	*out = scope_the_call(s, s->trk);
	return *out ? -1 : EXIT_FAILED;
}

int scope_export_sipp(struct scope *s)
{
	const struct trk_call *c;
	int code = read_the_call(s, &c);
	if (code >= 0)
		return code;
	code = export_side(s, c, TRK_SIDE_CALLER);
	return code ? code : export_side(s, c, TRK_SIDE_CALLEE);
}

/* --- ladders ---------------------------------------------------------------------------------- */

bool scope_is_of_book(const struct scope *s)
{
	return s->view == V_LADDER && s->format != F_TEXT && !s->live;
}

void scope_put_sheet(struct scope *s, const struct sheet *sheet)
{
	switch (s->format) {
	case F_JSON:
		lad_put_json(&s->out, s->trk, sheet);
		buf_chr(&s->out, '\n');
		break;
	case F_SVG:
		lad_put_svg(&s->out, sheet);
		break;
	case F_MERMAID:
		lad_put_mermaid(&s->out, sheet);
		break;
	default:
		lad_put_sheet(&s->out, sheet, &s->lad_opts);
	}
}

enum err scope_sheet_new(struct scope *s, const struct trk_call *c, const struct vrd *v,
			 struct scope_sheet *out)
{
	const struct trk_call *legs[TRK_MAX_LEGS] = {c};
	struct sheet_leg of[TRK_MAX_LEGS];
	struct sheet_cfg cfg = {.book = s->book};
	enum err e = OK;
	unsigned n = s->is_leg ? 1 : trk_join_legs(c, legs, TRK_MAX_LEGS);
	*out = (struct scope_sheet){.verdicts = calloc(n, sizeof *out->verdicts)};
	if (!out->verdicts)
		return ERR_NOMEM;
	for (; out->n < n && !e; out->n++) {
		bool is_known = v && legs[out->n] == c;
		vrd_init(&out->verdicts[out->n]);
		of[out->n] =
			(struct sheet_leg){legs[out->n], is_known ? v : &out->verdicts[out->n]};
		if (!is_known)
			e = vrd_judge(&out->verdicts[out->n], s->trk, legs[out->n]);
	}
	if (!e)
		e = sheet_new(s->trk, of, n, &cfg, &out->sheet);
	if (e)
		scope_sheet_free(out);
	return e;
}

void scope_sheet_free(struct scope_sheet *x)
{
	sheet_free(x->sheet);
	for (unsigned i = 0; i < x->n; i++)
		vrd_fini(&x->verdicts[i]);
	free(x->verdicts);
	*x = (struct scope_sheet){0};
}

/* Hands the call's sheet to the page, or draws it. */
static enum err export_call(struct scope *s, const struct trk_call *c, struct page *page,
			    struct scope_sounds *sounds)
{
	struct page_sound heard[2 * TRK_MAX_LEGS];
	size_t n_heard = 0;
	struct scope_sheet x;
	enum err e = scope_sheet_new(s, c, NULL, &x);
	if (e)
		return e;
	if (page)
		e = scope_sounds_of(sounds, x.sheet, heard, &n_heard);
	if (page && !e)
		e = page_add_audio(page, x.sheet, heard, n_heard);
	if (!page)
		scope_put_sheet(s, x.sheet);
	scope_sheet_free(&x);
	s->n_shown++;
	scope_flush(s);
	return e;
}

enum err scope_export_calls(struct scope *s, const struct trk_call *const *calls, size_t n)
{
	struct page page;
	bool is_page = s->format == F_HTML;
	struct scope_sounds *sounds = NULL;
	enum err e = is_page ? scope_sounds_new(s, calls, n, &sounds) : OK;
	if (is_page && !e)
		page_begin(&page, &s->out, s->book, str_c(scope_source_name(s)));
	for (size_t i = 0; i < n && !e && !s->is_broken; i++)
		e = export_call(s, calls[i], is_page ? &page : NULL, sounds);
	if (is_page && !e) {
		page_end(&page);
		scope_flush(s);
	}
	scope_sounds_free(sounds);
	if (is_page && !e && !s->is_screen && (page.n_without || page.n_omitted))
		fprintf(stderr,
			"rung scope: more than a page can hold (%u messages): of %u calls only the "
			"verdict is in it, %u are left out; choose with -Y or --call\n",
			PAGE_MAX_MESSAGES, page.n_without, page.n_omitted);
	return e;
}

/* Whether a ladder begins with it: the first of its legs, of which one is chosen. */
static bool is_head_of_chosen(const struct scope *s, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS] = {c};
	unsigned n = s->is_leg ? 1 : trk_join_legs(c, legs, TRK_MAX_LEGS);
	bool is_chosen = false;
	for (unsigned i = 0; i < n; i++)
		is_chosen = is_chosen || scope_is_chosen(s, legs[i]);
	return is_chosen && legs[0] == c;
}

static enum err export_chosen(struct scope *s)
{
	size_t n = 0;
	for (const struct trk_call *c = trk_first(s->trk); c; c = trk_after(s->trk, c))
		n++;
	const struct trk_call **calls = calloc(n + 1, sizeof(*calls));
	if (!calls)
		return ERR_NOMEM;
	n = 0;
	for (const struct trk_call *c = trk_first(s->trk); c; c = trk_after(s->trk, c))
		if (is_head_of_chosen(s, c))
			calls[n++] = c;
	enum err e = scope_export_calls(s, calls, n);
	free(calls);
	return e;
}

int scope_export_ladder(struct scope *s)
{
	const struct trk_call *c = NULL;
	bool is_one = s->format == F_SVG || s->format == F_MERMAID;
	if (is_one && !(c = scope_the_call(s, s->trk)))
		return EXIT_FAILED;
	enum err e = is_one ? scope_export_calls(s, &c, 1) : export_chosen(s);
	if (e) {
		fprintf(stderr, "rung scope: %s: %s\n", s->file, err_text(e));
		return EXIT_FAILED;
	}
	if (!s->n_shown) {
		scope_the_call(s, s->trk);
		return EXIT_FAILED;
	}
	scope_flush(s);
	return cap_problem(s->cap) ? EXIT_FAILED : EXIT_DONE;
}

/* --- the file --------------------------------------------------------------------------------- */

static void out_forget(struct scope *s)
{
	free(s->temp_path);
	s->temp_path = NULL;
}

int scope_out_open(struct scope *s)
{
	if (!s->out_path || strcmp(s->out_path, "-") == 0)
		return -1;
	size_t n = strlen(s->out_path) + sizeof ".tmp";
	s->temp_path = malloc(n);
	if (!s->temp_path)
		return fail_write(s, s->out_path);
	snprintf(s->temp_path, n, "%s.tmp", s->out_path);
	s->sink = fopen(s->temp_path, "wb");
	if (s->sink)
		return -1;
	s->sink = stdout;
	out_forget(s);
	return fail_write(s, s->out_path);
}

int scope_out_close(struct scope *s, int code)
{
	if (s->sink == stdout)
		return code;
	bool is_whole = !s->is_broken && (code == EXIT_DONE || scope_problem(s));
	bool ok = fclose(s->sink) == 0;
	s->sink = stdout;
	if (!ok || !is_whole || rename(s->temp_path, s->out_path)) {
		unlink(s->temp_path);
		code = is_whole ? fail_write(s, s->out_path) : code;
	}
	out_forget(s);
	return code;
}

/* --- audio ------------------------------------------------------------------------------------ */

struct collecting {
	struct wav *w;
	enum err e;
};

static bool collect(void *arg, const struct cap_frame *fr)
{
	struct collecting *k = arg;
	k->e = wav_add(k->w, fr);
	return k->e == OK;
}

static void tell_side(const struct wav *w, enum trk_side receiver)
{
	const struct wav_side *x = wav_side(w, receiver);
	const char *who = receiver == TRK_SIDE_CALLEE ? "caller" : "callee";
	const char *channel = receiver == TRK_SIDE_CALLEE ? "left" : "right";
	if (x->n_packets)
		printf("  %-5s  the %s: %s, %u packets, %.1f s\n", channel, who, x->codecs,
		       x->n_packets, x->seconds);
	if (x->problem)
		fprintf(stderr, "rung scope: the %s's audio (%s): %s (%u packets)\n", who,
			x->codec[0] ? x->codec : "codec unknown", x->problem, x->n_bad);
	else if (!x->n_packets)
		fprintf(stderr, "rung scope: nothing was heard of the %s: its channel is silent\n",
			who);
}

static int put_audio(struct scope *s, struct wav *w, const struct trk_call *c)
{
	struct file x;
	if (!wav_length(w)) {
		tell_side(w, TRK_SIDE_CALLEE);
		tell_side(w, TRK_SIDE_CALLER);
		fprintf(stderr, "rung scope: call %u has no audio that can be written\n", c->no);
		return EXIT_FAILED;
	}
	if (!file_begin(&x, s->audio))
		return fail_write(s, s->audio);
	enum err e = wav_put(w, file_put, &x);
	if (!file_end(&x) || e)
		return fail_write(s, s->audio);
	printf("%s: call %u, %u Hz, packets placed by their time stamps\n", s->audio, c->no,
	       wav_rate(w));
	tell_side(w, TRK_SIDE_CALLEE);
	tell_side(w, TRK_SIDE_CALLER);
	return EXIT_DONE;
}

int scope_export_audio(struct scope *s)
{
	const struct trk_call *c;
	int code = read_the_call(s, &c);
	if (code >= 0)
		return code;
	struct wav *w = wav_new(c->no);
	struct collecting k = {w, OK};
	enum err e = w ? book_frames(s->book, FLT_NEEDS_MEDIA, collect, &k) : ERR_NOMEM;
	e = e ? e : k.e;
	if (e)
		fprintf(stderr, "rung scope: %s: %s\n", s->audio,
			e == ERR_LIMIT ? "the call is longer than four hours" : err_text(e));
	code = e ? EXIT_FAILED : put_audio(s, w, c);
	wav_free(w);
	return code;
}
