/* `rung scope -r FILE -w OUT --anonymize`: the capture without secrets, all of it or the chosen
 * calls. The file is read twice: first to know whose every packet is, then to write it anew. */
#include "capture/cap_write.h"
#include "cmd/scope_priv.h"
#include "event/env.h"
#include "scope/anon.h"
#include "track/trk_media.h"

#include <stdio.h>
#include <string.h>

struct job {
	struct scope *s;
	struct anon *anon;
	struct cap_out *out;
	struct buf why;
	enum err err;
	uint64_t n;
};

static void put(void *arg, const struct cap_rec *r)
{
	struct job *j = arg;
	if (!j->err)
		j->err = cap_out_rec(j->out, r, STR_NONE, &j->why);
	j->n++;
}

static bool is_chosen(const struct job *j, struct str call_id)
{
	const struct trk_call *c = trk_find(j->s->trk, call_id);
	return c && scope_is_chosen(j->s, c);
}

/* Without --call and -Y all of it; else what belongs to the calls. */
static bool is_wanted(const struct job *j, const struct cap_frame *fr)
{
	if (!j->s->flt && !j->s->who)
		return true;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (is_chosen(j, cap_index(fr, i)->call_id))
			return true;
	const struct trk_call *c = fr->stream ? fr->stream->call : NULL;
	if (!c && fr->media == RTP_RTCP)
		c = trk_media_call(fr->trk, &fr->pkt.src, &fr->pkt.dst);
	return c && is_chosen(j, c->call_id);
}

static bool on_frame(void *arg, const struct cap_frame *fr)
{
	struct job *j = arg;
	if (is_wanted(j, fr))
		anon_frame(j->anon, fr, put, j);
	return !j->err && !anon_err(j->anon);
}

static bool random_key(uint8_t key[16])
{
	struct env *env;
	if (env_os_new(&env))
		return false;
	env_random(env, key, 16);
	env_free(env);
	return true;
}

static int run(struct job *j, const char *path)
{
	j->err = cap_out_open(path, cap_format_of(str_c(path)), &j->out, &j->why);
	if (!j->err)
		j->err = book_frames(j->s->book, FLT_NEEDS_MEDIA, on_frame, j);
	if (!j->err)
		j->err = anon_err(j->anon);
	enum err e = cap_out_close(j->out, &j->why);
	j->err = j->err ? j->err : e;
	if (j->err) {
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n", path,
			STR_ARG(j->why.n ? buf_view(&j->why) : str_c(err_text(j->err))));
		return EXIT_FAILED;
	}
	fprintf(stderr,
		"rung scope: %llu packets written to %s; %llu frames hold nothing that is kept "
		"(what is no SIP, RTP, RTCP or ICMP error, and TCP segments without a message's "
		"end)\n",
		(unsigned long long)j->n, path, (unsigned long long)anon_n_left_out(j->anon));
	return EXIT_DONE;
}

int scope_anonymize(struct scope *s)
{
	struct job j = {.s = s};
	uint8_t key[16];
	int code = scope_open_book(s);
	if (code < 0)
		code = scope_read_book(s);
	if (code >= 0)
		return code;
	buf_init(&j.why);
	j.anon = random_key(key) ? anon_new(key) : NULL;
	if (j.anon) {
		code = run(&j, s->to.path);
	} else {
		fprintf(stderr, "rung scope: %s\n", err_text(ERR_NOMEM));
		code = EXIT_FAILED;
	}
	anon_free(j.anon);
	buf_fini(&j.why);
	return code;
}
