#pragma once
/* Received bytes are never rewritten: changes are collected as edits and applied in one copy when a
 * message is sent on. */

#include "sip/hdr.h"

#define SIP_MAX_EDITS 64

struct sip_edit {
	uint32_t off, del;
	struct str ins; /* borrowed until sip_splice */
};
struct sip_edits {
	const struct sip_msg *msg;
	unsigned n;
	enum err err;    /* sticky: ERR_LIMIT */
	char length[12]; /* text of the Content-Length that sip_edit_body sets */
	struct sip_edit e[SIP_MAX_EDITS];
};

void sip_edits_init(struct sip_edits *ed, const struct sip_msg *m);
/* Deletes `del` bytes at `off` and puts `ins` there. Edits may be given in any order, must not
 * overlap; several inserts at one place stay in the order given. */
void sip_edit(struct sip_edits *ed, uint32_t off, uint32_t del, struct str ins);
void sip_edit_ruri(struct sip_edits *ed, struct str uri);
/* Whole header lines ("Name: value\r\n") before all headers of that id, or where the first header
 * stands when there is none. */
void sip_edit_insert_before(struct sip_edits *ed, enum sip_hdr_id id, struct str lines);
void sip_edit_append(struct sip_edits *ed, struct str lines);   /* after the last header */
void sip_edit_remove(struct sip_edits *ed, enum sip_hdr_id id); /* all lines of that id */
void sip_edit_remove_row(struct sip_edits *ed, unsigned row);
/* Removes one value of a list header; `value` must be as sip_each gave it. The comma, or the line
 * when it was alone, goes with it. */
void sip_edit_remove_value(struct sip_edits *ed, enum sip_hdr_id id, struct str value);
void sip_edit_replace(struct sip_edits *ed, struct str old_in_msg,
		      struct str with); /* any span of the message */
void sip_edit_body(struct sip_edits *ed, struct str body,
		   struct str content_type); /* keeps Content-Length true */
/* Appends the edited message. ERR_STATE when edits overlap or lie outside of it, else the first
 * error of the edits or of `out`. */
enum err sip_splice(const struct sip_edits *ed, struct buf *out);
