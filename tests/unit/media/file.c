/* Sound files: every rate and channel count becomes 8 kHz mono with the tones where they were. */

#include "media/file.h"

#include "codec/tone.h"
#include "rig.h"
#include "test.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int16_t pcm[40'000];

/* 2 s of a tone at -10 dBm0 in the first channel, or in all. */
static const char *make_file(int rate, int channels, double hz, bool all)
{
	const char *path = rig_path("tone.wav");
	SF_INFO info = {.samplerate = rate,
			.channels = channels,
			.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
	SNDFILE *f = sf_open(path, SFM_WRITE, &info);
	struct cdc_tone t;
	CHECK(f);
	cdc_tone_init(&t, hz, -10, (uint32_t)rate);
	for (int i = 0; i < 2 * rate; i++) {
		int16_t frame[8] = {0};
		cdc_tone_put(&t, frame, 1);
		for (int c = 1; c < channels; c++)
			frame[c] = all ? frame[0] : 0;
		CHECK_EQ(sf_writef_short(f, frame, 1), 1);
	}
	sf_close(f);
	return path;
}

static void expect(int rate, int channels, double hz, bool all, double level)
{
	struct md_reader *r;
	const char *why;
	const char *path = make_file(rate, channels, hz, all);
	enum err e = md_reader_open(path, 8000, &r, &why);
	unlink(path);
	CHECK_EQ(e, OK);
	size_t n = 0, got;
	while ((got = md_reader_read(r, pcm + n, 160)) > 0)
		n += got;
	CHECK_EQ(md_reader_read(r, pcm, 0), 0);
	CHECK(n >= 15'999 && n <= 16'001);
	CHECK(fabs(cdc_goertzel_dbm0(pcm + 100, 15'800, hz, 8000) - level) < 0.3);
	CHECK(fabs(cdc_level_dbm0(pcm + 100, 15'800) - level) < 0.3);
	md_reader_close(r);
}

TEST_NO_OOM(rates_and_channels)
{
	expect(8000, 1, 1000, true, -10);
	expect(16000, 1, 1000, true, -10);
	expect(44100, 2, 1000, true, -10);
	expect(48000, 1, 3000, true, -10);
	expect(11025, 1, 2000, true, -10);
	expect(6000, 1, 500, true, -10);
	expect(48000, 2, 440, false, -16); /* half the amplitude in the mix */
	expect(32000, 8, 440, true, -10);
}

/* What 8 kHz cannot hold must not come back as something else. */
TEST_NO_OOM(no_aliases)
{
	struct md_reader *r;
	const char *why;
	const char *path = make_file(48000, 1, 5000, true); /* would be 3 kHz */
	enum err e = md_reader_open(path, 8000, &r, &why);
	unlink(path);
	CHECK_EQ(e, OK);
	CHECK_EQ(md_reader_read(r, pcm, 16'000), 16'000);
	CHECK(cdc_level_dbm0(pcm + 100, 15'800) < -60);
	CHECK_EQ(md_reader_rewind(r), OK);
	CHECK_EQ(md_reader_read(r, pcm, 40'000), 16'000);
	md_reader_close(r);
}

TEST(files_that_are_none)
{
	struct md_reader *r;
	struct md_writer *w;
	const char *why = "";
	CHECK_EQ(md_reader_open("/nonexistent/x.wav", 8000, &r, &why), ERR_IO);
	CHECK(strlen(why) > 5);
	const char *path = rig_path("text.wav");
	FILE *f = fopen(path, "w");
	CHECK(f);
	fputs("this is no sound", f);
	fclose(f);
	why = "";
	CHECK_EQ(md_reader_open(path, 8000, &r, &why), ERR_IO);
	unlink(path);
	CHECK(strlen(why) > 5);
	why = "";
	CHECK_EQ(md_writer_open("/nonexistent/x.wav", 8000, &w, &why), ERR_IO);
	CHECK(strlen(why) > 5);
}

/* What is not closed yet can be read already, up to the last whole second. */
TEST(written_files)
{
	struct md_writer *w;
	struct md_reader *r;
	const char *why;
	char path[200];
	snprintf(path, sizeof(path), "%s", rig_path("out.wav"));
	for (int i = 0; i < 20'000; i++)
		pcm[i] = (int16_t)(i % 30'000 - 15'000);
	CHECK_EQ(md_writer_open(path, 8000, &w, &why), OK);
	CHECK_EQ(md_writer_put(w, pcm, 20'000), OK);
	CHECK_EQ(md_reader_open(path, 8000, &r, &why), OK);
	int16_t back[20'001];
	CHECK_EQ(md_reader_read(r, back, 20'001), 16'000);
	md_reader_close(r);
	CHECK_EQ(md_writer_close(w), OK);
	CHECK_EQ(md_reader_open(path, 8000, &r, &why), OK);
	unlink(path);
	CHECK_EQ(md_reader_read(r, back, 20'001), 20'000);
	for (int i = 0; i < 20'000; i++)
		CHECK(abs(back[i] - pcm[i]) <= 1);
	md_reader_close(r);
	CHECK_EQ(md_writer_close(NULL), OK);
	md_reader_close(NULL);
}

TEST_NO_OOM(full_disk)
{
	struct md_writer *w;
	const char *why;
	if (access("/dev/full", W_OK))
		test_skip("no /dev/full");
	if (md_writer_open("/dev/full", 8000, &w, &why) != OK) /* refused at once is fine too */
		return;
	enum err e = OK;
	for (int i = 0; i < 10 && e == OK; i++)
		e = md_writer_put(w, pcm, 8000);
	enum err at_end = md_writer_close(w);
	CHECK(e == ERR_IO || at_end == ERR_IO);
}
