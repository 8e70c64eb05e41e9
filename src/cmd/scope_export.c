/* What `rung scope` writes to files of their own. A file appears whole, or not at all: it is
 * written beside its place and then renamed. */
#include "cmd/scope_priv.h"
#include "scope/sipp.h"
#include "scope/wav.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail_write(const char *path)
{
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

static int write_file(const char *path, struct str text)
{
	struct file x;
	if (!file_begin(&x, path))
		return fail_write(path);
	file_put(&x, text.p, text.n);
	return file_end(&x) ? EXIT_DONE : fail_write(path);
}

static int export_side(struct scope *s, const struct trk_call *c, enum trk_side side)
{
	static const char *const roles[] = {"caller", "callee"};
	char path[1'000];
	int n = snprintf(path, sizeof path, "%s-%s.xml", s->sipp, roles[side]);
	if (n < 0 || (size_t)n >= sizeof path)
		return fail_write(s->sipp);
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
	int code = write_file(path, buf_view(&s->out));
	if (code == EXIT_DONE)
		printf("%s\n", path);
	return code;
}

int scope_export_sipp(struct scope *s)
{
	int code = scope_open_book(s);
	if (code >= 0)
		return code;
	const struct trk_call *c = scope_the_call(s, s->trk);
	if (!c)
		return EXIT_FAILED;
	code = export_side(s, c, TRK_SIDE_CALLER);
	return code ? code : export_side(s, c, TRK_SIDE_CALLEE);
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
		return fail_write(s->audio);
	enum err e = wav_put(w, file_put, &x);
	if (!file_end(&x) || e)
		return fail_write(s->audio);
	printf("%s: call %u, %u Hz, packets placed by their time stamps\n", s->audio, c->no,
	       wav_rate(w));
	tell_side(w, TRK_SIDE_CALLEE);
	tell_side(w, TRK_SIDE_CALLER);
	return EXIT_DONE;
}

int scope_export_audio(struct scope *s)
{
	int code = scope_open_book(s);
	if (code >= 0)
		return code;
	const struct trk_call *c = scope_the_call(s, s->trk);
	if (!c)
		return EXIT_FAILED;
	struct wav *w = wav_new(c->no);
	struct collecting k = {w, OK};
	enum err e = w ? book_frames(s->book, true, collect, &k) : ERR_NOMEM;
	e = e ? e : k.e;
	if (e)
		fprintf(stderr, "rung scope: %s: %s\n", s->audio,
			e == ERR_LIMIT ? "the call is longer than four hours" : err_text(e));
	code = e ? EXIT_FAILED : put_audio(s, w, c);
	wav_free(w);
	return code;
}
