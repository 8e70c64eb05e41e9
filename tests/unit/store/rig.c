#include "rig.h"

#include "base/assert.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t value_of(struct str v)
{
	/* "v<n>" followed by as many dots as n says, so that records differ in length */
	uint32_t n = 0;
	struct str rest = v;
	if (v.n && v.p[0] == 'v')
		(void)str_u32(str_cut(str_skip(v, 1), '.', &rest), &n);
	return n;
}

static struct str value_text(uint32_t n, char out[300])
{
	if (!n)
		return STR_NONE;
	int len = snprintf(out, 32, "v%u.", n);
	memset(out + len, '.', n % 200);
	return str_of(out, (size_t)len + n % 200);
}

static void on_load(void *arg, struct str key, struct str value)
{
	struct rig *r = arg;
	uint32_t k = 0;
	if (key.n > 1 && str_u32(str_skip(key, 1), &k) && k < ARRAY_LEN(r->loaded)) {
		r->loaded[k] = value_of(value);
		r->n_loaded++;
	}
}

size_t rig_shard_of(const struct rig *r, uint32_t key)
{
	return key % r->n;
}

void rig_keep(struct rig *r, uint32_t key, uint32_t value)
{
	char k[16], v[300];
	int n = snprintf(k, sizeof(k), "k%u", key);
	st_journal_keep(st_journal(r->st, ST_BINDINGS, rig_shard_of(r, key)), str_of(k, (size_t)n),
			value_text(value, v));
}

enum err rig_open(struct rig *r, struct st_mem *disk, const char *dir, size_t n, struct buf *why)
{
	*r = (struct rig){.n = n};
	enum err e = OK;
	for (size_t i = 0; e == OK && i < n; i++)
		e = env_os_new(&r->env[i]);
	if (e == OK)
		e = ev_shards_new(r->env, n, &r->shards);
	if (e == OK)
		e = disk ? st_open_mem(disk, &r->st, why)
			 : st_open(dir, ST_SERVER | ST_CREATE, &r->st, why);
	if (e == OK) {
		e = st_journals_read(r->st, ST_BINDINGS, on_load, r);
		if (e == OK)
			e = st_journals_open(r->st, ST_BINDINGS, r->shards, 7, &r->rewrite);
		if (e == OK && r->rewrite) {
			for (uint32_t k = 0; k < ARRAY_LEN(r->loaded); k++)
				if (r->loaded[k])
					rig_keep(r, k, r->loaded[k]);
			e = st_journals_ready(r->st, ST_BINDINGS);
		}
		if (e != OK)
			buf_str(why, st_why(r->st));
	}
	if (e != OK)
		rig_close(r);
	return e;
}

void rig_close(struct rig *r)
{
	st_close(r->st);
	ev_shards_free(r->shards);
	for (size_t i = 0; i < ARRAY_LEN(r->env); i++)
		env_free(r->env[i]);
	r->st = NULL;
	r->shards = NULL;
	memset(r->env, 0, sizeof(r->env));
}

void rig_turn(struct rig *r)
{
	for (size_t i = 0; i < r->n; i++) {
		env_poll(r->env[i], 0);
		ev_turn(ev_shard(r->shards, i));
	}
}

static void on_done(struct st_put *p, enum err e)
{
	struct rig_put *rp = CONTAINER_OF(p, struct rig_put, put);
	CHECK(!rp->is_told);
	rp->is_told = true;
	rp->result = e;
}

void rig_put(struct rig *r, struct rig_put *p, uint32_t key, uint32_t value)
{
	char k[16], v[300];
	int n = snprintf(k, sizeof(k), "k%u", key);
	*p = (struct rig_put){.put = {.done = on_done}, .key = key, .value = value};
	st_journal_put(st_journal(r->st, ST_BINDINGS, rig_shard_of(r, key)), &p->put,
		       str_of(k, (size_t)n), value_text(value, v));
}

const char *rig_mkdir(void)
{
	static char path[128];
	const char *tmp = getenv("TMPDIR");
	snprintf(path, sizeof(path), "%s/rung-unit-XXXXXX", tmp ? tmp : "/tmp");
	CHECK(mkdtemp(path) != NULL);
	return path;
}

void rig_rmdir(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}
