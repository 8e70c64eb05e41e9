/* Literals: what a word or a string of the filter says as a number, a duration, a date, bytes, an
 * address.
 *
 * Numbers are as in C: 10, 0xa, 012, and 0b1010. A date is local time unless it says UTC, Z or an
 * offset; that is the one place where scope looks at the machine's time zone, because the person
 * who types it lives in it. Dates: "2020-07-04", "2020-07-04 12:34:56.789Z", "Sep 26, 2004
 * 23:18:04.954975 UTC" [ISO 8601] [Wireshark User's Guide 6.4.2].
 */
#include "filter/flt_priv.h"

#include <string.h>
#include <time.h>

bool flt_lit_number(struct str s, uint64_t *out)
{
	unsigned base = 10;
	if (s.n > 1 && s.p[0] == '0') {
		char c = (char)(s.p[1] | 32);
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s = str_skip(s, base == 8 ? 1 : 2);
	}
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = flt_hex_digit(s.p[i]);
		if (d < 0 || (unsigned)d >= base || v > (UINT64_MAX - (unsigned)d) / base)
			return false;
		v = v * base + (unsigned)d;
	}
	*out = v;
	return s.n > 0;
}

/* Digits behind a decimal point, as ns. */
static bool fraction(struct str s, uint64_t *ns)
{
	uint64_t scale = 100'000'000;
	*ns = 0;
	for (size_t i = 0; i < s.n; i++, scale /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9' || i == 9)
			return false;
		*ns += (uint64_t)(s.p[i] - '0') * scale;
	}
	return true;
}

bool flt_lit_seconds(struct str s, int64_t *ns)
{
	bool is_negative = str_starts(s, STR("-"));
	if (is_negative)
		s = str_skip(s, 1);
	if (s.n > 1 && s.p[s.n - 1] == 's')
		s.n--;
	struct str frac;
	struct str whole = str_cut(s, '.', &frac);
	uint64_t sec, more;
	if (!str_u64(whole, &sec) || sec > 9'000'000'000 || !fraction(frac, &more))
		return false;
	int64_t v = (int64_t)(sec * 1'000'000'000 + more);
	*ns = is_negative ? -v : v;
	return true;
}

/* Exactly `width` digits (0: 1 or 2) off the front of *s. */
static bool take_digits(struct str *s, unsigned width, int *out)
{
	unsigned n = 0, most = width ? width : 2;
	int v = 0;
	while (n < most && n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		v = v * 10 + (s->p[n++] - '0');
	*s = str_skip(*s, n);
	*out = v;
	return width ? n == width : n > 0;
}

static bool take_char(struct str *s, const char *any)
{
	if (!s->n || !strchr(any, s->p[0]) || !s->p[0])
		return false;
	*s = str_skip(*s, 1);
	return true;
}

static bool take_clock(struct str *s, struct tm *tm, uint64_t *ns, bool needs_seconds)
{
	if (!take_digits(s, 2, &tm->tm_hour) || !take_char(s, ":") ||
	    !take_digits(s, 2, &tm->tm_min))
		return false;
	if (!take_char(s, ":"))
		return !needs_seconds;
	if (!take_digits(s, 2, &tm->tm_sec))
		return false;
	if (!take_char(s, ".,"))
		return true;
	size_t n = 0;
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	bool ok = n > 0 && fraction(str_sub(*s, 0, n), ns);
	*s = str_skip(*s, n);
	return ok;
}

/* "Z", "UTC", "+02:00", "-0530", or nothing: then it is local time. */
static bool take_zone(struct str s, bool *is_utc, int *offset_s)
{
	s = str_trim(s);
	*is_utc = s.n > 0;
	*offset_s = 0;
	if (!s.n || str_eq(s, STR("Z")) || str_eq(s, STR("UTC")))
		return true;
	int hours, minutes = 0, sign = s.p[0] == '-' ? -1 : 1;
	if (!take_char(&s, "+-") || !take_digits(&s, 2, &hours))
		return false;
	take_char(&s, ":");
	if (s.n && !take_digits(&s, 2, &minutes))
		return false;
	*offset_s = sign * (hours * 3'600 + minutes * 60);
	return s.n == 0;
}

static bool iso_date(struct str *s, struct tm *tm, uint64_t *ns)
{
	if (!take_digits(s, 4, &tm->tm_year) || !take_char(s, "-") ||
	    !take_digits(s, 2, &tm->tm_mon) || !take_char(s, "-") ||
	    !take_digits(s, 2, &tm->tm_mday))
		return false;
	tm->tm_mon--;
	return !s->n || (take_char(s, "T ") && take_clock(s, tm, ns, false));
}

static bool month_date(struct str *s, struct tm *tm, uint64_t *ns)
{
	const struct str months = STR("JanFebMarAprMayJunJulAugSepOctNovDec");
	size_t at = s->n < 3 ? SIZE_MAX : str_ifind(months, str_sub(*s, 0, 3));
	if (at == SIZE_MAX || at % 3)
		return false;
	tm->tm_mon = (int)(at / 3);
	*s = str_skip(*s, 3);
	while (take_char(s, " "))
		continue;
	if (!take_digits(s, 0, &tm->tm_mday) || !take_char(s, ","))
		return false;
	while (take_char(s, " "))
		continue;
	return take_digits(s, 4, &tm->tm_year) && take_char(s, " ") && take_clock(s, tm, ns, true);
}

bool flt_lit_date(struct str s, int64_t *out)
{
	struct tm tm = {.tm_isdst = -1};
	uint64_t ns = 0;
	bool is_utc;
	int offset_s;
	s = str_trim(s);
	bool ok = s.n && s.p[0] >= '0' && s.p[0] <= '9' ? iso_date(&s, &tm, &ns)
							: month_date(&s, &tm, &ns);
	if (!ok || !take_zone(s, &is_utc, &offset_s))
		return false;
	if (tm.tm_year < 1970 || tm.tm_year > 2200 || tm.tm_mon < 0 || tm.tm_mon > 11 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	int64_t t = (int64_t)(is_utc ? timegm(&tm) : mktime(&tm)) - offset_s;
	*out = t * 1'000'000'000 + (int64_t)ns;
	return true;
}

bool flt_lit_bytes(struct str s, uint8_t *out, size_t *n)
{
	size_t k = 0;
	if (s.n == 1 && flt_hex_digit(s.p[0]) >= 0) {
		out[0] = (uint8_t)flt_hex_digit(s.p[0]);
		*n = 1;
		return true;
	}
	if (s.n <= 4 && str_istarts(s, STR("0x"))) /* one byte, or its order would be unknown */
		s = str_skip(s, 2);
	for (size_t i = 0; i < s.n;) {
		int high = flt_hex_digit(s.p[i]);
		int low = i + 1 < s.n ? flt_hex_digit(s.p[i + 1]) : -1;
		bool is_separated = i + 1 >= s.n || strchr(":.-", s.p[i + 1]);
		if (high < 0 || (low < 0 && !is_separated))
			return false;
		/* "4.9" has digits of their own, as Wireshark's "0.1.2.3" */
		out[k++] = (uint8_t)(low < 0 ? high : high * 16 + low);
		i += low < 0 ? 1 : 2;
		if (i < s.n && strchr(":.-", s.p[i]) && ++i == s.n)
			return false;
	}
	*n = k;
	return k > 0;
}

bool flt_lit_ip(struct str s, uint8_t type, uint8_t ip[16], uint8_t *bits)
{
	struct addr_net net;
	if (!addr_net_parse(s, &net))
		return false;
	bool is_v4 = net.base.family == ADDR_V4;
	if (is_v4 != (type == FLT_IPV4))
		return false;
	memcpy(ip, net.base.ip, 16);
	*bits = net.bits;
	return true;
}
