/* The list of all colleagues: one subscription that stands for many, whose NOTIFYs are a multipart
 * with a table of contents in front. [RFC4662]
 *
 * The members are the accounts at the time of the subscription, without the subscriber; a refresh
 * looks again. The first NOTIFY and each after a SUBSCRIBE has all of them, others those that have
 * changed. A member's document is always whole.
 */
#include "service/events_priv.h"
#include "service/pidf.h"

#include <stdlib.h>
#include <string.h>

struct filling {
	struct evt_sub *x;
	struct str self;
	bool has_failed;
};

static bool add_member(void *arg, struct str user)
{
	struct filling *f = arg;
	struct evt_sub *x = f->x;
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	dom_aor_of_user(x->s->e->env.dom, user, &b);
	if (b.err != OK || b.n > LIMIT_AOR_BYTES || str_eq(buf_view(&b), f->self))
		return true;
	struct evt_member *m = &x->members[x->n_members];
	*m = (struct evt_member){.aor = malloc(b.n), .n_aor = (uint8_t)b.n};
	f->has_failed = !m->aor;
	if (f->has_failed)
		return false;
	memcpy(m->aor, b.p, b.n);
	return ++x->n_members < LIMIT_LIST_MEMBERS;
}

bool evt_list_fill(struct evt_sub *x)
{
	struct filling f = {.x = x, .self = str_of(x->text, x->n_user)};
	x->members = calloc(LIMIT_LIST_MEMBERS, sizeof(*x->members));
	if (!x->members)
		return false;
	acc_each(x->s->e->env.acc, add_member, &f);
	return !f.has_failed;
}

static void put_part(struct evt_sub *x, struct str cid, struct str type, struct buf *out)
{
	buf_str(out, STR("--"));
	buf_str(out, x->s->e->boundary);
	buf_str(out, STR("\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <"));
	buf_str(out, cid);
	buf_str(out, STR(">\r\nContent-Type: "));
	buf_str(out, type);
	buf_str(out, STR("\r\n\r\n"));
}

static struct str cid_of(unsigned i, char mem[24])
{
	struct buf b;
	buf_init_fixed(&b, mem, 24);
	buf_fmt(&b, "m%u@rung", i);
	return buf_view(&b);
}

void evt_list_put(struct evt_sub *x, struct str entity, bool is_full, uint32_t version,
		  struct buf *out)
{
	char mem[24];
	put_part(x, STR("rlmi@rung"), STR("application/rlmi+xml;charset=\"UTF-8\""), out);
	buf_str(out, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			 "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\""));
	xml_put(out, entity);
	buf_fmt(out, "\" version=\"%u\" fullState=\"%s\">\n", version, is_full ? "true" : "false");
	for (unsigned i = 0; i < x->n_members; i++) {
		const struct evt_member *m = &x->members[i];
		if (!is_full && !(m->has_answer && m->is_news))
			continue;
		buf_str(out, STR("<resource uri=\""));
		evt_uri_put(x->s, str_of(m->aor, m->n_aor), entity, out);
		buf_fmt(out, "\"><instance id=\"i%u\" state=\"active\"", i);
		if (m->body) {
			buf_str(out, STR(" cid=\""));
			buf_str(out, cid_of(i, mem));
			buf_chr(out, '"');
		}
		buf_str(out, STR("/></resource>\n"));
	}
	buf_str(out, STR("</list>\r\n"));
	for (unsigned i = 0; i < x->n_members; i++) {
		const struct evt_member *m = &x->members[i];
		if (!m->body)
			continue;
		put_part(x, cid_of(i, mem), evt_info(x->pkg)->type, out);
		buf_put(out, m->body, m->n_body);
		buf_str(out, STR("\r\n"));
	}
	buf_str(out, STR("--"));
	buf_str(out, x->s->e->boundary);
	buf_str(out, STR("--\r\n"));
}
