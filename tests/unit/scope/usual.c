/* The short way of media packets: what it takes is taken as by the long one. */
#include "base/assert.h"
#include "capture/cap_tunnel.h"
#include "capture/cap_usual.h"
#include "fixture.h"
#include "track/trk_stream.h"

#include <string.h>

#define RTP_BYTES 40

static struct str rtp_of(uint8_t bytes[RTP_BYTES], uint32_t no)
{
	memset(bytes, 0xff, RTP_BYTES);
	rtp_put(bytes, 0, false, (uint16_t)no, 160 * no, 7);
	return str_of((const char *)bytes, RTP_BYTES);
}

/* Whether it took the short way; then both must say the same. */
static bool is_short(const struct cap_rec *r)
{
	struct cap_datagram d;
	struct cap_pkt k;
	CHECK_EQ(cap_pkt_decode(r, &k), OK);
	if (!cap_usual_media(r, &d))
		return false;
	CHECK(k.proto == CAP_UDP && !k.is_fragment && !k.is_quoted && !k.is_pdu && !k.is_hep);
	CHECK(!k.layers && k.n_ips == 1 && k.p == d.p && k.n == d.n);
	CHECK(addr_eq(&k.src, &d.src) && addr_eq(&k.dst, &d.dst));
	return true;
}

/* Every length, every bit of the headers, every first byte, ports of tunnels. */
TEST_NO_OOM(short_way_agrees)
{
	static const uint16_t ports[] = {4000, CAP_PORT_VXLAN, CAP_PORT_GTP_U, CAP_PORT_GENEVE};
	enum { HEADERS = 42 };
	uint8_t bytes[RTP_BYTES];
	struct buf u, ip, f;
	buf_init(&u);
	buf_init(&ip);
	buf_init(&f);
	for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
		udp(&u, 4000, ports[i], rtp_of(bytes, 1));
		ipv4(&ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 0, 0, buf_view(&u));
		eth(&f, 0x0800, buf_view(&ip));
		struct cap_rec r = {.link = CAP_LINK_ETHERNET,
				    .n = (uint32_t)f.n,
				    .n_wire = (uint32_t)f.n,
				    .p = (const uint8_t *)f.p};
		CHECK(is_short(&r));
		for (unsigned bit = 0; bit < 8 * HEADERS; bit++) {
			f.p[bit / 8] ^= (char)(1u << bit % 8);
			is_short(&r);
			f.p[bit / 8] ^= (char)(1u << bit % 8);
		}
		for (unsigned first = 0; first < 256; first++) {
			f.p[HEADERS] = (char)first;
			CHECK_EQ(is_short(&r), first >= 128);
		}
		for (r.n = 0; r.n < f.n; r.n++)
			CHECK(!is_short(&r));
	}
	buf_fini(&u);
	buf_fini(&ip);
	buf_fini(&f);
}

struct walked {
	unsigned n_frames, n_msgs;
	uint64_t n_rtp;
	uint32_t first_frame, last_frame;
	int64_t last_ns;
};

static struct walked walk(const struct buf *capture, bool is_of_messages)
{
	struct walked x = {0};
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true, .finds_media = true});
	buf_init(&why);
	CHECK(t);
	CHECK_EQ(cap_open_mem(buf_view(capture), &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	if (is_of_messages)
		cap_walk_of_messages(w);
	for (const struct cap_frame *fr; (fr = cap_walk_next(w)); x.n_frames++) {
		x.n_msgs += (unsigned)fr->n_msgs;
		x.last_ns = fr->last_ns;
		CHECK(x.n_frames || fr->rec.no == 1);
	}
	struct trk_stream *s = trk_orphan_first(t);
	CHECK(s && !trk_orphan_next(t, s));
	x.n_rtp = s->stats.received;
	x.first_frame = s->first_frame;
	x.last_frame = s->last_frame;
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	buf_fini(&why);
	return x;
}

/* A walk of messages hands out those, and one of so many other frames; the tracker knows as much.
 */
TEST_NO_OOM(walk_of_messages)
{
	enum { N_RTP = 2 * CAP_WALK_UNSEEN + 500 };
	uint8_t bytes[RTP_BYTES];
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_udp(&cap, 1'000, "192.0.2.1:5060", "192.0.2.2:5060",
		small_request(&m, "OPTIONS", 1, ""));
	for (uint32_t i = 0; i < N_RTP; i++)
		rec_udp(&cap, 2'000 + 20'000 * i, "192.0.2.1:4000", "192.0.2.2:4002",
			rtp_of(bytes, i));
	rec_udp(&cap, 20'000ull * N_RTP, "192.0.2.1:5060", "192.0.2.2:5060",
		small_request(&m, "OPTIONS", 2, ""));
	struct walked all = walk(&cap, false), some = walk(&cap, true);
	CHECK_EQ(all.n_frames, N_RTP + 2);
	CHECK_EQ(some.n_frames, 2 + 2);
	CHECK_EQ(all.n_msgs, 2);
	CHECK_EQ(some.n_msgs, 2);
	CHECK_EQ(all.n_rtp, N_RTP);
	CHECK_EQ(some.n_rtp, N_RTP);
	CHECK_EQ(some.first_frame, all.first_frame);
	CHECK_EQ(some.last_frame, all.last_frame);
	CHECK_EQ(some.last_ns, all.last_ns);
	buf_fini(&cap);
	buf_fini(&m);
}
