#pragma once
/* What the tests of the analyzer share: captures made byte by byte, and calls played message by
 * message. */

#include "capture/cap_walk.h"
#include "filter/flt.h"
#include "scope/lad.h"
#include "scope/view.h"
#include "test.h"
#include "track/trk_media.h"

/* --- captures: append to a buf ---------------------------------------------------------------- */

void pcap_begin(struct buf *b, uint32_t link);
void pcap_rec(struct buf *b, uint64_t at_us, struct str frame);
struct str eth(struct buf *b, uint16_t type, struct str payload); /* each fills b and returns it */
struct str ipv4(struct buf *b, const char *src, const char *dst, uint8_t proto, uint16_t id,
		uint16_t frag, struct str payload);
struct str ipv6(struct buf *b, const char *src, const char *dst, uint8_t proto, struct str payload);
struct str udp(struct buf *b, uint16_t sport, uint16_t dport, struct str payload);
struct str tcp(struct buf *b, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
	       uint8_t flags, struct str payload);
/* Ethernet, IPv4 and the rest in one; `to` and `from` are "192.0.2.1:5060". */
void rec_udp(struct buf *cap, uint64_t at_us, const char *from, const char *to, struct str payload);
void rec_tcp(struct buf *cap, uint64_t at_us, const char *from, const char *to, uint32_t seq,
	     uint32_t ack, uint8_t flags, struct str payload);
void put_be16(struct buf *b, unsigned v);
void put_be32(struct buf *b, uint32_t v);
void put_le32(struct buf *b, uint32_t v);

/* What a capture holds, one line per message: "frame from > to METHOD|status cseq". Fails the test
 * when it cannot be opened. `problem` (may be NULL) gets what cut it short. */
void digest(struct str capture, struct buf *out, struct buf *problem);
#define CHECK_CAPTURE(cap, lit) check_capture(__FILE__, __LINE__, &(cap), lit)
void check_capture(const char *file, int line, const struct buf *cap, const char *lit);

/* A small request with a Call-ID and CSeq. */
struct str small_request(struct buf *b, const char *method, unsigned cseq, const char *body);

/* --- calls ------------------------------------------------------------------------------------ */

struct play {
	struct trk *t;
	struct vrd v;
	uint64_t base_us;
	unsigned n;
	uint16_t ip_id; /* of the next messages; 0 none */
	bool is_cut;    /* the next messages are not whole */
	const char *call_id, *from, *to, *from_tag;
	const char *via; /* host of the top Via, with parameters */
	struct buf *cap; /* also written there as a capture; NULL: not */
};
void play_begin(struct play *p, const struct trk_cfg *cfg);
void play_end(struct play *p);
/* Host 'A' is 192.0.2.21, 'P' .57, 'B' .43, 'C' .65, all port 5060; 'N' is 203.0.113.9. */
struct addr host(char letter);
/* "A>P": from and to. `line` is "INVITE 1 a" or "180 Ringing 1 INVITE a": method, CSeq, branch.
 * `more` holds further header lines with \r\n, and after an empty line a body; may be "". A To tag
 * is "tag=x" in `more`'s first line: "To-tag: x\r\n". */
void msg(struct play *p, double at_s, const char *hop, const char *line, const char *more);
/* A datagram on media ports. */
void media(struct play *p, double at_s, const char *from, const char *to, struct str bytes);
/* n packets of RTP from one address to another, 20 ms apart; `lost_every` n-th is left out. */
void rtp(struct play *p, double at_s, const char *from, const char *to, uint32_t ssrc, unsigned n,
	 unsigned lost_every);
/* Audio between A, port 4000, and B, port 5000, n packets each way, in the order of time. Of each
 * hundred those from `at` on are missing, `n` of them, in the ways that are named. */
enum { TALK_TO_CALLEE = 1, TALK_TO_CALLER = 2, TALK_BOTH = 3 };
struct gap {
	unsigned at, n, ways;
};
void talk(struct play *p, double at_s, unsigned n, struct gap gap);
/* Judges the call; *v stays valid until the next call of this. */
const struct vrd *judge(struct play *p);
bool has_rule(const struct vrd *v, enum vrd_rule r);
/* Fails unless the first finding is that rule and its sentence holds the text. */
void check_verdict(int line, struct play *p, enum vrd_rule rule, const char *text);
#define VERDICT_IS(rule, text) check_verdict(__LINE__, &p, VRD_##rule, text)
#define WITH(rule)             CHECK(has_rule(&p.v, VRD_##rule))
#define WITHOUT(rule)          CHECK(!has_rule(&p.v, VRD_##rule))
/* A call from A through P to B, one step each: INVITE at 0 s, 180 at 0.1, 200 at 2, ACK at 2.02. */
void setup(struct play *p); /* play_begin, and dial */
void dial(struct play *p);
void ring(struct play *p);
void answer(struct play *p);
void ack(struct play *p);
void bye_from_callee(struct play *p, double at);
void refuse(struct play *p, const char *status, const char *more);
#define SDP(ip, port)                                                                              \
	"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip \
	"\r\nt=0 0\r\nm=audio " port " RTP/AVP 0 8\r\n"
