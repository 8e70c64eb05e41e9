/* RFC 4475 and RFC 5118 against the table tests/msg/torture.tbl: the verdict of the parser on each
 * message, as a datagram and as a stream. What the whole exchange answers is tested elsewhere, from
 * the same table. */

#include "fixture.h"

#include "sip/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char name[64], section[32], parser[16], layer[16], udp[64], tcp[16];
};

static size_t read_file(const char *path, char *to, size_t cap)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		test_fail(__FILE__, __LINE__, "cannot read %s", path);
	size_t n = fread(to, 1, cap, f);
	fclose(f);
	return n;
}

static void take_column(struct str *line, char *to, size_t cap)
{
	CHECK(str_copy(to, cap, str_trim(str_cut(*line, '|', line))));
}

static bool read_entry(struct str *table, struct entry *e)
{
	while (table->n) {
		struct str line = str_cut(*table, '\n', table);
		if (!line.n || line.p[0] == '#')
			continue;
		take_column(&line, e->name, sizeof(e->name));
		take_column(&line, e->section, sizeof(e->section));
		take_column(&line, e->parser, sizeof(e->parser));
		take_column(&line, e->layer, sizeof(e->layer));
		take_column(&line, e->udp, sizeof(e->udp));
		take_column(&line, e->tcp, sizeof(e->tcp));
		return true;
	}
	return false;
}

static int wanted_verdict(const char *word)
{
	if (strcmp(word, "accept") == 0)
		return 0;
	return strcmp(word, "discard") == 0 ? -1 : atoi(word);
}

static void check_datagram(const struct entry *e, struct str bytes)
{
	enum err err;
	struct sip_msg *m = sip_msg_from(bytes, &err);
	CHECK(m);
	CHECK_EQ(err, OK);
	int got = sip_msg_verdict(m, NULL);
	if (got != wanted_verdict(e->parser))
		test_fail(__FILE__, __LINE__, "%s: %d instead of %s", e->name, got, e->parser);
	bool is_answered = strcmp(e->udp, "discard") != 0;
	CHECK_EQ(strcmp(e->layer, "parser") == 0, got != 0);
	if (got != 0) /* the parser's answer is the exchange's */
		CHECK_STR_EQ(str_c(e->udp), str_c(e->parser));
	CHECK(!is_answered || m->is_request);
	sip_msg_free(m);
}

static void check_stream(const struct entry *e, struct str bytes)
{
	size_t size = sip_msg_block_size(bytes.n), used;
	void *block = malloc(size);
	CHECK(block);
	struct sip_msg *m = sip_msg_init(block, size);
	memcpy(m->bytes, bytes.p, bytes.n);
	enum err err = sip_msg_index(m, bytes.n, true, &used);
	if (strcmp(e->tcp, "wait") == 0) {
		CHECK_EQ(err, ERR_MORE);
	} else {
		CHECK_EQ(err, OK);
		CHECK_EQ(strcmp(e->tcp, "400 close") == 0, !m->has_content_length);
		int want = m->has_content_length ? wanted_verdict(e->parser) : 400;
		CHECK_EQ(sip_msg_verdict(m, NULL), want);
	}
	free(block);
}

TEST(torture)
{
	static char table[32768], bytes[8192];
	struct str rest =
		str_of(table, read_file(TEST_DIR "/msg/torture.tbl", table, sizeof(table)));
	struct entry e;
	unsigned n = 0;
	for (; read_entry(&rest, &e); n++) {
		char path[512];
		snprintf(path, sizeof(path), TEST_DIR "/data/torture/%s.dat", e.name);
		struct str b = str_of(bytes, read_file(path, bytes, sizeof(bytes)));
		check_datagram(&e, b);
		check_stream(&e, b);
	}
	CHECK_EQ(n, 61);
}
