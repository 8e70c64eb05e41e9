/* How accounts come to be: realm, keys, names, passwords, the first two.
 *
 * The realm is part of every HA1: it is decided once per data folder and never changes, so that
 * neither a new machine address nor a new domain breaks a password. RFC 3261 22.1 wants it globally
 * unique: without a configured domain it is made up.
 *
 * Generated passwords are typed into phones with a number pad or a remote control, by people who
 * read them from a terminal: 16 characters in four groups, lower case and digits without those that
 * look alike (0 o, 1 l i, 2 z, 5 s, u v): 25 kinds, 74 bits.
 */
#include "service/accounts.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES     64
#define PASSWORD_MAX_BYTES 128

enum err acc_realm(struct st *st, struct env *env, struct str wanted, struct buf *out)
{
	char made[16];
	uint8_t r[3];
	if (!wanted.n) {
		env_random(env, r, sizeof(r));
		int n = snprintf(made, sizeof(made), "rung-%02x%02x%02x", r[0], r[1], r[2]);
		wanted = str_of(made, (size_t)n);
	}
	for (size_t i = 0; i < wanted.n; i++)
		if (wanted.p[i] == '"' || wanted.p[i] == '\\' || (unsigned char)wanted.p[i] < 32)
			return ERR_SYNTAX;
	if (wanted.n > ACC_REALM_MAX)
		return ERR_LIMIT;
	return st_meta_init(st, STR("realm"), wanted, out);
}

enum err acc_key(struct st *st, struct env *env, struct str name, uint8_t *key, size_t n)
{
	uint8_t fresh[32];
	char mem[32], label[64];
	struct buf b, l;
	ASSERT(n <= sizeof(fresh));
	env_random(env, fresh, n);
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_init_fixed(&l, label, sizeof(label));
	buf_fmt(&l, "key." STR_FMT, STR_ARG(name));
	enum err e =
		l.err ? l.err : st_meta_init(st, buf_view(&l), str_of((const char *)fresh, n), &b);
	if (e == OK && b.n != n)
		e = ERR_IO;
	if (e == OK)
		memcpy(key, b.p, n);
	return e;
}

enum err acc_name_check(struct str user, struct buf *why)
{
	if (!user.n) {
		buf_str(why, STR("a user needs a name"));
		return ERR_SYNTAX;
	}
	if (user.n > NAME_MAX_BYTES) {
		buf_fmt(why, "the name is longer than %d bytes", NAME_MAX_BYTES);
		return ERR_SYNTAX;
	}
	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];
		if (c > ' ' && c != 127 && !strchr("\"\\<>:@;,/?&%[]{}|^`", c))
			continue;
		buf_fmt(why,
			"`" STR_FMT "` cannot be a user name: use letters, digits and . - _ + * # "
			"= ! ~ ' ( ) $",
			STR_ARG(user));
		return ERR_SYNTAX;
	}
	return OK;
}

enum err acc_password_check(struct str password, struct buf *why)
{
	if (!password.n) {
		buf_str(why, STR("the password is empty: anybody could be that user"));
		return ERR_SYNTAX;
	}
	if (password.n > PASSWORD_MAX_BYTES) {
		buf_fmt(why, "the password is longer than %d bytes", PASSWORD_MAX_BYTES);
		return ERR_SYNTAX;
	}
	for (size_t i = 0; i < password.n; i++)
		if ((unsigned char)password.p[i] < 32 || password.p[i] == 127) {
			buf_str(why, STR("the password has a control character"));
			return ERR_SYNTAX;
		}
	return OK;
}

void acc_set_password(struct st_account *a, struct str realm, struct str password)
{
	struct str parts[] = {a->user, realm, password};
	for (int alg = 0; alg < MD__N; alg++) {
		char hex[2 * MD_MAX];
		struct str h = md_hex_joined((enum md_alg)alg, parts, ARRAY_LEN(parts), hex);
		memset(a->ha1[alg], 0, sizeof(a->ha1[alg]));
		for (size_t i = 0; i < h.n / 2; i++) {
			unsigned hi = (uint8_t)h.p[2 * i], lo = (uint8_t)h.p[2 * i + 1];
			hi = hi <= '9' ? hi - '0' : hi - 'a' + 10;
			lo = lo <= '9' ? lo - '0' : lo - 'a' + 10;
			a->ha1[alg][i] = (uint8_t)(hi << 4 | lo);
		}
	}
}

void acc_password_make(struct env *env, struct buf *out)
{
	static const char letters[] = "346789abcdefghjkmnpqrtwxy";
	_Static_assert(sizeof(letters) - 1 == 25, "see the rejection below");
	for (int i = 0; i < 16;) {
		uint8_t r;
		env_random(env, &r, 1);
		if (r >= 250) /* 10 * 25: every letter equally likely */
			continue;
		if (i && i % 4 == 0)
			buf_chr(out, '-');
		buf_chr(out, letters[r % 25]);
		i++;
	}
}

enum err acc_first(struct st *st, struct env *env, struct str realm, size_t n,
		   void (*fn)(void *arg, struct str user, struct str password), void *arg)
{
	size_t have = 0;
	enum err e = st_accounts_count(st, &have);
	if (e != OK || have)
		return e;
	for (size_t i = 0; e == OK && i < n; i++) {
		char name[24], mem[32];
		struct buf password;
		int len = snprintf(name, sizeof(name), "%zu", 100 + i);
		struct st_account a = {.user = str_of(name, (size_t)len),
				       .is_enabled = true,
				       .changed_s = env_wall_us(env) / 1000000};
		buf_init_fixed(&password, mem, sizeof(mem));
		acc_password_make(env, &password);
		acc_set_password(&a, realm, buf_view(&password));
		e = st_account_put(st, &a, ST_ADD);
		if (e == OK)
			fn(arg, a.user, buf_view(&password));
	}
	return e;
}
