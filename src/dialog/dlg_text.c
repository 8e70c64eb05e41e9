/* The texts of a dialog: names, target, route set, and the account that it belongs to.
 *
 * Most dialogs live long and change little, so all texts stand in one block of their size, those
 * that are not empty with the place of their end; one that changes makes a new block. [RFC3261 12]
 */
#include "dialog/priv.h"

#include <stdlib.h>
#include <string.h>

static unsigned n_of(unsigned bits)
{
	return (unsigned)__builtin_popcount(bits);
}

struct str dlg_text(const struct dlg *d, enum dlg_text which)
{
	const struct dlg_texts *x = d->texts;
	unsigned bit = 1u << which, k = n_of(x->has & (bit - 1));
	const char *bytes = (const char *)(x->end + n_of(x->has));
	if (!(x->has & bit))
		return str_of(bytes, 0);
	size_t at = k ? x->end[k - 1] : 0;
	return str_of(bytes + at, x->end[k] - at);
}

void dlg_texts(const struct dlg *d, struct str out[DLG_TEXT__N])
{
	for (unsigned i = 0; i < DLG_TEXT__N; i++)
		out[i] = dlg_text(d, i);
}

enum err dlg_set_texts(struct dlg *d, const struct str texts[DLG_TEXT__N])
{
	size_t n = 0;
	unsigned has = 0, k = 0;
	for (unsigned i = 0; i < DLG_TEXT__N; i++) {
		n += texts[i].n;
		has |= texts[i].n ? 1u << i : 0;
	}
	if (n > UINT16_MAX)
		return ERR_LIMIT;
	struct dlg_texts *x = malloc(sizeof(*x) + n_of(has) * sizeof(*x->end) + n);
	if (!x)
		return ERR_NOMEM;
	x->has = (uint16_t)has;
	char *bytes = (char *)(x->end + n_of(has));
	n = 0;
	for (unsigned i = 0; i < DLG_TEXT__N; i++) {
		if (!texts[i].n)
			continue;
		memcpy(bytes + n, texts[i].p, texts[i].n);
		n += texts[i].n;
		x->end[k++] = (uint16_t)n;
	}
	free(d->texts);
	d->texts = x;
	return OK;
}

enum err dlg_set_text(struct dlg *d, enum dlg_text which, struct str text)
{
	struct str all[DLG_TEXT__N];
	if (str_eq(dlg_text(d, which), text))
		return OK;
	dlg_texts(d, all);
	all[which] = text;
	return dlg_set_texts(d, all);
}

void dlg_route_put(struct buf *b, struct str route)
{
	buf_chr(b, (char)(route.n & 0xff));
	buf_chr(b, (char)(route.n >> 8));
	buf_str(b, route);
}

bool dlg_route_next(struct str *rest, struct str *route)
{
	if (rest->n < 2)
		return false;
	size_t n = (uint8_t)rest->p[0] | (size_t)(uint8_t)rest->p[1] << 8;
	*route = str_sub(*rest, 2, n);
	*rest = str_skip(*rest, 2 + n);
	return true;
}

struct uac_account dlg_account(const struct dlg *d)
{
	struct str user = dlg_text(d, DLG_CONTACT_USER), auth_user = dlg_text(d, DLG_AUTH_USER);
	return (struct uac_account){
		.contact_user = user,
		.contact_params = dlg_text(d, DLG_CONTACT_PARAMS),
		.auth_user = auth_user.n ? auth_user : user,
		.password = dlg_text(d, DLG_PASSWORD),
		.realm = d->realm,
		.proxy = dlg_text(d, DLG_PROXY),
		.service_route = dlg_text(d, DLG_SERVICE_ROUTE),
		.headers = dlg_text(d, DLG_HEADERS),
	};
}

/* --- read-only -------------------------------------------------------------------------------- */

struct str dlg_call_id(const struct dlg *d)
{
	return dlg_text(d, DLG_CALL_ID);
}
struct str dlg_local_tag(const struct dlg *d)
{
	return dlg_text(d, DLG_LOCAL_TAG);
}
struct str dlg_remote_tag(const struct dlg *d)
{
	return dlg_text(d, DLG_REMOTE_TAG);
}
struct str dlg_local(const struct dlg *d)
{
	return dlg_text(d, DLG_LOCAL);
}
struct str dlg_remote(const struct dlg *d)
{
	return dlg_text(d, DLG_REMOTE);
}
struct str dlg_remote_target(const struct dlg *d)
{
	return dlg_text(d, DLG_TARGET);
}
