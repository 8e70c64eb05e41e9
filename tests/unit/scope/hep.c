/* HEP inside captures, and over sockets from rung to rung. */
#include "wire/hep.h"
#include "capture/cap_hep.h"
#include "capture/cap_priv.h"
#include "fixture.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define AGENT "198.51.100.1:40000"
#define HOMER "198.51.100.2:9060"

static struct addr at(const char *s)
{
	struct addr a = {0};
	if (!addr_parse(str_c(s), 0, &a))
		test_fail(__FILE__, __LINE__, "bad address %s", s);
	return a;
}

static struct wire_hep packet_of(struct str payload)
{
	return (struct wire_hep){.ip_proto = 17,
				 .type = WIRE_HEP_SIP,
				 .from = at("192.0.2.1:5060"),
				 .to = at("192.0.2.2:5070"),
				 .at_us = 1'700'000'000'000'007,
				 .agent = 5,
				 .key = STR("secret"),
				 .payload = payload};
}

static void put_packet(struct buf *b, struct str payload)
{
	struct wire_hep h = packet_of(payload);
	enum err e = wire_hep_put(b, &h);
	if (e)
		b->err = e;
}

#define SEEN "192.0.2.1:5060 > 192.0.2.2:5070 "

TEST(hep_in_a_datagram)
{
	struct buf cap, m, h;
	buf_init(&cap);
	buf_init(&m);
	buf_init(&h);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	put_packet(&h, small_request(&m, "OPTIONS", 7, ""));
	rec_udp(&cap, 1, AGENT, HOMER, buf_view(&h));
	buf_clear(&h);
	buf_put(&h, "\1\x10\2\x11\x13\xc4\x13\xce\xc0\0\2\1\xc0\0\2\2", 16);
	buf_str(&h, small_request(&m, "BYE", 8, ""));
	rec_udp(&cap, 2, AGENT, HOMER, buf_view(&h));
	if (m.err || h.err)
		cap.err = ERR_NOMEM;
	buf_fini(&m);
	buf_fini(&h);
	CHECK_CAPTURE(cap, "1 " SEEN "OPTIONS 7\n2 " SEEN "BYE 8\n");
	buf_fini(&cap);
}

/* Two packets, cut at each byte. */
TEST_NO_OOM(hep_in_a_stream)
{
	struct buf m, s;
	buf_init(&m);
	buf_init(&s);
	put_packet(&s, small_request(&m, "OPTIONS", 7, ""));
	size_t first = s.n;
	put_packet(&s, small_request(&m, "BYE", 8, "a body"));
	for (size_t i = 6; i < s.n; i++) {
		struct buf cap;
		buf_init(&cap);
		pcap_begin(&cap, CAP_LINK_ETHERNET);
		rec_tcp(&cap, 1, AGENT, HOMER, 1'000, 0, CAP_TCP_ACK, str_sub(buf_view(&s), 0, i));
		rec_tcp(&cap, 2, AGENT, HOMER, 1'000 + (uint32_t)i, 0, CAP_TCP_ACK,
			str_skip(buf_view(&s), i));
		CHECK_CAPTURE(cap, i < first ? "2 " SEEN "OPTIONS 7\n2 " SEEN "BYE 8\n"
					     : "1 " SEEN "OPTIONS 7\n2 " SEEN "BYE 8\n");
		buf_fini(&cap);
	}
	buf_fini(&m);
	buf_fini(&s);
}

/* What a frame of the capture sent on is, read by another rung. */
struct relay {
	struct cap *from, *in;
	struct cap_walk *walk;
	struct cap_hep_out *out;
	struct buf why;
};

static bool relay_begin(struct relay *r, const struct buf *cap, const char *proto, unsigned port,
			const char *key)
{
	char to[64];
	snprintf(to, sizeof to, "%s:127.0.0.1:%u", proto, port);
	*r = (struct relay){0};
	buf_init(&r->why);
	if (cap_open_hep(to, "secret", &r->in, &r->why))
		return false;
	struct cap_hep_to cfg = {.to = to, .key = key, .agent = 9};
	CHECK_EQ(cap_hep_connect(&cfg, &r->out, &r->why), OK);
	CHECK_EQ(cap_open_mem(buf_view(cap), &r->from, &r->why), OK);
	CHECK_EQ(cap_walk_new(r->from, NULL, &r->walk), OK);
	const struct cap_frame *fr;
	while ((fr = cap_walk_next(r->walk)))
		CHECK_EQ(cap_hep_frame(r->out, fr, &r->why), OK);
	CHECK_EQ(cap_hep_n_lost(r->out), 0);
	return true;
}

static void relay_end(struct relay *r)
{
	cap_walk_free(r->walk);
	cap_close(r->from);
	cap_hep_close(r->out);
	cap_close(r->in);
	buf_fini(&r->why);
}

/* Up to n messages as they arrive, in the words of `digest`, without frame numbers. */
static void receive(struct relay *r, unsigned n, struct buf *got)
{
	struct cap_walk *w;
	CHECK_EQ(cap_walk_new(r->in, NULL, &w), OK);
	for (unsigned i = 0; i < n; i++) {
		unsigned tries = 10; /* a connection that comes wakes up, too */
		while (tries && !cap_wait(r->in, 1'000))
			tries--;
		CHECK(tries);
		char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
		const struct cap_frame *fr = cap_walk_next(w);
		CHECK(fr && fr->n_msgs == 1);
		const struct trk_packet *p = &fr->msgs[0].pkt;
		buf_fmt(got, "%lld %s > %s %.7s\n", (long long)fr->rec.at_ns,
			addr_text(&p->from, from), addr_text(&p->to, to), p->bytes.p);
	}
	cap_walk_free(w);
}

static void round_trip(const char *proto, unsigned port)
{
	struct buf cap, m, got;
	struct relay r;
	buf_init(&cap);
	buf_init(&m);
	buf_init(&got);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_udp(&cap, 5, "192.0.2.1:5060", "192.0.2.2:5070", small_request(&m, "OPTIONS", 7, ""));
	rec_udp(&cap, 9, "192.0.2.2:5070", "192.0.2.1:5060", small_request(&m, "MESSAGE", 1, "b"));
	if (!relay_begin(&r, &cap, proto, port, "secret"))
		test_skip("the port is taken");
	receive(&r, 2, &got);
	CHECK_STR(buf_view(&got), "5000 192.0.2.1:5060 > 192.0.2.2:5070 OPTIONS\n"
				  "9000 192.0.2.2:5070 > 192.0.2.1:5060 MESSAGE\n");
	relay_end(&r);
	buf_fini(&cap);
	buf_fini(&m);
	buf_fini(&got);
}

TEST_NO_OOM(hep_over_udp_and_back)
{
	round_trip("udp", 19'061);
}

TEST_NO_OOM(hep_over_tcp_and_back)
{
	round_trip("tcp", 19'062);
}

TEST_NO_OOM(hep_with_a_wrong_key)
{
	struct buf cap, m;
	struct relay r;
	struct cap_counts c;
	buf_init(&cap);
	buf_init(&m);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	rec_udp(&cap, 5, "192.0.2.1:5060", "192.0.2.2:5070", small_request(&m, "OPTIONS", 7, ""));
	if (!relay_begin(&r, &cap, "udp", 19'063, "secrex"))
		test_skip("the port is taken");
	CHECK(!cap_wait(r.in, 2'000)); /* wakes up for the packet, and has nothing to show */
	CHECK(cap_count(r.in, &c));
	CHECK_EQ(c.n_received, 1);
	CHECK_EQ(c.n_dropped_iface, 1);
	relay_end(&r);
	buf_fini(&cap);
	buf_fini(&m);
}

/* Whatever a message looks like, Homer finds its call by the Call-ID. */
TEST(hep_correlation_of_unusual_messages)
{
	static const char *const rows[] = {
		"OPTIONS sip:a@192.0.2.2 SIP/2.0\r\nCall-ID: one\r\n\r\n",
		"OPTIONS sip:a@192.0.2.2 SIP/2.0\r\nv: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1\r\n"
		"f: <sip:a@x>;tag=1\r\nt: <sip:b@x>\r\ni: one\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1\r\n"
		"Call-ID:\r\n one\r\nCSeq: 1 OPTIONS\r\n\r\n",
	};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(19'065)};
	struct cap_hep_to cfg = {.to = "udp:127.0.0.1:19065"};
	struct cap_hep_out *out;
	struct buf why;
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(s, (struct sockaddr *)&to, sizeof to) != 0)
		test_skip("the port is taken");
	buf_init(&why);
	CHECK_EQ(cap_hep_connect(&cfg, &out, &why), OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trk_packet p = {.from = at("192.0.2.1:5060"),
				       .to = at("192.0.2.2:5060"),
				       .bytes = str_c(rows[i])};
		char bytes[1000];
		struct wire_hep h;
		size_t used;
		cap_hep_message(out, &p);
		ssize_t n = recv(s, bytes, sizeof bytes, 0);
		CHECK(n > 0 && wire_hep_parse(bytes, (size_t)n, &h, &used) == OK);
		CHECK_STR_EQ(h.correlation, STR("one"));
	}
	close(s);
	cap_hep_close(out);
	buf_fini(&why);
}

/* Packed payloads: a kilobyte each that becomes one of a thousand times that. What waits is
 * bounded, the rest is counted. */
TEST_NO_OOM(hep_that_unpacks_to_much)
{
	enum { N = 60, SIZE = 900'000 };
	static uint8_t text[SIZE], packed[8'000];
	uLongf n = sizeof packed;
	struct buf why, b;
	struct cap *in;
	struct cap_rec r;
	struct cap_counts counts = {0};
	unsigned n_records = 0;
	buf_init(&why);
	buf_init(&b);
	CHECK_EQ(compress(packed, &n, text, SIZE), Z_OK);
	if (cap_open_hep("tcp:127.0.0.1:19064", "secret", &in, &why))
		test_skip("the port is taken");
	struct wire_hep h = packet_of(str_of((const char *)packed, n));
	h.is_packed = true;
	for (int i = 0; i < N; i++)
		CHECK_EQ(wire_hep_put(&b, &h), OK);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(19'064)};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(s, (struct sockaddr *)&to, sizeof to) == 0);
	CHECK(write(s, b.p, b.n) == (ssize_t)b.n);
	for (unsigned tries = 20; tries && counts.n_received < N; tries--) {
		size_t most = 0;
		cap_wait(in, 500);
		CHECK(cap_count(in, &counts));
		while (in->source->next(in->source_ctx, &r)) {
			most += r.n;
			n_records++;
		}
		CHECK(most < 34u << 20);
	}
	CHECK_EQ(counts.n_received, N);
	CHECK_EQ(counts.n_dropped_iface + n_records, N);
	CHECK(n_records > 30);
	close(s);
	cap_close(in);
	buf_fini(&b);
	buf_fini(&why);
}

TEST_NO_OOM(hep_addresses)
{
	static const char *const bad[] = {"udp", "udp:", "9060", "sctp:127.0.0.1",
					  "udp:homer:9060"};
	struct buf why;
	struct cap *c;
	buf_init(&why);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&why);
		CHECK_EQ(cap_open_hep(bad[i], NULL, &c, &why), ERR_SYNTAX);
		CHECK(why.n > 0);
	}
	buf_fini(&why);
}
