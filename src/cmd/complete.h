#pragma once
/* Shell completion out of the tables of commands and flags. */

#include "cmd/opt.h"

/* What `rung COMMAND --completion=SHELL` prints: the part of that command. False: no such shell. */
bool complete_command(const struct opt_spec *s, struct str shell);
