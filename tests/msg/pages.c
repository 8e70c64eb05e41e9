/* The message pages: tests/msg/NAME.md says in prose what a message is about, shows it, and what
 * the index makes of it. This program reads the pages and compares; TAP, one test per page.
 *
 *   pages FOLDER DATA [--update]     DATA: where the messages of ```dat blocks are
 *
 * A message is a block ```sip (as a datagram) or ```sip stream; its lines end with CRLF. In it \xHH
 * is a byte, \\ a backslash, and a backslash at the end of a line keeps the line break out, so
 * "\x0a\" ends a line with LF alone. A block ```dat or ```dat stream holds the name of a file. The
 * block ```index behind it is what is expected; `--update` writes what came instead, to be read
 * before it is committed.
 *
 * What an index block shows: the outcome (accept; refuse STATUS; drop; not SIP; incomplete; too
 * large), the eager fields, the URIs that a registrar or proxy looks at, every header line with its
 * flags and number of values, and the diagnostics with their offsets. */

#include "base/buf.h"
#include "sip/hdr.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAGES 256
#define MAX_SHOWN 72 /* of a value; longer ones are cut */

static const char *data_dir;

static struct str read_file(const char *folder, const char *name)
{
	char path[1024];
	static const size_t cap = 1 << 20;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	char *p = malloc(cap);
	if (!f || !p) {
		printf("# cannot read %s\n", path);
		exit(1);
	}
	size_t n = fread(p, 1, cap, f);
	fclose(f);
	return str_of(p, n);
}

/* ---- what is shown ---- */

static void show(struct buf *b, struct str s)
{
	size_t n = s.n > MAX_SHOWN ? MAX_SHOWN : s.n;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\\')
			buf_str(b, STR("\\\\"));
		else if (c == '\r')
			buf_str(b, STR("\\r"));
		else if (c == '\n')
			buf_str(b, STR("\\n"));
		else if (c < ' ' || c >= 0x7f)
			buf_fmt(b, "\\x%02x", c);
		else
			buf_chr(b, (char)c);
	}
	if (n < s.n)
		buf_fmt(b, " ... (%zu bytes)", s.n);
}

static void show_field(struct buf *b, const char *name, struct str s)
{
	if (!s.p)
		return;
	buf_fmt(b, "%s ", name);
	show(b, s);
	buf_chr(b, '\n');
}

static void show_outcome(struct buf *b, enum err e, const struct sip_msg *m)
{
	static const char *const words[] = {[OK] = "",
					    [ERR_MORE] = "incomplete",
					    [ERR_SYNTAX] = "not SIP",
					    [ERR_LIMIT] = "too large"};
	const struct sip_diag *why = NULL;
	int v = e == OK ? sip_msg_verdict(m, &why) : 0;
	if (e != OK)
		buf_str(b, str_c(words[e]));
	else if (v == 0)
		buf_str(b, STR("accept"));
	else if (v < 0)
		buf_fmt(b, "drop: %s", sip_diag_text(why->code));
	else
		buf_fmt(b, "refuse %d: %s", v, sip_diag_text(why->code));
	buf_chr(b, '\n');
}

static void show_uri(struct buf *b, const char *what, struct str text)
{
	static const char *const schemes[] = {"sip", "sips", "tel", "other"};
	struct sip_uri u;
	enum err e = sip_uri_parse(text, &u);
	buf_fmt(b, "%s uri ", what);
	if (e == ERR_SYNTAX) {
		buf_str(b, STR("unreadable\n"));
		return;
	}
	buf_str(b, str_c(schemes[u.scheme]));
	const struct {
		const char *name;
		struct str s;
	} parts[] = {
		{"user",     u.user    },
		{"password", u.password},
		{"host",     u.host    },
		{"params",   u.params  },
		{"headers",  u.headers }
        };
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].s.p)
			continue;
		buf_fmt(b, " %s ", parts[i].name);
		show(b, parts[i].s);
		if (i == 2 && u.has_port)
			buf_fmt(b, " port %u", u.port);
		if (i == 2 && u.is_ip) {
			buf_str(b, STR(" = "));
			addr_put_ip(b, &u.ip);
		}
	}
	size_t n = b->n;
	buf_str(b, STR(" aor "));
	char mem[1024];
	struct buf aor;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (sip_aor_put(&aor, &u) == OK)
		show(b, buf_view(&aor));
	else
		b->n = n;
	buf_chr(b, '\n');
}

static void show_addresses(struct buf *b, const struct sip_msg *m, enum sip_hdr_id id,
			   const char *what)
{
	struct sip_iter it = {0, 0};
	struct sip_addr a;
	struct str v;
	while (sip_each(m, id, &it, &v)) {
		if (sip_addr_parse(v, &a) != OK) {
			buf_fmt(b, "%s unreadable\n", what);
			continue;
		}
		if (a.is_star) {
			buf_fmt(b, "%s *\n", what);
			continue;
		}
		if (a.display.n) {
			buf_fmt(b, "%s name ", what);
			show(b, a.display);
			buf_chr(b, '\n');
		}
		show_uri(b, what, a.uri_text);
		if (a.params.n) {
			buf_fmt(b, "%s params ", what);
			show(b, a.params);
			buf_chr(b, '\n');
		}
	}
}

static void show_start(struct buf *b, const struct sip_msg *m)
{
	if (m->is_request) {
		buf_fmt(b, "request %s", m->method ? "" : "unknown method ");
		show(b, m->method_name);
		buf_chr(b, ' ');
		show(b, m->ruri);
	} else {
		buf_fmt(b, "response %u ", m->status);
		show(b, m->reason);
	}
	buf_chr(b, '\n');
	if (m->is_request)
		show_uri(b, "request", m->ruri);
	if (m->via.p) {
		buf_str(b, STR("via host "));
		show(b, m->via_host);
		if (m->via_port)
			buf_fmt(b, " port %u", m->via_port);
		buf_str(b, STR(" branch "));
		show(b, m->via_branch);
		buf_chr(b, '\n');
	}
}

static void show_body(struct buf *b, const struct sip_msg *m)
{
	struct str sdp;
	buf_fmt(b, "body %zu bytes", m->body.n);
	if (sip_body_find(m, STR("application"), STR("sdp"), &sdp))
		buf_fmt(b, ", SDP %zu at %zu", sdp.n, (size_t)(sdp.p - m->body.p));
	buf_chr(b, '\n');
}

static void show_rows(struct buf *b, const struct sip_msg *m)
{
	for (unsigned i = 0; i < m->n_rows; i++) {
		const struct sip_row *r = sip_row(m, i);
		buf_str(b, STR("  "));
		show(b, r->id ? sip_hdr_name(r->id) : sip_row_name(m, r));
		buf_str(b, r->id ? STR(": ") : STR(" (unknown): "));
		show(b, sip_row_value(m, r));
		if (r->flags & SIP_ROW_FOLDED)
			buf_str(b, STR("  [folded]"));
		if (r->flags & SIP_ROW_COMPACT)
			buf_str(b, STR("  [compact]"));
		if (m->first[r->id] == i && r->id && sip_count(m, r->id) != 1)
			buf_fmt(b, "  [%u values]", sip_count(m, r->id));
		buf_chr(b, '\n');
	}
}

static void show_index(struct buf *b, struct str bytes, bool is_stream)
{
	size_t size = sip_msg_block_size(bytes.n), used;
	void *block = malloc(size);
	if (!block)
		exit(1);
	struct sip_msg *m = sip_msg_init(block, size);
	memcpy(m->bytes, bytes.p, bytes.n);
	enum err e = sip_msg_index(m, bytes.n, is_stream, &used);
	show_outcome(b, e, m);
	if (e == OK || e == ERR_LIMIT) {
		show_start(b, m);
		show_field(b, "from-tag", m->from_tag);
		show_field(b, "to-tag", m->to_tag);
		show_field(b, "call-id", m->call_id);
		if (m->has_cseq) {
			buf_fmt(b, "cseq %u ", m->cseq);
			show(b, m->method_name);
			buf_chr(b, '\n');
		}
		if (m->has_max_forwards)
			buf_fmt(b, "max-forwards %u\n", m->max_forwards);
		show_addresses(b, m, SIP_HDR_FROM, "from");
		show_addresses(b, m, SIP_HDR_TO, "to");
		show_addresses(b, m, SIP_HDR_CONTACT, "contact");
		show_body(b, m);
		if (is_stream)
			buf_fmt(b, "used %zu of %zu bytes%s\n", used, bytes.n,
				m->has_content_length ? "" : ", then close the stream");
		show_rows(b, m);
		for (unsigned i = 0; i < m->n_diags; i++)
			buf_fmt(b, "%s at %u\n", sip_diag_name(m->diags[i].code), m->diags[i].off);
	}
	free(block);
}

/* ---- pages ---- */

/* The bytes that a ```sip block stands for. */
static void unescape_block(struct buf *b, struct str block)
{
	while (block.n) {
		struct str line = str_cut(block, '\n', &block);
		bool is_joined = false;
		for (size_t i = 0; i < line.n; i++) {
			unsigned c;
			if (line.p[i] != '\\') {
				buf_chr(b, line.p[i]);
			} else if (i + 1 == line.n) {
				is_joined = true;
			} else if (line.p[i + 1] == 'x' && i + 3 < line.n &&
				   sscanf(line.p + i + 2, "%2x", &c) == 1) {
				buf_chr(b, (char)c);
				i += 3;
			} else {
				buf_chr(b, line.p[++i]);
			}
		}
		if (!is_joined)
			buf_str(b, STR("\r\n"));
	}
}

static void index_block(struct buf *out, struct str info, struct str block)
{
	bool is_stream = str_ends(info, STR("stream"));
	if (str_starts(info, STR("dat"))) {
		char name[256];
		if (!str_copy(name, sizeof(name), str_trim(block)))
			exit(1);
		struct str bytes = read_file(data_dir, name);
		show_index(out, bytes, is_stream);
		free((char *)(uintptr_t)bytes.p);
		return;
	}
	struct buf b;
	buf_init(&b);
	unescape_block(&b, block);
	show_index(out, buf_view(&b), is_stream);
	buf_fini(&b);
}

static void explain(struct str got, struct str want)
{
	while (got.n || want.n) {
		struct str g = str_cut(got, '\n', &got), w = str_cut(want, '\n', &want);
		if (!str_eq(g, w)) {
			printf("#   got  " STR_FMT "\n#   want " STR_FMT "\n", STR_ARG(g),
			       STR_ARG(w));
			return;
		}
	}
}

/* Runs all blocks of a page; `fresh` becomes the page as it should be. */
static bool run_page(struct str page, struct buf *fresh)
{
	struct buf got;
	bool is_good = true, has_any = false;
	buf_init(&got);
	while (page.n) {
		struct str line = str_cut(page, '\n', &page);
		buf_str(fresh, line);
		buf_chr(fresh, '\n');
		if (!str_starts(line, STR("```")))
			continue;
		struct str info = str_skip(line, 3);
		size_t end = str_find(page, STR("\n```\n"));
		struct str block =
			str_starts(page, STR("```")) ? STR_NONE : str_sub(page, 0, end + 1);
		page = str_skip(page, block.n);
		if (str_eq(info, STR("index"))) {
			is_good &= str_eq(buf_view(&got), block);
			if (!str_eq(buf_view(&got), block))
				explain(buf_view(&got), block);
			buf_str(fresh, buf_view(&got));
			has_any = true;
		} else {
			buf_clear(&got);
			index_block(&got, info, block);
			buf_str(fresh, block);
		}
		line = str_cut(page, '\n', &page); /* the closing fence */
		buf_str(fresh, line);
		buf_chr(fresh, '\n');
	}
	buf_fini(&got);
	return is_good && has_any && fresh->err == OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv)
{
	char *names[MAX_PAGES];
	unsigned n = 0, n_failed = 0;
	bool is_update = argc == 4 && strcmp(argv[3], "--update") == 0;
	if (argc < 3)
		return 2;
	data_dir = argv[2];
	DIR *dir = opendir(argv[1]);
	if (!dir)
		return 2;
	for (struct dirent *d; (d = readdir(dir)) && n < MAX_PAGES;)
		if (str_ends(str_c(d->d_name), STR(".md")) && strcmp(d->d_name, "README.md") != 0)
			names[n++] = strdup(d->d_name);
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (unsigned i = 0; i < n; i++) {
		struct buf fresh;
		buf_init(&fresh);
		struct str page = read_file(argv[1], names[i]);
		bool is_good = run_page(page, &fresh);
		n_failed += !is_good;
		printf("%sok %u - %s\n", is_good ? "" : "not ", i + 1, names[i]);
		if (is_update && !is_good) {
			char path[1024];
			snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]);
			FILE *f = fopen(path, "wb");
			if (!f || fwrite(fresh.p, 1, fresh.n, f) != fresh.n)
				return 2;
			fclose(f);
		}
		free((char *)(uintptr_t)page.p);
		buf_fini(&fresh);
		free(names[i]);
	}
	printf("1..%u\n", n);
	return n_failed || !n ? 1 : 0;
}
