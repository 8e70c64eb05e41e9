/* The E-model.
 *
 *	R = R0 - Id - Ie-eff        R0 = 93.2 narrowband [G.107], 129 wideband [G.107.1]
 *
 * R0 stands for all inputs at their defaults (noise, loudness, side tone); what an observer of
 * packets knows is delay, loss and codec. Id is the delay term Idd alone: echo is taken to be
 * cancelled, as the defaults have it. Loss works through
 *
 *	Ie-eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)
 *
 * Wideband R is brought to the MOS scale by 1.29. Where `is_assumed` is set whoever shows the
 * figure must say so. Where Ie and Bpl come from: Tables I.1 and I.4 of G.113 Appendix I (2024), as
 * others quote them alike, the Recommendation itself not being at hand.
 *
 *	I.4: Ie and Bpl   G.711: 0; 25.1 with loss concealment, 4.3 without, which L16 gets. G.729A
 *	                  with VAD: 11; 19. G.723.1 at 6.3 kbit/s with VAD: 15; 16.1. GSM-EFR: 5;
 *	                  10, which is AMR at its highest rate
 *	I.1: Ie alone     G.726 at 40, 32, 24, 16 kbit/s: 2, 7, 25, 50. G.728: 7. Bpl is chosen by
 *	                  likeness. (G.729A without VAD has 10: it gets the row with VAD)
 *	by likeness       GSM, iLBC (their Ie as remembered, not checked), speex as G.729, wideband
 *	                  on the scale of G.113 Appendix IV; of opus the ITU says nothing
 */
#include "rtp/mos.h"

#include <math.h>

#define R_NARROW    93.2
#define R_WIDE      129.0
#define WIDE_FACTOR 1.29
#define IE_MAX      95.0

static const struct {
	const char *name;
	struct mos_codec codec;
} table[] = {
	{"PCMU",         {0, 25.1, false, false} },
        {"PCMA",         {0, 25.1, false, false} },
	{"G729",         {11, 19, false, false}  },
        {"G723",         {15, 16.1, false, false}},
	{"GSM-EFR",      {5, 10, false, false}   },
        {"AMR",          {5, 10, false, false}   },
	{"GSM",          {20, 10, false, true}   },
        {"iLBC",         {11, 32, false, true}   },
	{"G728",         {7, 17, false, true}    },
        {"G726-40",      {2, 10, false, true}    },
	{"G726-32",      {7, 10, false, true}    },
        {"G726-24",      {25, 10, false, true}   },
	{"G726-16",      {50, 10, false, true}   },
        {"G721",         {7, 10, false, true}    },
	{"AAL2-G726-40", {2, 10, false, true}    },
        {"AAL2-G726-32", {7, 10, false, true}    },
	{"AAL2-G726-24", {25, 10, false, true}   },
        {"AAL2-G726-16", {50, 10, false, true}   },
	{"speex",        {11, 19, false, true}   },
        {"L16",          {0, 4.3, false, true}   },
	{"G722",         {13, 10, true, true}    },
        {"AMR-WB",       {13, 10, true, true}    },
	{"opus",         {5, 15, true, true}     },
};

bool mos_codec(struct str name, struct mos_codec *out)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (str_ieq(name, str_c(table[i].name))) {
			*out = table[i].codec;
			return true;
		}
	return false;
}

/* [ITU-T G.107 7.4] */
static double delay_impairment(double ms)
{
	if (ms <= 100)
		return 0;
	double x = log2(ms / 100);
	return 25 * (pow(1 + pow(x, 6), 1.0 / 6) - 3 * pow(1 + pow(x / 3, 6), 1.0 / 6) + 2);
}

double mos_of_r(double r)
{
	if (r <= 0)
		return 1;
	if (r >= 100)
		return 4.5;
	double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
	return mos < 1 ? 1 : mos; /* the polynomial dips below R = 6.5 */
}

void mos_grade(const struct mos_in *in, struct mos_out *out)
{
	const struct mos_codec *c = &in->codec;
	double burst_r = in->burst_r < 1 ? 1 : in->burst_r;
	double r0 = c->is_wide ? R_WIDE : R_NARROW;
	out->id = delay_impairment(in->delay_ms);
	out->ie_eff = c->ie;
	if (in->ppl > 0)
		out->ie_eff += (IE_MAX - c->ie) * in->ppl / (in->ppl / burst_r + c->bpl);
	out->r = r0 - out->id - out->ie_eff;
	out->mos = mos_of_r(c->is_wide ? out->r / WIDE_FACTOR : out->r);
}
