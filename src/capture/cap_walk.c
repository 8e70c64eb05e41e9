/* From records to SIP messages.
 *
 *	cap_next ─► cap_pkt_decode ─┬─ fragment ─► cap_frags ─┐
 *	                            ├─ UDP ◄──────────────────┤─ SIP by content ─► message
 *	                            │   └─ else: media, when the tracker knows the port
 *	                            └─ TCP ─► cap_tcp (TLS, WebSocket) ─► messages completed by it
 *
 * SIP is known by its start line, never by a port. What an ICMP error quotes nobody sent: filters
 * see it, nothing else does. Each message is copied once, into a block where it is indexed; blocks
 *are kept and used again for every frame, so that a long walk does not allocate.
 *
 * Invariants: a frame's messages are valid until the next frame; blocks[i] belongs to msgs[i].
 */
#include "capture/cap_walk.h"

#include "base/assert.h"
#include "capture/cap_ends.h"
#include "capture/cap_frag.h"
#include "capture/cap_tcp.h"
#include "capture/cap_usual.h"
#include "track/trk_info.h"
#include "track/trk_media.h"

#include <stdlib.h>
#include <string.h>

struct block {
	void *mem;
	size_t cap;
};

struct cap_walk {
	struct cap *cap;
	struct trk *trk;
	struct cap_frags *frags;
	struct cap_tcp *tcp;
	struct block *blocks;
	size_t n_blocks; /* also the room in frame.msgs */
	struct cap_frame frame;
	struct spool *spool; /* may be NULL */
	bool spools_all, is_brief, is_of_messages;
	char *again; /* a message that was read again */
	size_t again_cap;
	bool is_started, is_over;
	bool has_pieces;         /* there were fragments */
	uint8_t late_hdr[20];    /* of TCP, for frames that are none */
	struct cap_convs *convs; /* NULL: nobody asks */
	struct cap_words words;
	uint32_t n_unknown;
	uint16_t unknown_link;
};

static bool more_room(struct cap_walk *w)
{
	size_t n = w->n_blocks ? 2 * w->n_blocks : 4;
	struct block *b = realloc(w->blocks, n * sizeof *b);
	if (!b)
		return false;
	memset(b + w->n_blocks, 0, (n - w->n_blocks) * sizeof *b);
	w->blocks = b;
	struct cap_msg *m = realloc(w->frame.msgs, n * sizeof *m);
	if (!m)
		return false;
	w->frame.msgs = m;
	w->n_blocks = n;
	for (size_t i = 0; i < w->frame.n_msgs; i++)
		if (m[i].pkt.skim)
			m[i].pkt.skim = &m[i].skim;
	return true;
}

static bool room_for(struct block *b, size_t n)
{
	size_t want = sip_msg_block_size(n);
	if (want <= b->cap)
		return true;
	want += want / 2;
	void *p = malloc(want);
	if (!p)
		return false;
	free(b->mem);
	b->mem = p;
	b->cap = want;
	return true;
}

static void put_aside(struct cap_walk *w, struct trk_packet *p)
{
	if (w->spool && (w->spools_all || !p->file_off) &&
	    spool_put(w->spool, p->bytes.p, p->bytes.n, &p->file_off) == OK)
		p->file_off |= TRK_SPOOLED;
}

/* Of a request that came in pieces and not whole, the tracker gets the first one: the call would
 * not be there at all without it. It is told after a second, or before another message of its
 * call. */
[[gnu::noinline]] static void tell_pieces(struct cap_walk *w, int64_t now_ns, struct str call_id)
{
	enum { UDP_HEAD = 8 };
	struct cap_piece k;
	while (cap_frags_lost(w->frags, now_ns, call_id, &k)) {
		if (k.n <= UDP_HEAD || !cap_is_sip(k.p + UDP_HEAD, k.n - UDP_HEAD))
			continue;
		struct trk_packet p = {.at_us = (uint64_t)(k.at_ns / 1'000),
				       .at_ns = (uint16_t)(k.at_ns % 1'000),
				       .frame_no = k.frame_no,
				       .from = k.src,
				       .to = k.dst,
				       .is_cut = true,
				       .is_piece = true,
				       .ip_id = (uint16_t)(k.src.family == ADDR_V4 ? k.id : 0),
				       .bytes =
					       str_of((const char *)k.p + UDP_HEAD, k.n - UDP_HEAD),
				       .file_off = k.off ? k.off + UDP_HEAD : 0};
		p.from.port = (uint16_t)(k.p[0] << 8 | k.p[1]);
		p.to.port = (uint16_t)(k.p[2] << 8 | k.p[3]);
		put_aside(w, &p);
		if (trk_message(w->trk, &p, NULL) != OK)
			break; /* no memory: counted as lost */
	}
}

static void to_tracker(struct cap_walk *w, struct cap_msg *m)
{
	struct trk_packet *p = &m->pkt;
	put_aside(w, p);
	if (w->has_pieces)
		tell_pieces(w, w->frame.rec.at_ns, p->msg ? p->msg->call_id : p->skim->call_id);
	if (w->trk && trk_message(w->trk, p, &m->call) == OK)
		m->no = m->call ? m->call->last_ev : 0;
}

/* Skims or indexes bytes behind the frame's messages; false when they are none. */
static bool index_message(struct cap_walk *w, const struct trk_packet *p, bool is_stream,
			  uint32_t first_no)
{
	struct cap_frame *f = &w->frame;
	if (f->n_msgs == w->n_blocks && !more_room(w))
		return false;
	struct cap_msg *cm = &f->msgs[f->n_msgs];
	bool is_skimmed = w->is_brief && !is_stream && sip_skim(p->bytes, &cm->skim);
	if (!is_skimmed && !is_stream && !cap_is_sip(p->bytes.p, p->bytes.n))
		return false;
	struct block *b = &w->blocks[f->n_msgs];
	if (!room_for(b, p->bytes.n))
		return false;
	cm->pkt = *p; /* the skim is not cleared: that would take as long as filling it */
	cm->call = NULL;
	cm->whole = NULL;
	cm->no = 0;
	cm->first_no = first_no;
	if (is_skimmed) {
		cm->pkt.skim = &cm->skim;
	} else {
		struct sip_msg *m = sip_msg_init(b->mem, b->cap);
		memcpy(m->bytes, p->bytes.p, p->bytes.n);
		size_t used;
		if (sip_msg_index(m, p->bytes.n, is_stream, &used) != OK)
			return false;
		cm->pkt.bytes = str_of(m->bytes, m->n_bytes);
		cm->pkt.msg = m;
	}
	return true;
}

static bool add_message(struct cap_walk *w, const struct trk_packet *p, bool is_stream,
			uint32_t first_no)
{
	if (!index_message(w, p, is_stream, first_no))
		return false;
	to_tracker(w, &w->frame.msgs[w->frame.n_msgs++]);
	if (w->convs)
		cap_ends_name(w->convs, w->trk, &w->frame, w->frame.n_msgs - 1);
	return true;
}

void cap_walk_brief(struct cap_walk *w)
{
	w->is_brief = true;
}

void cap_walk_of_messages(struct cap_walk *w)
{
	w->is_of_messages = w->trk;
}

/* There was room when the message was added, and the skim knows that it is one. */
const struct sip_msg *cap_index(const struct cap_frame *fr, size_t i)
{
	struct trk_packet *p = &fr->msgs[i].pkt;
	if (!p->msg) {
		struct block *b = &fr->walk->blocks[i];
		struct sip_msg *m = sip_msg_init(b->mem, b->cap);
		memcpy(m->bytes, p->bytes.p, p->bytes.n);
		size_t used;
		enum err e = sip_msg_index(m, p->bytes.n, false, &used);
		ASSERT(e == OK || e == ERR_LIMIT);
		p->msg = m;
	}
	return p->msg;
}

/* The tracker asks for a message again. */
static bool reread(void *arg, const struct trk_ev *e, struct str *bytes)
{
	struct cap_walk *w = arg;
	uint64_t off = e->file_off & ~TRK_SPOOLED;
	if (e->n_bytes > w->again_cap) {
		char *p = realloc(w->again, e->n_bytes);
		if (!p)
			return false;
		w->again = p;
		w->again_cap = e->n_bytes;
	}
	enum err err = !(e->file_off & TRK_SPOOLED) ? cap_reread(w->cap, off, w->again, e->n_bytes)
		       : w->spool                   ? spool_get(w->spool, off, w->again, e->n_bytes)
						    : ERR_NOTFOUND;
	*bytes = str_of(w->again, e->n_bytes);
	return err == OK;
}

static void on_stream(void *arg, struct str bytes, const struct addr *from, const struct addr *to,
		      enum trk_transport transport, const struct cap_seg *seg)
{
	struct cap_walk *w = arg;
	struct cap_frame *f = &w->frame;
	if (seg->is_hep)
		f->pkt.is_hep = true;
	if (f->is_late) {
		f->rec.no = seg->frame_no;
		f->rec.at_ns = seg->at_ns;
		f->pkt.src = *from;
		f->pkt.dst = *to;
	}
	struct trk_packet p = {.at_us = (uint64_t)(seg->at_ns / 1'000),
			       .frame_no = seg->frame_no,
			       .from = *from,
			       .to = *to,
			       .transport = transport,
			       .bytes = bytes};
	add_message(w, &p, transport == TRK_TCP || transport == TRK_TLS, seg->first_no);
}

static uint64_t payload_off(const struct cap_frame *f)
{
	return f->is_whole || !f->rec.off ? 0 : f->rec.off + (uint64_t)(f->pkt.p - f->rec.p);
}

/* False: the datagram is no message. */
[[gnu::noinline]] static bool take_message(struct cap_walk *w)
{
	const struct cap_frame *f = &w->frame;
	const struct cap_pkt *k = &f->pkt;
	struct trk_packet p = {
		.at_us = (uint64_t)(f->rec.at_ns / 1'000),
		.at_ns = (uint16_t)(f->rec.at_ns % 1'000),
		.frame_no = f->rec.no,
		.from = k->src,
		.to = k->dst,
		.transport = k->is_pdu             ? (enum trk_transport)k->over
			     : k->proto == CAP_TCP ? TRK_TCP
						   : TRK_UDP,
		.is_cut = k->is_cut,
		.is_whole = f->is_whole,
		.is_plain = k->proto == CAP_UDP && k->n_ips == 1 && k->n_ports == 1 &&
			    !f->is_whole && !k->is_pdu,
		.ip_id = (uint16_t)(k->src.family == ADDR_V4 ? k->ips[k->n_ips - 1].id : 0),
		.bytes = str_of((const char *)k->p, k->n),
		.file_off = payload_off(f)};
	return add_message(w, &p, false, 0);
}

static void on_datagram(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	const struct cap_pkt *k = &f->pkt;
	if ((cap_may_be_sip(k->p, k->n) && take_message(w)) || !w->trk)
		return;
	struct trk_datagram p = {.at_ns = f->rec.at_ns,
				 .frame_no = f->rec.no,
				 .from = &k->src,
				 .to = &k->dst,
				 .bytes = str_of((const char *)k->p, k->n)};
	f->media = trk_media(w->trk, &p, &f->rtp);
	f->stream = trk_media_stream(w->trk);
}

/* The datagram that an ICMP error quotes: nobody sent it, nobody counts it. */
static void on_quoted_datagram(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	struct trk_packet p = {.from = f->pkt.src,
			       .to = f->pkt.dst,
			       .frame_no = f->rec.no,
			       .is_cut = true,
			       .bytes = str_of((const char *)f->pkt.p, f->pkt.n)};
	f->n_quoted = index_message(w, &p, false, 0);
	if (!w->trk)
		return;
	trk_unreachable(w->trk, &p.from, &p.to);
	struct trk_datagram d = trk_datagram_of(&p);
	if (p.bytes.n && !f->n_quoted)
		f->media = trk_media_quoted(w->trk, &d, &f->rtp);
}

static void on_icmp(const struct cap_walk *w)
{
	const struct cap_frame *f = &w->frame;
	const struct cap_pkt *k = &f->pkt;
	if (k->proto != CAP_UDP || k->n_ips < 2 || !k->n_ports)
		return;
	uint32_t udp_n = k->ports[k->n_ports - 1].n;
	trk_icmp(w->trk, &(struct trk_icmp){.at_us = (uint64_t)(f->rec.at_ns / 1'000),
					    .frame_no = f->rec.no,
					    .by = k->ips[k->n_ips - 2].src,
					    .from = k->src,
					    .to = k->dst,
					    .type = k->icmp_type,
					    .code = k->icmp_code,
					    .is_v6 = k->has_icmp6,
					    .ip_id = (uint16_t)k->ips[k->n_ips - 1].id,
					    .n_bytes = udp_n < 8 ? 0 : udp_n - 8,
					    .bytes = str_of((const char *)k->p, k->n)});
}

static void on_quoted(struct cap_walk *w)
{
	if (w->trk)
		on_icmp(w);
	if (w->frame.pkt.proto == CAP_UDP)
		on_quoted_datagram(w);
}

/* What most frames need not; false: the frame has no payload of its own. */
[[gnu::noinline]] static bool on_odd_frame(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	if (f->pkt.is_fragment) {
		f->is_whole = cap_frags_add(w->frags, &f->pkt, &f->rec);
		w->has_pieces = w->trk;
	}
	if (w->convs)
		f->seen = cap_convs_add(w->convs, &f->pkt, &f->rec);
	if (w->has_pieces)
		tell_pieces(w, f->rec.at_ns, STR_NONE);
	if (f->pkt.is_quoted)
		on_quoted(w);
	return !f->pkt.is_quoted && !f->pkt.is_fragment;
}

enum err cap_walk_new(struct cap *c, struct trk *trk, struct cap_walk **out)
{
	struct cap_walk *w = calloc(1, sizeof *w);
	if (!w)
		return ERR_NOMEM;
	w->cap = c;
	w->trk = w->frame.trk = trk;
	w->frame.walk = w;
	w->frame.words = &w->words;
	w->frags = cap_frags_new();
	w->tcp = cap_tcp_new(on_stream, w);
	if (!w->frags || !w->tcp) {
		cap_walk_free(w);
		return ERR_NOMEM;
	}
	if (trk && !trk_cfg(trk)->is_live && cap_is_kept(c))
		trk_reader(trk, reread, w);
	*out = w;
	return OK;
}

void cap_walk_spool(struct cap_walk *w, struct spool *s, bool is_all)
{
	w->spool = s;
	w->spools_all = is_all;
}

enum err cap_walk_conversations(struct cap_walk *w, size_t max)
{
	if (!w->convs)
		w->convs = cap_convs_new(max);
	return w->convs ? OK : ERR_NOMEM;
}

void cap_walk_shown(struct cap_walk *w, const struct cap_frame *fr)
{
	w->frame.shown_ns = fr->rec.at_ns;
	w->frame.has_shown = true;
}

void cap_frame_is_next(struct cap_frame *fr)
{
	fr->shown_ns = fr->walk->frame.shown_ns;
	fr->has_shown = fr->walk->frame.has_shown;
}

void cap_walk_free(struct cap_walk *w)
{
	if (!w)
		return;
	if (w->trk && !trk_cfg(w->trk)->is_live)
		trk_reader(w->trk, NULL, NULL);
	cap_frags_free(w->frags);
	cap_tcp_free(w->tcp);
	cap_convs_free(w->convs);
	for (size_t i = 0; i < w->n_blocks; i++)
		free(w->blocks[i].mem);
	free(w->blocks);
	free(w->frame.msgs);
	free(w->again);
	free(w);
}

enum err cap_walk_keys(struct cap_walk *w, const char *path)
{
	return cap_tls_log_follow(cap_tcp_tls(w->tcp)->log, path);
}

void cap_walk_share_keys(struct cap_walk *w, struct cap_walk *with)
{
	cap_tcp_share_log(w->tcp, cap_tcp_tls(with->tcp)->log);
}

void cap_walk_put_secrets(const struct cap_walk *w, const uint8_t *random, struct buf *b)
{
	cap_tls_log_put(cap_tcp_tls(w->tcp)->log, random, b);
}

const struct cap_tls_counts *cap_walk_tls(const struct cap_walk *w)
{
	return &cap_tcp_tls(w->tcp)->counts;
}

/* Hands on the secrets that the capture, a pcapng, held before this record. */
[[gnu::noinline]] static void pass_secrets(struct cap_walk *w)
{
	struct str lines = cap_secrets(w->cap);
	if (lines.n)
		cap_tls_log_add(cap_tcp_tls(w->tcp)->log, lines);
}

[[gnu::noinline]] static void on_segment(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	cap_tcp_add(w->tcp, &f->pkt, &(struct cap_seg){f->rec.no, f->rec.at_ns});
	const struct cap_tls_seen *seen = &cap_tcp_tls(w->tcp)->seen;
	f->tls = seen->is_there ? seen : NULL;
	f->is_ws = cap_tcp_saw_ws(w->tcp);
	f->conn_no = cap_tcp_no(w->tcp);
	f->tls_random = cap_tcp_random(w->tcp);
}

void cap_frame_ends(struct cap_frame *f, const struct addr *from, const struct addr *to,
		    uint8_t proto, uint8_t hdr[20])
{
	bool is_udp = proto == CAP_UDP;
	unsigned n_hdr = is_udp ? 8 : 20, n_udp = 8;
	for (size_t i = 0; i < f->n_msgs && is_udp; i++)
		n_udp += (unsigned)f->msgs[i].pkt.bytes.n;
	memset(hdr, 0, 20);
	hdr[0] = (uint8_t)(from->port >> 8);
	hdr[1] = (uint8_t)from->port;
	hdr[2] = (uint8_t)(to->port >> 8);
	hdr[3] = (uint8_t)to->port;
	if (is_udp) {
		hdr[4] = (uint8_t)(n_udp >> 8);
		hdr[5] = (uint8_t)n_udp;
	} else {
		hdr[12] = 5 << 4; /* words of the header [RFC9293 3.1] */
	}

	f->pkt.src = *from;
	f->pkt.dst = *to;
	f->pkt.n_ips = f->pkt.n_ports = 1;
	f->pkt.ips[0] = (struct cap_ip){.src = *from, .dst = *to, .proto = proto};
	f->pkt.ips[0].src.port = f->pkt.ips[0].dst.port = 0;
	f->pkt.ports[0] = (struct cap_ports){
		.hdr = {hdr, n_hdr},
		.src = from->port,
		.dst = to->port,
		.n = (uint16_t)(is_udp ? n_udp : 0),
		.proto = proto
        };
}

[[gnu::noinline]] static const struct cap_frame *late_frame(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	f->rec = (struct cap_rec){0};
	f->pkt = (struct cap_pkt){.proto = CAP_TCP};
	f->is_late = true;
	while (!f->n_msgs && cap_tcp_flush(w->tcp))
		continue;
	if (!f->n_msgs)
		return NULL;
	f->is_ws = cap_tcp_saw_ws(w->tcp);
	cap_frame_ends(f, &f->pkt.src, &f->pkt.dst, CAP_TCP, w->late_hdr);
	return f;
}

[[gnu::noinline]] static const struct cap_frame *at_end(struct cap_walk *w)
{
	if (!w->is_over && w->has_pieces)
		tell_pieces(w, INT64_MAX, STR_NONE);
	if (!w->is_over && w->trk) {
		trk_capture_lost(w->trk, cap_sniffer_drops(w->cap));
		trk_until(w->trk, (uint64_t)(w->frame.last_ns / 1'000));
	}
	w->is_over = true;
	return late_frame(w);
}

/* A media packet is handed to the tracker alone, where the frame would show nothing else. */
static inline bool pass_media(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	struct cap_datagram d;
	if (!cap_usual_media(&f->rec, &d))
		return false;
	struct trk_datagram p = {.at_ns = f->rec.at_ns,
				 .frame_no = f->rec.no,
				 .from = &d.src,
				 .to = &d.dst,
				 .bytes = str_of((const char *)d.p, d.n)};
	trk_media(w->trk, &p, &f->rtp);
	return true;
}

/* The next record that is to be looked at as a frame. */
static bool next_record(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	bool passes = w->is_of_messages && w->is_started && !w->has_pieces && !w->convs;
	for (unsigned n = 0; cap_next(w->cap, &f->rec); n++) {
		if (!passes || n == CAP_WALK_UNSEEN || !pass_media(w))
			return true;
		f->last_ns = f->rec.at_ns;
	}
	return false;
}

const struct cap_frame *cap_walk_next(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	f->n_msgs = f->n_quoted = 0;
	f->stream = NULL;
	f->tls = NULL;
	f->tls_random = NULL;
	f->seen = NULL;
	f->media = RTP_UNKNOWN;
	f->conn_no = 0;
	f->is_ws = f->is_whole = false;
	f->last_ns = f->rec.at_ns;
	if (w->is_over || !next_record(w))
		return at_end(w);
	if (f->rec.is_ng)
		pass_secrets(w);
	if (!w->is_started) {
		w->is_started = true;
		f->first_ns = f->last_ns = f->rec.at_ns;
	}
	if (cap_pkt_decode(&f->rec, &f->pkt) != OK && !w->n_unknown++)
		w->unknown_link = f->rec.link;
	bool is_odd = f->pkt.is_fragment || f->pkt.is_quoted || w->has_pieces || w->convs;
	if (is_odd && !on_odd_frame(w))
		return f;
	if ((f->pkt.proto == CAP_UDP || f->pkt.is_pdu) && f->pkt.n)
		on_datagram(w);
	else if (f->pkt.proto == CAP_TCP)
		on_segment(w);
	return f;
}

uint32_t cap_walk_unknown_links(const struct cap_walk *w, uint16_t *link)
{
	*link = w->unknown_link;
	return w->n_unknown;
}
