#pragma once
/* A store over a disk in memory (or a folder) with n shards whose loops are turned by hand, and a
 * model of what was acknowledged. */

#include "store/mem.h"

struct rig {
	struct env *env[4];
	struct ev_shards *shards;
	struct st *st;
	size_t n;
	bool rewrite;
	/* what st_bindings_load gave: value of key i (0: none), keys are "k<i>" */
	uint32_t loaded[64];
	size_t n_loaded;
};

/* Opens all up to the journals and does the rewrite when it is asked for. OK, or what failed, with
 * everything closed again. `disk` NULL: the folder `dir`. */
enum err rig_open(struct rig *r, struct st_mem *disk, const char *dir, size_t n, struct buf *why);
void rig_close(struct rig *r);
void rig_turn(struct rig *r);
size_t rig_shard_of(const struct rig *r, uint32_t key);

struct rig_put {
	struct st_put put;
	uint32_t key, value; /* value 0: delete */
	bool is_told;
	enum err result;
};
void rig_put(struct rig *r, struct rig_put *p, uint32_t key, uint32_t value);
void rig_keep(struct rig *r, uint32_t key, uint32_t value);
/* A new folder under the build's or the system's temporary folder; removed by rig_rmdir. */
const char *rig_mkdir(void);
void rig_rmdir(const char *dir);
