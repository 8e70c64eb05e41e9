/* Fields of SDP: lines, and the words in them.
 *
 * The body is walked line by line, as Wireshark does, not parsed: a filter should find also what is
 * not as it should be, and the words of one line are all that a field needs. Values are text as it
 * is written; only sdp.media.port is a number, too.
 *
 * Of an m= line Wireshark names the static payload types instead of giving their numbers ("ITU-T
 * G.711 PCMU"), and so do we; of a=rtpmap and a=fmtp it gives the number. [RFC8866 5] [RFC3551 6]
 * [RFC4568 9.1] [RFC8839 5.1]
 */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "sip/hdr.h"

struct walk {
	const struct flt_field *f;
	struct outlet *o;
	bool is_media; /* below an m= line */
};

static struct str word(struct str *rest)
{
	while (rest->n && rest->p[0] == ' ')
		*rest = str_skip(*rest, 1);
	return str_cut(*rest, ' ', rest);
}

static struct str word_no(struct str s, unsigned n)
{
	struct str w = word(&s);
	while (n--)
		w = word(&s);
	return w;
}

static void put_some(struct outlet *o, struct str s)
{
	if (s.n)
		put_s(o, s);
}

/* --- m= and c= -------------------------------------------------------------------------------- */

/* Wireshark's names of the payload types that RFC 3551 fixes. */
static struct str static_name(struct str fmt)
{
	static const struct str names[] = {
#include "filter/flt_payload.def"
	};
	uint32_t pt;
	if (str_u32(fmt, &pt) && pt < ARRAY_LEN(names) && names[pt].n)
		return names[pt];
	return fmt;
}

static void media_line(const struct walk *w, struct str s)
{
	unsigned part = w->f->arg >> 8;
	struct str count, port = word_no(s, 1);
	port = str_cut(port, '/', &count);
	uint64_t u;
	switch (part) {
	case SD_PORT:
		if (str_u64(port, &u) && u <= 65'535)
			put_u(w->o, u);
		break;
	case SD_PORT_TEXT:
		put_some(w->o, port);
		break;
	case SD_PORT_COUNT:
		put_some(w->o, count);
		break;
	case SD_FORMAT: {
		bool is_rtp = str_find(word_no(s, 2), STR("RTP/")) != SIZE_MAX;
		for (int i = 0; i < 3; i++)
			word(&s);
		while (s.n) {
			struct str fmt = word(&s);
			if (fmt.n)
				put_s(w->o, is_rtp ? static_name(fmt) : fmt);
		}
		break;
	}
	}
}

/* "224.2.1.1/127/3": address, TTL, number of addresses. */
static void connection(const struct walk *w, struct str s)
{
	struct str ttl, num, addr = str_cut(word_no(s, 2), '/', &ttl);
	ttl = str_cut(ttl, '/', &num);
	unsigned part = w->f->arg >> 8;
	put_some(w->o, part == SD_CONN_ADDR ? addr : part == SD_CONN_TTL ? ttl : num);
}

/* Adjustments in turn: when, by how much. [RFC8866 5.11] */
static void zone(const struct walk *w, struct str s)
{
	for (bool is_time = true; s.n; is_time = !is_time) {
		struct str one = word(&s);
		if (is_time == (w->f->arg >> 8 == SD_ZONE_TIME))
			put_some(w->o, one);
	}
}

/* "method:key"; a method alone says nothing. [RFC4566 5.12] */
static void key_line(const struct walk *w, struct str s)
{
	struct str key, method = str_cut(s, ':', &key);
	if (str_chr(s, ':') != SIZE_MAX)
		put_some(w->o, w->f->arg >> 8 == SD_KEY_TYPE ? method : key);
}

/* --- a= --------------------------------------------------------------------------------------- */

static void rtpmap(const struct walk *w, struct str v)
{
	struct str rate, fmt = word(&v), mime = str_cut(word(&v), '/', &rate);
	switch (w->f->arg >> 8) {
	case SD_FORMAT:
		put_some(w->o, fmt);
		break;
	case SD_MIME:
		put_some(w->o, mime);
		break;
	case SD_RATE:
		put_some(w->o, str_cut(rate, '/', &rate));
		break;
	}
}

static void fmtp(const struct walk *w, struct str v)
{
	struct str fmt = word(&v);
	if (w->f->arg >> 8 == SD_FORMAT)
		put_some(w->o, fmt);
	while (w->f->arg >> 8 == SD_FMTP && v.n)
		put_some(w->o, str_trim(str_cut(v, ';', &v)));
}

static void crypto(const struct walk *w, struct str v)
{
	struct str tag = word(&v), suite = word(&v), key = word(&v), lifetime, mki, mki_n;
	uint64_t u;
	str_cut(str_cut(key, ';', &(struct str){0}), '|', &lifetime);
	mki = lifetime;
	if (str_chr(lifetime, '|') != SIZE_MAX)
		str_cut(lifetime, '|', &mki);
	mki = str_cut(mki, ':', &mki_n);
	switch (w->f->arg >> 8) {
	case SD_CRYPTO_TAG:
		if (str_u64(tag, &u))
			put_u(w->o, u);
		break;
	case SD_CRYPTO_SUITE:
		put_some(w->o, suite);
		break;
	case SD_CRYPTO_MKI: /* its value and its length [RFC4568 9.2] */
		if (mki_n.n)
			put_some(w->o, mki);
		break;
	case SD_CRYPTO_MKI_LENGTH:
		put_some(w->o, mki_n);
		break;
	case SD_CRYPTO_LIFETIME:
		lifetime = str_cut(lifetime, '|', &(struct str){0});
		if (str_chr(lifetime, ':') == SIZE_MAX) /* else it is the MKI */
			put_some(w->o, lifetime);
		break;
	}
}

static void candidate(const struct walk *w, struct str v)
{
	/* foundation component transport priority address port "typ" type */
	unsigned part = w->f->arg >> 8, n = part - SD_CANDIDATE;
	if (part >= SD_CANDIDATE)
		put_some(w->o, word_no(v, n == 6 ? 7 : n));
}

/* a=key-mgmt [RFC4567 3.1]: Wireshark opens what is in it, we do not. */
static void key_mgmt(const struct walk *w, struct str v)
{
	(void)w;
	(void)v;
}

static const struct {
	struct str name;
	bool is_session; /* at session level, too */
	void (*read)(const struct walk *w, struct str value);
} attributes[] = {
	{STR_INIT("rtpmap"),    false, rtpmap   },
        {STR_INIT("fmtp"),      false, fmtp     },
	{STR_INIT("crypto"),    false, crypto   },
        {STR_INIT("candidate"), false, candidate},
	{STR_INIT("key-mgmt"),  true,  key_mgmt },
};

static void attribute(const struct walk *w, struct str s)
{
	unsigned part = w->f->arg >> 8;
	bool has_value = str_chr(s, ':') != SIZE_MAX;
	struct str value, name = str_cut(s, ':', &value);
	size_t known = ARRAY_LEN(attributes);
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if ((w->is_media || attributes[i].is_session) && str_eq(name, attributes[i].name))
			known = i;
	if (!has_value)
		return;
	if (part == (w->is_media ? SD_ATTR_NAME : SD_SESSION_ATTR_NAME))
		put_some(w->o, name);
	else if (known < ARRAY_LEN(attributes))
		attributes[known].read(w, value);
	else if (part == (w->is_media ? SD_ATTR_VALUE : SD_SESSION_ATTR_VALUE)) {
		while (w->is_media && value.n && *value.p == ' ')
			value = str_skip(value, 1);
		put_some(w->o, value);
	}
}

/* --- the walk --------------------------------------------------------------------------------- */

static void part_of(const struct walk *w, char type, struct str s)
{
	struct str value;
	unsigned part = w->f->arg >> 8;
	char want = (char)(w->f->arg & 0xff);
	if (part == SD_FORMAT && type == 'a') {
		attribute(w, s);
		return;
	}
	if (type != want)
		return;
	if (part < SD_CONN_ADDR)
		put_some(w->o, word_no(s, part));
	else if (part == SD_BW_TYPE)
		put_some(w->o, str_cut(s, ':', &value));
	else if (part == SD_BW_VALUE) {
		str_cut(s, ':', &value);
		put_some(w->o, value);
	} else if (type == 'z')
		zone(w, s);
	else if (type == 'k')
		key_line(w, s);
	else if (type == 'c')
		connection(w, s);
	else if (type == 'm')
		media_line(w, s);
	else
		attribute(w, s);
}

static bool is_known(char type)
{
	return str_chr(STR("vosiuepcbzkatrm"), type) != SIZE_MAX;
}

static void walk_lines(struct walk *w, struct str body, bool is_whole)
{
	unsigned level = w->f->arg & (SD_SESSION | SD_MEDIA);
	while (body.n) {
		struct str line = str_cut(body, '\n', &body);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n < 2 || line.p[1] != '=')
			continue;
		char type = line.p[0];
		if (type == 'm')
			w->is_media = true;
		if (is_whole && w->f->arg == SD_UNKNOWN && !is_known(type))
			put_s(w->o, line);
		line = str_skip(line, 2);
		if (!is_whole)
			part_of(w, type, line);
		else if (type == (char)(w->f->arg & 0x7f) &&
			 (!level || (level == SD_MEDIA) == w->is_media))
			put_s(w->o, line);
	}
}

static unsigned walk(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out,
		     bool is_whole)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = cap_index(fr, i);
		struct str body;
		if (!m->body.n || !sip_body_find(m, STR("application"), STR("sdp"), &body))
			continue;
		o.layer++;
		if (is_whole && f->arg == SD_BYTES)
			put_proto(&o, body.p, body.n, body.n);
		else
			walk_lines(&(struct walk){f, &o, false}, body, is_whole);
	}
	return o.n;
}

unsigned flt_get_sdp(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	return walk(f, fr, out, true);
}

unsigned flt_get_sdp_part(const struct flt_field *f, const struct cap_frame *fr,
			  struct flt_val *out)
{
	return walk(f, fr, out, false);
}
