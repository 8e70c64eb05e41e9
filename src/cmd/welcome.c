/* The first lines that a newcomer reads. The QR code holds a SIP URI with user, password and host,
 * which softphones that scan accounts read [RFC3261 19.1.1]; it is printed once, when the account
 * is made, since the store keeps no password. */
#include "cmd/welcome.h"

#include <qrencode.h>

#define QUIET                                                                                      \
	2 /* modules; the standard asks for 4, phones are content with 2 on a dark terminal        \
	   */

static bool is_dark(const QRcode *qr, int x, int y)
{
	if (x < 0 || y < 0 || x >= qr->width || y >= qr->width)
		return false;
	return qr->data[y * qr->width + x] & 1;
}

enum err welcome_qr(struct buf *b, struct str text)
{
	static const char *const halves[] = {
		"█", "▀", "▄", " "}; /* light both, light above, light below, dark both */
	char mem[512];
	if (!str_copy(mem, sizeof(mem), text))
		return ERR_LIMIT;
	QRcode *qr = QRcode_encodeString8bit(mem, 0, QR_ECLEVEL_L);
	if (!qr)
		return ERR_LIMIT;
	for (int y = -QUIET; y < qr->width + QUIET; y += 2) {
		buf_str(b, STR("    "));
		for (int x = -QUIET; x < qr->width + QUIET; x++)
			buf_str(b, str_c(halves[is_dark(qr, x, y) * 2 + is_dark(qr, x, y + 1)]));
		buf_chr(b, '\n');
	}
	QRcode_free(qr);
	return b->err;
}

void welcome_account(struct buf *b, struct str user, struct str password, struct str host,
		     bool has_qr)
{
	char mem[512];
	struct buf uri;
	buf_fmt(b, "  user %-6.*s  password %-20.*s  server " STR_FMT "\n", (int)user.n, user.p,
		(int)password.n, password.p, STR_ARG(host));
	buf_init_fixed(&uri, mem, sizeof(mem));
	buf_fmt(&uri, "sip:" STR_FMT ":" STR_FMT "@" STR_FMT, STR_ARG(user), STR_ARG(password),
		STR_ARG(host));
	if (has_qr && welcome_qr(b, buf_view(&uri)))
		b->err = OK; /* without the picture: the line above says it all */
	buf_chr(b, '\n');
}
