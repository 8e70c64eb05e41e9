/* Events as text and JSON. Both grow in fixed memory; what does not fit is cut at a whole member,
 * never in the middle of one. */
#include "phone/phone_priv.h"

void ph_report_begin(struct ph_report *r, struct ph *ph, const char *name)
{
	r->ph = ph;
	r->name = name;
	buf_init_fixed(&r->text, r->text_mem, sizeof(r->text_mem));
	buf_init_fixed(&r->json, r->json_mem, sizeof(r->json_mem));
}

void ph_report_text(struct ph_report *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&r->text, fmt, ap);
	va_end(ap);
}

static void member(struct ph_report *r, const char *key, void (*put)(struct buf *b, const void *v),
		   const void *v)
{
	size_t before = r->json.n;
	if (before)
		buf_chr(&r->json, ',');
	buf_json(&r->json, str_c(key));
	buf_chr(&r->json, ':');
	put(&r->json, v);
	if (r->json.err) { /* does not fit: leave the member out */
		r->json.n = before;
		r->json.err = OK;
	}
}

static void put_str(struct buf *b, const void *v)
{
	buf_json(b, *(const struct str *)v);
}

static void put_num(struct buf *b, const void *v)
{
	buf_fmt(b, "%lld", (long long)*(const int64_t *)v);
}

static void put_real(struct buf *b, const void *v)
{
	buf_fmt(b, "%.3f", *(const double *)v);
}

void ph_report_str(struct ph_report *r, const char *key, struct str value)
{
	member(r, key, put_str, &value);
}

void ph_report_num(struct ph_report *r, const char *key, int64_t value)
{
	member(r, key, put_num, &value);
}

void ph_report_real(struct ph_report *r, const char *key, double value)
{
	member(r, key, put_real, &value);
}

static void send(struct ph_report *r, bool is_end, enum ph_outcome outcome)
{
	struct ph *ph = r->ph;
	struct ph_event ev = {
		.name = r->name,
		.text = buf_view(&r->text),
		.json = buf_view(&r->json),
		.at_us = ev_now_us(ph->loop) - ph->start_us,
		.is_end = is_end,
		.outcome = outcome,
	};
	ph->cfg.on_event(ph->cfg.ctx, ph, &ev);
}

void ph_report_send(struct ph_report *r)
{
	send(r, false, PH_DONE);
}

void ph_report_end(struct ph_report *r, enum ph_outcome outcome)
{
	static const char *const words[] = {
		[PH_DONE] = "done",
		[PH_FAILED] = "failed",
		[PH_REJECTED] = "rejected",
		[PH_AUTH] = "auth",
		[PH_NO_ANSWER] = "no-answer",
		[PH_BUSY] = "busy",
		[PH_UNREACHABLE] = "unreachable",
		[PH_MEDIA] = "media",
	};
	ph_report_str(r, "outcome", str_c(words[outcome]));
	send(r, true, outcome);
}

enum ph_outcome ph_outcome_of_status(unsigned status)
{
	if (status < 300)
		return PH_DONE;
	switch (status) {
	case 401:
	case 407:
		return PH_AUTH;
	case 486:
	case 600:
		return PH_BUSY;
	case 408:
	case 480:
	case 487:
		return PH_NO_ANSWER;
	default:
		return PH_REJECTED;
	}
}

enum ph_outcome ph_outcome_of(const struct uac_result *res)
{
	switch (res->how) {
	case UAC_FINAL:
		return res->is_challenged ? PH_AUTH : ph_outcome_of_status(res->status);
	case UAC_TIMEOUT:
		return PH_NO_ANSWER;
	case UAC_UNREACHABLE:
		return PH_UNREACHABLE;
	case UAC_FAILED:
		break;
	}
	return PH_FAILED;
}

struct str ph_reason(const struct tp_rx *rx, unsigned status)
{
	return rx && rx->msg->reason.n ? rx->msg->reason : sip_status_reason(status);
}

void ph_report_result(struct ph_report *r, const struct uac_result *res)
{
	struct str reason = ph_reason(res->rx, res->status);
	switch (res->how) {
	case UAC_FINAL:
		ph_report_text(r, "%u " STR_FMT, res->status, STR_ARG(reason));
		return;
	case UAC_TIMEOUT:
		ph_report_text(r, "nobody answered");
		return;
	case UAC_UNREACHABLE:
		ph_report_text(r, "the server was not reached: %s", err_text(res->err));
		return;
	case UAC_FAILED:
		ph_report_text(r, "the request could not be sent: %s", err_text(res->err));
		return;
	}
}
