/* Legs joined: by what is heard in them.
 *
 * A B2BUA that relays media may change every identifier, and even the RTP header; the audio itself
 * it passes on. So the first packets of each stream leave a print, the hash of their payload, for
 * 200 ms. A packet that leaves a host with the payload that another call's stream has just brought
 * there is a sign; SAME of them in a row join the two calls.
 *
 * The same sound may be in many calls: announcements, music on hold, a load generator's file. What
 * a host sends to two phones does not count, for nothing brought it there. What two streams bring
 * to one host within the time is void. Silence and tones of one value are no sound.
 *
 * Cost: TRK_HEAR packets of a stream, a hash of 64 bytes each; 80 kB in all.
 *
 * Invariant: a print younger than cut_us names a stream that is there.
 *
 * [RFC7092 3.2]
 */
#include "track/trk_join_priv.h"

#include <stdlib.h>
#include <string.h>

#define SAME      8u
#define BUCKET    4u
#define MIN_BYTES 20u /* a frame of G.729 is 10 */
#define WORDS     8u

/* 0: nothing that could be told from other silence. */
static uint64_t print_of(struct str payload)
{
	uint64_t w[WORDS], h = payload.n, odd = 0;
	if (payload.n < MIN_BYTES)
		return 0;
	for (size_t i = 0; i < WORDS; i++) {
		memcpy(&w[i], payload.p + i * (payload.n - sizeof w[i]) / (WORDS - 1), sizeof w[i]);
		odd |= w[i] ^ w[0];
		h = hash_fold(h ^ 0x9e3779b97f4a7c15u, w[i] ^ 0xd1b54a32d192ed03u);
	}
	return odd ? h : 0;
}

static bool is_fresh(const struct trk_joins *s, const struct trk_print *k, uint64_t at_us)
{
	return k->at_us > s->cut_us && k->at_us <= at_us && at_us - k->at_us <= TRK_NEAR_US;
}

static void join(struct trk *t, struct trk_stream *in, struct trk_stream *out)
{
	struct trk_call *a = in->call->no < out->call->no ? in->call : out->call;
	struct trk_call *b = a == in->call ? out->call : in->call;
	struct trk_leg *la = trk_leg_get(t, a), *lb = la ? trk_leg_get(t, b) : NULL;
	if (!lb)
		return;
	struct trk_pair p = {la, lb, TRK_JOIN_PAYLOAD, 0, a->first_ev, b->first_ev};
	trk_join_put(t, &p, TRK_JOIN_MADE);
}

/* One packet more of `out` that `in` brought. */
static void matched(struct trk *t, struct trk_stream *in, struct trk_stream *out)
{
	if (out->same_no != in->no)
		out->n_same = 0;
	out->same_no = in->no;
	if (++out->n_same == SAME)
		join(t, in, out);
}

void trk_join_unhear(struct trk *t)
{
	t->joins->cut_us = t->joins->heard_us;
}

void trk_join_hear(struct trk *t, struct trk_stream *s, uint64_t at_us, struct str payload)
{
	struct trk_joins *j = t->joins;
	s->n_heard++;
	uint64_t h = s->crypt == TRK_PLAIN && s->media == SDP_AUDIO ? print_of(payload) : 0;
	if (!h || addr_ip_eq(&s->from, &s->to)) /* one machine plays all roles */
		return;
	if (!j->prints && !(j->prints = calloc(TRK_PRINTS, sizeof *j->prints)))
		return;
	struct trk_print *bucket = &j->prints[h % (TRK_PRINTS / BUCKET) * BUCKET];
	struct trk_print *place = bucket;
	bool is_void = false;
	for (struct trk_print *k = bucket; k < bucket + BUCKET; k++) {
		bool is_it = is_fresh(j, k, at_us) && k->hash == h && k->stream != s;
		if (k->at_us < place->at_us)
			place = k;
		if (!is_it || k->stream->call == s->call)
			continue;
		if (addr_ip_eq(&k->stream->to, &s->to)) {
			k->is_shared = is_void = true;
		} else if (addr_ip_eq(&k->stream->to, &s->from)) {
			if (k->is_shared)
				s->same_no = 0;
			else
				matched(t, k->stream, s);
		}
	}
	*place = (struct trk_print){.hash = h, .at_us = at_us, .stream = s, .is_shared = is_void};
	j->heard_us = at_us > j->heard_us ? at_us : j->heard_us;
}
