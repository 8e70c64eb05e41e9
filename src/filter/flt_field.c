/* The table of fields: finding one by its name, saying what is near where there is none.
 *
 * The table is fields.def plus a row "sip.<Name>" for each header of sip/headers.def, whose value
 * is then the whole header line, one value per line, as in Wireshark. It is asked at compile time
 * of a filter only, so that it is searched from top to bottom.
 *
 * Wireshark has a hundred times as many fields. flt_wireshark.def lists those of the protocols that
 * we know, and the names of all its protocols, so that a filter that works there but not here is
 * told apart from a slip of the pen.
 *
 * `cost` orders tests (flt.c): 0 the frame itself, 1 headers below, 2 the eager part of a SIP
 * message and RTP, 3 header lines, 5 what is parsed inside of one, 6 STUN and RTCP, which are
 * checked first, 8 SDP, 9 a call.
 */
#include "base/assert.h"
#include "filter/flt_args.h"
#include "filter/flt_priv.h"
#include "sip/tables.h"

#include <stdlib.h>

enum {
	COST_frame = 0,
	COST_bits = 1,
	COST_link = 1,
	COST_ip = 1,
	COST_port = 1,
	COST_frag = 1,
	COST_ext6 = 2,
	COST_tcp = 1,
	COST_icmp = 1,
	COST_sll = 1,
	COST_eth = 1,
	COST_tail = 1,
	COST_arp = 1,
	COST_encap = 1,
	COST_tcp_opt = 2,
	COST_tcp_flags = 2,
	COST_conv = 2,
	COST_seq = 2,
	COST_analysis = 2,
	COST_host = 2,
	COST_protocols = 7,
	COST_tls = 2,
	COST_ws = 2,
	COST_sip = 2,
	COST_rtp = 2,
	COST_media = 2,
	COST_header = 3,
	COST_hdr_num = 3,
	COST_other = 3,
	COST_resend = 3,
	COST_answer = 4,
	COST_setup = 4,
	COST_call_id = 3,
	COST_rtp_ext = 3,
	COST_event = 3,
	COST_uri = 5,
	COST_via = 5,
	COST_auth = 5,
	COST_reason = 5,
	COST_value = 5,
	COST_session = 5,
	COST_sec = 5,
	COST_rtcp = 6,
	COST_xr = 6,
	COST_feedback = 6,
	COST_stun = 6,
	COST_stun_att = 6,
	COST_sdp = 8,
	COST_sdp_part = 8,
	COST_call = 9,
};

/* type, width, base */
#define T_NONE  FLT_NONE, 0, FLT_DEC
#define T_PROTO FLT_PROTO, 0, FLT_DEC
#define T_BOOL  FLT_BOOL, 1, FLT_DEC
#define T_U8    FLT_UINT, 1, FLT_DEC
#define T_U16   FLT_UINT, 2, FLT_DEC
#define T_U24   FLT_UINT, 3, FLT_DEC
#define T_U32   FLT_UINT, 4, FLT_DEC
#define T_U64   FLT_UINT, 8, FLT_DEC
#define T_X8    FLT_UINT, 1, FLT_HEX
#define T_X16   FLT_UINT, 2, FLT_HEX
#define T_X24   FLT_UINT, 3, FLT_HEX
#define T_X32   FLT_UINT, 4, FLT_HEX
#define T_I8    FLT_INT, 1, FLT_DEC
#define T_I16   FLT_INT, 2, FLT_DEC
#define T_I32   FLT_INT, 4, FLT_DEC
#define T_IPV4  FLT_IPV4, 4, FLT_DEC
#define T_IPV6  FLT_IPV6, 16, FLT_DEC
#define T_ETHER FLT_ETHER, 6, FLT_DEC
#define T_STR   FLT_STR, 0, FLT_DEC
#define T_BYTES FLT_BYTES, 0, FLT_DEC
#define T_TIME  FLT_TIME, 0, FLT_DEC
#define T_DATE  FLT_DATE, 0, FLT_LOCAL
#define T_REAL  FLT_REAL, 8, FLT_DEC
#define T_UTC   FLT_DATE, 0, FLT_UTC

static const struct flt_field fields[] = {
#define FIELD(name, type, getter, arg, needs)                                                      \
	{STR_INIT(name), T_##type, needs, COST_##getter, arg, flt_get_##getter},
#include "filter/fields.def"
#undef FIELD
#define HEADER(id, name, compact, flags, rfc)                                                      \
	{STR_INIT("sip." name), T_STR, 0, COST_header, SIP_HDR_##id, flt_get_header},
#include "sip/headers.def"
#undef HEADER
};

static const struct str others[] = {
/* in Wireshark, not here */
#define FIELD(name) STR_INIT(name),
#include "filter/flt_wireshark.def"
#undef FIELD
};

/* Of names that begin with `stem`, the nearest; those that differ in length by much are no slip of
 * the pen. */
static struct str nearest_of(struct str name, struct str stem)
{
	struct str near[ARRAY_LEN(fields)];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str f = fields[i].name;
		if (str_starts(f, stem) && f.n <= name.n + 3 && name.n <= f.n + 3)
			near[n++] = f;
	}
	return str_nearest(name, near, n);
}

/* The next letter or digit of a name, in lower case; 0 at its end. */
static char next_of(struct str *s)
{
	while (s->n) {
		char c = *s->p;
		*s = str_skip(*s, 1);
		if (c >= 'A' && c <= 'Z')
			return (char)(c | 0x20);
		if (c != '-' && c != '_' && c != '.')
			return c;
	}
	return '\0';
}

/* Whether two names differ in case, hyphens, underscores and points only. */
static bool is_spelt_alike(struct str a, struct str b)
{
	char c;
	while ((c = next_of(&a)) == next_of(&b))
		if (!c)
			return true;
	return false;
}

/* A name that is spelt in another way, a name that goes on where this one ends, a name of the same
 * protocol, any name. */
static struct str nearest(struct str name)
{
	struct str longer = STR_NONE;
	size_t point = str_chr(name, '.');
	struct str family = str_sub(name, 0, point == SIZE_MAX ? 0 : point + 1);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str f = fields[i].name;
		if (is_spelt_alike(f, name))
			return f;
		bool goes_on = family.n && name.n > family.n && str_istarts(f, name);
		if (goes_on && (!longer.n || f.n < longer.n))
			longer = f;
	}
	struct str near = longer.n ? longer : nearest_of(name, family);
	return near.n ? near : nearest_of(name, STR_NONE);
}

const struct flt_field *flt_field_find(struct str name, struct str *near)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eq(fields[i].name, name))
			return &fields[i];
	if (near)
		*near = nearest(name);
	return NULL;
}

enum sip_hdr_id flt_header_of(const struct flt_field *f)
{
	return f->get == flt_get_header ? (enum sip_hdr_id)f->arg : SIP_HDR_OTHER;
}

const struct flt_field *flt_field_at(size_t i)
{
	return i < ARRAY_LEN(fields) ? &fields[i] : NULL;
}

static bool is_in_wireshark(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_eq(others[i], name))
			return true;
	return false;
}

/* Up to three fields that begin as the name does, as far as a point: "tcp.segments" has
 * "tcp.". */
static void put_kin(struct buf *b, struct str name)
{
	size_t point = name.n;
	while (point && name.p[point - 1] != '.')
		point--;
	struct str stem = str_sub(name, 0, point);
	unsigned n = 0;
	for (size_t i = 0; point && i < ARRAY_LEN(fields) && n < 3; i++)
		if (str_starts(fields[i].name, stem)) {
			buf_fmt(b, "%s`" STR_FMT "`", n ? ", " : ". Here are ",
				STR_ARG(fields[i].name));
			n++;
		}
	if (n)
		buf_str(b, STR(" ..."));
}

void flt_field_explain(struct buf *b, struct str name)
{
	struct str near = nearest(name), shown = flt_shown(name);
	if (is_in_wireshark(name)) {
		buf_fmt(b, "Wireshark has a field `" STR_FMT "`, rung scope has not",
			STR_ARG(shown));
		if (near.n)
			buf_fmt(b, "; near to it is `" STR_FMT "`", STR_ARG(near));
		else
			put_kin(b, name);
		return;
	}
	buf_fmt(b, "there is no field `" STR_FMT "`", STR_ARG(shown));
	if (near.n)
		buf_fmt(b, "; did you mean `" STR_FMT "`?", STR_ARG(near));
	else
		buf_str(b, STR(" (`rung scope --fields` lists them)"));
}

void flt_fields_put(struct buf *b)
{
	static const char *const types[FLT__TYPES] = {
		[FLT_NONE] = "presence",     [FLT_PROTO] = "protocol",
		[FLT_UINT] = "number",       [FLT_INT] = "number",
		[FLT_BOOL] = "boolean",      [FLT_IPV4] = "IPv4 address",
		[FLT_IPV6] = "IPv6 address", [FLT_ETHER] = "Ethernet address",
		[FLT_STR] = "string",        [FLT_BYTES] = "bytes",
		[FLT_TIME] = "seconds",      [FLT_DATE] = "date",
		[FLT_REAL] = "number"};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (flt_field_find(fields[i].name, NULL) == &fields[i])
			buf_fmt(b, "%-36.*s %s\n", STR_ARG(fields[i].name), types[fields[i].type]);
}
