/* History-Info of a phone that is called: it is the end of the way, adds the caller's entry where
 * the hop before wrote none, and says all of it back. [RFC7044 6.2, 9.1, 9.4] */
#include "dialog/history.h"
#include "phone/phone_priv.h"

void ph_put_way(struct ph *ph, const struct sip_msg *invite, struct buf *out)
{
	struct hist_ask ask = {.mode = HIST_ASKED, .is_from_inside = true};
	struct hist *h;
	bool is_ours;
	if (hist_open(&ph->blocks, invite, &ask, &h, &is_ours) == OK && h)
		hist_put_response(h, NULL, out);
	hist_free(&ph->blocks, h);
	if (out->err)
		buf_clear(out);
}

void ph_report_way(struct ph_report *r, struct str lines)
{
	struct str way = str_trim(str_skip(lines, sizeof("History-Info:") - 1));
	ph_report_text(r, STR_FMT, STR_ARG(way));
	ph_report_str(r, "history", way);
}
