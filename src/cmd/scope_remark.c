/* Findings as comments on packets: what the verdict on a call says, at the frames that prove it.
 *
 * Invariant: after remarks_sort the remarks are in the order of their frames, those on one frame in
 * that of the verdict; whoever writes frames in order goes along with them.
 */
#include "cmd/scope_remark.h"
#include "base/grow.h"

#include <stdlib.h>

void remarks_fini(struct remarks *r)
{
	free(r->v);
	buf_fini(&r->text);
	buf_fini(&r->mem);
}

static enum err add(struct remarks *r, uint32_t frame_no, const struct vrd_finding *f)
{
	struct remark *p = grow(r->v, &r->cap, r->n, sizeof *p);
	if (!p)
		return ERR_NOMEM;
	r->v = p;
	size_t at = r->text.n;
	buf_fmt(&r->text, "rung: " STR_FMT " (%s)", STR_ARG(f->text),
		vrd_about((enum vrd_rule)f->rule)->code);
	r->v[r->n++] = (struct remark){frame_no, (uint32_t)(r->text.n - at), at};
	return r->text.err;
}

enum err remarks_add(struct remarks *r, const struct trk *t, const struct vrd *v)
{
	enum err err = OK;
	for (unsigned i = 0; i < v->n; i++)
		for (unsigned k = 0; k < v->f[i].n_evidence && !err; k++) {
			const struct trk_ev *e = trk_ev(t, v->f[i].evidence[k]);
			err = e ? add(r, e->frame_no, &v->f[i]) : OK;
		}
	return err;
}

static int by_frame(const void *a, const void *b)
{
	const struct remark *x = a, *y = b;
	if (x->frame_no != y->frame_no)
		return x->frame_no < y->frame_no ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void remarks_sort(struct remarks *r)
{
	if (r->n)
		qsort(r->v, r->n, sizeof *r->v, by_frame);
	r->at = 0;
}

struct str remarks_on(struct remarks *r, uint32_t frame_no, struct str before)
{
	struct buf *mem = &r->mem;
	buf_clear(mem);
	while (r->at < r->n && r->v[r->at].frame_no < frame_no)
		r->at++;
	for (; r->at < r->n && r->v[r->at].frame_no == frame_no; r->at++) {
		if (!mem->n && before.n)
			buf_str(mem, before);
		if (mem->n)
			buf_chr(mem, '\n');
		buf_put(mem, r->text.p + r->v[r->at].at, r->v[r->at].n);
	}
	return mem->err ? STR_NONE : buf_view(mem);
}
