#pragma once
/* A session description: an index of its lines over the caller's text, as sip_msg is one over a
 * message. No allocation; all `struct str` borrow the text. Bounds are fixed: beyond them lines are
 * left out with a diagnostic. Lenient where real peers are sloppy (bare LF, missing lines, odd
 * order); each leniency is a diagnostic. [RFC8866 5] */

#include "base/addr.h"
#include "base/buf.h"

#define SDP_MAX_LINES 512
#define SDP_MAX_MEDIA 16
#define SDP_MAX_DIAGS 8
#define SDP_PT_NONE   255 /* no RTP payload type */

/* Direction as two bits, from the point of view of whoever wrote the description. */
enum sdp_dir { SDP_INACTIVE = 0, SDP_SENDONLY = 1, SDP_RECVONLY = 2, SDP_SENDRECV = 3 };

enum sdp_type {
	SDP_AUDIO,
	SDP_VIDEO,
	SDP_TEXT,
	SDP_APPLICATION,
	SDP_MESSAGE,
	SDP_IMAGE,
	SDP_OTHER
};

/* Transport protocols of m= lines; the text is kept beside. */
enum sdp_proto {
	SDP_PROTO_OTHER = 0,
#define SDP_PROTO(id, text, flags) SDP_##id,
#include "sdp/protos.def"
#undef SDP_PROTO
	SDP_PROTO__N
};
enum sdp_proto_flag { SDP_PF_RTP = 1, SDP_PF_SECURE = 2, SDP_PF_DTLS = 4, SDP_PF_FEEDBACK = 8 };

enum sdp_attr {
	SDP_A_OTHER = 0,
#define SDP_ATTR(id, name, rfc) SDP_A_##id,
#include "sdp/attrs.def"
#undef SDP_ATTR
	SDP_A__N
};

enum sdp_diag_code {
#define SDP_DIAG(id, rfc, text) SDP_DIAG_##id,
#include "sdp/diags.def"
#undef SDP_DIAG
	SDP_DIAG__N
};
struct sdp_diag {
	uint16_t code; /* enum sdp_diag_code */
	uint16_t off;  /* byte offset into the text */
};

struct sdp_line {
	char type;         /* 'v', 'o', ... */
	uint8_t attr;      /* of an 'a' line: enum sdp_attr */
	uint16_t off, len; /* the value, after "x=" */
	uint16_t name_len; /* of an 'a' line: length of the name before ':' */
};

struct sdp_conn {         /* c= [RFC8866 5.7] */
	struct str host;  /* as written, without "/ttl"; empty = no c= line */
	struct addr addr; /* port 0; ADDR_NONE when host is a name */
};

struct sdp_media {
	struct str type_text, proto_text;
	struct str fmts;     /* the formats as written: "0 8 101", "t38", ... */
	uint8_t type, proto; /* enum sdp_type, enum sdp_proto */
	uint8_t dir;         /* enum sdp_dir as the attributes say (session level as default) */
	bool is_hold;        /* must not be sent to: no SDP_RECVONLY, or c=0.0.0.0 [RFC3264 8.4] */
	uint16_t port, n_ports;         /* port 0 = rejected or removed */
	struct sdp_conn conn;           /* own or the session's */
	uint32_t ptime_ms, maxptime_ms; /* 0 when not given */
	struct addr rtcp;     /* a=rtcp (RFC 3605) or port + 1; ADDR_NONE without address or port */
	bool has_rtcp_mux;    /* [RFC5761] */
	bool has_crypto;      /* SDES keys [RFC4568] */
	bool has_fingerprint; /* DTLS [RFC8122], own or the session's */
	bool has_ice;         /* ice-ufrag, own or the session's [RFC8839] */
	uint16_t line, n_lines; /* its lines, the m= line first */
};

struct sdp {
	struct str text;
	struct { /* o= [RFC8866 5.2] */
		struct str user, id_text, version_text, host;
		uint64_t id, version; /* saturating; 0 when unreadable */
	} origin;
	struct str name; /* s= */
	struct sdp_conn conn;
	uint8_t dir; /* session-level direction, SDP_SENDRECV when none is given */
	uint16_t n_media, n_lines, n_session_lines, n_diags;
	struct sdp_media media[SDP_MAX_MEDIA];
	struct sdp_diag diags[SDP_MAX_DIAGS];
	struct sdp_line lines[SDP_MAX_LINES];
};

/* OK: read, perhaps with diagnostics. ERR_SYNTAX: not SDP at all (no line "x=..." first, or an m=
 * line that cannot be read). ERR_LIMIT: over 65,535 bytes. */
enum err sdp_parse(struct str text, struct sdp *out);

static inline struct str sdp_line_value(const struct sdp *s, const struct sdp_line *l)
{
	return (struct str){s->text.p + l->off, l->len};
}

/* First attribute `a` of media number m (m < 0: of the session level only; else the media level
 * only). False when absent; *value (may be NULL) is empty for a property attribute. */
bool sdp_attr(const struct sdp *s, int m, enum sdp_attr a, struct str *value);
/* Walks them all: unsigned at = 0; while (sdp_attr_next(s, m, a, &at, &value)) ... */
bool sdp_attr_next(const struct sdp *s, int m, enum sdp_attr a, unsigned *at, struct str *value);
/* First attribute of that name, for names outside the table. */
bool sdp_attr_named(const struct sdp *s, int m, struct str name, struct str *value);

struct sdp_fmt {          /* one format of an RTP m= line */
	uint8_t pt;       /* 0..127, SDP_PT_NONE when it is not a number (udptl, msrp) */
	uint8_t channels; /* 1 when not said */
	bool is_static;   /* no rtpmap: name and clock are from RFC 3551's table */
	uint32_t clock;   /* Hz; 0 when unknown */
	struct str text;  /* as in the m= line */
	struct str name;  /* "PCMU"; empty when unknown */
	struct str fmtp;  /* parameters, or empty */
};
/* Walks the formats of a media in order of preference: unsigned at = 0; while (sdp_fmt_next(s, m,
 * &at, &f)) ... */
bool sdp_fmt_next(const struct sdp *s, unsigned m, unsigned *at, struct sdp_fmt *out);
/* The format with that payload type, whether it is in the m= line or has just an rtpmap. */
bool sdp_fmt_of_pt(const struct sdp *s, unsigned m, uint8_t pt, struct sdp_fmt *out);
/* Name, clock, channels of a static payload type [RFC3551 6]; false for the others. */
bool sdp_static_pt(uint8_t pt, struct sdp_fmt *out);

/* Appends the description as we would have written it: CRLF, lines in the order read, unreadable
 * ones left out. */
void sdp_print(const struct sdp *s, struct buf *out);
/* Appends "PCMU/8000, PCMA/8000, telephone-event/8000" of a media, for people. */
void sdp_print_formats(const struct sdp *s, unsigned m, struct buf *out);

struct str sdp_proto_text(enum sdp_proto p);
unsigned sdp_proto_flags(enum sdp_proto p);
const char *sdp_dir_text(enum sdp_dir d); /* "sendrecv" */
const char *sdp_diag_text(unsigned code);
const char *sdp_diag_rfc(unsigned code);
/* The direction seen from the other end: sendonly <-> recvonly. */
static inline enum sdp_dir sdp_dir_flip(enum sdp_dir d)
{
	return (enum sdp_dir)(((d & 1) << 1) | ((d & 2) >> 1));
}
