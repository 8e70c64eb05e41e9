/* Calls that follow a plan, both directions: a SIP session, an audio leg, and timers that do what a
 * person would (answer, hang up, hold).
 *
 * A call is one heap object in ph->calls, freed in SES_EV_ENDED, the last event of its session. Its
 * outcome is decided there: the end that the session tells, unless an expectation about the audio
 * was not met.
 *
 * Invariants: 1. The leg is open from the start to the end of the call. 2. A timer of the plan acts
 * only on the state it is meant for: what comes late (the peer was faster) does nothing. */
#include "phone/phone_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TONE_TOLERANCE  0.03
#define TONE_LEVEL_DBM0 (-12.0)
#define RING_LIMIT_S    240

struct call {
	struct link link;
	struct ph *ph;
	struct ses *ses;
	struct md_leg leg;
	const struct ph_plan *plan;
	struct tmr ring, cancel, hangup, hold, resume;
	enum sdp_dir dir;
	bool is_caller, is_answered, is_ringing, has_heard_tone, has_failed_file;
	uint64_t answered_us;
	struct sdp_why why;
};

void ph_plan_init(struct ph_plan *plan)
{
	*plan = (struct ph_plan){
		.ring_s = 0, .cancel_s = -1, .hangup_s = -1, .hold_s = -1, .resume_s = -1};
}

size_t ph_live_calls(const struct ph *ph)
{
	return ph->n_calls;
}

static void free_call(struct call *c)
{
	struct tmr *timers[] = {&c->ring, &c->cancel, &c->hangup, &c->hold, &c->resume};
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		ev_timer_stop(c->ph->loop, timers[i]);
	md_leg_close(&c->leg);
	list_del(&c->link);
	c->ph->n_calls--;
	free(c);
}

void ph_calls_free(struct ph *ph)
{
	LIST_EACH (&ph->calls, l) {
		struct call *c = LIST_ENTRY(l, struct call, link);
		ses_drop(c->ses);
		free_call(c);
	}
}

static void start_timer(struct call *c, struct tmr *t, double seconds, tmr_fn *fn)
{
	if (seconds >= 0)
		ev_timer(c->ph->loop, t, (uint64_t)(seconds * 1e6), fn);
}

static void report_begin(struct ph_report *r, struct call *c, const char *name)
{
	ph_report_begin(r, c->ph, name);
	if (c->ses)
		ph_report_str(r, "call_id", ses_call_id(c->ses));
}

/* ---- audio ----------------------------------------------------------------------------------- */

static void file_error(struct call *c, const char *why)
{
	struct ph_report r;
	report_begin(&r, c, "file-error");
	ph_report_text(&r, "%s", why);
	ph_report_str(&r, "reason", str_c(why));
	ph_report_send(&r);
}

static void on_played(struct call *c)
{
	if (c->plan->play && c->plan->hangup_s < 0 && c->is_answered)
		ses_hangup(c->ses, STR_NONE);
}

static void on_media(void *arg, struct md_session *s, const struct md_event *ev)
{
	struct call *c = arg;
	struct ph_report r;
	char a[ADDR_TEXT_MAX];
	switch (ev->type) {
	case MD_FIRST_PACKET:
		report_begin(&r, c, "audio");
		ph_report_text(&r, "first packet from %s", addr_text(&ev->addr, a));
		ph_report_str(&r, "from", str_c(addr_text(&ev->addr, a)));
		ph_report_send(&r);
		return;
	case MD_DTMF:
		report_begin(&r, c, "dtmf");
		ph_report_text(&r, "%c", ev->digit);
		ph_report_str(&r, "digit", str_of(&ev->digit, 1));
		ph_report_send(&r);
		return;
	case MD_TONE:
		if (fabs(ev->freq_hz - c->plan->expect_tone_hz) <=
		    c->plan->expect_tone_hz * TONE_TOLERANCE)
			c->has_heard_tone = true;
		report_begin(&r, c, "tone");
		ph_report_text(&r, "%.0f Hz at %.0f dBm0", ev->freq_hz, ev->level_dbm0);
		ph_report_real(&r, "hz", ev->freq_hz);
		ph_report_real(&r, "dbm0", ev->level_dbm0);
		ph_report_send(&r);
		return;
	case MD_PLAYED:
		on_played(c);
		return;
	case MD_FILE_ERROR:
		c->has_failed_file = true;
		file_error(c, ev->text);
		return;
	case MD_LATCHED:
	case MD_TONE_END:
	case MD_DTMF_SENT:
	case MD_SILENT:
	case MD_BYE:
		return;
	}
}

/* Starts what the plan says is to be heard, once, when the call is answered. */
static void start_audio(struct call *c)
{
	const struct ph_plan *p = c->plan;
	const char *why = NULL;
	if (p->play && md_session_play_file(c->leg.session, p->play, false, &why)) {
		c->has_failed_file = true;
		file_error(c, why);
	}
	if (!p->play && p->tone_hz > 0)
		md_session_play_tone(c->leg.session, p->tone_hz, TONE_LEVEL_DBM0, 0);
	else if (!p->play && p->is_echo)
		md_session_play_echo(c->leg.session);
	if (p->record && md_session_record(c->leg.session, p->record, &why)) {
		c->has_failed_file = true;
		file_error(c, why);
	}
	if (p->dtmf && md_session_dtmf(c->leg.session, str_c(p->dtmf), 0))
		file_error(c, "the digits cannot be sent: the other side takes no telephone-event, "
			      "or they are no digits");
}

static enum err open_leg(struct call *c, const char **why)
{
	struct ph *ph = c->ph;
	char codecs[64];
	if (!str_copy(codecs, sizeof(codecs), ph->cfg.codecs)) {
		*why = "the list of codecs is too long";
		return ERR_LIMIT;
	}
	struct md_leg_config cfg = {
		.media =
			{
				.local = ph->local,
				.port_min = ph->cfg.rtp_min,
				.port_max = ph->cfg.rtp_max,
				.is_latching = true,
				.has_detector = true,
				.fn = on_media,
				.arg = c,
				},
		.codecs = codecs[0] ? codecs : NULL,
		.tool = "rung",
		.id = env_random_u64(ph->loop->env) >> 2,
	};
	cfg.media.local.port = 0;
	return md_leg_open(&c->leg, ph->loop, &cfg, why);
}

/* ---- SDP questions of the session ------------------------------------------------------------ */

static enum err make_offer(void *ctx, struct ses *s, struct buf *sdp)
{
	struct call *c = ctx;
	return md_leg_offer(&c->leg, c->dir, sdp);
}

static unsigned answer_offer(void *ctx, struct ses *s, struct str offer, struct buf *sdp)
{
	struct call *c = ctx;
	return md_leg_answer(&c->leg, offer, c->dir, sdp, &c->why);
}

static bool on_answer(void *ctx, struct ses *s, struct str answer, bool is_early)
{
	struct call *c = ctx;
	return md_leg_take(&c->leg, answer, is_early, &c->why);
}

/* Where the call went, or came by. */
static void report_way(struct call *c, struct str lines)
{
	struct ph_report r;
	if (!lines.n)
		return;
	report_begin(&r, c, "history");
	ph_report_way(&r, lines);
	ph_report_send(&r);
}

static void report_way_of(struct call *c)
{
	char mem[PH_WAY_BYTES];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	ses_put_way(c->ses, &b);
	if (!b.err)
		report_way(c, buf_view(&b));
}

/* ---- the plan -------------------------------------------------------------------------------- */

static void on_hangup_timer(struct tmr *t)
{
	struct call *c = CONTAINER_OF(t, struct call, hangup);
	ses_hangup(c->ses, STR_NONE);
}

static void on_cancel_timer(struct tmr *t)
{
	struct call *c = CONTAINER_OF(t, struct call, cancel);
	if (!c->is_answered)
		ses_hangup(c->ses, STR_NONE);
}

static void modify(struct call *c, enum sdp_dir dir)
{
	if (!c->is_answered)
		return;
	enum sdp_dir before = c->dir;
	c->dir = dir;
	if (ses_modify(c->ses)) {
		c->dir = before;
		struct ph_report r;
		report_begin(&r, c, "modify-failed");
		ph_report_text(&r, "another change is still under way");
		ph_report_send(&r);
	}
}

static void on_hold_timer(struct tmr *t)
{
	modify(CONTAINER_OF(t, struct call, hold), SDP_SENDONLY);
}

static void on_resume_timer(struct tmr *t)
{
	modify(CONTAINER_OF(t, struct call, resume), SDP_SENDRECV);
}

static enum err reject(struct call *c, unsigned status)
{
	char mem[PH_WAY_BYTES];
	struct buf way;
	const struct tp_rx *invite = ses_invite(c->ses);
	buf_init_fixed(&way, mem, sizeof(mem));
	if (invite)
		ph_put_way(c->ph, invite->msg, &way);
	return ses_reject(c->ses, status, STR_NONE, buf_view(&way));
}

static void on_ring_timer(struct tmr *t)
{
	struct call *c = CONTAINER_OF(t, struct call, ring);
	enum err e = c->plan->reject ? reject(c, c->plan->reject) : ses_answer(c->ses);
	(void)e; /* ERR_STATE: the caller has given up, ENDED tells */
}

/* Nobody answers here, and no CANCEL came, perhaps because nothing that we sent arrived. Whoever
 * waits longer than Timer C has given up by now. [RFC3261 16.6 step 11, 9.1] */
static void on_ring_limit(struct tmr *t)
{
	struct call *c = CONTAINER_OF(t, struct call, ring);
	enum err e = reject(c, 480);
	(void)e; /* ERR_STATE: as above */
}

/* ---- events of the session ------------------------------------------------------------------- */

static void on_confirmed(struct call *c)
{
	struct ph_report r;
	const struct sdp_stream *st = &c->leg.oa.stream;
	c->is_answered = true;
	c->answered_us = ev_now_us(c->ph->loop);
	report_way_of(c);
	report_begin(&r, c, "answered");
	ph_report_text(&r, "%s", st->is_active ? st->codec.name : "without audio");
	ph_report_str(&r, "codec", str_c(st->codec.name));
	ph_report_send(&r);
	start_audio(c);
	start_timer(c, &c->hangup, c->plan->hangup_s, on_hangup_timer);
	start_timer(c, &c->hold, c->plan->hold_s, on_hold_timer);
	start_timer(c, &c->resume, c->plan->resume_s, on_resume_timer);
}

static void on_progress(struct call *c, const struct ses_event *ev)
{
	struct ph_report r;
	struct str reason = ph_reason(ev->rx, ev->status);
	report_begin(&r, c, "progress");
	ph_report_text(&r, "%u " STR_FMT, ev->status, STR_ARG(reason));
	ph_report_num(&r, "status", ev->status);
	ph_report_str(&r, "reason", reason);
	ph_report_send(&r);
	if (ev->status > 100 && !c->is_ringing) {
		c->is_ringing = true;
		start_timer(c, &c->cancel, c->plan->cancel_s, on_cancel_timer);
	}
}

static void on_renegotiated(struct call *c, const struct ses_event *ev)
{
	struct ph_report r;
	const struct sdp_stream *st = &c->leg.oa.stream;
	bool is_held = st->is_remote_hold || c->dir != SDP_SENDRECV;
	report_begin(&r, c, is_held ? "held" : "resumed");
	ph_report_text(&r, "by %s", ev->by == SES_BY_LOCAL ? "us" : "the other side");
	ph_report_str(&r, "by", ev->by == SES_BY_LOCAL ? STR("local") : STR("remote"));
	ph_report_send(&r);
}

static enum ph_outcome outcome_of(const struct ses_end *end)
{
	switch (end->cause) {
	case SES_CAUSE_HANGUP:
		return PH_DONE;
	case SES_CAUSE_CANCEL:
		return end->by == SES_BY_LOCAL ? PH_DONE : PH_NO_ANSWER;
	case SES_CAUSE_REJECTED:
		return end->by == SES_BY_LOCAL ? PH_DONE : ph_outcome_of_status(end->status);
	case SES_CAUSE_AUTH:
		return PH_AUTH;
	case SES_CAUSE_NO_RESPONSE:
	case SES_CAUSE_LOST_ACK:
	case SES_CAUSE_GONE:
	case SES_CAUSE_TIMER:
		return PH_NO_ANSWER;
	case SES_CAUSE_UNREACHABLE:
		return PH_UNREACHABLE;
	case SES_CAUSE_MEDIA:
		return PH_MEDIA;
	case SES_CAUSE_LOCAL:
		return PH_FAILED;
	}
	return PH_FAILED;
}

static void report_media(struct call *c, struct ph_report *r, const struct md_stats *st)
{
	ph_report_num(r, "rtp_sent", (int64_t)st->sent_packets);
	ph_report_num(r, "rtp_received", (int64_t)st->received);
	ph_report_num(r, "rtp_lost", st->lost);
	ph_report_real(r, "jitter_ms", st->jitter_ms);
	if (st->tone_total_ms > 0)
		ph_report_real(r, "tone_ms", st->tone_total_ms);
	if (st->digits[0])
		ph_report_str(r, "digits", str_c(st->digits));
}

/* What the plan wanted of the audio and did not get; NULL: all is well. */
static const char *unmet(const struct call *c, const struct md_stats *st)
{
	if (c->has_failed_file)
		return "a sound file could not be read or written";
	if (!c->is_answered)
		return NULL;
	if (c->plan->expect_audio && st->received == 0)
		return "no audio packet arrived";
	if (c->plan->expect_tone_hz > 0 && !c->has_heard_tone)
		return "the expected tone was not heard";
	return NULL;
}

static void on_ended(struct call *c, const struct ses_end *end)
{
	static const char *const by[] = {[SES_BY_LOCAL] = "us",
					 [SES_BY_REMOTE] = "the other side",
					 [SES_BY_NETWORK] = "the network"};
	static const char *const by_word[] = {
		[SES_BY_LOCAL] = "local", [SES_BY_REMOTE] = "remote", [SES_BY_NETWORK] = "network"};
	struct ph_report r;
	struct md_stats st;
	struct str cause = ses_cause_text(end->cause);
	enum ph_outcome outcome = outcome_of(end);
	md_session_stats(c->leg.session, &st);
	if (!c->is_answered)
		report_way_of(c);
	enum err e = md_session_record_end(c->leg.session);
	c->has_failed_file |= e == ERR_IO;
	double talk_s =
		c->is_answered ? (double)(ev_now_us(c->ph->loop) - c->answered_us) / 1e6 : 0;
	const char *missing = unmet(c, &st);
	report_begin(&r, c, "ended");
	ph_report_text(&r, "by %s: ", by[end->by]);
	if (end->status)
		ph_report_text(&r, "%u ", end->status);
	struct str text = end->text.n ? end->text : cause;
	ph_report_text(&r, STR_FMT, STR_ARG(text));
	if (c->is_answered)
		ph_report_text(&r, ", after %.1f s; %llu packets sent, %llu received", talk_s,
			       (unsigned long long)st.sent_packets,
			       (unsigned long long)st.received);
	if (c->why.text[0] && end->cause == SES_CAUSE_MEDIA)
		ph_report_text(&r, " (%s)", c->why.text);
	if (missing)
		ph_report_text(&r, "; %s", missing);
	ph_report_str(&r, "by", str_c(by_word[end->by]));
	ph_report_str(&r, "cause", cause);
	ph_report_num(&r, "status", end->status);
	ph_report_str(&r, "reason", end->text);
	ph_report_real(&r, "talk_s", talk_s);
	report_media(c, &r, &st);
	if (missing)
		ph_report_str(&r, "missing", str_c(missing));
	ph_report_end(&r, missing && outcome == PH_DONE ? PH_MEDIA : outcome);
	free_call(c);
}

static void on_event(void *ctx, struct ses *s, const struct ses_event *ev)
{
	struct call *c = ctx;
	struct ph_report r;
	switch (ev->kind) {
	case SES_EV_PROGRESS:
		on_progress(c, ev);
		return;
	case SES_EV_EARLY_MEDIA:
		report_begin(&r, c, "early-media");
		ph_report_send(&r);
		return;
	case SES_EV_CONFIRMED:
		on_confirmed(c);
		return;
	case SES_EV_RENEGOTIATED:
		on_renegotiated(c, ev);
		return;
	case SES_EV_MODIFY_FAILED:
		sdp_oa_drop_offer(&c->leg.oa);
		report_begin(&r, c, "modify-failed");
		ph_report_text(&r, "%u", ev->status);
		ph_report_num(&r, "status", ev->status);
		ph_report_send(&r);
		return;
	case SES_EV_LEFT:
	case SES_EV_REFUSED:
	case SES_EV_UNUSABLE:
	case SES_EV_OFFER:
	case SES_EV_REQUEST:
	case SES_EV_RESPONSE:
	case SES_EV_REFER:
	case SES_EV_REFERRED: /* only who asks for them gets them; an end follows REFUSED */
		break;
	case SES_EV_INFO:
		return;
	case SES_EV_ENDED:
		on_ended(c, &ev->end);
		return;
	}
}

static const struct ses_user user = {.make_offer = make_offer,
				     .answer_offer = answer_offer,
				     .on_answer = on_answer,
				     .on_event = on_event};

/* ---- starting -------------------------------------------------------------------------------- */

static enum err new_call(struct ph *ph, const struct ph_plan *plan, bool is_caller,
			 struct call **out, const char **why)
{
	struct call *c = calloc(1, sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->ph = ph;
	c->plan = plan;
	c->is_caller = is_caller;
	c->dir = SDP_SENDRECV;
	list_init(&c->link);
	ph->n_calls++;
	enum err e = open_leg(c, why);
	if (e) {
		free_call(c);
		return e;
	}
	*out = c;
	return OK;
}

static void report_local_failure(struct ph *ph, const char *why)
{
	struct ph_report r;
	ph_report_begin(&r, ph, "ended");
	ph_report_text(&r, "%s", why);
	ph_report_str(&r, "reason", str_c(why));
	ph_report_end(&r, PH_MEDIA);
}

enum err ph_call(struct ph *ph, struct str uri, const struct ph_plan *plan)
{
	struct call *c;
	const char *why = "not enough memory";
	if (new_call(ph, plan, true, &c, &why)) {
		report_local_failure(ph, why);
		return OK;
	}
	struct ses_call call = {.account = ph->account,
				.target = uri,
				.is_late_offer = plan->is_late_offer,
				.tells_way = plan->tells_way,
				.max_redirects = 5};
	enum err e = ses_call(ph->stack.dlg, &call, &user, c, &c->ses);
	if (e) {
		free_call(c);
		return e;
	}
	list_push(&ph->calls, &c->link);
	struct ph_report r;
	report_begin(&r, c, "calling");
	ph_report_text(&r, STR_FMT, STR_ARG(uri));
	ph_report_str(&r, "uri", uri);
	ph_report_send(&r);
	return OK;
}

void ph_accept(struct ph *ph, const struct ph_plan *plan)
{
	ph->incoming = plan;
}

void ph_refuse_busy(struct ph *ph, tsx_id st)
{
	dlg_turn_away(ph->stack.dlg, st, 486);
}

void ph_on_invite(struct ph *ph, tsx_id st, struct tp_rx *rx)
{
	struct call *c;
	const char *why;
	const struct ph_plan *plan = ph->incoming;
	if (!plan || new_call(ph, plan, false, &c, &why)) {
		ph_refuse_busy(ph, st);
		return;
	}
	char mem[PH_WAY_BYTES];
	struct buf way;
	buf_init_fixed(&way, mem, sizeof(mem));
	ph_put_way(ph, rx->msg, &way);
	struct ses_accept acc = {
		.contact_user = ph->user, .account = ph->account, .headers = buf_view(&way)};
	if (ses_incoming(ph->stack.dlg, st, rx, &acc, &user, c, &c->ses)) {
		free_call(c);
		return;
	}
	list_push(&ph->calls, &c->link);
	struct ph_report r;
	struct str from = sip_value(rx->msg, SIP_HDR_FROM);
	report_begin(&r, c, "incoming");
	ph_report_text(&r, STR_FMT, STR_ARG(from));
	ph_report_str(&r, "from", from);
	ph_report_send(&r);
	report_way(c, buf_view(&way));
	if (plan->reject && plan->ring_s <= 0) {
		on_ring_timer(&c->ring);
		return;
	}
	enum err e = ses_ring(c->ses, 180, false);
	(void)e; /* ERR_STATE: cancelled meanwhile, ENDED tells */
	if (plan->ring_s < 0)
		start_timer(c, &c->ring, RING_LIMIT_S, on_ring_limit);
	else
		start_timer(c, &c->ring, plan->ring_s, on_ring_timer);
}

bool ph_hangup_all(struct ph *ph)
{
	bool has_any = false;
	LIST_EACH (&ph->calls, l) {
		ses_hangup(LIST_ENTRY(l, struct call, link)->ses, STR_NONE);
		has_any = true;
	}
	return has_any;
}
