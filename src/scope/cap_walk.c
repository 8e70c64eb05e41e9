/* From records to SIP messages.
 *
 *	cap_next ─► cap_pkt_decode ─┬─ fragment ─► cap_frags ─┐
 *	                            ├─ UDP ◄──────────────────┤─ SIP by content ─► message
 *	                            │   └─ else: media, when the tracker knows the port
 *	                            └─ TCP ─► cap_tcp ─► messages completed by this segment
 *
 * SIP is known by its start line, never by a port. What an ICMP error quotes is no message. Each
 * message is copied once, into a block where it is indexed; blocks are kept and used again for
 * every frame, so that a long walk does not allocate.
 *
 * Invariants: a frame's messages are valid until the next frame; blocks[i] belongs to msgs[i].
 */
#include "scope/cap_walk.h"

#include "scope/cap_frag.h"
#include "scope/cap_tcp.h"

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
	bool spools_all;
	bool is_started, is_over;
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

/* Indexes bytes as the frame's next message; false when they are none. */
static bool add_message(struct cap_walk *w, struct trk_packet p, bool is_stream)
{
	struct cap_frame *f = &w->frame;
	if (f->n_msgs == w->n_blocks && !more_room(w))
		return false;
	struct block *b = &w->blocks[f->n_msgs];
	if (!room_for(b, p.bytes.n))
		return false;
	struct sip_msg *m = sip_msg_init(b->mem, b->cap);
	memcpy(m->bytes, p.bytes.p, p.bytes.n);
	size_t used;
	if (sip_msg_index(m, p.bytes.n, is_stream, &used) != OK)
		return false;
	p.bytes = str_of(m->bytes, m->n_bytes);
	p.msg = m;
	if (w->spool && (w->spools_all || !p.file_off) &&
	    spool_put(w->spool, p.bytes.p, p.bytes.n, &p.file_off) == OK)
		p.file_off |= TRK_SPOOLED;
	struct cap_msg *cm = &f->msgs[f->n_msgs++];
	*cm = (struct cap_msg){.pkt = p};
	if (w->trk && trk_message(w->trk, &cm->pkt, &cm->call) == OK)
		cm->no = cm->call ? cm->call->last_ev : 0;
	return true;
}

static void on_stream(void *arg, struct str bytes, const struct addr *from, const struct addr *to,
		      enum trk_transport transport, const struct cap_seg *seg)
{
	struct cap_walk *w = arg;
	struct cap_frame *f = &w->frame;
	if (transport == TRK_WS)
		f->is_ws = true;
	if (!bytes.n)
		return;
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
	add_message(w, p, transport == TRK_TCP);
}

static void on_datagram(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	const struct cap_pkt *k = &f->pkt;
	struct trk_packet p = {
		.at_us = (uint64_t)(f->rec.at_ns / 1'000),
		.frame_no = f->rec.no,
		.from = k->src,
		.to = k->dst,
		.transport = TRK_UDP,
		.ip_id = (uint16_t)(k->src.family == ADDR_V4 ? k->ips[k->n_ips - 1].id : 0),
		.bytes = str_of((const char *)k->p, k->n),
		.file_off = f->is_whole ? 0 : f->rec.off + (uint64_t)(k->p - f->rec.p)};
	if (cap_sip_start(k->p, k->n) == CAP_YES && add_message(w, p, false))
		return;
	if (w->trk)
		f->media = trk_media(w->trk, &p, &f->rtp);
}

/* What an ICMP error says about media; nobody sent it, nobody counts it. */
static void on_quoted(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	struct trk_packet p = {.from = f->pkt.src,
			       .to = f->pkt.dst,
			       .bytes = str_of((const char *)f->pkt.p, f->pkt.n)};
	if (w->trk)
		f->media = trk_media_quoted(w->trk, &p, &f->rtp);
}

enum err cap_walk_new(struct cap *c, struct trk *trk, struct cap_walk **out)
{
	struct cap_walk *w = calloc(1, sizeof *w);
	if (!w)
		return ERR_NOMEM;
	w->cap = c;
	w->trk = w->frame.trk = trk;
	w->frags = cap_frags_new();
	w->tcp = cap_tcp_new(on_stream, w);
	if (!w->frags || !w->tcp) {
		cap_walk_free(w);
		return ERR_NOMEM;
	}
	*out = w;
	return OK;
}

void cap_walk_spool(struct cap_walk *w, struct spool *s, bool is_all)
{
	w->spool = s;
	w->spools_all = is_all;
}

void cap_walk_free(struct cap_walk *w)
{
	if (!w)
		return;
	cap_frags_free(w->frags);
	cap_tcp_free(w->tcp);
	for (size_t i = 0; i < w->n_blocks; i++)
		free(w->blocks[i].mem);
	free(w->blocks);
	free(w->frame.msgs);
	free(w);
}

static const struct cap_frame *late_frame(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	f->rec = (struct cap_rec){0};
	f->pkt = (struct cap_pkt){.proto = CAP_TCP};
	f->is_late = true;
	while (!f->n_msgs && cap_tcp_flush(w->tcp))
		continue;
	if (!f->n_msgs)
		return NULL;
	f->pkt.n_ips = f->pkt.n_ports = 1;
	f->pkt.ips[0] = (struct cap_ip){.src = f->pkt.src, .dst = f->pkt.dst, .proto = CAP_TCP};
	f->pkt.ips[0].src.port = f->pkt.ips[0].dst.port = 0;
	f->pkt.ports[0] = (struct cap_ports){
		.src = f->pkt.src.port, .dst = f->pkt.dst.port, .proto = CAP_TCP};
	return f;
}

const struct cap_frame *cap_walk_next(struct cap_walk *w)
{
	struct cap_frame *f = &w->frame;
	f->n_msgs = 0;
	f->media = RTP_UNKNOWN;
	f->is_ws = f->is_whole = false;
	f->last_ns = f->rec.at_ns;
	if (w->is_over)
		return late_frame(w);
	if (!cap_next(w->cap, &f->rec)) {
		w->is_over = true;
		return late_frame(w);
	}
	if (!w->is_started) {
		w->is_started = true;
		f->first_ns = f->last_ns = f->rec.at_ns;
	}
	if (cap_pkt_decode(&f->rec, &f->pkt) != OK && !w->n_unknown++)
		w->unknown_link = f->rec.link;
	if (f->pkt.is_fragment)
		f->is_whole = cap_frags_add(w->frags, &f->pkt, f->rec.at_ns);
	if (f->pkt.is_quoted && f->pkt.proto == CAP_UDP && f->pkt.n)
		on_quoted(w);
	if (f->pkt.is_quoted || f->pkt.is_fragment)
		return f;
	if ((f->pkt.proto == CAP_UDP || f->pkt.is_pdu) && f->pkt.n)
		on_datagram(w);
	else if (f->pkt.proto == CAP_TCP)
		cap_tcp_add(w->tcp, &f->pkt, &(struct cap_seg){f->rec.no, f->rec.at_ns});
	return f;
}

uint32_t cap_walk_unknown_links(const struct cap_walk *w, uint16_t *link)
{
	*link = w->unknown_link;
	return w->n_unknown;
}
