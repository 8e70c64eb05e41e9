/* The sound of an HTML page: what each side of its calls said, as WAV files inside the page.
 *
 * One more walk over the capture feeds all calls at once. What a page holds is bounded: calls are
 * taken in order as long as the length of their streams lets them fit; the page says of the others
 * what was left out, and why. Audio that has more than 16,000 samples per second is
 * brought down to them: enough for a voice, and a third of what Opus would take.
 */
#include "cmd/scope_priv.h"
#include "scope/page.h"
#include "scope/wav.h"
#include "sdp/sdp.h"

#include <stdlib.h>

#define MAX_RATE   16'000u
#define MAX_BYTES  (24u << 20) /* of WAV files in a page; a third more as base64 */
#define MAX_CALLS  256         /* each is decoded by itself */
#define LEAST_RATE 8'000u

static const char too_much[] =
	"left out: a page holds 24 MB of sound; --call chooses, --audio FILE writes it";

struct sound {
	const struct trk_call *call;
	struct wav *wav; /* NULL: it does not fit */
	bool has_failed; /* longer than can be kept */
};

struct scope_sounds {
	struct sound *v;
	size_t n, cap;
	struct sound **by_no;
	uint32_t max_no;
	uint64_t n_expected, n_bytes;
	bool is_deaf; /* the capture cannot be read again: live */
	enum err err;
	/* of the last scope_sounds_of: what it gave out borrows them */
	struct buf files[2 * TRK_MAX_LEGS];
	struct wav *given[TRK_MAX_LEGS];
	unsigned n_given;
};

static bool is_heard(const struct trk_stream *x)
{
	return x->media == SDP_AUDIO && !x->is_t38;
}

/* Bytes that the call's sound will have at least: by its longest stream in each direction. */
static uint64_t expect(const struct trk *t, const struct trk_call *c)
{
	double longest[2] = {0, 0};
	for (const struct trk_stream *x = trk_av(c)->streams; x; x = x->next) {
		struct trk_figures f;
		if (!is_heard(x))
			continue;
		trk_figures(t, x, &f);
		double bytes =
			f.seconds * 2 * (x->stats.clock > LEAST_RATE ? MAX_RATE : LEAST_RATE);
		longest[x->side] = bytes > longest[x->side] ? bytes : longest[x->side];
	}
	return (uint64_t)(longest[0] + longest[1]);
}

static void add_call(struct scope_sounds *k, const struct trk *t, const struct trk_call *c)
{
	bool is_any = false;
	for (const struct trk_stream *x = trk_av(c)->streams; x; x = x->next)
		is_any = is_any || is_heard(x);
	if (!is_any || k->n == k->cap)
		return;
	uint64_t bytes = expect(t, c);
	struct sound *x = &k->v[k->n++];
	*x = (struct sound){.call = c};
	if (k->n_expected + bytes > MAX_BYTES || k->n > MAX_CALLS)
		return;
	k->n_expected += bytes;
	x->wav = wav_new(c->no);
	if (!x->wav)
		k->err = ERR_NOMEM;
	k->by_no[c->no] = x;
}

static bool on_frame(void *arg, const struct cap_frame *fr)
{
	struct scope_sounds *k = arg;
	const struct trk_call *c = fr->stream ? fr->stream->call : NULL;
	struct sound *x = c && c->no <= k->max_no ? k->by_no[c->no] : NULL;
	if (!x || !x->wav || x->has_failed)
		return true;
	enum err e = wav_add(x->wav, fr);
	x->has_failed = e == ERR_LIMIT;
	k->err = e == ERR_LIMIT ? OK : e;
	return k->err == OK;
}

static unsigned legs_of(const struct scope *s, const struct trk_call *c,
			const struct trk_call **legs)
{
	legs[0] = c;
	return s->is_leg ? 1 : trk_join_legs(c, legs, TRK_MAX_LEGS);
}

enum err scope_sounds_new(struct scope *s, const struct trk_call *const *calls, size_t n,
			  struct scope_sounds **out)
{
	const struct trk_call *legs[TRK_MAX_LEGS], *last = trk_last(s->trk);
	struct scope_sounds *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	for (size_t i = 0; i < ARRAY_LEN(k->files); i++)
		buf_init(&k->files[i]);
	for (size_t i = 0; i < n; i++)
		k->cap += legs_of(s, calls[i], legs);
	k->max_no = last ? last->no : 0;
	k->v = calloc(k->cap + 1, sizeof *k->v);
	k->by_no = calloc((size_t)k->max_no + 1, sizeof(*k->by_no));
	if (!k->v || !k->by_no)
		k->err = ERR_NOMEM;
	for (size_t i = 0; i < n && !k->err; i++)
		for (unsigned at = 0, n_legs = legs_of(s, calls[i], legs); at < n_legs; at++)
			add_call(k, s->trk, legs[at]);
	enum err e = k->err || !k->n ? k->err : book_frames(s->book, FLT_NEEDS_MEDIA, on_frame, k);
	k->is_deaf = e == ERR_UNSUPPORTED;
	e = k->is_deaf ? k->err : e ? e : k->err;
	if (e) {
		scope_sounds_free(k);
		return e;
	}
	*out = k;
	return OK;
}

/* A page of many calls must not keep what it has written. */
static void forget_given(struct scope_sounds *k)
{
	while (k->n_given)
		wav_free(k->given[--k->n_given]);
}

void scope_sounds_free(struct scope_sounds *k)
{
	if (!k)
		return;
	forget_given(k);
	for (size_t i = 0; k->v && i < k->n; i++)
		wav_free(k->v[i].wav);
	for (size_t i = 0; i < ARRAY_LEN(k->files); i++)
		buf_fini(&k->files[i]);
	free(k->v);
	free(k->by_no);
	free(k);
}

static bool put(void *arg, const void *p, size_t n)
{
	buf_put(arg, p, n);
	return ((struct buf *)arg)->err == OK;
}

/* One direction into file; false: nothing was heard of it. */
static bool put_side(struct scope_sounds *k, const struct sound *x, enum trk_side receiver,
		     struct buf *file, struct page_sound *out)
{
	const struct wav_side *side = wav_side(x->wav, receiver);
	buf_clear(file);
	*out = (struct page_sound){.no = x->call->no,
				   .is_caller = receiver == TRK_SIDE_CALLEE,
				   .codec = str_c(side->codecs),
				   .seconds = side->seconds,
				   .problem = side->problem};
	if (x->has_failed)
		out->problem = "left out: it is longer than four hours";
	else if (!side->n_packets)
		return side->problem;
	else if (k->n_bytes + (uint64_t)(side->seconds * 2 * LEAST_RATE) > MAX_BYTES)
		out->problem = too_much;
	else if (wav_put_side(x->wav, receiver, MAX_RATE, put, file))
		k->err = file->err ? file->err : ERR_NOMEM;
	if (k->n_bytes + file->n > MAX_BYTES) {
		buf_clear(file);
		out->problem = too_much;
	}
	k->n_bytes += file->n;
	out->wav = buf_view(file);
	return true;
}

enum err scope_sounds_of(struct scope_sounds *k, const struct sheet *sheet, struct page_sound *out,
			 size_t *n)
{
	*n = 0;
	forget_given(k);
	for (size_t leg = 0; leg < sheet->n_legs; leg++)
		for (size_t i = 0; i < k->n; i++) {
			struct sound *x = &k->v[i];
			if (x->call != sheet->legs[leg].call || *n + 2 > 2 * TRK_MAX_LEGS)
				continue;
			if (k->is_deaf || !x->wav) {
				out[(*n)++] = (struct page_sound){
					.no = x->call->no,
					.is_caller = true,
					.codec = str_c(trk_av(x->call)->streams->codec),
					.problem = k->is_deaf ? "left out: live, sound is not kept"
							      : too_much};
				continue;
			}
			for (int caller = 1; caller >= 0; caller--)
				*n += put_side(k, x, caller ? TRK_SIDE_CALLEE : TRK_SIDE_CALLER,
					       &k->files[*n], &out[*n]);
			k->given[k->n_given++] = x->wav;
			x->wav = NULL;
		}
	return k->err;
}
