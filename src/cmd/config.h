#pragma once
/* The configuration file as commands need it: read, compiled, complained about. */

#include "policy/config.h"

/* Reads a file whole into `out`. ERR_NOTFOUND, ERR_IO, ERR_LIMIT, ERR_NOMEM with a sentence in
 * `why` that begins with the path. */
enum err config_read(const char *path, struct buf *out, struct buf *why);
/* Compiles a text; all that is wrong with it, warnings included, is appended to `why`, a line each
 * with file, line and column. */
enum err config_make(const char *path, struct str text, struct pol_config **out, struct buf *why);
