#pragma once
/* The E-model: how a call will be judged, from loss, delay and codec [ITU-T G.107, G.107.1, G.113].
 * A prediction for planning, not a measurement of what was said. */

#include "base/str.h"

struct mos_codec {
	double ie;  /* impairment by the codec itself */
	double bpl; /* robustness against loss, in percent */
	bool is_wide;
	bool is_assumed; /* no value of the ITU's: chosen by likeness */
};
/* By rtpmap name; false when nothing can be said. G.711 with loss concealment, as end systems have
 * it. */
bool mos_codec(struct str name, struct mos_codec *out);

struct mos_in {
	struct mos_codec codec;
	double ppl;      /* percent lost, in the network and in the jitter buffer */
	double burst_r;  /* 1 or more; see rtp_loss_sum */
	double delay_ms; /* mouth to ear, one way */
};
struct mos_out {
	double ie_eff, id, r;
	double mos; /* 1 .. 4.5 */
};
void mos_grade(const struct mos_in *in, struct mos_out *out);
double mos_of_r(double r);
