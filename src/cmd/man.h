#pragma once
/* Manual pages out of the same tables as --help: `rung help --roff COMMAND`. */

#include "cmd/opt.h"

void man_command(const struct opt_spec *s); /* rung-COMMAND(1), to stdout */
void man_overview(void);                    /* rung(1) */
