// Captures for the browser's tests, made byte by byte (raw IP, link type 101).
import { writeFileSync } from "node:fs";

const A = ["192.0.2.21", 5060], P = ["192.0.2.57", 5060], B = ["192.0.2.43", 5060];

function packet([src, sport], [dst, dport], payload, id) {
	const p = Buffer.alloc(28);
	p[0] = 0x45;
	p.writeUInt16BE(28 + payload.length, 2);
	p.writeUInt16BE(id, 4);
	p[8] = 64;
	p[9] = 17;
	src.split(".").forEach((n, i) => (p[12 + i] = Number(n)));
	dst.split(".").forEach((n, i) => (p[16 + i] = Number(n)));
	p.writeUInt16BE(sport, 20);
	p.writeUInt16BE(dport, 22);
	p.writeUInt16BE(8 + payload.length, 24);
	return Buffer.concat([p, payload]);
}

function write(path, packets) {
	const head = Buffer.alloc(24), out = [head];
	[0xa1b2c3d4, 0x00040002, 0, 0, 262144, 101].forEach((n, i) => head.writeUInt32LE(n, 4 * i));
	packets.forEach(([at, from, to, payload], i) => {
		const frame = packet(from, to, Buffer.isBuffer(payload) ? payload : Buffer.from(payload), (i + 1) & 0xffff);
		const rec = Buffer.alloc(16);
		[1700000000 + Math.floor(at), Math.round((at % 1) * 1e6), frame.length, frame.length].forEach((n, k) => rec.writeUInt32LE(n, 4 * k));
		out.push(rec, frame);
	});
	writeFileSync(path, Buffer.concat(out));
}

function sip(start, branch, cseq, { id = "c1", from = '"A" <sip:1001@x>;tag=f', to = "<sip:1002@x>", more = "", body = "" } = {}) {
	return `${start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK${branch}\r\nFrom: ${from}\r\nTo: ${to}\r\nCall-ID: ${id}\r\nCSeq: ${cseq}\r\n` +
		`Max-Forwards: 70\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const sdp = (ip, port) => ({ more: "Content-Type: application/sdp\r\n",
	body: `v=0\r\no=- 1 1 IN IP4 ${ip}\r\ns=-\r\nc=IN IP4 ${ip}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n` });

// A call whose INVITE was sent three times, with sound in one direction only.
export function one_way(path) {
	const to = "<sip:1002@x>;tag=t", offer = sdp("192.0.2.21", 4000), answer = { ...sdp("192.0.2.43", 5000), to };
	const list = [[0, A, P, sip("INVITE sip:1002@x SIP/2.0", 1, "1 INVITE", offer)]];
	for (const at of [0.01, 0.512, 1.515]) list.push([at, P, B, sip("INVITE sip:1002@192.0.2.43 SIP/2.0", 2, "1 INVITE", offer)]);
	list.push([1.6, B, P, sip("SIP/2.0 180 Ringing", 2, "1 INVITE", { to })], [1.601, P, A, sip("SIP/2.0 180 Ringing", 1, "1 INVITE", { to })],
		[4, B, P, sip("SIP/2.0 200 OK", 2, "1 INVITE", answer)], [4.001, P, A, sip("SIP/2.0 200 OK", 1, "1 INVITE", answer)],
		[4.02, A, P, sip("ACK sip:1002@x SIP/2.0", 3, "1 ACK", { to })], [4.021, P, B, sip("ACK sip:1002@x SIP/2.0", 4, "1 ACK", { to })]);
	for (let k = 0; k < 300; k++) {
		const rtp = Buffer.alloc(172, 0xff);
		rtp.writeUInt16BE(0x8000, 0);
		rtp.writeUInt16BE(100 + k, 2);
		rtp.writeUInt32BE(160 * k, 4);
		rtp.writeUInt32BE(77, 8);
		if (k % 20 !== 7) list.push([4.05 + k * 0.02, ["192.0.2.21", 4000], ["192.0.2.43", 5000], rtp]);
	}
	list.push([10.2, A, P, sip("BYE sip:1002@x SIP/2.0", 5, "2 BYE", { to })], [10.201, P, B, sip("BYE sip:1002@x SIP/2.0", 6, "2 BYE", { to })],
		[10.21, B, P, sip("SIP/2.0 200 OK", 6, "2 BYE", { to })], [10.212, P, A, sip("SIP/2.0 200 OK", 5, "2 BYE", { to })]);
	write(path, list);
}

// Peers that would like to run a script wherever their words are shown. The header's name is not `X-`, so that it is a header.
export function hostile(path) {
	const script = "<script>alert(1)</script>", image = "<img src=x onerror=alert(2)>", id = '"</script><script>alert(3)</script>@x';
	const from = `"${script}${image}" <sip:=cmd|a@x>;tag=f`, to = `"${image}" <sip:${image}@x>`;
	const invite = sip("INVITE sip:1002@x SIP/2.0", 1, "1 INVITE", { id, from, to,
		more: `X${image}: ${script}\r\nSubject: \u2028\u202e</script>&lt;b&gt;\r\nUser-Agent: '"><svg onload=alert(4)>\r\nContact: <sip:a@x;transport="${image}">\r\n`,
		body: `${script}\r\n<iframe srcdoc="${script}"></iframe>` });
	const bytes = Buffer.from(sip("INVITE sip:1002@x SIP/2.0", 9, "1 INVITE", { id: "constructor", from: '"__proto__" <sip:toString@x>;tag=f', more: "__proto__: 1\r\n" }));
	bytes[bytes.indexOf("_")] = 0xff; // no UTF-8
	write(path, [[0, A, P, invite], [0.5, A, P, invite], [3.6, P, A, sip(`SIP/2.0 486 ${script}${image}`, 1, "1 INVITE", { id, from, to: to + ";tag=t" })],
		[3.61, A, P, sip("ACK sip:1002@x SIP/2.0", 1, "1 ACK", { id, from, to: to + ";tag=t" })], [4, A, P, bytes]]);
}

// n short calls of seven messages each.
export function many(path, n) {
	const list = [];
	for (let i = 0; i < n; i++) {
		const at = i * 0.05, id = "call-" + i, to = "<sip:1002@x>;tag=t", b = "m" + i;
		list.push([at, A, P, sip("INVITE sip:1002@x SIP/2.0", b, "1 INVITE", { id, ...sdp("192.0.2.21", 4000) })],
			[at + 0.001, P, A, sip("SIP/2.0 100 Trying", b, "1 INVITE", { id })], [at + 0.002, P, A, sip("SIP/2.0 180 Ringing", b, "1 INVITE", { id, to })],
			[at + 0.01, P, A, sip("SIP/2.0 200 OK", b, "1 INVITE", { id, to })], [at + 0.011, A, P, sip("ACK sip:1002@x SIP/2.0", b + "a", "1 ACK", { id, to })],
			[at + 0.03, A, P, sip("BYE sip:1002@x SIP/2.0", b + "b", "2 BYE", { id, to })], [at + 0.031, P, A, sip("SIP/2.0 200 OK", b + "b", "2 BYE", { id, to })]);
	}
	list.sort((x, y) => x[0] - y[0]);
	write(path, list);
}

// Half an hour in which both talk now and then: too much sound for a page.
export function long_talk(path) {
	const to = "<sip:1002@x>;tag=t", a = ["192.0.2.21", 4000], b = ["192.0.2.43", 5000], list = [];
	list.push([0, A, B, sip("INVITE sip:1002@x SIP/2.0", 1, "1 INVITE", sdp(...a))], [1, B, A, sip("SIP/2.0 200 OK", 1, "1 INVITE", { ...sdp(...b), to })],
		[1.01, A, B, sip("ACK sip:1002@x SIP/2.0", 2, "1 ACK", { to })]);
	for (let k = 0; k < 1800; k++)
		for (const [from, at, ssrc] of [[a, b, 77], [b, a, 78]]) {
			const rtp = Buffer.alloc(172, 0xff);
			rtp.writeUInt16BE(0x8000, 0);
			rtp.writeUInt16BE(100 + k, 2);
			rtp.writeUInt32BE(8000 * k, 4);
			rtp.writeUInt32BE(ssrc, 8);
			list.push([2 + k, from, at, rtp]);
		}
	list.push([1810, A, B, sip("BYE sip:1002@x SIP/2.0", 5, "2 BYE", { to })], [1810.1, B, A, sip("SIP/2.0 200 OK", 5, "2 BYE", { to })]);
	write(path, list);
}
