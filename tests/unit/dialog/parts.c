/* Bodies of several parts at a phone: what it takes, passes over, and refuses. [RFC5621]
 * [RFC3261 20.11] */
#include "shots.h"

#include <string.h>

#define PARTS "multipart/mixed;boundary=b"
#define OPTIONAL                                                                                   \
	"--b\r\nContent-Type: text/x\r\nContent-Disposition: "                                     \
	"render;handling=optional\r\n\r\nx\r\n"
#define REQUIRED "--b\r\nContent-Type: text/x\r\n\r\nx\r\n"

static const char *body_of(const struct party *p, unsigned version, const char *part)
{
	static char mem[800];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, str_c(part));
	if (version) {
		buf_str(&b, STR("--b\r\nContent-Type: application/sdp\r\n\r\n"));
		party_put_sdp(p, version, &b);
	}
	buf_str(&b, STR("\r\n--b--\r\n"));
	buf_chr(&b, 0);
	return mem;
}

/* An INVITE: the SDP among others, none but what may be passed over, what must be understood */
TEST(parts_of_an_invite)
{
	static const struct {
		unsigned version;
		const char *part;
		unsigned status;
	} rows[] = {
		{1, OPTIONAL, 486},
                {0, OPTIONAL, 486},
                {1, REQUIRED, 415},
                {0, REQUIRED, 415}
        };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = watched();
		unsigned done;
		p.b->ring = 183;
		p.b->ring_sdp = true;
		p.b->answer = 486;
		p.b->answer_ms = 10;
		outside(p.a, p.b, "INVITE", "Contact: <sip:a@10.0.0.1>\r\n", PARTS,
			body_of(p.a, rows[i].version, rows[i].part), &done);
		world_run(p.w, 100);
		CHECK_EQ(done, rows[i].status);
		if (rows[i].status == 415) {
			CHECK_EQ(p.b->refusal, DLG_REFUSE_BODY);
			CHECK_STR(shot_line(shot('b', "SIP/2.0 415", 0), "Accept", 0),
				  "application/sdp");
		} else {
			CHECK_EQ(p.b->remote, rows[i].version);
		}
		pair_free(&p);
	}
}

/* Changes of a running call, and its answers */
TEST(parts_of_changes_and_answers)
{
	struct pair p = pair_talking();
	struct uac *u;
	unsigned done = 0;
	const struct {
		const char *method, *part;
		unsigned version, status, remote;
	} rows[] = {
		{"UPDATE", OPTIONAL, 7, 200, 7},
		{"UPDATE", REQUIRED, 8, 415, 7},
		{"UPDATE", OPTIONAL, 0, 200, 7},
		{"UPDATE", REQUIRED, 0, 415, 7}
        };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dlg_request req = {
			.method = str_c(rows[i].method),
			.content_type = STR(PARTS),
			.body = str_c(body_of(p.a, rows[i].version, rows[i].part))};
		CHECK_EQ(dlg_send(dialog(p.a), &req, &pair_plain, NULL, &done, &u), OK);
		world_run(p.w, 100);
		CHECK_EQ(done, rows[i].status);
		CHECK_EQ(p.b->remote, rows[i].remote);
	}
	hangup(p.a);
	pair_free(&p);
}
