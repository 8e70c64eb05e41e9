/* `rung scope --compare`: two calls of one capture or of two, or the legs of one call. */
#include "cmd/scope_priv.h"
#include "scope/diff.h"

#include <stdio.h>

/* The leg that the call is joined with; NULL, with a sentence on stderr, when there is none. */
static struct trk_call *other_leg(const struct trk_call *c)
{
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));)
		if (!trk_join_about((enum trk_ground)j->ground)->is_cause)
			return j->a == c ? j->b : j->a;
	fprintf(stderr,
		"rung scope: call %u is joined with no other leg: name the call to compare it "
		"with (`--calls` lists them)\n",
		c->no);
	return NULL;
}

/* The second call, out of the second capture or the first; s->who names it, or is NULL. */
static int find_second(struct scope *s, struct scope *with, struct diff_call *x,
		       struct diff_call *y)
{
	y->file = s->with;
	if (s->with) {
		with->file = s->with;
		with->sink = stdout;
		with->who = s->second;
		int code = scope_open_book(with);
		if (code < 0)
			code = scope_read_book(with);
		if (code >= 0)
			return code;
		y->book = with->book;
		y->call = scope_the_call(with, with->trk);
	} else {
		y->book = s->book;
		s->who = s->second;
		y->call = s->second ? scope_the_call(s, s->trk) : other_leg(x->call);
	}
	return y->call ? -1 : EXIT_FAILED;
}

int scope_compare(struct scope *s)
{
	struct scope with = {0};
	s->who = s->compare;
	int code = scope_open_book(s);
	if (code < 0)
		code = scope_read_book(s);
	if (code >= 0)
		return code;
	struct diff_call x = {s->book, scope_the_call(s, s->trk), s->with ? s->file : NULL}, y;
	code = x.call ? find_second(s, &with, &x, &y) : EXIT_FAILED;
	bool is_open = code < 0 && (code = scope_out_open(s)) < 0;
	if (is_open) {
		bool is_one = !s->with && trk_join_first(x.call) == trk_join_first(y.call);
		struct diff_opts o = {
			.is_ascii = s->is_ascii, .is_legs = is_one, .is_json = s->format == F_JSON};
		enum err e = diff_calls(&s->out, &x, &y, &o);
		if (e)
			fprintf(stderr, "rung scope: %s\n", err_text(e));
		scope_flush(s);
		code = scope_out_close(s, e ? EXIT_FAILED : EXIT_DONE);
	}
	book_free(with.book);
	return code;
}
