/* A jitter buffer of fixed depth.
 *
 * A ring of samples indexed by RTP timestamp: a packet is decoded to its place at once, in whatever
 * order and of whatever length it comes, and a clock reads on at a steady pace. Reordered packets
 * need no sorting, duplicates write the same again, and what never came is silence.
 *
 * The first packet fixes the distance: its samples are read `depth` after its arrival. From then on
 * sender's and reader's clocks run freely, and a difference of 50 ppm eats 60 ms in 20 minutes. So
 * the margins (how long before its time each packet comes) are watched over windows of 2 s: when
 * even the tightest one is far above the depth, 10 ms are skipped; when even the widest is below
 * half of it, 10 ms of silence are put in. Jitter alone moves neither.
 *
 * A timestamp far off (another source, a pause during which the sender's clock stood) is followed
 * at once when it is beyond the ring, and after LATE_ROW packets in a row when it is merely late.
 *
 * Invariants
 *  1. Only samples of [play_ts, play_ts + MD_RING) are in the ring; what was read is zero and not
 *     filled again.
 *  2. concealed counts reads without a sample that were followed by one with samples within a
 *     second: a loss, not a pause; the depth at a start and telephone events are excused. */

#include "media/jitter.h"

#include <string.h>

#define WINDOW     16000 /* samples between corrections of drift */
#define STEP       80
#define LATE_ROW   5
#define GAP_MAX_MS 1000

void md_jitter_init(struct md_jitter *j, uint32_t depth, uint32_t slack)
{
	memset(j, 0, sizeof(*j));
	j->depth = depth;
	j->slack = slack;
}

static void begin_window(struct md_jitter *j)
{
	j->window_ts = j->play_ts;
	j->least = INT32_MAX;
	j->most = INT32_MIN;
	j->in_window = 0;
}

void md_jitter_reset(struct md_jitter *j)
{
	memset(j->pcm, 0, sizeof(j->pcm));
	memset(j->filled, 0, sizeof(j->filled));
	j->is_started = false;
	j->gap = 0;
}

static void start_at(struct md_jitter *j, uint32_t ts)
{
	md_jitter_reset(j);
	j->is_started = j->is_excused = true;
	j->play_ts = ts - j->depth;
	j->late_row = 0;
	begin_window(j);
}

void md_jitter_excuse(struct md_jitter *j)
{
	j->is_excused = true;
}

/* Zeroes n samples from play_ts on and moves past them; n <= MD_RING. */
static size_t skip(struct md_jitter *j, size_t n)
{
	size_t had = 0;
	for (size_t i = 0; i < n; i++, j->play_ts++) {
		uint32_t at = j->play_ts % MD_RING;
		had += j->filled[at / 64] >> at % 64 & 1;
		j->filled[at / 64] &= ~(UINT64_C(1) << at % 64);
		j->pcm[at] = 0;
	}
	return had;
}

/* At the end of a window: are the clocks apart? */
static void correct_drift(struct md_jitter *j)
{
	if (j->in_window >= 20) {
		if (j->least > (int32_t)(j->depth + j->slack + 2 * STEP)) {
			skip(j, STEP);
			j->shifts++;
		} else if (j->most < (int32_t)(j->depth / 2)) {
			j->play_ts -= STEP; /* zero since they were read; put keeps off them */
			j->shifts++;
		}
	}
	begin_window(j);
}

void md_jitter_put(struct md_jitter *j, uint32_t ts, const int16_t *pcm, size_t n)
{
	if (n == 0 || n > MD_RING / 4)
		return;
	if (!j->is_started)
		start_at(j, ts);
	int32_t margin = (int32_t)(ts - j->play_ts);
	if (margin < -MD_RING || margin > (int32_t)(MD_RING - STEP - n)) {
		start_at(j, ts);
		margin = (int32_t)j->depth;
	}
	if (margin < 0) {
		if (++j->late_row < LATE_ROW) {
			j->discarded++;
			return;
		}
		start_at(j, ts);
		margin = (int32_t)j->depth;
	}
	j->late_row = 0;
	j->in_window++;
	j->least = margin < j->least ? margin : j->least;
	j->most = margin > j->most ? margin : j->most;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = (ts + (uint32_t)i) % MD_RING;
		j->pcm[at] = pcm[i];
		j->filled[at / 64] |= UINT64_C(1) << at % 64;
	}
}

void md_jitter_get(struct md_jitter *j, int16_t *pcm, size_t n)
{
	if (!j->is_started) {
		memset(pcm, 0, n * sizeof(*pcm));
		return;
	}
	for (size_t i = 0; i < n; i++)
		pcm[i] = j->pcm[(j->play_ts + (uint32_t)i) % MD_RING];
	if (skip(j, n)) {
		if (!j->is_excused && j->gap * n <= GAP_MAX_MS * 8)
			j->concealed += j->gap;
		j->gap = 0;
		j->is_excused = false;
	} else {
		j->gap++;
	}
	if ((int32_t)(j->play_ts - j->window_ts) >= WINDOW)
		correct_drift(j);
}
