/* Every error value has its own words. */
#include "base/err.h"
#include "test.h"

#include <string.h>

TEST(err_text_is_distinct)
{
	for (int a = OK; a <= ERR_IO; a++) {
		CHECK(strcmp(err_text((enum err)a), "unknown error") != 0);
		for (int b = OK; b < a; b++)
			CHECK(strcmp(err_text((enum err)a), err_text((enum err)b)) != 0);
	}
	CHECK_STR_EQ(str_c(err_text((enum err)(ERR_IO + 1))), STR("unknown error"));
}
