/* Build-time generator: makes from the tables (*.def) what a compiler's preprocessor cannot.
 *
 *   gen_tables hash   tables_hash.inc: for header and method names two multipliers under which
 *                     name_slot() has no collision, the slots, and the ends of each name
 *   gen_tables dict   tests/fuzz/msg.dict, the libFuzzer dictionary: every name, and many values
 *                     that SIP is made of
 *   gen_tables dict FILE   fails when FILE is not that
 *
 * The search draws multipliers from a fixed sequence, so that a build is reproducible; it fails the
 * build when two names cannot be told apart by their ends and length. It is a program of its own
 * (it runs on the machine that builds) and uses nothing of rung but the tables. */

#include "tables_hash.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define HDR_BITS    10
#define METHOD_BITS 6
#define MAX_SLOTS   1024
#define MAX_TRIES   20000000

struct entry {
	const char *name;
	unsigned id;
};

static struct entry headers[512], methods[64];
static unsigned n_headers, n_methods;

static void add(struct entry *list, unsigned *n, unsigned max, const char *name, unsigned id)
{
	if (*n == max) {
		fprintf(stderr, "gen_tables: too many names\n");
		exit(1);
	}
	list[(*n)++] = (struct entry){name, id};
}

static const char *compact_name(char c)
{
	static char text[256][2];
	text[(unsigned char)c][0] = c;
	return text[(unsigned char)c];
}

static void load(void)
{
	unsigned id = 1;
#define HEADER(id_, name_, compact_, flags_, rfc_)                                                 \
	add(headers, &n_headers, 512, name_, id);                                                  \
	if (compact_)                                                                              \
		add(headers, &n_headers, 512, compact_name(compact_), id);                         \
	id++;
#include "headers.def"
#undef HEADER
	if (id > 256) {
		fprintf(stderr, "gen_tables: more than 255 headers\n");
		exit(1);
	}
	id = 1;
#define METHOD(id_, flags_, rfc_) add(methods, &n_methods, 64, #id_, id++);
#include "methods.def"
#undef METHOD
}

static uint32_t rnd_state = 2463534242u;

static uint32_t rnd(void) /* xorshift, Marsaglia 2003 */
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state;
}

static int fill(const struct entry *e, unsigned n, uint32_t fold, uint32_t m1, uint32_t m2,
		unsigned bits, unsigned char *slots)
{
	memset(slots, 0, (size_t)1 << bits);
	for (unsigned i = 0; i < n; i++) {
		struct name_key k = name_key(e[i].name, strlen(e[i].name));
		uint32_t s = name_slot(k, fold, m1, m2, bits);
		if (slots[s])
			return 0;
		slots[s] = (unsigned char)e[i].id;
	}
	return 1;
}

static void make_hash(const char *what, const struct entry *e, unsigned n, uint32_t fold,
		      unsigned bits)
{
	static unsigned char slots[MAX_SLOTS];
	uint32_t m1 = 0, m2 = 0;
	unsigned tries = 0;
	do {
		m1 = rnd() | 1;
		m2 = rnd() | 1;
		if (++tries > MAX_TRIES) {
			fprintf(stderr, "gen_tables: no perfect hash for the %s names\n", what);
			exit(1);
		}
	} while (!fill(e, n, fold, m1, m2, bits, slots));
	printf("#define %s_BITS %u\n#define %s_FOLD 0x%08xu\n", what, bits, what, fold);
	printf("#define %s_MUL_HEAD 0x%08xu\n#define %s_MUL_TAIL 0x%08xu\n", what, m1, what, m2);
	printf("#define %s_SLOTS \\\n\t", what);
	for (unsigned i = 0; i < 1u << bits; i++)
		printf("%u,%s", slots[i], i % 32 == 31 ? "\\\n\t" : " ");
	printf("\n#define %s_KEYS \\\n", what);
	for (unsigned i = 0; i < n; i++) {
		struct name_key k = name_key(e[i].name, strlen(e[i].name));
		if (k.n > 1) /* not the compact form */
			printf("\t[%u] = {0x%08xu, 0x%08xu, %u}, \\\n", e[i].id, k.head, k.tail,
			       k.n);
	}
	printf("\n");
}

static FILE *dict;

static void put_dict(const char *s)
{
	fputc('"', dict);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(dict, "\\%c", *s);
		else if (isprint((unsigned char)*s))
			fputc(*s, dict);
		else
			fprintf(dict, "\\x%02x", (unsigned char)*s);
	}
	fprintf(dict, "\"\n");
}

static void make_dict(void)
{
	static const char *const words[] = {
		"SIP/2.0",
		"SIP/2.0/UDP ",
		"SIP/2.0/TCP ",
		"sip:",
		"sips:",
		"tel:+",
		"z9hG4bK",
		";branch=",
		";tag=",
		";rport",
		";received=",
		";maddr=",
		";ttl=",
		";lr",
		";transport=",
		";user=phone",
		";method=",
		";expires=",
		";q=0.5",
		";+sip.instance=",
		"?subject=",
		"%00",
		"%20",
		"%",
		"<",
		">",
		"\"",
		"\\\"",
		"\r\n",
		"\n",
		"\r\n ",
		"\r\n\r\n",
		",",
		";",
		":",
		"*",
		"[2001:db8::1]",
		"192.0.2.1:5060",
		"4294967296",
		"-1",
		"Digest ",
		"realm=",
		"nonce=",
		"qop=\"auth\"",
		"algorithm=SHA-256",
		"algorithm=MD5-sess",
		"response=",
		"cnonce=",
		"nc=00000001",
		"opaque=",
		"stale=true",
		"uri=",
		"username=",
		"application/sdp",
		"multipart/mixed;boundary=",
		"message/sipfrag",
		"--",
	};
	for (unsigned i = 0; i < n_methods; i++)
		put_dict(methods[i].name);
	for (unsigned i = 0; i < n_headers; i++) {
		char line[80];
		snprintf(line, sizeof(line), "\r\n%s: ", headers[i].name);
		put_dict(line);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		put_dict(words[i]);
}

/* 0 when the file is what make_dict writes. */
static int check_dict(const char *file)
{
	FILE *f = fopen(file, "r");
	int a, b;
	dict = tmpfile();
	if (!f || !dict) {
		perror(file);
		return 1;
	}
	make_dict();
	rewind(dict);
	do {
		a = fgetc(f);
		b = fgetc(dict);
	} while (a == b && a != EOF);
	if (a != b)
		fprintf(stderr, "%s is stale: gen_tables dict > %s\n", file, file);
	fclose(f);
	fclose(dict);
	return a != b;
}

int main(int argc, char **argv)
{
	load();
	if (argc == 2 && strcmp(argv[1], "hash") == 0) {
		printf("/* made by gen_tables from headers.def and methods.def */\n");
		make_hash("HDR", headers, n_headers, 0x20202020u, HDR_BITS);
		make_hash("METHOD", methods, n_methods, 0, METHOD_BITS);
	} else if (argc == 2 && strcmp(argv[1], "dict") == 0) {
		dict = stdout;
		make_dict();
	} else if (argc == 3 && strcmp(argv[1], "dict") == 0) {
		return check_dict(argv[2]);
	} else {
		fprintf(stderr, "usage: gen_tables hash | dict [FILE]\n");
		return 2;
	}
	return 0;
}
