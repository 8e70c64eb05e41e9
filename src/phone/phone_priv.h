#pragma once
/* Seen only in phone/. */

#include "base/arena.h"
#include "dialog/stack.h"
#include "phone/phone.h"

struct ph {
	struct ev_loop *loop;
	struct block_cache blocks;
	struct dlg_stack stack;
	struct ph_config cfg; /* its strings are in `texts` */
	struct arena texts;
	struct str user, domain, proxy_uri;
	struct uac_account account;
	struct uac_realm realm; /* that the account's password is for */
	struct tp_resolve *resolve;
	struct addr local; /* address that SIP and RTP are bound to */
	struct ph_flow {   /* a registration by one of the proxies */
		struct str proxy;
		struct rgc *rgc;
		bool is_up, is_told; /* the last answer was good; there was one */
	} flows[PH_FLOWS];
	size_t n_flows;
	uint8_t instance[16]; /* of all of them */
	struct uac *request;
	struct sub *sub;
	uint64_t sub_us, request_us;
	const struct ph_plan *incoming;
	struct link calls;
	size_t n_calls;
	uint64_t start_us;
};

/* An event under construction: text and JSON grow side by side. */
struct ph_report {
	struct ph *ph;
	const char *name;
	struct buf text, json;
	char text_mem[4096], json_mem[8192]; /* a NOTIFY's document fits */
};
void ph_report_begin(struct ph_report *r, struct ph *ph, const char *name);
[[gnu::format(printf, 2, 3)]] void ph_report_text(struct ph_report *r, const char *fmt, ...);
void ph_report_str(struct ph_report *r, const char *key, struct str value);
void ph_report_num(struct ph_report *r, const char *key, int64_t value);
void ph_report_real(struct ph_report *r, const char *key, double value);
void ph_report_send(struct ph_report *r);
void ph_report_end(struct ph_report *r,
		   enum ph_outcome outcome); /* sends it as the end of something */

/* What came of a request, in words: a status only where somebody sent one. */
void ph_report_result(struct ph_report *r, const struct uac_result *res);

enum ph_outcome ph_outcome_of_status(unsigned status);
enum ph_outcome ph_outcome_of(const struct uac_result *res);
struct str ph_reason(const struct tp_rx *rx, unsigned status);

void ph_on_invite(struct ph *ph, tsx_id st, struct tp_rx *rx);
void ph_refuse_busy(struct ph *ph, tsx_id st);
void ph_calls_free(struct ph *ph);

/* way.c */
#define PH_WAY_BYTES 4096
/* The way that a call has come, as the lines of our answers: if the caller told or asked. What
 * there is no room for is left out. [RFC7044 6.2] */
void ph_put_way(struct ph *ph, const struct sip_msg *invite, struct buf *out);
void ph_report_way(struct ph_report *r, struct str lines); /* of History-Info */
