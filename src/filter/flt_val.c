/* Values as text: what -T fields prints, and string() gives, as tshark does.
 *
 * A number whose field says so is hexadecimal, as wide as the field; string() is always decimal. A
 * date is in local time, and names the zone.
 */
#include "filter/flt_priv.h"

#include <string.h>
#include <time.h>

static void put_seconds(struct buf *b, int64_t ns)
{
	uint64_t abs = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	buf_fmt(b, "%s%llu.%09llu", ns < 0 ? "-" : "", (unsigned long long)(abs / 1'000'000'000),
		(unsigned long long)(abs % 1'000'000'000));
}

/* "Sep 26, 2004 23:18:04.954975000 UTC" */
static void put_date(struct buf *b, int64_t ns, bool is_utc)
{
	int64_t s = ns / 1'000'000'000 - (ns % 1'000'000'000 < 0);
	time_t t = (time_t)s;
	struct tm tm;
	char day[40], zone[40];
	if (!(is_utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)) ||
	    !strftime(day, sizeof day, "%b %e, %Y %H:%M:%S", &tm))
		return;
	if (is_utc || !strftime(zone, sizeof zone, "%Z", &tm))
		str_copy(zone, sizeof zone, STR("UTC"));
	buf_fmt(b, "%s.%09lld %s", day, (long long)(ns - s * 1'000'000'000), zone);
}

static void put_address(struct buf *b, uint8_t type, const uint8_t *ip)
{
	if (type == FLT_ETHER) {
		buf_fmt(b, "%02x:%02x:%02x:%02x:%02x:%02x", ip[0], ip[1], ip[2], ip[3], ip[4],
			ip[5]);
		return;
	}
	struct addr a = {.family = type == FLT_IPV4 ? ADDR_V4 : ADDR_V6};
	memcpy(a.ip, ip, type == FLT_IPV4 ? 4 : 16);
	addr_put_ip(b, &a);
}

void flt_put(struct buf *b, uint8_t type, uint8_t base, uint8_t width, const struct flt_val *v)
{
	switch ((enum flt_type)type) {
	case FLT_NONE:
		buf_chr(b, '1');
		break;
	case FLT_UINT:
		if (base == FLT_HEX)
			buf_fmt(b, "0x%0*llx", 2 * width, (unsigned long long)v->u);
		else
			buf_u64(b, v->u);
		break;
	case FLT_INT:
		buf_fmt(b, "%lld", (long long)v->i);
		break;
	case FLT_BOOL:
		buf_chr(b, v->u ? '1' : '0');
		break;
	case FLT_IPV4:
	case FLT_IPV6:
	case FLT_ETHER:
		put_address(b, type, v->ip);
		break;
	case FLT_STR:
		buf_str(b, v->s);
		break;
	case FLT_PROTO:
	case FLT_BYTES:
		buf_hex(b, v->s.p, v->s.n);
		break;
	case FLT_TIME:
		put_seconds(b, v->i);
		break;
	case FLT_DATE:
		put_date(b, v->i, base == FLT_UTC);
		break;
	case FLT_REAL:
		buf_fmt(b, "%g", v->f);
		break;
	case FLT__TYPES:
		break;
	}
}

void flt_val_put(struct buf *b, const struct flt_field *f, const struct flt_val *v)
{
	if (f->type == FLT_PROTO)
		buf_str(b, f->name);
	else
		flt_put(b, f->type, f->base, f->width, v);
}
