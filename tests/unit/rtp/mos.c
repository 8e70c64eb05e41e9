/* The E-model against values of the recommendation. [ITU-T G.107] [ITU-T G.113] */

#include "rtp/mos.h"

#include "base/assert.h"
#include "test.h"

#include <math.h>

static double grade(const char *codec, double ppl, double burst_r, double delay_ms,
		    struct mos_out *out)
{
	struct mos_in in = {.ppl = ppl, .burst_r = burst_r, .delay_ms = delay_ms};
	CHECK(mos_codec(str_c(codec), &in.codec));
	mos_grade(&in, out);
	return out->r;
}

static bool is_near(double a, double b, double by)
{
	return fabs(a - b) <= by;
}

TEST(the_scale)
{
	CHECK(mos_of_r(-5) == 1 && mos_of_r(0) == 1 && mos_of_r(3) == 1 && mos_of_r(120) == 4.5);
	CHECK(is_near(mos_of_r(93.2), 4.41, 0.005)); /* [G.107 Annex B] */
	CHECK(is_near(mos_of_r(80), 4.03, 0.01));
	CHECK(is_near(mos_of_r(70), 3.60, 0.01));
	CHECK(is_near(mos_of_r(60), 3.10, 0.001));
	CHECK(is_near(mos_of_r(50), 2.58, 0.01));
}

TEST(loss_delay_and_codec)
{
	struct mos_out o;
	CHECK(is_near(grade("pcmu", 0, 1, 50, &o), 93.2, 1e-9));
	CHECK(is_near(grade("G729", 0, 1, 50, &o), 82.2, 1e-9));
	CHECK(is_near(grade("PCMA", 10, 1, 50, &o), 93.2 - 95 * 10 / 35.1, 1e-9));
	double chance = grade("G729", 4, 1, 50, &o), clustered = grade("G729", 4, 2, 50, &o);
	CHECK(is_near(chance, 93.2 - 11 - 84 * 4 / 23.0, 1e-9));
	CHECK(clustered < chance);
	CHECK(grade("PCMU", 0, 0.5, 0, &o) == grade("PCMU", 0, 1, 100, &o));
	CHECK(o.id == 0);
	grade("PCMU", 0, 1, 400, &o);
	CHECK(is_near(o.id, 24, 1.0)); /* [G.107] Idd at 400 ms */
	grade("PCMU", 0, 1, 200, &o);
	CHECK(is_near(o.id, 3, 0.6));
	CHECK(grade("G722", 0, 1, 50, &o) == 116 && is_near(o.mos, mos_of_r(116 / 1.29), 1e-9));
}

/* [ITU-T G.113 Tables I.1, I.4] */
TEST(values_of_the_table)
{
	static const struct {
		const char *name;
		double ie, bpl; /* 0: the table has none */
	} rows[] = {
		{"PCMU",    0,  25.1},
                {"PCMA",    0,  25.1},
                {"G729",    11, 19  },
                {"G723",    15, 16.1},
		{"GSM-EFR", 5,  10  },
                {"G726-40", 2,  0   },
                {"G726-32", 7,  0   },
                {"G726-24", 25, 0   },
		{"G726-16", 50, 0   },
                {"G728",    7,  0   },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mos_codec c;
		CHECK(mos_codec(str_c(rows[i].name), &c));
		CHECK(c.ie == rows[i].ie && (!rows[i].bpl || c.bpl == rows[i].bpl));
		CHECK_EQ(c.is_assumed, rows[i].bpl == 0);
	}
	/* the curves that Bpl replaced (Table I.2 of 1999): G.729A 19 at 2 %, 49 at 16 % */
	struct mos_out o;
	grade("G729", 2, 1, 0, &o);
	CHECK(is_near(o.ie_eff, 19, 0.1));
	grade("G729", 16, 1, 0, &o);
	CHECK(is_near(o.ie_eff, 49, 0.5));
}

TEST(what_is_not_known)
{
	struct mos_codec c;
	CHECK(!mos_codec(STR("H264"), &c) && !mos_codec(STR_NONE, &c));
	CHECK(mos_codec(STR("opus"), &c) && c.is_assumed);
	CHECK(mos_codec(STR("PCMU"), &c) && !c.is_assumed);
}
