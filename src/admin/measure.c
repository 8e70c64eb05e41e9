/* Metrics, as rows for people and in the exposition format of Prometheus (text, version 0.0.4):
 * names, types and help come from metrics.def, so that a new one is a row there and a line where it
 * is counted. */
#include "admin/measure.h"

#include "admin/admin_priv.h"

static const struct {
	const char *name, *type, *doc;
} metrics[ADM_M__N] = {
#define METRIC(name, type, doc) [ADM_M_##name] = {#name, #type, doc},
#include "admin/metrics.def"
#undef METRIC
};

void adm_emit_metrics(struct adm_ask *q)
{
	for (size_t i = 0; i < ADM_M__N; i++) {
		struct adm_row r;
		adm_row_init(&r, ADM_statistic);
		adm_text(&r, ADM_F_statistic_name, str_c(metrics[i].name));
		adm_number(&r, ADM_F_statistic_value, q->metrics[i]);
		adm_text(&r, ADM_F_statistic_type, str_c(metrics[i].type));
		adm_text(&r, ADM_F_statistic_about, str_c(metrics[i].doc));
		(void)adm_emit(q, &r);
	}
}

static void put_setup(struct buf *b, const struct adm_tally *y)
{
	const char *name = "rung_call_setup_seconds";
	uint64_t n = 0;
	buf_fmt(b, "# HELP %s From the INVITE to the answer.\n# TYPE %s histogram\n", name, name);
	for (size_t i = 0; i < ADM_SETUP_BUCKETS; i++) {
		n += y->setup[i];
		buf_fmt(b, "%s_bucket{le=\"%g\"} %llu\n", name, adm_setup_bounds_ms[i] / 1e3,
			(unsigned long long)n);
	}
	buf_fmt(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
		(unsigned long long)y->n_setup, name, (double)y->setup_us / 1e6, name,
		(unsigned long long)y->n_setup);
}

void adm_put_metrics(struct buf *b, const struct adm_ask *q)
{
	for (size_t i = 0; i < ADM_M__N; i++)
		buf_fmt(b, "# HELP rung_%s %s.\n# TYPE rung_%s %s\nrung_%s %llu\n", metrics[i].name,
			metrics[i].doc, metrics[i].name, metrics[i].type, metrics[i].name,
			(unsigned long long)q->metrics[i]);
	put_setup(b, &q->tally);
}
