/* Fields of what stands behind the packet in an Ethernet frame: zeros that make it 60 bytes long,
 * and more, of which Wireshark takes the last four for a checksum where they can be one.
 * [IEEE 802.3 3.2.8]
 */
#include "filter/flt_get.h"

enum { ETH_HEAD = 14, ARP_LEN = 28, MIN = 60, FCS = 4 };

/* Where the packet ends; 0: not known. */
static uint32_t packet_end(const struct cap_frame *fr)
{
	const struct cap_pkt *k = &fr->pkt;
	const struct cap_rec *r = &fr->rec;
	if (!r->p || r->n != r->n_wire || !k->n_eths || k->eths[0].p != r->p || r->n < ETH_HEAD)
		return 0;
	uint32_t type = be16(r->p + 12);
	if (type < 0x600) /* it is a length */
		return ETH_HEAD + type;
	uint32_t n_head = ETH_HEAD + 4u * k->n_vlans;
	const uint8_t *p = r->p + n_head;
	if (k->is_arp && k->arp.p == p)
		return n_head + ARP_LEN;
	if (!k->n_ips || k->ips[0].hdr.p != p)
		return 0;
	return n_head + k->ips[0].n + (k->ips[0].src.family == ADDR_V6 ? 40u : 0);
}

static bool is_zero(const uint8_t *p, uint32_t n)
{
	while (n && !*p) {
		p++;
		n--;
	}
	return !n;
}

unsigned flt_get_tail(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	uint32_t at = packet_end(fr), n = fr->rec.n;
	const uint8_t *p = fr->rec.p;
	if (!at || at >= n)
		return 0;
	uint32_t n_pad = n >= MIN && at < MIN && is_zero(p + at, MIN - at) ? MIN - at : 0;
	uint32_t n_more = n - at - n_pad;
	if (n >= MIN + FCS && n_more >= FCS)
		n_more -= FCS;
	if (f->arg == TA_PADDING && n_pad)
		put_bytes(&o, p + at, n_pad);
	else if (f->arg == TA_TRAILER && n_more && !fr->pkt.n_vlans) /* else it is the tag's */
		put_bytes(&o, p + at + n_pad, n_more);
	return o.n;
}
