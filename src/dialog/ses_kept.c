/* The SDP that a session is refreshed with, where its timer is ours and the peer takes no UPDATE:
 * each call that talks keeps two, so they are squeezed. [RFC4028 7.4]
 */
#include "base/squeeze.h"
#include "dialog/ses_priv.h"

#include <stdlib.h>
#include <string.h>

/* What phones write, the most usual last: each call keeps two of them. */
static const struct str usual_sdp = STR_INIT(
	"m=video RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\n"
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:\r\na=setup:actpass\r\na=fingerprint:sha-256 "
	"a=candidate: udp typ host\r\na=ssrc: cname:\r\na=rtcp-mux\r\na=rtcp: IN IP6 "
	"a=rtpmap:3 GSM/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=maxptime:"
	"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\nm=audio RTP/SAVPF RTP/SAVP "
	"\r\na=sendonly\r\na=inactive\r\na=rtpmap:9 G722/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=fmtp:101 0-15\r\n"
	"a=ptime:20\r\na=sendrecv\r\nv=0\r\no=- IN IP4 192.168.1.\r\ns=-\r\nc=IN IP4 10.0.0."
	"\r\nt=0 0\r\nm=audio RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n");

void ses_keep_sdp(struct ses *s, struct str sdp)
{
	sdp = dlg_plain_sdp(s->m, sdp); /* a refresh says nothing else */
	struct buf *b = &s->m->scratch;
	buf_clear(b);
	bool is_squeezed = squeeze(sdp, usual_sdp, b);
	if (is_squeezed)
		sdp = buf_view(b);
	struct ses_kept *x = sdp.n ? malloc(sizeof(*x) + sdp.n) : NULL;
	if (!x)
		return;
	*x = (struct ses_kept){.n = (uint32_t)sdp.n, .is_squeezed = is_squeezed};
	memcpy(x->bytes, sdp.p, sdp.n);
	free(s->kept);
	s->kept = x;
}

enum err ses_kept_sdp(struct ses *s)
{
	const struct ses_kept *x = s->kept;
	struct buf *b = &s->m->sdp;
	struct str kept = str_of(x->bytes, x->n);
	buf_clear(b);
	if (x->is_squeezed)
		unsqueeze(kept, usual_sdp, b);
	else
		buf_str(b, kept);
	return b->err;
}
