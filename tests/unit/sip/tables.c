/* Names and ids: every row of the tables is found by its names and by nothing else. */

#include "sip/tables.h"

#include "test.h"

#include <ctype.h>
#include <string.h>

TEST(hdr_names_find_their_ids)
{
	for (unsigned id = 1; id < SIP_HDR__N; id++) {
		struct str name = sip_hdr_name(id);
		char text[64];
		CHECK(name.n > 0 && name.n < sizeof(text));
		CHECK_EQ(sip_hdr_find(name), id);
		for (size_t i = 0; i < name.n; i++)
			text[i] = (char)toupper((unsigned char)name.p[i]);
		CHECK_EQ(sip_hdr_find(str_of(text, name.n)), id);
		for (size_t i = 0; i < name.n; i++)
			text[i] = (char)tolower((unsigned char)name.p[i]);
		CHECK_EQ(sip_hdr_find(str_of(text, name.n)), id);
	}
}

/* One changed byte, one missing or one more: never the same header. This includes bytes that the
 * folding of the hash maps together. */
TEST(hdr_near_misses_are_other)
{
	for (unsigned id = 1; id < SIP_HDR__N; id++) {
		struct str name = sip_hdr_name(id);
		char text[64];
		memcpy(text, name.p, name.n);
		for (size_t i = 0; i < name.n; i++) {
			for (int c = 0; c < 256; c++) {
				if (tolower(c) == tolower((unsigned char)name.p[i]))
					continue;
				text[i] = (char)c;
				CHECK(sip_hdr_find(str_of(text, name.n)) != id);
			}
			text[i] = name.p[i];
		}
		text[name.n] = 's';
		CHECK(sip_hdr_find(str_of(text, name.n + 1)) != id);
		if (name.n > 2) /* "T" is To */
			CHECK(sip_hdr_find(str_of(text, name.n - 1)) != id);
	}
	CHECK_EQ(sip_hdr_find(STR_NONE), SIP_HDR_OTHER);
	CHECK_EQ(sip_hdr_find(STR("Subject-Matter")), SIP_HDR_OTHER);
}

/* [RFC3261 7.3.3] and the letters that later RFCs took. */
TEST(hdr_compact_forms)
{
	static const struct {
		const char *letter;
		enum sip_hdr_id id;
	} forms[] = {
		{"v", SIP_HDR_VIA                },
		{"f", SIP_HDR_FROM               },
		{"t", SIP_HDR_TO                 },
		{"i", SIP_HDR_CALL_ID            },
		{"m", SIP_HDR_CONTACT            },
		{"l", SIP_HDR_CONTENT_LENGTH     },
		{"c", SIP_HDR_CONTENT_TYPE       },
		{"e", SIP_HDR_CONTENT_ENCODING   },
		{"k", SIP_HDR_SUPPORTED          },
		{"s", SIP_HDR_SUBJECT            },
		{"o", SIP_HDR_EVENT              },
		{"u", SIP_HDR_ALLOW_EVENTS       },
		{"r", SIP_HDR_REFER_TO           },
		{"b", SIP_HDR_REFERRED_BY        },
		{"x", SIP_HDR_SESSION_EXPIRES    },
		{"a", SIP_HDR_ACCEPT_CONTACT     },
		{"j", SIP_HDR_REJECT_CONTACT     },
		{"d", SIP_HDR_REQUEST_DISPOSITION},
		{"y", SIP_HDR_IDENTITY           },
		{"n", SIP_HDR_IDENTITY_INFO      },
	};
	unsigned known = 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char upper = (char)toupper((unsigned char)forms[i].letter[0]);
		CHECK_EQ(sip_hdr_find(str_c(forms[i].letter)), forms[i].id);
		CHECK_EQ(sip_hdr_find(str_of(&upper, 1)), forms[i].id);
	}
	for (int c = 0; c < 256; c++) {
		char letter = (char)c;
		known += sip_hdr_find(str_of(&letter, 1)) != SIP_HDR_OTHER;
	}
	CHECK_EQ(known, 2 * sizeof(forms) / sizeof(forms[0]));
}

/* Methods are case-sensitive. [RFC3261 7.1] */
TEST(methods)
{
	for (unsigned m = 1; m < SIP_METHOD__N; m++)
		CHECK_EQ(sip_method_find(sip_method_name(m)), m);
	CHECK_EQ(sip_method_find(STR("invite")), SIP_METHOD_OTHER);
	CHECK_EQ(sip_method_find(STR("INVITEE")), SIP_METHOD_OTHER);
	CHECK_EQ(sip_method_find(STR("IN%56ITE")), SIP_METHOD_OTHER);
	CHECK_EQ(sip_method_find(STR("")), SIP_METHOD_OTHER);
	CHECK_EQ(sip_method_find(STR_NONE), SIP_METHOD_OTHER);
	CHECK_EQ(sip_method_flags(SIP_INVITE), SIP_MF_DIALOG | SIP_MF_TARGET);
	CHECK_EQ(sip_method_flags(SIP_BYE), 0);
}

TEST(status_reasons)
{
	CHECK_STR(sip_status_reason(404), "Not Found");
	CHECK_STR(sip_status_reason(481), "Call/Transaction Does Not Exist");
	CHECK_STR(sip_status_reason(499), "Request Failure");
	CHECK_STR(sip_status_reason(299), "OK");
	CHECK_STR(sip_status_reason(699), "Global Failure");
	CHECK_STR(sip_status_reason(99), "Unknown");
	CHECK_STR(sip_status_reason(700), "Unknown");
}

TEST(diagnostics_are_described)
{
	for (unsigned c = 0; c < SIP_DIAG__N; c++) {
		CHECK(strlen(sip_diag_text(c)) > 4);
		CHECK(strncmp(sip_diag_rfc(c), "RFC", 3) == 0);
		CHECK(strlen(sip_diag_name(c)) > 2);
		bool answers = sip_diag_severity(c) == SIP_SEV_REJECT ||
			       sip_diag_severity(c) == SIP_SEV_REFUSE;
		CHECK_EQ(sip_diag_status(c) != 0, answers);
	}
	CHECK_STR(str_c(sip_diag_name(SIP_DIAG_BARE_LF)), "BARE_LF");
}
