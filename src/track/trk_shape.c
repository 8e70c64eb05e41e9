/* Bodies of one shape: SDP that differs only in origin, address and port.
 *
 * A phone says the same in each of its calls, so of a million bodies a handful are different but
 * for who and where. What was worked out for one (direction, formats, the outline that ports are
 * learnt with) holds for all with that shape, and the rest of the body costs a copy instead of a
 * parse. The shape is the body itself without what may differ; one medium, one address, both well
 * formed, else there is no shape.
 *
 * In a file only, where texts are kept once. [RFC8866 5]
 */
#include "track/trk_shape.h"

#include "base/assert.h"

#include <string.h>

#define MAX_SHAPE 1'000u

struct shaping {
	char text[MAX_SHAPE];
	size_t n;
	bool has_medium, has_host;
	struct trk_look *look;
};

static bool copy(struct shaping *s, const char *p, size_t n)
{
	if (n > MAX_SHAPE - s->n)
		return false;
	if (n)
		memcpy(s->text + s->n, p, n);
	s->n += n;
	return true;
}

/* c=IN IP4 192.0.2.1 */
static bool on_conn(struct shaping *s, struct str line)
{
	bool is_usual = str_starts(line, STR("c=IN IP4 ")) || str_starts(line, STR("c=IN IP6 "));
	if (!is_usual || s->has_host)
		return false;
	s->has_host = true;
	s->look->host = str_skip(line, 9);
	return addr_parse(s->look->host, 0, &s->look->addr) && !s->look->addr.port &&
	       !addr_is_any(&s->look->addr) && copy(s, line.p, 9);
}

/* m=audio 49170 RTP/AVP 0 8 */
static bool on_medium(struct shaping *s, struct str line)
{
	struct str rest, type = str_cut(line, ' ', &rest), port = str_cut(rest, ' ', &rest);
	if (s->has_medium || !str_u32(port, &s->look->port) || !s->look->port ||
	    s->look->port > 65'535)
		return false;
	s->has_medium = true;
	return copy(s, type.p, type.n) && copy(s, rest.p, rest.n);
}

static bool on_line(struct shaping *s, struct str line)
{
	if (line.n < 3 || line.p[1] != '=')
		return false;
	if (line.p[0] == 'o')
		return copy(s, line.p, 2);
	if (line.p[0] == 'c')
		return on_conn(s, line);
	return line.p[0] == 'm' ? on_medium(s, line) : copy(s, line.p, line.n);
}

bool trk_shape_look(struct trk *t, struct trk_call *c, struct str body, struct trk_look *look)
{
	struct shaping s;
	s.n = 0;
	s.has_medium = s.has_host = false;
	s.look = look;
	*look = (struct trk_look){0};
	for (struct str rest = body; rest.n;) {
		struct str line = str_cut(rest, '\n', &rest);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!on_line(&s, line) || !copy(&s, "\n", 1))
			return false;
	}
	if (!s.has_medium || !s.has_host)
		return false;
	look->shape = trk_name_keep(t, c, str_of(s.text, s.n), STR_NONE);
	return look->shape;
}

const struct trk_shape *trk_shape_find(const struct trk *t, const struct trk_look *look)
{
	for (unsigned i = 0; i < t->n_shapes; i++)
		if (t->shapes[i].name == look->shape)
			return &t->shapes[i];
	return NULL;
}

void trk_shape_keep(struct trk *t, const struct trk_look *look, const struct trk_shape *s)
{
	if (t->n_shapes == ARRAY_LEN(t->shapes) || !s->formats)
		return;
	struct trk_shape *own = &t->shapes[t->n_shapes++];
	*own = *s;
	own->name = look->shape;
	own->has_outline = trk_media_outline(t, &own->outline);
}
