#pragma once
/* Sound files: read as 8 kHz mono, written as 16-bit mono WAV. Private to this folder. */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_reader;
/* ERR_IO with *why (a static phrase) when the file cannot be opened, ERR_UNSUPPORTED for rates
 * below 1 kHz, ERR_NOMEM. */
enum err md_reader_open(const char *path, uint32_t rate, struct md_reader **out, const char **why);
void md_reader_close(struct md_reader *r); /* NULL is harmless */
/* Up to n samples; fewer only at the end of the file (or where it cannot be read any further). */
size_t md_reader_read(struct md_reader *r, int16_t *pcm, size_t n);
enum err md_reader_rewind(struct md_reader *r);

struct md_writer;
enum err md_writer_open(const char *path, uint32_t rate, struct md_writer **out, const char **why);
/* Collected and written once a second, header included, so that a killed process leaves a file that
 * can be played. */
enum err md_writer_put(struct md_writer *w, const int16_t *pcm, size_t n);
/* Writes the rest and closes; frees w in any case. NULL is harmless. */
enum err md_writer_close(struct md_writer *w);
