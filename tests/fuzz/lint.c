/* Messages through all rules of the lint: the first byte of each says which way it goes and how
 * much time has passed, two bytes its length. Then the cards are printed. Nothing may crash, and
 * the counts of a card must add up. */
#include "lint/lint.h"
#include "base/assert.h"
#include "form.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct addr hosts[3];

static void make_hosts(void)
{
	static const char *const text[3] = {"192.0.2.21:5060", "192.0.2.57:5060",
					    "192.0.2.43:5060"};
	for (unsigned i = 0; i < 3; i++)
		if (!addr_parse(str_c(text[i]), 0, &hosts[i]))
			abort();
}

static void check_cards(const struct lint *l)
{
	for (const struct lint_peer *c = lint_first(l); c; c = c->next) {
		uint64_t found[3] = {0};
		unsigned kinds[3] = {0};
		for (const struct lint_kind *k = c->kinds; k; k = k->next) {
			found[lint_about((enum lint_rule)k->rule)->severity] += k->count;
			kinds[lint_about((enum lint_rule)k->rule)->severity]++;
			ASSERT(k->rule > LINT_NONE && k->rule < LINT__N);
			ASSERT(k->n_frames && k->n_frames <= k->count && k->caret <= k->line.n);
		}
		ASSERT(memcmp(found, c->n_found, sizeof found) == 0);
		ASSERT(memcmp(kinds, c->n_kinds, sizeof kinds) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (!hosts[0].family)
		make_hosts();
	struct lint *l = lint_new(&(struct lint_cfg){.max_peers = 3, .max_calls = 2});
	struct trk_packet k = {.at_us = 1'000'000};
	if (!l)
		return 0;
	while (n > 3) {
		size_t len = (size_t)p[1] << 8 | p[2];
		k.frame_no++;
		k.at_us += (uint64_t)(p[0] >> 4) * 150'000;
		k.from = hosts[p[0] & 3 ? (p[0] & 3) - 1 : 0];
		k.to = hosts[(p[0] & 3) % 3];
		k.transport = p[0] & 8 ? TRK_TCP : TRK_UDP;
		k.is_cut = (p[0] & 12) == 12;
		p += 3;
		n -= 3;
		len = len < n ? len : n;
		k.bytes = str_of((const char *)p, len);
		(void)lint_message(l, &k, true);
		p += len;
		n -= len;
	}
	struct buf b;
	buf_init(&b);
	check_cards(l);
	if (k.frame_no & 1) {
		lint_put_text(&b, l, &(struct lint_look){0});
		FORM(form_is_text(buf_view(&b), false), &b);
	} else {
		lint_put_json(&b, l);
		FORM(form_is_json_lines(buf_view(&b)), &b);
	}
	buf_fini(&b);
	lint_free(l);
	return 0;
}
