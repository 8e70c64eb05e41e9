/* What transport adds to a received message: the copy into a block, its count, the owner; and for
 * messages of another shard the move. The index pass of the same bytes stands first, so that the
 * differences can be read off. The budget of ownership and hand-off is 0.1 µs beyond parsing.
 *
 * Traffic that only ever moves one way (all from one peer) drains one shard's cache of blocks and
 * fills the other's: that is the one malloc of a moved message.
 *
 * Two shards in one thread over env_os, no sockets: what the kernel costs is udp_floor's matter. */

#include "bench.h"
#include "transport/tp_priv.h"

#include <stdlib.h>
#include <string.h>

static const char invite[] =
	"INVITE sip:1002@192.0.2.57;transport=udp SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1b8d7f2f4a6c9e11;rport\r\n"
	"Max-Forwards: 70\r\n"
	"From: \"Alice Example\" <sip:1001@192.0.2.57>;tag=9fxced76sl\r\n"
	"To: <sip:1002@192.0.2.57>\r\n"
	"Call-ID: 384827629822018851@192.0.2.21\r\n"
	"CSeq: 24763 INVITE\r\n"
	"Contact: <sip:1001@192.0.2.21:5060;transport=udp>;+sip.instance=\"<urn:uuid:6d1a>\"\r\n"
	"User-Agent: Deskphone 7.3.1 (build 20240117)\r\n"
	"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, MESSAGE, INFO, UPDATE, PRACK\r\n"
	"Supported: replaces, outbound, 100rel, timer\r\n"
	"Proxy-Authorization: Digest username=\"1001\", realm=\"192.0.2.57\", "
	"nonce=\"01.5f3c1a2b.8d1e6a7c9b0f1e2d3c4b5a69\", uri=\"sip:1002@192.0.2.57\", "
	"response=\"6629fae49393a05397450978507c4ef1\", algorithm=MD5, cnonce=\"0a4f113b\", "
	"qop=auth, nc=00000001\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 181\r\n"
	"\r\n"
	"v=0\r\no=- 3911 3911 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n"
	"m=audio 40376 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\n";

static struct {
	struct env *env[2];
	struct ev_shards *shards;
	struct block_cache blocks[2];
	struct tp *tp[2];
	uint64_t delivered;
	struct addr from, to;
	struct str message;
	size_t owner;
} s;

static void must(enum err e)
{
	if (e != OK)
		abort();
}

static void on_message(void *ctx, struct tp_rx *rx)
{
	s.delivered++;
}

static void on_error(void *ctx, const struct tp_error *e)
{
}

static void on_flow_down(void *ctx, tp_flow flow)
{
}

static void set_up(void)
{
	static const uint8_t key[16] = {1, 2, 3};
	for (size_t i = 0; i < 2; i++)
		must(env_os_new(&s.env[i]));
	must(ev_shards_new(s.env, 2, &s.shards));
	for (size_t i = 0; i < 2; i++) {
		struct tp_user user = {NULL, on_message, on_error, on_flow_down};
		must(tp_new(ev_shard(s.shards, i), &s.blocks[i], &user, NULL, &s.tp[i]));
		tp_set_keys(s.tp[i], key, key);
	}
	s.from = s.to = (struct addr){
		.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 57}
        };
	s.message = str_of(invite, sizeof(invite) - 1);
	s.owner = tp_owner_of(s.tp[0], STR("384827629822018851@192.0.2.21"), STR_NONE);
}

static void bench_index(void *arg, uint64_t n)
{
	static _Alignas(16) char block[16384];
	size_t used;
	for (uint64_t i = 0; i < n; i++) {
		struct sip_msg *m = sip_msg_init(block, sizeof(block));
		if (!i)
			memcpy(m->bytes, s.message.p, s.message.n);
		must(sip_msg_index(m, s.message.n, false, &used));
		BENCH_KEEP(m->n_rows);
	}
}

static void bench_make(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		tp_rx_unref(s.tp[0], tp_rx_make(s.tp[0], s.message, &s.from, &s.to, TP_UDP));
}

static void bench_receive(void *arg, uint64_t n)
{
	struct tp_origin o = {&s.from, &s.to, TP_UDP, 0};
	for (uint64_t i = 0; i < n; i++)
		tp_receive(s.tp[s.owner], s.message, &o, false);
}

static void bench_moved(void *arg, uint64_t n)
{
	struct tp_origin o = {&s.from, &s.to, TP_UDP, 0};
	for (uint64_t i = 0; i < n; i++) {
		tp_receive(s.tp[!s.owner], s.message, &o, false);
		if (i % 32 == 31 || i + 1 == n)
			ev_turn(ev_shard(s.shards, s.owner));
	}
}

static void bench_owner(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		size_t owner = tp_owner_of(s.tp[0], STR("384827629822018851@192.0.2.21"), STR_NONE);
		BENCH_KEEP(owner);
	}
}

static void bench_branch(void *arg, uint64_t n)
{
	char out[TP_BRANCH_MAX];
	obj_id id = 1;
	for (uint64_t i = 0; i < n; i++) {
		struct str b = tp_branch_make(s.tp[0], i | 1, out);
		BENCH_KEEP(tp_branch_read(s.tp[0], b, &id));
	}
}

void bench_main(void)
{
	set_up();
	const struct bench all[] = {
		{"index INVITE 1.1 kB",         bench_index,   NULL, 500, 0, 1},
		{"copy, index, free",           bench_make,    NULL, 600, 0, 1},
		{"receive, owned here",         bench_receive, NULL, 600, 0, 1},
		{"receive, moved to its owner", bench_moved,   NULL, 700, 1, 1},
		{"owner of a Call-ID",          bench_owner,   NULL, 50,  0, 1},
		{"branch made and read",        bench_branch,  NULL, 150, 0, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		bench_run(&all[i]);
	for (size_t i = 0; i < 2; i++) {
		tp_free(s.tp[i]);
		block_cache_fini(&s.blocks[i]);
	}
	ev_shards_free(s.shards);
	for (size_t i = 0; i < 2; i++)
		env_free(s.env[i]);
}
