/* Verdicts printed: parties, one line, all findings as text or JSON. Sentences hold what peers
 * wrote: it is made harmless on the way. */
#include "track/vrd_priv.h"

void vrd_put_name(struct buf *b, const struct trk_name *x)
{
	struct str user = trk_user(x), host = trk_host(x);
	buf_str(b, user);
	if (user.n && host.n)
		buf_chr(b, '@');
	buf_str(b, host);
}

static struct str party(struct str user, struct str host)
{
	return user.n ? user : host.n ? host : STR("?");
}

void vrd_put_parties(struct buf *b, const struct trk_call *c, bool is_ascii)
{
	if (c->kind == TRK_REG) {
		buf_plain(b, party(trk_user(c->to), STR_NONE));
		buf_chr(b, '@');
		buf_plain(b, trk_host(c->to));
		return;
	}
	buf_plain(b, party(trk_user(c->from), trk_host(c->from)));
	buf_str(b, is_ascii ? STR(" -> ") : STR(" → "));
	buf_plain(b, party(trk_user(c->to), trk_host(c->to)));
}

void vrd_put_line(struct buf *b, const struct trk_call *c, const struct vrd *v, bool is_ascii)
{
	vrd_put_parties(b, c, is_ascii);
	for (unsigned i = 0; i < v->n; i++)
		if (i == 0 || v->f[i].severity >= VRD_WARN) {
			buf_str(b, i ? STR("; ") : STR(": "));
			buf_plain(b, v->f[i].text);
		}
}

/* A file's messages are known by their frame; live, by their place in the call. */
static void put_evidence(struct buf *b, const struct trk *t, const struct trk_call *c,
			 const struct vrd_finding *f)
{
	bool is_live = trk_cfg(t)->is_live;
	buf_str(b, is_live ? STR("message") : STR("frame"));
	buf_str(b, f->n_evidence > 1 ? STR("s ") : STR(" "));
	for (unsigned i = 0; i < f->n_evidence; i++) {
		const struct trk_ev *e = trk_ev(t, f->evidence[i]);
		uint32_t no = e ? e->frame_no : 0;
		if (is_live) {
			no = c->n_ev;
			for (uint32_t id = c->last_ev; id && id != f->evidence[i]; no--)
				id = trk_ev(t, id)->prev;
		}
		buf_fmt(b, i ? ", %u" : "%u", no);
	}
}

void vrd_put_text(struct buf *b, const struct trk *t, const struct trk_call *c, const struct vrd *v,
		  bool is_ascii)
{
	vrd_put_parties(b, c, is_ascii);
	buf_fmt(b, "   (" STR_FMT ", Call-ID ", STR_ARG(trk_kind_name((enum trk_kind)c->kind)));
	buf_plain(b, c->call_id);
	buf_str(b, STR(")\n"));
	for (unsigned i = 0; i < v->n; i++) {
		const struct vrd_finding *f = &v->f[i];
		const struct vrd_about *rule = vrd_about((enum vrd_rule)f->rule);
		buf_fmt(b, "  %-8s ", vrd_severity_name((enum vrd_severity)f->severity));
		buf_plain(b, f->text);
		buf_str(b, STR(".\n           "));
		if (f->n_evidence) {
			put_evidence(b, t, c, f);
			buf_str(b, STR("; "));
		}
		buf_fmt(b, "%s; [%s]", rule->code, rule->rfc);
		if (f->confidence < 100)
			buf_fmt(b, "; %u %% sure", f->confidence);
		buf_chr(b, '\n');
		if (*rule->remedy && f->severity >= VRD_NOTE)
			buf_fmt(b, "           %s %s.\n", is_ascii ? "->" : "→", rule->remedy);
		if (*rule->unseen)
			buf_fmt(b, "           Not seen from here: %s.\n", rule->unseen);
	}
}

void vrd_put_json(struct buf *b, const struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	buf_str(b, STR("{\"kind\":"));
	buf_json(b, trk_kind_name((enum trk_kind)c->kind));
	buf_str(b, STR(",\"call_id\":"));
	buf_json(b, c->call_id);
	buf_str(b, STR(",\"from\":"));
	buf_json(b, party(trk_user(c->from), trk_host(c->from)));
	buf_str(b, STR(",\"to\":"));
	buf_json(b, party(trk_user(c->to), trk_host(c->to)));
	buf_fmt(b, ",\"severity\":\"%s\",\"findings\":[", vrd_severity_name(v->worst));
	for (unsigned i = 0; i < v->n; i++) {
		const struct vrd_finding *f = &v->f[i];
		const struct vrd_about *rule = vrd_about((enum vrd_rule)f->rule);
		buf_fmt(b,
			"%s{\"code\":\"%s\",\"severity\":\"%s\",\"confidence\":%u,\"rfc\":\"%s\","
			"\"text\":",
			i ? "," : "", rule->code, vrd_severity_name((enum vrd_severity)f->severity),
			f->confidence, rule->rfc);
		buf_json(b, f->text);
		buf_str(b, STR(",\"remedy\":"));
		buf_json(b, str_c(rule->remedy));
		buf_str(b, STR(",\"unseen\":"));
		buf_json(b, str_c(rule->unseen));
		buf_str(b, STR(",\"frames\":["));
		for (unsigned k = 0; k < f->n_evidence; k++) {
			const struct trk_ev *e = trk_ev(t, f->evidence[k]);
			buf_fmt(b, k ? ",%u" : "%u", e ? e->frame_no : 0);
		}
		buf_str(b, STR("]}"));
	}
	buf_str(b, STR("]}"));
}
