/* The list of calls as CSV [RFC4180], for spreadsheets.
 *
 * Every field is quoted where it must be. A spreadsheet takes a cell that begins with =, +, -, @
 * for a formula, even a quoted one, and peers choose user parts and reason phrases: such a cell
 * gets an apostrophe in front, which spreadsheets do not show.
 */
#include "scope/view.h"

#include "track/trk_info.h"
#include "track/vrd.h"

#include <time.h>

void view_csv_text(struct buf *b, struct str s)
{
	struct buf plain;
	buf_init(&plain);
	buf_plain(&plain, s);
	struct str t = buf_view(&plain);
	bool is_quoted = false, is_formula = t.n && str_chr(STR("=+-@\t\r"), t.p[0]) != SIZE_MAX;
	for (size_t i = 0; i < t.n; i++)
		is_quoted = is_quoted || t.p[i] == '"' || t.p[i] == ',';
	if (is_quoted)
		buf_chr(b, '"');
	if (is_formula)
		buf_chr(b, '\'');
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] == '"')
			buf_chr(b, '"');
		buf_chr(b, t.p[i]);
	}
	if (is_quoted)
		buf_chr(b, '"');
	if (plain.err)
		b->err = plain.err;
	buf_fini(&plain);
}

void view_put_time(struct buf *b, uint64_t us)
{
	time_t s = (time_t)(us / 1'000'000);
	struct tm tm;
	gmtime_r(&s, &tm);
	buf_fmt(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(us % 1'000'000));
}

static void put_party(struct buf *b, const struct trk_name *x)
{
	struct buf text;
	buf_init(&text);
	vrd_put_name(&text, x);
	buf_chr(b, ',');
	view_csv_text(b, buf_view(&text));
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
}

void view_csv_head(struct buf *b)
{
	buf_str(b, STR("no,kind,start,from,to,state,status,messages,answered_after_s,talked_s,"
		       "severity,finding,text,call_id\r\n"));
}

void view_csv_call(struct buf *b, const struct trk_call *c, const struct vrd *v)
{
	buf_fmt(b, "%u," STR_FMT ",", c->no, STR_ARG(trk_kind_name((enum trk_kind)c->kind)));
	view_put_time(b, c->first_us);
	put_party(b, c->from);
	put_party(b, c->to);
	buf_fmt(b, "," STR_FMT ",", STR_ARG(trk_state_name(c)));
	if (c->status)
		buf_fmt(b, "%u", c->status);
	buf_fmt(b, ",%u,", c->n_ev);
	if (c->answer_us)
		buf_fmt(b, "%.6f", (double)(c->answer_us - c->first_us) / 1e6);
	buf_chr(b, ',');
	if (c->answer_us && c->end_us >= c->answer_us)
		buf_fmt(b, "%.6f", (double)(c->end_us - c->answer_us) / 1e6);
	buf_fmt(b, ",%s,%s,", vrd_severity_name(v->worst),
		v->n ? vrd_about((enum vrd_rule)v->f[0].rule)->code : "");
	view_csv_text(b, v->n ? v->f[0].text : STR_NONE);
	buf_chr(b, ',');
	view_csv_text(b, c->call_id);
	buf_str(b, STR("\r\n"));
}
