#pragma once
/* What a dialog says of both sides, and the account that it belongs to. [RFC3261 12] */

#include "dialog/uac.h"

enum dlg_text {
	DLG_CALL_ID,
	DLG_LOCAL_TAG,
	DLG_REMOTE_TAG,
	DLG_LOCAL, /* name-addr, without tag */
	DLG_REMOTE,
	DLG_TARGET, /* remote target URI */
	DLG_CONTACT_USER,
	DLG_CONTACT_PARAMS,
	DLG_AUTH_USER,
	DLG_PASSWORD,
	DLG_PROXY,
	DLG_SERVICE_ROUTE,
	DLG_HEADERS,
	DLG_ROUTES, /* the route set: dlg_route_next */
	DLG_TEXT__N
};
struct dlg_texts {
	uint16_t has;   /* bits: which of them are not empty */
	uint16_t end[]; /* of each of these; then they, one behind the other */
};
_Static_assert(DLG_TEXT__N <= 16, "bits of dlg_texts.has");

/* Borrowed until the next change of one of them. */
struct str dlg_text(const struct dlg *d, enum dlg_text which);
void dlg_texts(const struct dlg *d, struct str out[DLG_TEXT__N]);
/* Copies them; they may be the dialog's own. An error leaves all as it was. */
enum err dlg_set_texts(struct dlg *d, const struct str texts[DLG_TEXT__N]);
enum err dlg_set_text(struct dlg *d, enum dlg_text which, struct str text);
/* Appends one of the route set, and walks it. */
void dlg_route_put(struct buf *b, struct str route);
bool dlg_route_next(struct str *rest, struct str *route);
/* Whose dialog it is; without `from`. */
struct uac_account dlg_account(const struct dlg *d);
