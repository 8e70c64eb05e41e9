/* Threads for libraries with a loop of their own. */
#include "event/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct ev_thread {
	pthread_t id;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct ev_thread *t = arg;
	pthread_setname_np(pthread_self(), t->name);
	t->fn(t->arg);
	return NULL;
}

enum err ev_thread_start(const char *name, void (*fn)(void *arg), void *arg, struct ev_thread **out)
{
	sigset_t all, before;
	struct ev_thread *t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	*t = (struct ev_thread){.name = name, .fn = fn, .arg = arg};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		free(t);
		return ERR_LIMIT;
	}
	*out = t;
	return OK;
}

void ev_thread_join(struct ev_thread *t)
{
	if (!t)
		return;
	pthread_join(t->id, NULL);
	free(t);
}
