/* Moments, read. */
#include "admin/when.h"

#include <string.h>
#include <time.h>

#define SECOND_US 1'000'000u

static uint32_t unit_s(char c)
{
	return c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : c == 'd' ? 86400 : 0;
}

/* Of a fraction of a second no more than that it is one is asked. */
static const char *skip_fraction(const char *p)
{
	size_t n = *p == '.' ? strspn(p + 1, "0123456789") : 0;
	return n ? p + 1 + n : p;
}

static bool parse_date(const char *text, uint64_t *us)
{
	struct tm tm = {.tm_isdst = -1};
	const char *end = strptime(text, "%Y-%m-%d", &tm), *seconds;
	if (end && (*end == 'T' || *end == ' '))
		end = strptime(end + 1, "%H:%M", &tm);
	if (end && (seconds = strptime(end, ":%S", &tm)))
		end = skip_fraction(seconds);
	bool is_utc = end && *end == 'Z' && !end[1];
	if (!end || (*end && !is_utc))
		return false;
	time_t t = is_utc ? timegm(&tm) : mktime(&tm);
	*us = (uint64_t)t * SECOND_US;
	return t >= 0;
}

bool adm_when_parse(struct str s, uint64_t now_us, uint64_t *us)
{
	char text[40];
	uint32_t n, unit = s.n ? unit_s(s.p[s.n - 1]) : 0;
	uint64_t seconds;
	if (str_u64(s, &seconds)) {
		*us = seconds * SECOND_US;
		return seconds <= UINT64_MAX / SECOND_US;
	}
	if (unit && str_u32(str_sub(s, 0, s.n - 1), &n)) {
		uint64_t ago_us = (uint64_t)n * unit * SECOND_US;
		*us = ago_us < now_us ? now_us - ago_us : 0;
		return true;
	}
	return str_copy(text, sizeof(text), s) && parse_date(text, us);
}
