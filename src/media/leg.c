/* One party's audio in a call: negotiation and stream joined.
 *
 * A SIP session asks four questions (an offer, an answer to an offer, what an answer means, an
 * early answer); each is one call here: text is read, sdp/oa decides, and what it agreed is applied
 * to the stream at once.
 *
 * Invariants
 *  1. What the session was told last (md_session_apply) is what oa.stream says.
 *  2. A refused offer changes neither; an answer that is refused leaves a stream without media.
 *  3. An early answer is negotiated on a copy of the state, so that the final answer, perhaps of
 *     another fork, finds the offer still pending. [RFC3264] [RFC3960] */

#include "media/leg.h"

#include <stdio.h>
#include <string.h>

static enum err add_codec(struct sdp_local *l, struct str name)
{
	enum cdc_id id = cdc_find(name, 8000, 1);
	if (id == CDC_NONE || l->n_codecs + 1 >= SDP_MAX_CODECS)
		return ERR_UNSUPPORTED;
	const struct cdc_info *info = cdc_info(id);
	for (size_t i = 0; i < l->n_codecs; i++)
		if (str_eq(str_c(l->codecs[i].name), str_c(info->name)))
			return OK; /* named twice */
	struct sdp_codec *c = &l->codecs[l->n_codecs++];
	*c = (struct sdp_codec){.pt = info->pt, .channels = info->channels, .clock = info->clock};
	snprintf(c->name, sizeof(c->name), "%s", info->name);
	return OK;
}

enum err md_leg_open(struct md_leg *leg, struct ev_loop *l, const struct md_leg_config *cfg,
		     const char **why)
{
	*leg = (struct md_leg){0};
	struct str rest = str_c(cfg->codecs ? cfg->codecs : "PCMU,PCMA");
	while (rest.n)
		if (add_codec(&leg->local, str_trim(str_cut(rest, ',', &rest)))) {
			*why = "unknown codec (there are PCMU and PCMA)";
			return ERR_UNSUPPORTED;
		}
	leg->local.codecs[leg->local.n_codecs++] = (struct sdp_codec){
		.name = "telephone-event", .pt = 101, .channels = 1, .clock = 8000, .fmtp = "0-16"};
	enum err e = md_session_new(l, &cfg->media, &leg->session, why);
	if (e)
		return e;
	leg->local.rtp = md_session_rtp(leg->session);
	if (cfg->shown.family) {
		uint16_t port = leg->local.rtp.port;
		leg->local.rtp = cfg->shown;
		leg->local.rtp.port = port;
	}
	leg->local.rtcp_port = md_session_rtcp_port(leg->session);
	leg->local.ptime_ms = 20;
	leg->local.tool = cfg->tool;
	sdp_oa_init(&leg->oa, cfg->id);
	return OK;
}

void md_leg_close(struct md_leg *leg)
{
	md_session_free(leg->session);
	leg->session = NULL;
}

enum err md_leg_offer(struct md_leg *leg, enum sdp_dir dir, struct buf *out)
{
	return sdp_oa_offer(&leg->oa, &leg->local, dir, out);
}

unsigned md_leg_answer(struct md_leg *leg, struct str offer, enum sdp_dir dir, struct buf *out,
		       struct sdp_why *why)
{
	struct sdp s;
	*why = (struct sdp_why){.status = 488, .warning = 399};
	if (sdp_parse(offer, &s)) {
		why->status = 400;
		snprintf(why->text, sizeof(why->text), "the body is not a session description");
		return why->status;
	}
	struct sdp_oa before = leg->oa;
	if (sdp_oa_answer(&leg->oa, &leg->local, &s, dir, out, why))
		return why->status;
	if (md_session_apply(leg->session, &leg->oa.stream)) {
		leg->oa = before;
		snprintf(why->text, sizeof(why->text), "the agreed codec cannot be played");
		return why->status;
	}
	return 0;
}

bool md_leg_take(struct md_leg *leg, struct str answer, bool is_early, struct sdp_why *why)
{
	struct sdp s;
	*why = (struct sdp_why){.status = 488, .warning = 399};
	if (sdp_parse(answer, &s)) {
		snprintf(why->text, sizeof(why->text), "the answer is not a session description");
		return false;
	}
	struct sdp_oa before = leg->oa;
	if (sdp_oa_take_answer(&leg->oa, &s, why))
		return false;
	bool is_ok = md_session_apply(leg->session, &leg->oa.stream) == OK;
	if (is_early)
		leg->oa = before;
	return is_ok;
}
