#pragma once
/* A thread of somebody who must have one of his own: a library that insists on its own loop. What
 * it shares with others goes by inbox messages, as everywhere. */

#include "base/err.h"

struct ev_thread;
/* Signals are blocked in it. ERR_LIMIT: the system refuses; ERR_NOMEM. */
enum err ev_thread_start(const char *name, void (*fn)(void *arg), void *arg,
			 struct ev_thread **out);
void ev_thread_join(struct ev_thread *t); /* waits until fn has returned; frees. NULL is harmless */
