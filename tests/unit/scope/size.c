/* What makes large captures quick must not change an answer: skimming against indexing, filters
 * over rows against filters over frames, SDP learnt late against SDP learnt at once. And a capture
 * that was cut or damaged anywhere is read as far as it goes. */
#include "fixture.h"
#include "scope/book.h"
#include "sip/hdr.h"
#include "usual_headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const captures[] = {
	"call-transfer-blind.pcap", "call-tcp.pcap",         "made-tunnels.pcap",
	"mwi-jssip-ws.pcap",        "call-cancelled.pcap",   "register-wrong-password.pcap",
	"mwi-baresip.pcap",         "call-early-media.pcap",
};

static bool path_of(char out[512], const char *name)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(out, 512, "%s/captures/%s", dir, name);
	FILE *f = fopen(out, "rb");
	if (f)
		fclose(f);
	return f;
}

static struct cap *open_file(const char *name)
{
	char path[512];
	struct cap *c = NULL;
	struct buf why;
	buf_init(&why);
	if (path_of(path, name))
		CHECK_EQ(cap_open(path, &c, &why), OK);
	buf_fini(&why);
	return c;
}

/* --- skimming --------------------------------------------------------------------------------- */

static bool is_same_skim(const struct sip_skim *a, const struct sip_skim *b)
{
	return a->is_request == b->is_request && a->has_cseq == b->has_cseq &&
	       a->is_routed == b->is_routed && a->has_auth == b->has_auth &&
	       (a->has_reason || !b->has_reason) && (a->has_rseq || !b->has_rseq) &&
	       (a->has_session || !b->has_session) && str_eq(a->user_agent, b->user_agent) &&
	       a->method == b->method && a->status == b->status && a->cseq == b->cseq &&
	       str_eq(a->method_name, b->method_name) && str_eq(a->ruri, b->ruri) &&
	       str_eq(a->reason, b->reason) && str_eq(a->via_branch, b->via_branch) &&
	       str_eq(a->from_tag, b->from_tag) && str_eq(a->to_tag, b->to_tag) &&
	       str_eq(a->call_id, b->call_id) && str_eq(a->from, b->from) && str_eq(a->to, b->to) &&
	       str_eq(a->body, b->body) && str_eq(a->via_host, b->via_host) &&
	       a->via_has_rport == b->via_has_rport;
}

/* 1: skimmed, and as the index has it; 0: given up; -1: wrong. */
static int skim(struct str bytes)
{
	struct sip_skim quick, full;
	enum err e;
	if (!sip_skim(bytes, &quick))
		return 0;
	struct sip_msg *m = sip_msg_from(bytes, &e);
	if (!m || e)
		return -1;
	sip_skim_of(m, &full);
	struct str body;
	bool is_sdp =
		!quick.is_sdp || !m->body.n ||
		(sip_body_find(m, STR("application"), STR("sdp"), &body) && str_eq(body, m->body));
	bool is_contact = !quick.contact.p || str_eq(quick.contact, sip_value(m, SIP_HDR_CONTACT));
	bool is_usual = quick.has_more ||
			(is_of_usual_headers(m) && str_eq(quick.session_id, full.session_id));
	int result = is_sdp && is_contact && is_usual && m->n_bytes == bytes.n &&
				     is_same_skim(&quick, &full)
			     ? 1
			     : -1;
	sip_msg_free(m);
	return result;
}

TEST_NO_OOM(the_skim_agrees_with_the_index)
{
	unsigned n = 0, n_quick = 0;
	for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
		struct cap *c = open_file(captures[i]);
		struct cap_walk *w;
		if (!c)
			continue;
		CHECK_EQ(cap_walk_new(c, NULL, &w), OK);
		for (const struct cap_frame *fr; (fr = cap_walk_next(w));)
			for (size_t k = 0; k < fr->n_msgs; k++) {
				int quick = skim(fr->msgs[k].pkt.bytes);
				CHECK(quick >= 0);
				n_quick += quick > 0;
				n++;
			}
		cap_walk_free(w);
		cap_close(c);
	}
	CHECK(n > 100);
	CHECK(n_quick * 10 > n * 8); /* that is what it is for */
}

TEST_NO_OOM(a_skim_of_a_damaged_message_agrees_or_gives_up)
{
	static const char text[] =
		"INVITE sip:1002@192.0.2.57 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1b8d7f2f;rport, SIP/2.0/UDP h\r\n"
		"Via: SIP/2.0/UDP 192.0.2.22;branch=z9hG4bK2\r\nRecord-Route: "
		"<sip:192.0.2.1;lr>\r\n"
		"From: \"Alice <x>\" <sip:1001@192.0.2.57>;tag=9fxced;x=y\r\n"
		"To: <sip:1002@192.0.2.57;a=b>;tag=1\r\nCall-ID: 1-2@h\r\nCSeq: 12 INVITE\r\n"
		"Contact: <sip:1001@192.0.2.21>\r\n"
		"Proxy-Authorization: Digest a=\"b\"\r\nAuthorization: Digest a=\"b\"\r\n"
		"Reason: Q.850\r\nCall-Info: <a:b>\r\nTimestamp: 1\r\nContent-Language: en\r\n"
		"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
	static const char bytes[] = " \t\r\n:;,<>\"\\=aZ0\xff";
	char copy[sizeof text];
	const size_t n = sizeof text - 1;
	CHECK_EQ(skim(str_of(text, n)), 1);
	for (size_t at = 0; at < n; at++)
		for (size_t k = 0; k < sizeof bytes - 1; k++) {
			memcpy(copy, text, n);
			copy[at] = bytes[k];
			CHECK(skim(str_of(copy, n)) >= 0);
		}
	for (size_t at = 0; at < n; at++) { /* a byte less, a byte more */
		memcpy(copy, text, at);
		memcpy(copy + at, text + at + 1, n - at - 1);
		CHECK(skim(str_of(copy, n - 1)) >= 0);
		CHECK(skim(str_of(text, at)) >= 0);
	}
}

/* --- filters ---------------------------------------------------------------------------------- */

struct full {
	struct flt *f;
	const uint32_t *ids;
	size_t n, at;
	uint32_t id;
	bool is_bad;
};

static bool on_frame(void *arg, const struct cap_frame *fr)
{
	struct full *x = arg;
	bool fits = fr->n_msgs && flt_match(x->f, fr);
	for (size_t i = 0; i < fr->n_msgs; i++) {
		if (!fr->msgs[i].pkt.msg->call_id.n)
			continue;
		bool is_said = x->at < x->n && x->ids[x->at] == ++x->id;
		x->at += is_said;
		x->is_bad = x->is_bad || is_said != fits;
	}
	return true;
}

static const char *const filters[] = {
	"sip",
	"ip.addr == 127.0.0.1",
	"ip.src == 10.0.0.0/8 || udp.port == 5060",
	"!(udp.dstport == 5060)",
	"tcp",
	"tcp.port != 5060",
	"sip.Method == \"INVITE\" && ip",
	"sip.Method != \"ACK\"",
	"sip.Method in {\"BYE\", \"CANCEL\"}",
	"sip.Status-Code >= 300 || sip.CSeq.method == \"REFER\"",
	"!sip.Status-Code",
	"any sip.Status-Code > 199 && sip.CSeq.seq < 3",
	"frame.number in {3 .. 9, 12}",
	"frame.number > 5 and not frame.number == 8",
	"frame.time_relative > 0.5",
	"sip.Call-ID contains \"a\"",
	"sip.Call-ID matches \"[0-9]\"",
	"sip contains \"application/sdp\"",
	"!(sip contains \"Contact\") && udp",
	"frame contains \"\\x13\\xc4\"",
	"sip.from.user == \"1001\"",
	"sip.from.user contains \"1\" || sip.Status-Code == 100",
	"sip.User-Agent",
	"sip.User-Agent matches \"[a-z]+/[0-9]\"",
	"sip.Allow matches \"invite\" && sip.Max-Forwards < 70",
	"sip.Server || sip.Reason contains \"text\"",
	"lower(sip.from.user) == \"1001\"",
	"sip.Via.branch contains \"z9hG4bK\" && !(sip.Method == \"INVITE\")",
	"len(sip.Call-ID) > 20",
	"sip.Method[0:3] == \"INV\"",
	"frame.len > 600",
	"sdp.media.port > 1000 || ip.ttl == 64",
	"sip.resend == 1",
};

TEST_NO_OOM(a_filter_over_rows_agrees_with_one_over_frames)
{
	unsigned n_some = 0;
	for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
		struct book_cfg cfg = {.trk.has_media = true};
		struct cap *c = open_file(captures[i]);
		struct book *b;
		if (!c)
			continue;
		CHECK_EQ(book_new(c, &cfg, &b), OK);
		while (book_read(b, 1'000))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(filters); k++) {
			struct full x = {0};
			struct buf why;
			uint32_t *ids;
			buf_init(&why);
			CHECK_EQ(flt_compile(str_c(filters[k]), &x.f, &why), OK);
			CHECK_EQ(book_filter(b, x.f, &ids, &x.n), OK);
			x.ids = ids;
			CHECK_EQ(book_frames(b, FLT_NEEDS_MEDIA, on_frame, &x), OK);
			if (x.is_bad || x.at != x.n)
				test_fail(__FILE__, __LINE__, "%s: %s", captures[i], filters[k]);
			n_some += x.n > 0 && x.n < x.id;
			free(ids);
			flt_free(x.f);
			buf_fini(&why);
		}
		book_free(b);
	}
	CHECK(n_some > 50);
}

/* --- SDP learnt late -------------------------------------------------------------------------- */

static void streams_of(const char *name, bool is_late, struct buf *out)
{
	struct trk_cfg cfg = {.has_media = true};
	struct view_opts o = {0};
	struct trk *t = trk_new(&cfg);
	struct cap *c = open_file(name);
	struct cap_walk *w;
	if (!c) {
		trk_free(t);
		return;
	}
	CHECK(t);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	if (!is_late)
		trk_reader(t, NULL, NULL);
	while (cap_walk_next(w))
		continue;
	for (const struct trk_call *k = trk_first(t); k; k = trk_after(t, k))
		for (const struct trk_stream *s = trk_av(k)->streams; s; s = s->next)
			view_stream(out, t, s, &o);
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
}

TEST_NO_OOM(sdp_learnt_late_finds_the_same_streams)
{
	static const char *const names[] = {"call-pcma.pcap", "call-g722.pcap"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf late, early;
		buf_init(&late);
		buf_init(&early);
		streams_of(names[i], true, &late);
		streams_of(names[i], false, &early);
		CHECK(late.n > 0);
		CHECK(str_eq(buf_view(&late), buf_view(&early)));
		buf_fini(&late);
		buf_fini(&early);
	}
}

/* --- damage ----------------------------------------------------------------------------------- */

static void read_all(struct str bytes)
{
	struct trk_cfg cfg = {.has_media = true};
	struct cap *c;
	struct cap_walk *w;
	struct buf out;
	struct vrd v;
	buf_init(&out);
	if (cap_open_mem(bytes, &c, &out)) {
		buf_fini(&out);
		return;
	}
	vrd_init(&v);
	struct trk *t = trk_new(&cfg);
	CHECK(t);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	unsigned n = 0;
	while (cap_walk_next(w))
		CHECK(++n < 1'000); /* it ends */
	for (const struct trk_call *k = trk_first(t); k; k = trk_after(t, k)) {
		CHECK_EQ(vrd_judge(&v, t, k), OK);
		vrd_put_text(&out, t, k, &v, false);
	}
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	vrd_fini(&v);
	buf_fini(&out);
}

static void damage(struct str whole)
{
	char *copy = malloc(whole.n);
	CHECK(copy);
	for (size_t n = 0; n < whole.n;
	     n++) { /* cut: as a copy, so that one byte too far is seen */
		char *piece = malloc(n + 1);
		CHECK(piece);
		memcpy(piece, whole.p, n);
		read_all(str_of(piece, n));
		free(piece);
	}
	for (size_t at = 0; at < whole.n; at++) {
		memcpy(copy, whole.p, whole.n);
		copy[at] = (char)~copy[at];
		read_all(str_of(copy, whole.n));
		copy[at] = whole.p[at] ^ 1;
		read_all(str_of(copy, whole.n));
	}
	free(copy);
}

static void file_bytes(const char *name, struct buf *out)
{
	char path[512], chunk[4'096];
	CHECK(path_of(path, name));
	FILE *f = fopen(path, "rb");
	CHECK(f);
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
		buf_put(out, chunk, n);
	fclose(f);
	CHECK_EQ(out->err, OK);
}

/* The same records as pcapng. */
static void as_pcapng(struct buf *out, struct str pcap)
{
	struct cap *c;
	struct cap_rec r;
	struct buf why;
	buf_init(&why);
	CHECK_EQ(cap_open_mem(pcap, &c, &why), OK);
	put_le32(out, 0x0a0d0d0a);
	put_le32(out, 28);
	put_le32(out, 0x1a2b3c4d);
	put_le32(out, 1);
	put_le32(out, UINT32_MAX);
	put_le32(out, UINT32_MAX);
	put_le32(out, 28);
	while (cap_next(c, &r)) {
		uint32_t n = (32 + r.n + 3) & ~3u;
		if (r.no == 1) {
			put_le32(out, 1);
			put_le32(out, 20);
			put_le32(out, r.link);
			put_le32(out, 0);
			put_le32(out, 20);
		}
		uint64_t us = (uint64_t)r.at_ns / 1'000;
		put_le32(out, 6);
		put_le32(out, n);
		put_le32(out, 0);
		put_le32(out, (uint32_t)(us >> 32));
		put_le32(out, (uint32_t)us);
		put_le32(out, r.n);
		put_le32(out, r.n_wire);
		buf_put(out, r.p, r.n);
		buf_fill(out, 0, n - 32 - r.n);
		put_le32(out, n);
	}
	cap_close(c);
	buf_fini(&why);
	CHECK_EQ(out->err, OK);
}

TEST_NO_OOM(a_capture_cut_or_damaged_at_every_byte_is_read)
{
	struct buf pcap, ng;
	buf_init(&pcap);
	buf_init(&ng);
	file_bytes("register-wrong-password.pcap", &pcap);
	as_pcapng(&ng, buf_view(&pcap));
	damage(buf_view(&pcap));
	damage(buf_view(&ng));
	buf_fini(&pcap);
	buf_fini(&ng);
}
