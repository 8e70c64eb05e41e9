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

/* Data on a channel of a TURN server, which Wireshark knows by its port. [RFC8656 12.4] */
static bool is_channel(const struct cap_pkt *k)
{
	enum { PORT = 3478, HEAD = 4 };
	if (k->proto != CAP_UDP || k->is_quoted || k->is_fragment || !k->n_ports || k->n < HEAD ||
	    k->p[0] >> 6 != 1)
		return false;
	const struct cap_ports *p = &k->ports[k->n_ports - 1];
	size_t n = be16(k->p + 2), n_padded = (n + 3) & ~(size_t)3;
	return (p->src == PORT || p->dst == PORT) && (k->n == HEAD + n || k->n == HEAD + n_padded);
}

/* What the transaction was when the message came: as of `tshark` in one pass, so that a request
 * knows its answer only when it is sent again. */
static void transaction(uint32_t what, unsigned cls, const struct cap_frame *fr, struct outlet *o)
{
	const struct cap_stun_seen *s = &fr->seen[fr->pkt.n_ports - 1].stun;
	bool is_request = cls == STUN_REQUEST;
	bool is_answer = cls == STUN_SUCCESS || cls == STUN_ERROR;
	uint32_t first = is_request ? s->request_frame : s->other_frame;
	if (what == ST_RESPONSE_IN && is_request && s->other_frame)
		put_u(o, s->other_frame);
	else if (what == ST_RESPONSE_TO && is_answer && s->request_frame)
		put_u(o, s->request_frame);
	else if (what == ST_TIME && is_answer && s->request_frame)
		put_i(o, s->since_ns);
	else if (what == ST_DUPLICATE && first && first != fr->rec.no)
		put_u(o, first);
}

unsigned flt_get_stun(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	struct stun_msg m;
	const uint8_t *p = fr->pkt.p;
	if ((f->arg == ST_PROTO || f->arg == ST_CHANNEL) && is_channel(&fr->pkt)) {
		if (f->arg == ST_CHANNEL)
			put_u(&o, be16(p));
		else
			put_proto(&o, p, 4, fr->pkt.n);
		return o.n;
	}
	if (!parse(fr, &m))
		return 0;
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
	case ST_ASSIGNMENT:
		put_u(&o, be16(p) & 0x2000u);
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
	case ST_CHANNEL:
		break;
	default:
		if (fr->seen)
			transaction(f->arg, m.cls, fr, &o);
		break;
	}
	return o.n;
}

enum shape {
	S_TEXT,
	S_BYTES,
	S_BYTE, /* the first, three reserved ones behind it */
	S_EVEN,
	S_U32,
	S_WORDS,
	S_CHANNEL,
	S_PADDING,
	S_ADDR,
	S_XADDR,
	S_ERROR,
	S_CHANGE,
	S_CRC,
	S_NETWORK,
	S_OTHER
};
static const struct {
	uint16_t type;
	uint8_t shape, arg; /* arg: the field of S_TEXT to S_WORDS */
} attributes[] = {
	{STUN_A_MAPPED_ADDRESS,     S_ADDR,    0               },
	{0x0002,		    S_ADDR,    0               },
	{0x0003,		    S_CHANGE,  0               },
	{0x0004,		    S_ADDR,    0               },
	{0x0005,		    S_ADDR,    0               },
	{STUN_A_USERNAME,           S_TEXT,    SA_USERNAME     },
	{STUN_A_MESSAGE_INTEGRITY,  S_BYTES,   SA_HMAC         },
	{STUN_A_ERROR_CODE,         S_ERROR,   0               },
	{0x000a,		    S_WORDS,   SA_UNKNOWN      },
	{0x000b,		    S_ADDR,    0               },
	{0x000c,		    S_CHANNEL, 0               },
	{0x000d,		    S_U32,     SA_LIFETIME     },
	{0x000e,		    S_ADDR,    0               },
	{0x0011,		    S_ADDR,    0               },
	{0x0012,		    S_XADDR,   0               },
	{0x0014,		    S_TEXT,    SA_REALM        },
	{0x0015,		    S_TEXT,    SA_NONCE        },
	{0x0016,		    S_XADDR,   0               },
	{0x0017,		    S_BYTE,    SA_FAMILY       },
	{0x0018,		    S_EVEN,    SA_RESERVE_NEXT },
	{0x0019,		    S_BYTE,    SA_TRANSPORT    },
	{STUN_A_XOR_MAPPED_ADDRESS, S_XADDR,   0               },
	{STUN_A_PRIORITY,           S_U32,     SA_PRIORITY     },
	{0x0026,		    S_PADDING, 0               },
	{0x0027,		    S_XADDR,   0               },
	{0x0028,		    S_XADDR,   0               },
	{0x8020,		    S_XADDR,   0               },
	{STUN_A_SOFTWARE,           S_TEXT,    SA_SOFTWARE     },
	{0x8023,		    S_ADDR,    0               },
	{0x8027,		    S_U32,     SA_CACHE_TIMEOUT},
	{STUN_A_FINGERPRINT,        S_CRC,     0               },
	{STUN_A_ICE_CONTROLLED,     S_BYTES,   SA_TIE          },
	{STUN_A_ICE_CONTROLLING,    S_BYTES,   SA_TIE          },
	{0x802b,		    S_ADDR,    0               },
	{0x802c,		    S_ADDR,    0               },
	{0x8059,		    S_XADDR,   0               },
	{0x805a,		    S_XADDR,   0               },
	{0x805b,		    S_XADDR,   0               },
	{0x805c,		    S_XADDR,   0               },
	{0x8090,		    S_ADDR,    0               },
	{0xc057,		    S_NETWORK, 0               },
};

/* Wireshark has a name for these, too; a row above goes first. */
static const struct {
	uint16_t first, last;
	bool is_opened; /* it reads what is in them, we do not */
} others[] = {
	{0x0007, 0x0007, true },
        {0x000f, 0x0010, true },
        {0x001d, 0x001d, true },
	{0x0022, 0x0022, true },
        {0x0030, 0x0030, true },
        {0x8002, 0x8002, true },
	{0x8004, 0x8004, true },
        {0x8006, 0x8006, true },
        {0x8008, 0x8008, true },
	{0x8050, 0x8050, true },
        {0x8054, 0x8062, true },
        {0x8068, 0x8068, true },
	{0x8070, 0x8070, true },
        {0x8095, 0x8095, true },
        {0x0013, 0x0013, false},
	{0x001a, 0x001c, false},
        {0x001e, 0x001e, false},
        {0x0025, 0x0025, false},
	{0x002a, 0x002a, false},
        {0x8000, 0x8001, false},
        {0x8003, 0x8003, false},
	{0x8025, 0x8025, false},
        {0x802d, 0x802e, false},
        {0x8030, 0x8030, false},
	{0x8032, 0x8032, false},
        {0x8037, 0x8037, false},
        {0x8039, 0x8039, false},
	{0xc000, 0xc002, false},
        {0xc058, 0xc05d, false},
        {0xc060, 0xc060, false},
	{0xff04, 0xff05, false},
};

static void address(const struct flt_field *f, const uint8_t *v, size_t n, const uint8_t *mask,
		    struct outlet *o)
{
	uint8_t ip[16];
	size_t n_ip = n < 2 ? 0 : v[1] == 1 ? 4 : v[1] == 2 ? 16 : 0;
	bool has_ip = n_ip && n >= 4 + n_ip;
	if (f->arg == SA_RESERVED && n)
		put_bytes(o, v, 1);
	else if (f->arg == SA_FAMILY && n >= 2)
		put_u(o, v[1]);
	else if (f->arg == SA_PORT && n >= 4)
		put_u(o, be16(v + 2) ^ (mask ? (uint32_t)be16(mask) : 0));
	else if (f->arg == SA_PORT_RAW && n >= 4 && mask)
		put_bytes(o, v + 2, 2);
	else if (f->arg == (n_ip == 4 ? SA_IPV4_RAW : SA_IPV6_RAW) && has_ip && mask)
		put_bytes(o, v + 4, n_ip);
	if (!has_ip || f->arg != (n_ip == 4 ? SA_IPV4 : SA_IPV6))
		return;
	for (size_t i = 0; i < n_ip; i++)
		ip[i] = v[4 + i] ^ (mask ? mask[i] : 0);
	put_ip(o, ip, n_ip);
}

static void error_code(const struct flt_field *f, struct str value, struct outlet *o)
{
	const uint8_t *v = (const uint8_t *)value.p;
	if (f->arg == SA_RESERVED && value.n >= 2)
		put_bytes(o, v, 2);
	if (f->arg == SA_ERR_CLASS && value.n >= 3)
		put_u(o, v[2] & 7u);
	else if (f->arg == SA_ERR_NUMBER && value.n >= 4)
		put_u(o, v[3]);
	else if (f->arg == SA_ERR_REASON && value.n > 4)
		put_s(o, str_skip(value, 4));
}

/* value.p goes on to the next multiple of 4. */
static void attribute(const struct flt_field *f, enum shape shape, bool is_it, struct str value,
		      const uint8_t *cookie, struct outlet *o)
{
	const uint8_t *v = (const uint8_t *)value.p;
	switch (shape) {
	case S_TEXT:
	case S_BYTES:
		if (is_it && value.n)
			put_s(o, value);
		break;
	case S_BYTE:
		if (is_it && value.n)
			put_u(o, v[0]);
		else if (f->arg == SA_RESERVED && value.n >= 4)
			put_bytes(o, v + 1, 3);
		break;
	case S_EVEN:
		if (is_it && value.n)
			put_u(o, v[0] >> 7);
		break;
	case S_U32:
		if (is_it && value.n >= 4)
			put_u(o, be32(v));
		break;
	case S_WORDS:
		for (size_t i = 0; is_it && i < value.n; i += 2)
			put_u(o, be16(v + i));
		break;
	case S_CHANNEL:
		if (value.n < 4)
			break;
		if (f->arg == SA_CHANNEL)
			put_u(o, be16(v));
		else if (f->arg == SA_RESERVED)
			put_bytes(o, v + 2, 2);
		break;
	case S_PADDING:
		if (f->arg == SA_PADDING)
			put_u(o, value.n);
		break;
	case S_ADDR:
	case S_XADDR:
		address(f, v, value.n, shape == S_XADDR ? cookie : NULL, o);
		break;
	case S_ERROR:
		error_code(f, value, o);
		break;
	case S_CHANGE:
		if (value.n >= 4 && (f->arg == SA_CHANGE_IP || f->arg == SA_CHANGE_PORT))
			put_u(o, v[3] >> (f->arg == SA_CHANGE_IP ? 2 : 1) & 1u);
		break;
	case S_CRC: /* a wrong one is no STUN */
		if (f->arg == SA_CRC)
			put_u(o, be32(v));
		else if (f->arg == SA_CRC_STATUS)
			put_u(o, 1);
		break;
	case S_NETWORK:
		if (value.n && (f->arg == SA_NETWORK_ID || f->arg == SA_NETWORK_COST))
			put_u(o, be16(v + (f->arg == SA_NETWORK_ID ? 0 : 2)));
		break;
	case S_OTHER:
		if (f->arg == SA_VALUE && value.n)
			put_s(o, value);
		break;
	}
}

/* Wireshark says the type of those only that it knows. */
static bool is_known(uint16_t type, bool *is_opened)
{
	*is_opened = false;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (type >= others[i].first && type <= others[i].last) {
			*is_opened = others[i].is_opened;
			return true;
		}
	return false;
}

static void attribute_of(const struct flt_field *f, uint16_t type, struct str value,
			 const uint8_t *cookie, struct outlet *o)
{
	bool is_opened = false;
	size_t row = 0;
	while (row < ARRAY_LEN(attributes) && attributes[row].type != type)
		row++;
	bool has_row = row < ARRAY_LEN(attributes), is_ours = has_row || is_known(type, &is_opened);
	switch (f->arg) {
	case SA_TYPE:
	case SA_COMPREHENSION:
	case SA_ASSIGNMENT:
		if (is_ours)
			put_u(o, f->arg == SA_TYPE            ? type
				 : f->arg == SA_COMPREHENSION ? type >> 15
							      : type >> 14 & 1u);
		break;
	case SA_NO_TYPE:
		if (!is_ours)
			put_u(o, 1);
		break;
	case SA_LENGTH:
		put_u(o, value.n);
		break;
	default:
		if (has_row)
			attribute(f, (enum shape)attributes[row].shape,
				  attributes[row].arg == f->arg, value, cookie, o);
		else if (!is_opened)
			attribute(f, S_OTHER, false, value, cookie, o);
		break;
	}
	if (f->arg == SA_PADDING && value.n % 4)
		put_u(o, 4 - value.n % 4);
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
	while (stun_attr_next(&m, &at, &type, &value))
		attribute_of(f, type, value, fr->pkt.p + 4, &o);
	return o.n;
}
