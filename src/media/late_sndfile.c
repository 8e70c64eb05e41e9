/* libsndfile, for who plays and records sound files (file.c). */
#include "base/late.h"

#include <sndfile.h>

/* clang-format off */
LATE(SNDFILE_SO, SNDFILE *,    sf_open,        (const char *path, int mode, SF_INFO *info), (path, mode, info))
LATE(SNDFILE_SO, sf_count_t,   sf_readf_float, (SNDFILE *f, float *to, sf_count_t n), (f, to, n))
LATE(SNDFILE_SO, sf_count_t,   sf_write_short, (SNDFILE *f, const short *pcm, sf_count_t n), (f, pcm, n))
LATE(SNDFILE_SO, sf_count_t,   sf_seek,        (SNDFILE *f, sf_count_t frames, int whence), (f, frames, whence))
LATE(SNDFILE_SO, int,          sf_command,     (SNDFILE *f, int command, void *data, int n), (f, command, data, n))
LATE(SNDFILE_SO, const char *, sf_strerror,    (SNDFILE *f), (f))
LATE(SNDFILE_SO, int,          sf_close,       (SNDFILE *f), (f))
