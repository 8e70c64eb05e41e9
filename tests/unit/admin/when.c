/* Moments as an operator writes them: the same for the command line and the API. */
#include "test.h"

#include "admin/when.h"

#include <stdlib.h>
#include <time.h>

#define NOW_US 1'795'000'000'000'000ull

TEST(moments_that_are_read)
{
	static const struct {
		const char *text;
		uint64_t us;
	} rows[] = {
		{"0s",		       NOW_US                    },
		{"90m",                      NOW_US - 5400'000'000ull  },
		{"2h",		       NOW_US - 7200'000'000ull  },
		{"7d",		       NOW_US - 604800'000'000ull},
		{"4294967295d",              0                         },
		{"1795000000",               NOW_US                    },
		{"2026-11-18T11:06:40Z",     NOW_US                    },
		{"2026-11-18T11:06:40.123Z", NOW_US                    },
		{"2026-11-18T11:06Z",        NOW_US - 40'000'000       },
		{"2026-11-18T12:06",         NOW_US - 40'000'000       },
		{"2026-11-18 12:06:40",      NOW_US                    },
		{"2026-11-18",               NOW_US - 43600'000'000ull },
	};
	setenv("TZ", "HERE-1", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t us = 1;
		if (!adm_when_parse(str_c(rows[i].text), NOW_US, &us) || us != rows[i].us)
			test_fail(__FILE__, __LINE__, "%s: %llu", rows[i].text,
				  (unsigned long long)us);
	}
}

TEST(moments_that_are_none)
{
	static const char *const bad[] = {"",
					  "h",
					  "-2h",
					  "2w",
					  "soon",
					  "2026-13-01",
					  "2026-11-18T",
					  "2026-11-18T25:00",
					  "2026-11-18Zulu",
					  "99999999999999999999",
					  "18446744073709551615",
					  "1900-01-01Z"};
	uint64_t us;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (adm_when_parse(str_c(bad[i]), NOW_US, &us))
			test_fail(__FILE__, __LINE__, "%s", bad[i]);
}
