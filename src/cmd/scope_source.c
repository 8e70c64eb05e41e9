/* Where `rung scope` gets its packets: a file, a pipe, an interface, agents of Homer, or a running
 * exchange's control socket; and what is to be said about them. */
#include "capture/cap_hep.h"
#include "cmd/control.h"
#include "cmd/scope_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What live screens keep: calls that go on, and those that ended in the last ten minutes; beyond so
 * many the one silent longest gives way, ended ones first. */
#define LIVE_MAX_CALLS 50'000u
#define LIVE_KEEP_S    600u

#define LIVE_MAX_CONVERSATIONS 65'536u      /* that fields may ask about */
#define LIVE_MAX_HELD          (256u << 20) /* bytes of frames that wait for the end of their calls */

int scope_list_interfaces(void)
{
	struct buf b, why;
	buf_init(&b);
	buf_init(&why);
	enum err e = cap_interfaces(&b, &why);
	if (e)
		fprintf(stderr, "rung scope: " STR_FMT "\n",
			STR_ARG(why.n ? buf_view(&why) : str_c(err_text(e))));
	else
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	buf_fini(&why);
	return e ? EXIT_FAILED : EXIT_DONE;
}

static int open_interface(struct scope *s, struct buf *why)
{
	const char *hep = strncmp(s->in.cfg.iface, "hep:", 4) == 0 ? s->in.cfg.iface + 4 : NULL;
	enum err e = hep ? cap_open_hep(hep, s->in.hep_key, &s->cap, why)
			 : cap_open_live(&s->in.cfg, &s->cap, why);
	return e == OK ? -1 : e == ERR_SYNTAX ? EXIT_USAGE : EXIT_FAILED;
}

static int open_exchange(struct scope *s, struct buf *why)
{
	const char *text;
	int fd = control_ask(s->live, "live", &text);
	if (fd < 0) {
		buf_fmt(why, "%s", text);
		return EXIT_UNREACHABLE;
	}
	return cap_open_fd(fd, &s->cap, why) ? EXIT_FAILED : -1;
}

const char *scope_source_name(const struct scope *s)
{
	const char *name = s->in.cfg.iface ? s->in.cfg.iface : s->live ? s->live : s->file;
	const char *slash = s->file ? strrchr(s->file, '/') : NULL;
	return slash ? slash + 1 : name;
}

int scope_open_capture(struct scope *s)
{
	struct buf why;
	buf_init(&why);
	int code = s->in.cfg.iface                          ? open_interface(s, &why)
		   : s->live                                ? open_exchange(s, &why)
		   : cap_open(s->file, &s->cap, &why) == OK ? -1
							    : EXIT_FAILED;
	if (code >= 0)
		fprintf(stderr, "rung scope: %s: " STR_FMT "\n",
			s->in.cfg.iface ? s->in.cfg.iface
			: s->live       ? s->live
					: s->file,
			STR_ARG(why.n ? buf_view(&why) : str_c(err_text(ERR_NOMEM))));
	buf_fini(&why);
	return code;
}

/* TLS secrets: of --keys, or else of the file that the user's own programs write. */
static int open_keys(struct scope *s)
{
	const char *path = s->keys ? s->keys : getenv("SSLKEYLOGFILE");
	enum err e = path && *path ? cap_walk_keys(s->walk, path) : OK;
	if (!e || !s->keys)
		return -1;
	fprintf(stderr, "rung scope: %s: %s\n", path,
		e == ERR_NOTFOUND ? "there is no such file"
				  : "it cannot be read, or is no regular file");
	return EXIT_FAILED;
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	(void)t;
	scope_on_verdict(arg, c, v);
}

/* enum flt_needs of the filter and the fields to print. */
static unsigned needs_of(const struct scope *s)
{
	unsigned needs = s->flt ? flt_needs(s->flt) : 0;
	for (size_t i = 0; i < s->field_names.n; i++)
		needs |= s->fields[i]->needs;
	return needs;
}

bool scope_is_of_whole_calls(const struct scope *s)
{
	return needs_of(s) & FLT_NEEDS_CALLS;
}

/* A filter about whole calls needs to know how they end: a capture is read twice, for which a pipe
 * is put aside; live frames wait. */
static int keep_for_twice(struct scope *s)
{
	if (s->is_live || !scope_is_of_whole_calls(s))
		return -1;
	enum err e = cap_keep(s->cap);
	if (e)
		fprintf(stderr, "rung scope: there is no room to put the capture aside (TMPDIR)\n");
	return e ? EXIT_FAILED : -1;
}

/* Kinds of calls that nobody will ask about. */
static uint8_t skips(const struct scope *s)
{
	bool may_ask = needs_of(s) & FLT_NEEDS_CALLS || scope_write_needs_trk(s) || s->is_live;
	return may_ask ? 0 : scope_view_skips(s->view);
}

static enum err make_hold(struct scope *s)
{
	struct hold_cfg cfg = {.flt = s->flt,
			       .trk = s->trk,
			       .max_bytes = LIVE_MAX_HELD,
			       .is_ordered = scope_view_sees_all(s->view),
			       .on_frame = scope_show_frame,
			       .keep = s->to.path ? scope_write_keep : NULL,
			       .drop = scope_write_drop,
			       .arg = s};
	for (size_t i = 0; i < s->field_names.n; i++)
		cfg.tells_calls = cfg.tells_calls || flt_is_of_call(s->fields[i]);
	s->hold = hold_new(&cfg);
	return s->hold ? OK : ERR_NOMEM;
}

int scope_make_walk(struct scope *s)
{
	unsigned of_fields = needs_of(s);
	bool needs = scope_view_needs_trk(s->view) || of_fields & ~(unsigned)FLT_NEEDS_CONV ||
		     scope_write_needs_trk(s);
	if (needs) {
		/* live, calls are forgotten when they have ended, where the view can do with that
		 */
		bool forgets = scope_view_forgets(s->view) ||
			       (scope_is_of_whole_calls(s) && s->view != V_FLOW);
		struct trk_cfg cfg = {.is_live = s->is_live && forgets,
				      .has_media = !s->live,
				      .finds_media = s->view == V_STREAMS,
				      .skips = skips(s),
				      .has_join = (scope_view_is_of_calls(s->view) ||
						   scope_is_of_whole_calls(s)) &&
						  !s->is_leg,
				      .report_all = true,
				      .on_verdict = on_verdict,
				      .arg = s};
		s->trk = trk_new(&cfg);
	}
	enum err e = needs && !s->trk ? ERR_NOMEM : cap_walk_new(s->cap, s->trk, &s->walk);
	if (!e)
		cap_walk_brief(s->walk);
	if (!e && s->is_live && scope_is_of_whole_calls(s))
		e = make_hold(s);
	if (!e && of_fields & FLT_NEEDS_CONV)
		e = cap_walk_conversations(s->walk, s->is_live ? LIVE_MAX_CONVERSATIONS : 0);
	if (e)
		fprintf(stderr, "rung scope: %s\n", err_text(e));
	return e ? EXIT_FAILED : open_keys(s);
}

int scope_open(struct scope *s)
{
	s->is_live = s->live || s->in.cfg.iface;
	int code = scope_open_capture(s);
	if (code < 0)
		code = keep_for_twice(s);
	if (code < 0)
		code = scope_write_open(s);
	return code < 0 ? scope_make_walk(s) : code;
}

/* TLS that stayed closed; what began before the capture cannot be helped. */
static void report_tls(const struct cap_tls_counts *n)
{
	if (n->n_no_key)
		fprintf(stderr,
			"rung scope: %u of %u TLS connections could not be read: their secrets are "
			"not known; let the client write them (SSLKEYLOGFILE) and give that file "
			"with --keys, or put it into the capture (`editcap --inject-secrets`)\n",
			n->n_no_key, n->n_conns);
	if (n->n_suite)
		fprintf(stderr,
			"rung scope: %u of %u TLS connections use a cipher suite that is not read "
			"here\n",
			n->n_suite, n->n_conns);
}

static void report_counts(const struct scope *s)
{
	struct cap_counts c;
	if (s->live)
		fprintf(stderr, "rung scope: %llu messages, %llu dropped by the exchange\n",
			(unsigned long long)s->n_frames,
			(unsigned long long)cap_sniffer_drops(s->cap));
	else if (cap_count(s->cap, &c) && strncmp(s->in.cfg.iface, "hep:", 4) == 0)
		fprintf(stderr, "rung scope: %llu packets of HEP, %llu refused or damaged\n",
			(unsigned long long)c.n_received, (unsigned long long)c.n_dropped_iface);
	else if (c.n_received || s->in.cfg.iface)
		fprintf(stderr,
			"rung scope: %llu packets, %llu dropped by the kernel, %llu by the "
			"interface\n",
			(unsigned long long)s->n_frames, (unsigned long long)c.n_dropped_kernel,
			(unsigned long long)c.n_dropped_iface);
}

/* What is put aside of a damaged capture may be whole. */
const char *scope_problem(const struct scope *s)
{
	return cap_problem(s->first_cap ? s->first_cap : s->cap);
}

int scope_report(struct scope *s, int code)
{
	uint16_t link;
	uint32_t n = cap_walk_unknown_links(s->walk, &link);
	if (n)
		fprintf(stderr,
			"rung scope: %u frames have the link type %u, which is not read here; "
			"`editcap` or `tcpdump` may convert them\n",
			n, link);
	report_tls(cap_walk_tls(s->walk));
	report_counts(s);
	if (s->hold && hold_n_forced(s->hold))
		fprintf(stderr,
			"rung scope: %u frames were decided before their calls had ended: more "
			"than %u MB waited\n",
			hold_n_forced(s->hold), LIVE_MAX_HELD >> 20);
	const char *problem = scope_problem(s);
	if (problem && !s->live) {
		fprintf(stderr, "rung scope: %s; what was read so far is shown\n", problem);
		code = code > 0 ? code : EXIT_FAILED;
	}
	if (ferror(s->sink)) {
		fprintf(stderr,
			"rung scope: the output cannot be written (disk full, or the reader "
			"has gone)\n");
		code = EXIT_FAILED;
	}
	return code;
}

static void mark_calls(void *arg, const struct cap_frame *fr)
{
	struct scope *s = arg;
	if (!s->flt || s->is_screen || scope_is_of_whole_calls(s) || !flt_match(s->flt, fr))
		return;
	for (size_t i = 0; i < fr->n_msgs; i++)
		if (fr->msgs[i].call)
			fr->msgs[i].call->is_marked = true;
}

/* The same when all calls are known. */
static bool mark_whole_calls(void *arg, const struct cap_frame *fr)
{
	struct scope *s = arg;
	if (flt_calls_attach(s->calls, fr))
		return false;
	if (!flt_match(s->flt, fr))
		return true;
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct trk_call *c = trk_find(s->trk, cap_index(fr, i)->call_id);
		if (c)
			c->is_marked = true;
	}
	return true;
}

int scope_open_book(struct scope *s)
{
	struct book_cfg cfg = {
		.is_live = s->live || s->in.cfg.iface,
		.trk = {.has_media = !s->live,
			.has_join = !s->is_leg,
			.is_listed = true,
			.max_calls = LIVE_MAX_CALLS,
			.keep_s = LIVE_KEEP_S},
		.on_frame = mark_calls,
		.arg = s,
	};
	int code = scope_open_capture(s);
	if (code >= 0)
		return code;
	struct cap *c = s->cap;
	s->cap = NULL;
	enum err e = book_new(c, &cfg, &s->book);
	if (e) {
		fprintf(stderr, "rung scope: %s\n",
			e == ERR_IO ? "there is no room to put the capture aside (TMPDIR)"
				    : err_text(e));
		return EXIT_FAILED;
	}
	s->cap = book_cap(s->book);
	s->trk = book_trk(s->book);
	s->walk = book_walk(s->book);
	if (needs_of(s) & FLT_NEEDS_CONV &&
	    cap_walk_conversations(s->walk, s->is_live ? LIVE_MAX_CONVERSATIONS : 0)) {
		fprintf(stderr, "rung scope: %s\n", err_text(ERR_NOMEM));
		return EXIT_FAILED;
	}
	return open_keys(s);
}

static struct trk_call *call_named(const struct scope *s, struct str name)
{
	uint32_t no = 0;
	bool is_no = str_u32(name, &no);
	for (struct trk_call *c = trk_first(s->trk); c; c = trk_after(s->trk, c))
		if (str_eq(c->call_id, name) || (is_no && c->no == no))
			return c;
	if (!s->is_screen)
		fprintf(stderr, "rung scope: no call has the Call-ID or number `" STR_FMT "`\n",
			STR_ARG(name));
	return NULL;
}

static bool by_hand(struct scope *s, const char *pair, bool is_join)
{
	struct str second, first = str_cut(str_c(pair), ',', &second);
	struct trk_call *a = call_named(s, first), *b = a ? call_named(s, second) : NULL;
	if (!b)
		return false;
	bool ok = is_join ? trk_join_add(s->trk, a, b) == OK : trk_join_break(s->trk, a, b);
	if (!ok && !s->is_screen)
		fprintf(stderr,
			is_join ? "rung scope: --join %s: they cannot be joined (one and the same, "
				  "or too many legs)\n"
				: "rung scope: --split %s: no join leads from one to the other\n",
			pair);
	return ok;
}

int scope_settle(struct scope *s)
{
	bool ok = true;
	trk_join_settle(s->trk);
	for (size_t i = 0; i < s->splits.n && ok; i++)
		ok = by_hand(s, s->splits.v[i], false);
	for (size_t i = 0; i < s->joins.n && ok; i++)
		ok = by_hand(s, s->joins.v[i], true);
	return ok ? -1 : EXIT_FAILED;
}

int scope_read_book(struct scope *s)
{
	scope_catch_signals();
	while (!scope_was_signalled() && book_read(s->book, 10'000))
		continue;
	int unsettled = scope_settle(s);
	if (unsettled >= 0)
		return unsettled;
	if (scope_is_of_whole_calls(s)) {
		s->calls = flt_calls_new(s->trk);
		if (!s->calls ||
		    book_frames(s->book, needs_of(s) | FLT_NEEDS_MEDIA, mark_whole_calls, s)) {
			fprintf(stderr, "rung scope: the capture cannot be read a second time\n");
			return EXIT_FAILED;
		}
	}
	int bad = scope_report(s, -1);
	return bad == EXIT_FAILED && !cap_problem(s->cap) ? bad : -1;
}
