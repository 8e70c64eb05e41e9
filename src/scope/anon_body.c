/* Bodies: session descriptions line by line, status lines of sipfrag and counts of message
 * summaries; in multipart bodies each part by its own type; all else masked word by word, which
 * leaves the shape of text and nothing of its content.
 */
#include "scope/anon_priv.h"
#include "sip/hdr.h"

static void put_lines(struct anon *a, struct buf *out, struct str text,
		      void (*fn)(struct anon *a, struct buf *out, struct str line))
{
	while (text.n) {
		size_t lf = str_chr(text, '\n');
		size_t n = lf == SIZE_MAX ? text.n : lf + 1;
		fn(a, out, str_sub(text, 0, n));
		text = str_skip(text, n);
	}
}

/* --- SDP -------------------------------------------------------------------------------------- */

/* Attributes whose numbers, too, belong to somebody or to a secret. */
static bool is_private(struct str name)
{
	static const struct str names[] = {
		STR_INIT("ssrc"),      STR_INIT("msid"),     STR_INIT("fingerprint"),
		STR_INIT("ice-ufrag"), STR_INIT("ice-pwd"),  STR_INIT("tool"),
		STR_INIT("label"),     STR_INIT("identity"), STR_INIT("key-mgmt"),
		STR_INIT("path"),      STR_INIT("setup-id"), STR_INIT("tls-id")};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (str_ieq(name, names[i]))
			return true;
	return false;
}

/* Whether each word of the name is one of the protocol: of others nobody knows what they tell. */
static bool is_known_name(const struct anon *a, struct str name)
{
	while (name.n)
		if (!anon_is_known(a, str_cut(name, '-', &name)))
			return false;
	return true;
}

static void put_attribute(struct anon *a, struct buf *out, struct str line)
{
	struct str name = str_skip(line, 2), value;
	size_t colon = str_chr(line, ':');
	if (colon == SIZE_MAX) {
		anon_text(a, out, name, ANON_WORDS);
		return;
	}
	name = str_sub(line, 2, colon - 2);
	value = str_skip(line, colon);
	anon_text(a, out, name, ANON_WORDS);
	size_t key = str_find(value, STR("inline:"));
	if (str_ieq(name, STR("fingerprint"))) { /* "sha-256 AA:BB" */
		size_t blank = str_chr(value, ' ');
		anon_text(a, out, str_sub(value, 0, blank), ANON_WORDS);
		value = blank == SIZE_MAX ? STR_NONE : str_skip(value, blank);
	} else if (str_ieq(name, STR("crypto")) && key != SIZE_MAX) {
		anon_text(a, out, str_sub(value, 0, key + 7), ANON_WORDS);
		anon_text(a, out, str_skip(value, key + 7), ANON_MASK);
		return;
	}
	if (is_private(name) || !is_known_name(a, name))
		anon_text(a, out, value, ANON_MASK);
	else /* candidates have priorities, which are long */
		anon_text(a, out, value, str_ieq(name, STR("candidate")) ? ANON_WORDS : ANON_SHORT);
}

static void put_sdp_line(struct anon *a, struct buf *out, struct str line)
{
	char type = line.n > 1 && line.p[1] == '=' ? line.p[0] : 0;
	if (!type) {
		anon_text(a, out, line, ANON_MASK);
		return;
	}
	buf_str(out, str_sub(line, 0, 2));
	struct str value = str_skip(line, 2);
	for (int i = 0; type == 'o' && i < 2; i++) { /* name and session; its version stays */
		struct str rest, one = str_cut(value, ' ', &rest);
		anon_text(a, out, str_sub(value, 0, one.n + (one.n < value.n)), ANON_MASK);
		value = rest;
	}
	if (type == 'a')
		put_attribute(a, out, line);
	else
		anon_text(a, out, value,
			  str_chr(STR("votcmbrz"), type) != SIZE_MAX ? ANON_WORDS : ANON_MASK);
}

/* --- others ----------------------------------------------------------------------------------- */

/* "Messages-Waiting: yes", "Voice-Message: 3/1 (0/0)" stay, "Message-Account: ..." does not.
 * [RFC3842 5.2] */
static void put_summary_line(struct anon *a, struct buf *out, struct str line)
{
	size_t colon = str_chr(line, ':');
	struct str name = str_sub(line, 0, colon);
	bool is_count = str_ieq(name, STR("Messages-Waiting")) ||
			(str_ends(name, STR("-Message")) &&
			 anon_is_known(a, str_sub(name, 0, str_chr(name, '-'))));
	anon_text(a, out, name, ANON_WORDS);
	anon_text(a, out, str_skip(line, name.n), is_count ? ANON_WORDS : ANON_MASK);
}

/* A status line; what headers follow are masked. [RFC3420] */
static void put_sipfrag_line(struct anon *a, struct buf *out, struct str line)
{
	anon_text(a, out, line, str_starts(line, STR("SIP/2.0 ")) ? ANON_WORDS : ANON_MASK);
}

static bool is_type(struct str value, const char *type, const char *subtype)
{
	return sip_media_type_is(value, str_c(type), str_c(subtype));
}

static void put_part(struct anon *a, struct buf *out, struct str part)
{
	struct str type = STR_NONE, rest = part;
	while (rest.n) { /* its headers */
		size_t lf = str_chr(rest, '\n');
		struct str line = str_sub(rest, 0, lf == SIZE_MAX ? rest.n : lf + 1);
		rest = str_skip(rest, line.n);
		size_t colon = str_chr(line, ':');
		if (!str_trim(line).n || colon == SIZE_MAX) {
			anon_text(a, out, line, ANON_MASK);
			break;
		}
		struct str name = str_sub(line, 0, colon), value = str_skip(line, colon + 1);
		enum sip_hdr_id id = sip_hdr_find(name);
		if (id == SIP_HDR_CONTENT_TYPE)
			type = str_trim(value);
		if (id == SIP_HDR_OTHER)
			anon_text(a, out, name, ANON_MASK);
		else
			buf_str(out, name);
		buf_chr(out, ':');
		anon_value(a, out, id, value);
	}
	if (str_istarts(type, STR("multipart/")))
		anon_text(a, out, rest, ANON_MASK);
	else
		anon_body(a, out, type, rest);
}

/* Parts between the boundary's lines. The boundary is masked here as in Content-Type: as words.
 * Nested ones are masked whole. [RFC2046 5.1] */
static void put_multipart(struct anon *a, struct buf *out, struct str type, struct str body)
{
	struct str boundary;
	size_t semi = str_chr(type, ';');
	bool has = semi != SIZE_MAX &&
		   sip_param(str_skip(type, semi + 1), STR("boundary"), &boundary) && boundary.n;
	struct str part = STR_NONE;
	bool is_in = false;
	while (has && body.n) {
		size_t lf = str_chr(body, '\n');
		struct str line = str_sub(body, 0, lf == SIZE_MAX ? body.n : lf + 1);
		body = str_skip(body, line.n);
		if (str_starts(line, STR("--")) && str_starts(str_skip(line, 2), boundary)) {
			put_part(a, out, part);
			anon_text(a, out, line, ANON_MASK);
			part = STR_NONE;
			is_in = true;
		} else if (is_in) {
			part = str_of(part.p ? part.p : line.p, part.n + line.n);
		} else {
			anon_text(a, out, line, ANON_MASK);
		}
	}
	anon_text(a, out, has ? part : body, ANON_MASK);
}

void anon_body(struct anon *a, struct buf *out, struct str type, struct str body)
{
	if (is_type(type, "application", "sdp"))
		put_lines(a, out, body, put_sdp_line);
	else if (is_type(type, "message", "sipfrag"))
		put_lines(a, out, body, put_sipfrag_line);
	else if (is_type(type, "application", "simple-message-summary"))
		put_lines(a, out, body, put_summary_line);
	else if (str_istarts(type, STR("multipart/")))
		put_multipart(a, out, type, body);
	else
		anon_text(a, out, body, ANON_MASK);
}
