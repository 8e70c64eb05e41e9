/* The words of a line stand in fixed order and are told apart by tabs, which no address or name
 * has: so that nothing need be quoted, and a question can be typed by hand. */
#include "admin/line.h"

#include "base/assert.h"

static const char *const verbs[] = {
	[ADM_DO_LIST] = "list",       [ADM_DO_DELETE] = "delete",
	[ADM_DO_RELOAD] = "reload",   [ADM_DO_RECONFIGURE] = "reconfigure",
	[ADM_DO_MEASURE] = "measure", [ADM_DO_EXPLAIN] = "explain",
	[ADM_DO_ADD] = "add"};
static const char *const results[] = {
	[ADM_DONE] = "done",         [ADM_NO_SUCH] = "no-such",
	[ADM_NOT_OURS] = "not-ours", [ADM_NOT_POSSIBLE] = "not-possible",
	[ADM_REFUSED] = "refused",   [ADM_FAILED] = "failed"};

static size_t find(struct str word, const char *const *names, size_t n)
{
	size_t i = 0;
	while (i < n && !str_eq(word, str_c(names[i])))
		i++;
	return i;
}

static void put_word(struct buf *b, const char *word)
{
	buf_chr(b, '\t');
	buf_plain(b, str_c(word));
}

enum err adm_line_put(struct buf *b, const struct adm_ask *q)
{
	buf_fmt(b, "ask\t%s\t%s\t%s\t%llu\t%llu", verbs[q->verb], adm_object(q->kind)->many,
		adm_format_name(q->format), (unsigned long long)q->skip,
		(unsigned long long)q->limit);
	put_word(b, q->key);
	put_word(b, q->filter);
	buf_chr(b, '\n');
	return b->err;
}

enum err adm_line_parse(struct str line, struct adm_ask *q)
{
	struct str rest = line, word = str_cut(rest, '\t', &rest);
	if (!str_eq(word, STR("ask")))
		return ERR_SYNTAX;
	size_t verb = find(str_cut(rest, '\t', &rest), verbs, ARRAY_LEN(verbs));
	if (verb == ARRAY_LEN(verbs) || !adm_kind_find(str_cut(rest, '\t', &rest), &q->kind) ||
	    !adm_format_find(str_cut(rest, '\t', &rest), &q->format) ||
	    !str_u64(str_cut(rest, '\t', &rest), &q->skip) ||
	    !str_u64(str_cut(rest, '\t', &rest), &q->limit))
		return ERR_SYNTAX;
	q->verb = (enum adm_verb)verb;
	if (!str_copy(q->key, sizeof(q->key), str_cut(rest, '\t', &rest)) ||
	    !str_copy(q->filter, sizeof(q->filter), str_cut(rest, '\t', &rest)))
		return ERR_SYNTAX;
	return OK;
}

void adm_line_answer(struct buf *b, const struct adm_ask *q)
{
	struct str rest = buf_view(&q->out);
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		buf_chr(b, ' ');
		buf_str(b, line);
		buf_chr(b, '\n');
	}
	if (!q->is_end)
		return;
	buf_fmt(b, "=%s %d %llu ", results[q->result], q->is_more, (unsigned long long)q->n_rows);
	buf_plain(b, str_c(q->why));
	buf_chr(b, '\n');
}

enum err adm_line_outcome(struct str line, struct adm_outcome *out)
{
	struct str rest = str_skip(str_trim(line), 1), more;
	if (!str_starts(line, STR("=")))
		return ERR_SYNTAX;
	size_t result = find(str_cut(rest, ' ', &rest), results, ARRAY_LEN(results));
	more = str_cut(rest, ' ', &rest);
	if (result == ARRAY_LEN(results) || !str_u64(str_cut(rest, ' ', &rest), &out->n_rows))
		return ERR_SYNTAX;
	out->result = (enum adm_result)result;
	out->is_more = str_eq(more, STR("1"));
	out->why = rest;
	return OK;
}
