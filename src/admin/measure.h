#pragma once
/* The metrics of metrics.def in the text format of Prometheus. */

#include "admin/ask.h"

/* Of a MEASURE that has ended: all of them, with the histogram of set-up times. */
void adm_put_metrics(struct buf *b, const struct adm_ask *q);
