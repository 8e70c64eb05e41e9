#pragma once
/* The verdict: why a call, registration or subscription ended as it did, in a sentence, with the
 * messages that prove it and what to do about it. Rules are rows of vrd.def. */

#include "track/trk.h"

enum vrd_severity {
	VRD_OK,   /* as it should be */
	VRD_NOTE, /* worth knowing, nobody's fault */
	VRD_WARN, /* it worked, but something is wrong */
	VRD_FAULT /* it failed */
};

enum vrd_rule {
	VRD_NONE,
#define VERDICT(id, code, severity, confidence, rfc, remedy, unseen) VRD_##id,
#include "track/vrd.def"
#undef VERDICT
	VRD__N
};

#define VRD_MAX          10 /* findings of one call; the first says how it ended */
#define VRD_MAX_EVIDENCE 8

struct vrd_finding {
	uint8_t rule, severity; /* enum vrd_rule, vrd_severity */
	uint8_t confidence;     /* per cent */
	uint8_t n_evidence;
	uint32_t evidence[VRD_MAX_EVIDENCE]; /* ids of messages, see trk_ev */
	struct str text;                     /* without a full stop; borrows vrd.text */
};

struct vrd {
	uint8_t n;
	enum vrd_severity worst;
	struct vrd_finding f[VRD_MAX];
	struct buf text; /* holds the sentences */
};

void vrd_init(struct vrd *v);
void vrd_fini(struct vrd *v);
/* Judges afresh. Every call gets at least one finding, unless ERR_NOMEM. */
enum err vrd_judge(struct vrd *v, struct trk *t, const struct trk_call *c);

struct vrd_about {          /* a rule */
	const char *code;   /* stable name for programs: "call-declined" */
	uint8_t severity;   /* enum vrd_severity */
	uint8_t confidence; /* per cent */
	const char *rfc;    /* "RFC3261 13.3.1.4" */
	const char *remedy; /* what to do, or "" */
	const char *unseen; /* what the capture cannot tell, or "" */
};
const struct vrd_about *vrd_about(enum vrd_rule r);
const char *vrd_severity_name(enum vrd_severity s);

/* user@host, or what there is of it. x may be NULL. */
void vrd_put_name(struct buf *b, const struct trk_name *x);
/* "1001 → 1002" of a call, "1001@host" of a registration. */
void vrd_put_parties(struct buf *b, const struct trk_call *c, bool is_ascii);
/* One line without its end: "1001 → 1002: answered after 0.8 s, talked 3.0 s, the caller hung up".
 */
void vrd_put_line(struct buf *b, const struct trk_call *c, const struct vrd *v, bool is_ascii);
/* All findings over several lines, with evidence, remedy, confidence. */
void vrd_put_text(struct buf *b, const struct trk *t, const struct trk_call *c, const struct vrd *v,
		  bool is_ascii);
/* One JSON object, without a line end. */
void vrd_put_json(struct buf *b, const struct trk *t, const struct trk_call *c,
		  const struct vrd *v);
