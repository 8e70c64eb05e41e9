#pragma once
/* Which of the calls that the tracker sees (one for each Call-ID) are legs that the back-to-back
 * user agent made for another one, so that an operator sees one call. What a leg came to is kept
 * until the record of its call is written.
 *
 * A call whose caller's side has been recorded, while a leg goes on (a transfer by the caller), is
 * two: the leg is then a call of its own. On the scope's thread. */

#include "store/cdr.h"
#include "track/vrd.h"

struct adm_legs;
enum err adm_legs_new(struct adm_legs **out);
void adm_legs_free(struct adm_legs *l); /* NULL is harmless */
/* The call `call_id` is a leg of the one that `of` began, or of what that is a leg of; if it is
 * another one's leg, it will be when that one has ended. Without memory it is a call like any
 * other. t: whose calls count. */
void adm_legs_add(struct adm_legs *l, const struct trk *t, struct str of, struct str call_id);
/* The Call-ID of the caller's side: call_id itself where it is no leg; empty: that side has its
 * record, and this leg is ending. */
struct str adm_legs_root(const struct adm_legs *l, struct str call_id);
/* A call was judged. True: it is, or was, a leg, and has no record of its own; what it came to is
 * kept. */
bool adm_legs_judged(struct adm_legs *l, struct trk *t, const struct trk_call *c,
		     const struct vrd *v);
/* A call that is no leg was judged by `v`: what its legs add to its record, in texts (empty, not
 * those of adm_record). The legs that go on are a call of their own from now on. */
void adm_legs_record(struct adm_legs *l, struct trk *t, const struct trk_call *c,
		     const struct vrd *v, struct st_cdr *row, struct buf *texts);
/* The leg that it talks by now, or NULL. */
const struct trk_call *adm_legs_talking(const struct adm_legs *l, const struct trk *t,
					const struct trk_call *c);
/* Is that a call of the back-to-back user agent, or a leg of one? */
bool adm_legs_has(const struct adm_legs *l, struct str call_id);
/* The exchange was killed and has begun again: the calls of t (is_listed) that were in its memory
 * end now. */
void adm_legs_cut(const struct adm_legs *l, struct trk *t, uint64_t now_us);
size_t adm_legs_n(const struct adm_legs *l);
