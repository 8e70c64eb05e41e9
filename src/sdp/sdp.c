/* Questions to a description that was read: attributes, formats, texts, printing.
 *
 * Formats are not gathered when parsing: few callers want them, and a walk over the lines of one
 * media finds the rtpmap and fmtp of one payload type in a fraction of a microsecond. A payload
 * type without rtpmap means what RFC 3551's table says. */

#include "sdp/sdp.h"

#include "sdp/sdp_priv.h"

/* --- attributes ----------------------------------------------------------------------------- */

/* The lines of media m, or of the session part for m < 0. */
static void section(const struct sdp *s, int m, unsigned *from, unsigned *to)
{
	bool is_media = m >= 0 && m < s->n_media;
	*from = is_media ? s->media[m].line : 0;
	*to = is_media ? *from + s->media[m].n_lines : m < 0 ? s->n_session_lines : 0;
}

static struct str attr_value(const struct sdp *s, const struct sdp_line *l)
{
	return str_skip(sdp_line_value(s, l), (size_t)l->name_len + 1);
}

bool sdp_attr_next(const struct sdp *s, int m, enum sdp_attr a, unsigned *at, struct str *value)
{
	unsigned from, to;
	section(s, m, &from, &to);
	for (unsigned i = from + *at; i < to; i++) {
		const struct sdp_line *l = &s->lines[i];
		if (l->type != 'a' || l->attr != a)
			continue;
		*at = i + 1 - from;
		if (value)
			*value = attr_value(s, l);
		return true;
	}
	return false;
}

bool sdp_attr(const struct sdp *s, int m, enum sdp_attr a, struct str *value)
{
	unsigned at = 0;
	return sdp_attr_next(s, m, a, &at, value);
}

bool sdp_attr_named(const struct sdp *s, int m, struct str name, struct str *value)
{
	unsigned from, to;
	section(s, m, &from, &to);
	for (unsigned i = from; i < to; i++) {
		const struct sdp_line *l = &s->lines[i];
		if (l->type != 'a' || !str_eq(str_sub(sdp_line_value(s, l), 0, l->name_len), name))
			continue;
		if (value)
			*value = attr_value(s, l);
		return true;
	}
	return false;
}

/* --- formats -------------------------------------------------------------------------------- */

uint8_t sdp_pt(struct str s)
{
	uint32_t v;
	return str_u32(s, &v) && v <= 127 ? (uint8_t)v : SDP_PT_NONE;
}

bool sdp_static_pt(uint8_t pt, struct sdp_fmt *out)
{
	static const struct {
		struct str name;
		uint32_t clock;
		uint8_t channels;
	} table[35] = {
		[0] = {STR_INIT("PCMU"),  8000,  1},
                  [3] = {STR_INIT("GSM"),   8000,  1},
		[4] = {STR_INIT("G723"),  8000,  1},
                  [5] = {STR_INIT("DVI4"),  8000,  1},
		[6] = {STR_INIT("DVI4"),  16000, 1},
                  [7] = {STR_INIT("LPC"),   8000,  1},
		[8] = {STR_INIT("PCMA"),  8000,  1},
                  [9] = {STR_INIT("G722"),  8000,  1},
		[10] = {STR_INIT("L16"),   44100, 2},
                  [11] = {STR_INIT("L16"),   44100, 1},
		[12] = {STR_INIT("QCELP"), 8000,  1},
                  [13] = {STR_INIT("CN"),    8000,  1},
		[14] = {STR_INIT("MPA"),   90000, 1},
                  [15] = {STR_INIT("G728"),  8000,  1},
		[16] = {STR_INIT("DVI4"),  11025, 1},
                  [17] = {STR_INIT("DVI4"),  22050, 1},
		[18] = {STR_INIT("G729"),  8000,  1},
                  [25] = {STR_INIT("CelB"),  90000, 1},
		[26] = {STR_INIT("JPEG"),  90000, 1},
                  [28] = {STR_INIT("nv"),    90000, 1},
		[31] = {STR_INIT("H261"),  90000, 1},
                  [32] = {STR_INIT("MPV"),   90000, 1},
		[33] = {STR_INIT("MP2T"),  90000, 1},
                  [34] = {STR_INIT("H263"),  90000, 1},
	};
	if (pt >= sizeof(table) / sizeof(table[0]) || table[pt].clock == 0)
		return false;
	*out = (struct sdp_fmt){
		.pt = pt,
		.channels = table[pt].channels,
		.is_static = true,
		.clock = table[pt].clock,
		.name = table[pt].name,
	};
	return true;
}

bool sdp_rtpmap_read(struct str v, struct sdp_fmt *out)
{
	struct str clock, channels;
	uint32_t n = 1;
	*out = (struct sdp_fmt){.pt = sdp_pt(sdp_word(&v))};
	out->name = str_cut(sdp_word(&v), '/', &clock);
	clock = str_cut(clock, '/', &channels);
	if (out->pt == SDP_PT_NONE || out->name.n == 0 || !str_u32(clock, &out->clock))
		return false;
	if (channels.n && (!str_u32(channels, &n) || n == 0 || n > 255))
		return false;
	out->channels = (uint8_t)n;
	return true;
}

/* Fills name, clock, channels, fmtp of out->pt. True when an rtpmap or the static table knew it. */
static bool describe(const struct sdp *s, unsigned m, struct sdp_fmt *out)
{
	struct str v, text = out->text;
	struct sdp_fmt f;
	bool is_known = false;
	unsigned at = 0;
	uint8_t pt = out->pt;
	while (!is_known && sdp_attr_next(s, (int)m, SDP_A_RTPMAP, &at, &v))
		is_known = sdp_rtpmap_read(v, &f) && f.pt == pt;
	if (!is_known)
		is_known = sdp_static_pt(pt, &f);
	if (is_known)
		*out = f;
	out->text = text;
	at = 0;
	while (sdp_attr_next(s, (int)m, SDP_A_FMTP, &at, &v)) {
		if (sdp_pt(sdp_word(&v)) == pt) {
			out->fmtp = str_trim(v);
			break;
		}
	}
	return is_known;
}

bool sdp_fmt_next(const struct sdp *s, unsigned m, unsigned *at, struct sdp_fmt *out)
{
	if (m >= s->n_media)
		return false;
	struct str rest = str_skip(s->media[m].fmts, *at);
	struct str word = sdp_word(&rest);
	if (word.n == 0)
		return false;
	*at = (unsigned)(rest.p - s->media[m].fmts.p);
	*out = (struct sdp_fmt){.pt = SDP_PT_NONE, .channels = 1, .text = word};
	if (sdp_proto_flags((enum sdp_proto)s->media[m].proto) & SDP_PF_RTP) {
		out->pt = sdp_pt(word);
		if (out->pt != SDP_PT_NONE)
			describe(s, m, out);
	}
	return true;
}

bool sdp_fmt_of_pt(const struct sdp *s, unsigned m, uint8_t pt, struct sdp_fmt *out)
{
	unsigned at = 0;
	while (sdp_fmt_next(s, m, &at, out))
		if (out->pt == pt && pt != SDP_PT_NONE)
			return true;
	*out = (struct sdp_fmt){.pt = pt, .channels = 1};
	return m < s->n_media && pt < 128 && describe(s, m, out);
}

/* --- texts ---------------------------------------------------------------------------------- */

static const struct {
	struct str text;
	unsigned flags;
} protos[SDP_PROTO__N] = {
#define SDP_PROTO(id, text, flags) [SDP_##id] = {STR_INIT(text), flags},
#include "sdp/protos.def"
#undef SDP_PROTO
};

enum sdp_proto sdp_proto_find(struct str s)
{
	for (int i = SDP_PROTO_OTHER + 1; i < SDP_PROTO__N; i++)
		if (str_ieq(protos[i].text, s))
			return (enum sdp_proto)i;
	return SDP_PROTO_OTHER;
}

struct str sdp_proto_text(enum sdp_proto p)
{
	return protos[p].text;
}

unsigned sdp_proto_flags(enum sdp_proto p)
{
	return protos[p].flags;
}

const char *sdp_dir_text(enum sdp_dir d)
{
	static const char *const text[] = {"inactive", "sendonly", "recvonly", "sendrecv"};
	return text[d & 3];
}

static const struct {
	const char *rfc, *text;
} diags[SDP_DIAG__N] = {
#define SDP_DIAG(id, rfc, text) [SDP_DIAG_##id] = {rfc, text},
#include "sdp/diags.def"
#undef SDP_DIAG
};

const char *sdp_diag_text(unsigned code)
{
	return code < SDP_DIAG__N ? diags[code].text : "unknown";
}

const char *sdp_diag_rfc(unsigned code)
{
	return code < SDP_DIAG__N ? diags[code].rfc : "";
}

/* --- printing ------------------------------------------------------------------------------- */

void sdp_print(const struct sdp *s, struct buf *out)
{
	for (unsigned i = 0; i < s->n_lines; i++) {
		buf_chr(out, s->lines[i].type);
		buf_chr(out, '=');
		buf_str(out, sdp_line_value(s, &s->lines[i]));
		buf_str(out, STR("\r\n"));
	}
}

void sdp_print_formats(const struct sdp *s, unsigned m, struct buf *out)
{
	struct sdp_fmt f;
	unsigned at = 0;
	bool is_first = true;
	while (sdp_fmt_next(s, m, &at, &f)) {
		if (!is_first)
			buf_str(out, STR(", "));
		is_first = false;
		if (f.name.n == 0) {
			buf_str(out, f.text);
			continue;
		}
		buf_str(out, f.name);
		buf_chr(out, '/');
		buf_u64(out, f.clock);
		if (f.channels > 1)
			buf_fmt(out, "/%u", f.channels);
	}
}
