/* find_capture FILE FILTER ...: opens a capture as the terminal UI does, and asks it filter after
 * filter. For each a line: CPU milliseconds, messages that fit. With CHECK=1 each answer is
 * compared with that of the filter over every frame. */
#include "scope/book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static double cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static long rss_kb(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

struct check {
	struct flt *f;
	const uint32_t *ids; /* what book_filter said */
	size_t n, at;
	uint32_t id; /* of the last message */
	bool is_bad;
};

static bool on_frame(void *arg, const struct cap_frame *fr)
{
	struct check *c = arg;
	bool fits = fr->n_msgs && flt_match(c->f, fr);
	for (size_t i = 0; i < fr->n_msgs && !c->is_bad; i++) {
		if (!fr->msgs[i].pkt.msg->call_id.n)
			continue; /* not kept */
		c->id++;
		bool is_said = c->at < c->n && c->ids[c->at] == c->id;
		c->at += is_said;
		c->is_bad = fits != is_said;
	}
	return !c->is_bad;
}

static int ask(struct book *b, const char *text)
{
	struct flt *f;
	struct buf why;
	uint32_t *ids = NULL;
	size_t n = 0;
	buf_init(&why);
	if (flt_compile(str_c(text), &f, &why)) {
		fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&why)));
		return 2;
	}
	double before = cpu_ms();
	enum err e = book_filter(b, f, &ids, &n);
	double after = cpu_ms();
	printf("%9.2f ms %9zu  %s%s\n", after - before, n, text, e ? " FAILED" : "");
	if (!e && getenv("CHECK")) {
		struct check c = {.f = f, .ids = ids, .n = n};
		e = book_frames(b, FLT_NEEDS_MEDIA, on_frame, &c);
		if (e || c.is_bad || c.at != n) {
			printf("WRONG at message %u\n", c.id);
			e = ERR_STATE;
		}
	}
	free(ids);
	flt_free(f);
	buf_fini(&why);
	return e ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct cap *c;
	struct book *b;
	struct buf why;
	struct book_cfg cfg = {.trk.has_media = true};
	int bad = 0;
	buf_init(&why);
	if (argc < 2 || cap_open(argv[1], &c, &why) || book_new(c, &cfg, &b)) {
		fprintf(stderr, "find_capture FILE FILTER ...: it cannot be opened\n");
		return 2;
	}
	while (book_read(b, 10'000))
		continue;
	printf("%9.2f ms %9u  messages read; %ld kB\n", cpu_ms(), trk_n_rows(book_trk(b)),
	       rss_kb());
	for (int i = 2; i < argc; i++)
		bad |= ask(b, argv[i]);
	printf("%ld kB in the end\n", rss_kb());
	book_free(b);
	buf_fini(&why);
	return bad;
}
