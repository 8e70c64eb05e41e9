/* Fields of STUN. It is known by its cookie and its lengths, on any UDP port, so that no tracker is
 * needed. [RFC8489 5, 14] [RFC8445 16.1] */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "rtp/stun.h"

static bool parse(const struct cap_frame *fr, struct stun_msg *m)
{
	const struct cap_pkt *k = &fr->pkt;
	if (k->proto != CAP_UDP || k->is_quoted || k->n < STUN_HDR || k->is_fragment)
		return false;
	return rtp_demux(k->p, k->n) == RTP_STUN && stun_parse(k->p, k->n, m) == OK;
}

unsigned flt_get_stun(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct stun_msg m;
	if (!parse(fr, &m))
		return 0;
	const uint8_t *p = fr->pkt.p;
	switch (f->arg) {
	case ST_PROTO:
		put_proto(&o, p, fr->pkt.n, fr->pkt.n);
		break;
	case ST_TYPE:
		put_u(&o, be16(p));
		break;
	case ST_CLASS: /* bits 4 and 8 of the type, as far apart as there */
		put_u(&o, (be16(p) & 0x0110u) >> 4);
		break;
	case ST_METHOD:
		put_u(&o, be16(p) & 0x3eefu);
		break;
	case ST_LENGTH:
		put_u(&o, be16(p + 2));
		break;
	case ST_COOKIE:
		put_bytes(&o, p + 4, 4);
		break;
	case ST_ID:
		put_bytes(&o, p + 8, 12);
		break;
	case ST_ATTRS:
		if (m.attrs.n)
			put_u(&o, 1);
		break;
	}
	return o.n;
}

enum shape { S_NONE, S_TEXT, S_BYTES, S_U32, S_U16, S_ADDR, S_XADDR, S_ERROR, S_CHANGE };
static const struct {
	uint16_t type;
	uint8_t shape, arg; /* arg: the field of S_TEXT to S_U16 */
} attributes[] = {
	{STUN_A_MAPPED_ADDRESS,     S_ADDR,   0          },
	{0x0003,		    S_CHANGE, 0          },
	{0x0004,		    S_ADDR,   0          },
	{0x0005,		    S_ADDR,   0          },
	{STUN_A_USERNAME,           S_TEXT,   SA_USERNAME},
	{STUN_A_MESSAGE_INTEGRITY,  S_BYTES,  SA_HMAC    },
	{STUN_A_ERROR_CODE,         S_ERROR,  0          },
	{0x000c,		    S_U16,    SA_CHANNEL },
	{0x000d,		    S_U32,    SA_LIFETIME},
	{0x0012,		    S_XADDR,  0          },
	{0x0014,		    S_TEXT,   SA_REALM   },
	{0x0015,		    S_TEXT,   SA_NONCE   },
	{0x0016,		    S_XADDR,  0          },
	{STUN_A_XOR_MAPPED_ADDRESS, S_XADDR,  0          },
	{STUN_A_PRIORITY,           S_U32,    SA_PRIORITY},
	{STUN_A_SOFTWARE,           S_TEXT,   SA_SOFTWARE},
	{0x8023,		    S_ADDR,   0          },
	{STUN_A_FINGERPRINT,        S_U32,    SA_CRC     },
	{STUN_A_ICE_CONTROLLED,     S_BYTES,  SA_TIE     },
	{STUN_A_ICE_CONTROLLING,    S_BYTES,  SA_TIE     },
	{0x802b,		    S_ADDR,   0          },
	{0x802c,		    S_ADDR,   0          },
};

static void address(const struct flt_field *f, const uint8_t *v, size_t n, const uint8_t *mask,
		    struct outlet *o)
{
	uint8_t ip[16];
	size_t n_ip = n >= 2 && v[1] == 2 ? 16 : 4;
	if (n < 4 + n_ip)
		return;
	for (size_t i = 0; i < n_ip; i++)
		ip[i] = v[4 + i] ^ (mask ? mask[i] : 0);
	if (f->arg == SA_FAMILY)
		put_u(o, v[1]);
	else if (f->arg == SA_PORT)
		put_u(o, be16(v + 2) ^ (mask ? (uint32_t)be16(mask) : 0));
	else if (f->arg == (n_ip == 4 ? SA_IPV4 : SA_IPV6))
		put_ip(o, ip, n_ip);
}

static void attribute(const struct flt_field *f, uint16_t type, struct str value,
		      const uint8_t *cookie, struct outlet *o)
{
	const uint8_t *v = (const uint8_t *)value.p;
	size_t i = 0;
	while (i < ARRAY_LEN(attributes) && attributes[i].type != type)
		i++;
	if (i == ARRAY_LEN(attributes))
		return;
	bool is_it = attributes[i].arg == f->arg;
	switch ((enum shape)attributes[i].shape) {
	case S_TEXT:
	case S_BYTES:
		if (is_it && value.n)
			put_s(o, value);
		break;
	case S_U32:
		if (is_it && value.n >= 4)
			put_u(o, be32(v));
		break;
	case S_U16:
		if (is_it && value.n >= 2)
			put_u(o, be16(v));
		break;
	case S_ADDR:
	case S_XADDR:
		address(f, v, value.n, attributes[i].shape == S_XADDR ? cookie : NULL, o);
		break;
	case S_ERROR:
		if (value.n < 4)
			break;
		if (f->arg == SA_ERR_CLASS)
			put_u(o, v[2] & 7u);
		else if (f->arg == SA_ERR_NUMBER)
			put_u(o, v[3]);
		else if (f->arg == SA_ERR_REASON && value.n > 4)
			put_s(o, str_skip(value, 4));
		break;
	case S_CHANGE:
		if (value.n >= 4 && (f->arg == SA_CHANGE_IP || f->arg == SA_CHANGE_PORT))
			put_u(o, v[3] >> (f->arg == SA_CHANGE_IP ? 2 : 1) & 1u);
		break;
	case S_NONE:
		break;
	}
}

unsigned flt_get_stun_att(const struct flt_field *f, const struct cap_frame *fr,
			  struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct stun_msg m;
	struct str value;
	uint16_t type;
	size_t at = 0;
	if (!parse(fr, &m))
		return 0;
	while (stun_attr_next(&m, &at, &type, &value)) {
		if (f->arg == SA_TYPE)
			put_u(&o, type);
		else if (f->arg == SA_LENGTH)
			put_u(&o, value.n);
		else
			attribute(f, type, value, fr->pkt.p + 4, &o);
	}
	return o.n;
}
