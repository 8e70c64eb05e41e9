#pragma once
/* What an env is inside: a table of functions and a pointer to its clock. Both environments begin
 * their structs with these heads. Seen only in event/. */

#include "event/env.h"

struct env_ops {
	uint64_t (*wall_us)(const struct env *e);
	void (*random)(struct env *e, void *p, size_t n);
	enum err (*udp_open)(struct env *e, const struct addr *local, unsigned flags,
			     env_ready_fn *fn, void *arg, struct env_sock **out, const char **why);
	enum err (*tcp_listen)(struct env *e, const struct addr *local, unsigned flags,
			       env_ready_fn *fn, void *arg, struct env_sock **out,
			       const char **why);
	enum err (*tcp_connect)(struct env *e, const struct addr *local, const struct addr *peer,
				env_ready_fn *fn, void *arg, struct env_sock **out);
	enum err (*accept)(struct env_sock *listener, env_ready_fn *fn, void *arg,
			   struct env_sock **out, struct addr *peer);
	void (*close)(struct env_sock *s);
	void (*want)(struct env_sock *s, unsigned events);
	struct addr (*local)(const struct env_sock *s);
	struct addr (*peer)(const struct env_sock *s);
	enum err (*recv)(struct env_sock *s, void *p, size_t cap, struct env_rx *rx);
	enum err (*icmp_next)(struct env_sock *s, struct env_icmp *out);
	enum err (*send)(struct env_sock *s, const void *p, size_t n, const struct addr *to,
			 const struct addr *from);
	enum err (*read)(struct env_sock *s, void *p, size_t cap, size_t *n_out);
	enum err (*write)(struct env_sock *s, const void *p, size_t n, size_t *n_out);
	enum err (*source_for)(struct env *e, const struct addr *peer, struct addr *local);
	struct addr (*host_addr)(struct env *e);
	void (*poll)(struct env *e, uint64_t timeout_us);
	void (*wake)(struct env *e);
	void (*free)(struct env *e);
	enum err (*watch_fd)(struct env *e, int fd, unsigned events, env_ready_fn *fn, void *arg,
			     struct env_sock **out);
};

struct env {
	const struct env_ops *ops;
	const uint64_t *now_us; /* own clock (env_os) or the simulation's */
	/* Called after a sleep, before handlers run: the loop tells the other shards that it reads
	 * snapshots again. NULL without a loop. */
	void (*awake)(void *arg);
	void *awake_arg;
};

struct env_sock {
	struct env *env;
	env_ready_fn *fn;
	void *arg;
};
