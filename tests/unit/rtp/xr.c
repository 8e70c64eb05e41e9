/* Extended reports: written, read again, and cut short at every byte. [RFC3611] */

#include "rtp/xr.h"

#include "test.h"

static const struct xr_voip sample = {
	.ssrc = 0x11223344,
	.loss = 26,
	.discard = 3,
	.burst_density = 128,
	.gap_density = 2,
	.burst_ms = 120,
	.gap_ms = 5'000,
	.round_trip_ms = 80,
	.end_system_ms = 60,
	.signal_dbm = -20,
	.noise_dbm = -60,
	.echo_db = 55,
	.gmin = 16,
	.r = 80,
	.external_r = XR_UNKNOWN,
	.mos_lq = 41,
	.mos_cq = 39,
	.config = 0x30,
	.buffer_ms = 40,
	.buffer_max_ms = 60,
	.buffer_abs_max_ms = 200,
};

static enum err open_voip(struct str s, struct xr_voip *v)
{
	struct rtcp_pkt p;
	struct xr_block b;
	size_t at = 0, in = 0;
	enum err e = rtcp_next(s.p, s.n, &at, &p);
	if (!e)
		e = xr_next(&p, &in, &b);
	return e ? e : xr_voip_parse(&b, v);
}

TEST(voip_metrics)
{
	char mem[64];
	struct buf b;
	struct xr_voip v = {0};
	buf_init_fixed(&b, mem, sizeof(mem));
	xr_put_voip(&b, 7, &sample);
	CHECK_EQ(b.n, 44);
	CHECK_EQ(open_voip(buf_view(&b), &v), OK);
	CHECK(v.ssrc == sample.ssrc && v.loss == 26 && v.discard == 3 && v.burst_density == 128);
	CHECK(v.gap_density == 2 && v.burst_ms == 120 && v.gap_ms == 5'000 && v.signal_dbm == -20);
	CHECK(v.round_trip_ms == 80 && v.end_system_ms == 60 && v.noise_dbm == -60 && v.r == 80);
	CHECK(v.external_r == XR_UNKNOWN && v.mos_lq == 41 && v.mos_cq == 39 && v.gmin == 16);
	CHECK(v.buffer_ms == 40 && v.buffer_max_ms == 60 && v.buffer_abs_max_ms == 200);
	for (size_t n = 0; n < b.n; n++)
		CHECK(open_voip(str_of(mem, n), &v) != OK);
}

TEST(other_blocks_are_walked_over)
{
	static const uint8_t packet[] = {
		0x80, 207, 0, 10, 0, 0, 0, 9,                   /* XR of SSRC 9 */
		1,    0,   0, 1,  1, 2, 3, 4,                   /* loss RLE, not opened */
		4,    0,   0, 2,  0, 0, 0, 5, 0x80, 0, 0,    0, /* reference time 5.5 s */
		5,    0,   0, 3,  0, 0, 0, 8, 0,    5, 0x80, 0, 0, 1, 0, 0, /* DLRR about 8 */
	};
	struct rtcp_pkt p;
	struct xr_block b;
	struct rtcp_block d;
	uint64_t ntp;
	size_t at = 0, in = 0;
	CHECK_EQ(rtcp_next(packet, sizeof(packet), &at, &p), OK);
	CHECK_EQ(xr_next(&p, &in, &b), OK);
	CHECK_EQ(b.type, 1);
	CHECK_EQ(xr_reference_time(&b, &ntp), ERR_SYNTAX);
	CHECK_EQ(xr_dlrr(&b, 0, &d), ERR_SYNTAX);
	CHECK_EQ(xr_next(&p, &in, &b), OK);
	CHECK_EQ(xr_reference_time(&b, &ntp), OK);
	CHECK_EQ(ntp, 5ull << 32 | 1ull << 31);
	CHECK_EQ(xr_next(&p, &in, &b), OK);
	CHECK_EQ(xr_dlrr(&b, 0, &d), OK);
	CHECK(d.ssrc == 8 && d.lsr == 0x00058000 && d.dlsr == 0x10000);
	CHECK_EQ(xr_dlrr(&b, 1, &d), ERR_NOTFOUND);
	CHECK_EQ(xr_next(&p, &in, &b), ERR_MORE);
	p.type = RTCP_RR;
	CHECK_EQ(xr_next(&p, &in, &b), ERR_SYNTAX);
}
