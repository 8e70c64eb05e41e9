/* What lookout.h says. */
#include "lookout.h"

unsigned lookout_cseq(const struct raw_msg *m)
{
	return (unsigned)atoi(raw_header(m, "CSeq", 0).p);
}

static bool is_ours(const struct watch *w, const struct raw_msg *m)
{
	return !m->is_taken && str_starts(m->text, STR("NOTIFY ")) &&
	       str_eq(raw_header(m, "Call-ID", 0), str_c(w->q.call_id));
}

/* Its next NOTIFY; repetitions of those that were answered late are answered again. */
bool lookout_has_next(void *arg)
{
	struct watch *w = arg;
	for (size_t i = 0; i < w->r->n_msgs; i++) {
		struct raw_msg *m = w->r->msgs[i];
		if (!is_ours(w, m))
			continue;
		m->is_taken = true;
		raw_reply(w->r, m, "200 OK", NULL, NULL, NULL);
		if (lookout_cseq(m) <= w->cseq)
			continue;
		w->notify = m;
		w->cseq = lookout_cseq(m);
		return true;
	}
	return false;
}

void lookout_next_within(struct watch *w, double seconds)
{
	if (!lookout_has_next(w) && !stage_run_until(w->r->stage, seconds, lookout_has_next, w))
		test_fail(__FILE__, __LINE__, "no NOTIFY; the last was %s",
			  w->notify ? w->notify->bytes : "none");
}

void lookout_next(struct watch *w)
{
	lookout_next_within(w, 1.5);
}

void lookout_start(struct watch *w, struct raw *r, const char *uri, const char *event)
{
	*w = (struct watch){.r = r};
	snprintf(w->event, sizeof(w->event), "Event: %s\nExpires: 600\n", event);
	w->q = (struct raw_req){.method = "SUBSCRIBE", .uri = uri, .extra = w->event};
	raw_ask(r, 0, &w->q);
	struct raw_msg *ok = raw_get(r, "SIP/2.0 200", 1);
	raw_cstr(raw_header(ok, "To", 0), w->to, sizeof(w->to));
	struct str contact = raw_header(ok, "Contact", 0);
	raw_cstr(str_sub(contact, 1, str_chr(contact, '>') - 1), w->uri, sizeof(w->uri));
	lookout_next(w);
}

/* A SUBSCRIBE in the dialog; its status. */
unsigned lookout_again(struct watch *w, const char *expires)
{
	snprintf(strstr(w->event, "Expires:"), 20, "Expires: %s\n", expires);
	w->q.to = w->to;
	w->q.uri = w->uri;
	w->q.cseq++;
	w->q.branch[0] = w->q.auth[0] = 0;
	raw_request(w->r, 0, &w->q);
	struct raw_msg *m = raw_get(w->r, "SIP/2.0 ", 1);
	return (unsigned)atoi(m->bytes + 8);
}

bool lookout_says(const struct watch *w, const char *text)
{
	return raw_has(w->notify, text);
}

bool lookout_is_quiet(struct watch *w, double seconds)
{
	return !stage_run_until(w->r->stage, seconds, lookout_has_next, w);
}

void lookout_sees(struct watch *w, const char *text)
{
	for (int i = 0; i < 5; i++) {
		lookout_next_within(w, 3);
		if (lookout_says(w, text))
			return;
	}
	test_fail(__FILE__, __LINE__, "never said: %s; the last was %s", text, w->notify->bytes);
}
