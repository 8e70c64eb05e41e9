/* Addresses: text both ways, classes, nets. [RFC4291 2.2] [RFC5952 4] */
#include "base/addr.h"
#include "test.h"

static const struct {
	struct str in, out; /* out empty: refused */
} rows[] = {
	{STR_INIT("192.0.2.1"),            STR_INIT("192.0.2.1")           },
	{STR_INIT("192.0.2.1:5060"),       STR_INIT("192.0.2.1:5060")      },
	{STR_INIT("192.0.002.001"),        STR_INIT("192.0.2.1")           },
	{STR_INIT("0.0.0.0:65535"),        STR_INIT("0.0.0.0:65535")       },
	{STR_INIT("192.0.2.1:0"),          STR_INIT("192.0.2.1")           },
	{STR_INIT("192.0.2.256"),          STR_INIT("")                    },
	{STR_INIT("192.0.2"),              STR_INIT("")                    },
	{STR_INIT("192.0.2.1."),           STR_INIT("")                    },
	{STR_INIT("192.0.2.1.5"),          STR_INIT("")                    },
	{STR_INIT("192.0..1"),             STR_INIT("")                    },
	{STR_INIT("192.0.2.0001"),         STR_INIT("")                    },
	{STR_INIT("192.0.2.1:"),           STR_INIT("")                    },
	{STR_INIT("192.0.2.1:65536"),      STR_INIT("")                    },
	{STR_INIT("192.0.2.1:5060x"),      STR_INIT("")                    },
	{STR_INIT("[192.0.2.1]"),          STR_INIT("")                    },
	{STR_INIT("example.com"),          STR_INIT("")                    },
	{STR_INIT(""),                     STR_INIT("")                    },
	{STR_INIT(" 192.0.2.1"),           STR_INIT("")                    },
	{STR_INIT("::"),                   STR_INIT("::")                  },
	{STR_INIT("::1"),                  STR_INIT("::1")                 },
	{STR_INIT("[::1]"),                STR_INIT("::1")                 },
	{STR_INIT("[::1]:5060"),           STR_INIT("[::1]:5060")          },
	{STR_INIT("1::"),                  STR_INIT("1::")                 },
	{STR_INIT("2001:db8:0:0:1:0:0:1"), STR_INIT("2001:db8::1:0:0:1")   },
	{STR_INIT("2001:DB8::00Ab"),       STR_INIT("2001:db8::ab")        },
	{STR_INIT("2001:db8:0:1:1:1:1:1"), STR_INIT("2001:db8:0:1:1:1:1:1")},
	{STR_INIT("2001:0:0:1:0:0:0:1"),   STR_INIT("2001:0:0:1::1")       },
	{STR_INIT("1:2:3:4:5:6:7::"),      STR_INIT("1:2:3:4:5:6:7:0")     },
	{STR_INIT("64:ff9b::192.0.2.33"),  STR_INIT("64:ff9b::c000:221")   },
	{STR_INIT("::ffff:192.0.2.1"),     STR_INIT("192.0.2.1")           },
	{STR_INIT("[::ffff:c000:201]:80"), STR_INIT("192.0.2.1:80")        },
	{STR_INIT("fe80::1%3"),            STR_INIT("fe80::1%3")           },
	{STR_INIT("[fe80::1%3]:5060"),     STR_INIT("[fe80::1%3]:5060")    },
	{STR_INIT("fe80::1%eth0"),         STR_INIT("")                    },
	{STR_INIT("fe80::1%"),             STR_INIT("")                    },
	{STR_INIT("1:2:3:4:5:6:7"),        STR_INIT("")                    },
	{STR_INIT("1:2:3:4:5:6:7:8:9"),    STR_INIT("")                    },
	{STR_INIT("1:2:3:4::5:6:7:8"),     STR_INIT("")                    },
	{STR_INIT("1::2::3"),              STR_INIT("")                    },
	{STR_INIT(":::"),                  STR_INIT("")                    },
	{STR_INIT("2001:db8:::1"),         STR_INIT("")                    },
	{STR_INIT(":1:2:3:4:5:6:7"),       STR_INIT("")                    },
	{STR_INIT("1:2:3:4:5:6:7:"),       STR_INIT("")                    },
	{STR_INIT("12345::"),              STR_INIT("")                    },
	{STR_INIT("::g"),                  STR_INIT("")                    },
	{STR_INIT("::192.0.2.1:5"),        STR_INIT("")                    },
	{STR_INIT("192.0.2.1::"),          STR_INIT("")                    },
	{STR_INIT("[::1"),                 STR_INIT("")                    },
	{STR_INIT("[::1]5060"),            STR_INIT("")                    },
	{STR_INIT("[]"),                   STR_INIT("")                    },
	{STR_INIT("[::1]:"),               STR_INIT("")                    },
	{STR_INIT(":"),                    STR_INIT("")                    },
};

TEST(addr_text_both_ways)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr a, again;
		char text[ADDR_TEXT_MAX];
		bool is_good = addr_parse(rows[i].in, 0, &a);
		if (is_good != (rows[i].out.n > 0))
			test_fail(__FILE__, __LINE__, "parse of \"" STR_FMT "\"",
				  STR_ARG(rows[i].in));
		if (!is_good)
			continue;
		CHECK_STR_EQ(str_c(addr_text(&a, text)), rows[i].out);
		CHECK(addr_parse(rows[i].out, 0, &again) && addr_eq(&a, &again));
	}
}

TEST(addr_ports_and_forms)
{
	struct addr a = {0}, b;
	char mem[64];
	struct buf o;
	CHECK(addr_parse(STR("2001:db8::1"), 5060, &a));
	CHECK_EQ(a.port, 5060);
	buf_init_fixed(&o, mem, sizeof(mem));
	addr_put_host(&o, &a);
	CHECK_STR(buf_view(&o), "[2001:db8::1]");
	buf_clear(&o);
	addr_put_ip(&o, &a);
	CHECK_STR(buf_view(&o), "2001:db8::1");
	CHECK(addr_parse(STR("192.0.2.1:7"), 5060, &b));
	CHECK_EQ(b.port, 7);
	CHECK(!addr_parse(STR("nowhere"), 1, &b));
	CHECK_EQ(b.port, 7); /* untouched */
	a = b;
	a.port = 8;
	CHECK(!addr_eq(&a, &b) && addr_ip_eq(&a, &b));
	uint8_t key[16] = {0};
	CHECK(addr_hash(key, &a) != addr_hash(key, &b));
	a = (struct addr){0};
	buf_clear(&o);
	addr_put(&o, &a);
	CHECK_STR(buf_view(&o), "-");
	/* the longest form fits */
	CHECK(addr_parse(STR("[1111:2222:3333:4444:5555:6666:7777:8888%255]:65535"), 0, &a));
	char text[ADDR_TEXT_MAX];
	CHECK_STR_EQ(str_c(addr_text(&a, text)),
		     STR("[1111:2222:3333:4444:5555:6666:7777:8888%255]:65535"));
}

static bool is(bool (*fn)(const struct addr *), const char *text)
{
	struct addr a;
	CHECK(addr_parse(str_c(text), 0, &a));
	return fn(&a);
}

TEST(addr_classes)
{
	CHECK(is(addr_is_any, "0.0.0.0") && is(addr_is_any, "::") && !is(addr_is_any, "::1"));
	CHECK(is(addr_is_loopback, "127.1.2.3") && is(addr_is_loopback, "::1"));
	CHECK(!is(addr_is_loopback, "128.0.0.1") && !is(addr_is_loopback, "::2"));
	CHECK(is(addr_is_private, "10.1.1.1") && is(addr_is_private, "172.16.0.1"));
	CHECK(is(addr_is_private, "172.31.255.255") && !is(addr_is_private, "172.32.0.0"));
	CHECK(!is(addr_is_private, "172.15.0.1") && is(addr_is_private, "192.168.9.9"));
	CHECK(is(addr_is_private, "169.254.0.1") && !is(addr_is_private, "127.0.0.1"));
	CHECK(is(addr_is_private, "fd00::1") && is(addr_is_private, "fc00::1"));
	CHECK(is(addr_is_private, "febf::1") && !is(addr_is_private, "fec0::1"));
	CHECK(!is(addr_is_private, "2001:db8::1") && !is(addr_is_private, "a00::1"));
	CHECK(is(addr_is_multicast, "224.0.1.75") && is(addr_is_multicast, "239.1.1.1"));
	CHECK(!is(addr_is_multicast, "240.0.0.1") && is(addr_is_multicast, "ff02::1"));
	struct addr none = {0};
	CHECK(!addr_is_any(&none) && !addr_is_private(&none));
}

static bool net_has(const char *net, const char *ip)
{
	struct addr_net n;
	struct addr a;
	CHECK(addr_net_parse(str_c(net), &n) && addr_parse(str_c(ip), 0, &a));
	return addr_net_has(&n, &a);
}

TEST(addr_nets)
{
	struct addr_net n;
	CHECK(net_has("10.0.0.0/8", "10.9.9.9") && !net_has("10.0.0.0/8", "11.0.0.0"));
	CHECK(net_has("192.0.2.7", "192.0.2.7") && !net_has("192.0.2.7", "192.0.2.6"));
	CHECK(net_has("0.0.0.0/0", "1.2.3.4") && !net_has("0.0.0.0/0", "::1"));
	CHECK(net_has("192.0.2.128/25", "192.0.2.200") && !net_has("192.0.2.128/25", "192.0.2.1"));
	CHECK(net_has("10.1.2.3/8", "10.0.0.1")); /* host bits do not matter */
	CHECK(net_has("2001:db8::/33", "2001:db8:7fff::1"));
	CHECK(!net_has("2001:db8::/33", "2001:db8:8000::1"));
	CHECK(net_has("::1", "::1") && net_has("::ffff:10.0.0.0/104", "10.200.0.1"));
	static const char *const bad[] = {"10.0.0.0/33",   "10.0.0.0/", "::/129", "10.0.0.0/x",
					  "10.0.0.0:80/8", "host/8",    "",       "[::1]:5/128"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!addr_net_parse(str_c(bad[i]), &n));
}
