#pragma once
/* What a newcomer reads when the exchange starts: accounts, the address that phones on the LAN use,
 * QR codes. */

#include "base/buf.h"

/* Appends a QR code of `text` in half blocks (UTF-8), two modules per line, with a quiet zone.
 * ERR_LIMIT: too long. */
enum err welcome_qr(struct buf *b, struct str text);
/* Appends the block for one new account. */
void welcome_account(struct buf *b, struct str user, struct str password, struct str host,
		     bool has_qr);
