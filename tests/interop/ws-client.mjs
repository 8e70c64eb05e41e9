// A SIP client over WebSocket in few lines, with node's own modules: opens the connection, registers with digest, sends a
// MESSAGE, waits for one, and prints what happened. node ws-client.mjs URL USER PASSWORD DOMAIN [TO TEXT]
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

const [url, user, password, domain, to, text] = process.argv.slice(2);
const md5 = (s) => createHash("md5").update(s).digest("hex");
const random = () => randomBytes(6).toString("hex");
const key = randomBytes(16).toString("base64");
const callId = random(), tag = random();
let cseq = 0, socket, rest = Buffer.alloc(0), pending, onIncoming;

function frame(body, op = 1) {
	const payload = Buffer.from(body), mask = randomBytes(4);
	const head = payload.length < 126 ? Buffer.from([0x80 | op, 0x80 | payload.length])
		: Buffer.from([0x80 | op, 0xfe, payload.length >> 8, payload.length & 255]);
	return Buffer.concat([head, mask, payload.map((b, i) => b ^ mask[i & 3])]);
}
const send = (message) => { // in two fragments, as a client may
	const body = Buffer.from(message), half = body.length >> 1;
	const one = frame(body.subarray(0, half)), two = frame(body.subarray(half));
	one[0] = 0x01, two[0] = 0x80;
	socket.write(Buffer.concat([one, frame("?", 9), two]));
};

function onFrame(op, body) {
	if (op === 10) return void console.log("pong " + body);
	if (op === 8) return socket.end();
	const message = body.toString();
	if (!message.startsWith("SIP/2.0")) return onIncoming?.(message);
	if (!message.startsWith("SIP/2.0 1")) pending?.(message);
}
function onData(chunk) {
	rest = Buffer.concat([rest, chunk]);
	while (rest.length >= 2) {
		let n = rest[1] & 127, at = 2;
		if (n === 126) n = rest.readUInt16BE(2), at = 4;
		if (rest.length < at + n) return;
		onFrame(rest[0] & 15, rest.subarray(at, at + n));
		rest = rest.subarray(at + n);
	}
}

const field = (message, name) => message.match(new RegExp(`^${name}: *(.*?)\r$`, "im"))?.[1];
function compose(method, uri, toUri, credentials, body = "") {
	return `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/${url.startsWith("wss") ? "WSS" : "WS"} ${key.slice(0, 8).replace(/\W/g, "x")}.invalid;` +
		`branch=z9hG4bK${random()}\r\nMax-Forwards: 70\r\nFrom: <sip:${user}@${domain}>;tag=${tag}\r\nTo: <${toUri}>\r\n` +
		`Call-ID: ${callId}-${method}\r\nCSeq: ${++cseq} ${method}\r\n` +
		(method === "REGISTER" ? `Contact: <sip:${user}@nowhere.invalid;transport=ws>\r\nExpires: 60\r\n` : "Content-Type: text/plain\r\n") +
		(credentials ? credentials + "\r\n" : "") + `\r\n${body}`; // no Content-Length: the frame tells
}
const ask = (message) => new Promise((done) => (pending = done, send(message)));
async function request(method, uri, toUri, body) {
	let answer = await ask(compose(method, uri, toUri, "", body));
	const challenge = field(answer, "WWW-Authenticate") ?? field(answer, "Proxy-Authenticate");
	if (challenge) {
		const value = (name) => challenge.match(new RegExp(`${name}="([^"]*)"`))?.[1];
		const [realm, nonce] = [value("realm"), value("nonce")], cnonce = random();
		const response = md5([md5(`${user}:${realm}:${password}`), nonce, "00000001", cnonce, "auth", md5(`${method}:${uri}`)].join(":"));
		const name = field(answer, "WWW-Authenticate") ? "Authorization" : "Proxy-Authorization";
		answer = await ask(compose(method, uri, toUri, `${name}: Digest username="${user}", realm="${realm}", nonce="${nonce}", ` +
			`uri="${uri}", algorithm=MD5, qop=auth, nc=00000001, cnonce="${cnonce}", response="${response}"`, body));
	}
	console.log(`${method} ${answer.split(" ")[1]}`);
}
function answerMessage(message) {
	const copied = message.match(/^(Via|From|To|Call-ID|CSeq):.*?\r\n/gim).join("");
	send(`SIP/2.0 200 OK\r\n${copied}\r\n`);
	console.log("received " + message.split("\r\n\r\n")[1]);
	setTimeout(() => socket.end(frame(Buffer.from([3, 232]), 8)), 200);
}

const upgrade = (url.startsWith("wss") ? https : http).request(url.replace(/^ws/, "http"), {
	rejectUnauthorized: true, ca: process.env.CA && (await import("node:fs")).readFileSync(process.env.CA),
	headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": 13,
		"Sec-WebSocket-Protocol": "sip", Origin: "https://example.com" } });
upgrade.on("error", (e) => (console.log("error " + e.message), process.exit(1)));
upgrade.on("response", (r) => (console.log("refused " + r.statusCode), process.exit(1)));
upgrade.on("upgrade", async (response, s, head) => {
	const accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
	console.log(`upgraded ${response.headers["sec-websocket-accept"] === accept} ${response.headers["sec-websocket-protocol"]}`);
	socket = s;
	onIncoming = answerMessage;
	socket.on("data", onData).on("close", () => process.exit(0));
	onData(head);
	await request("REGISTER", `sip:${domain}`, `sip:${user}@${domain}`);
	if (to) {
		await request("MESSAGE", `sip:${to}@${domain}`, `sip:${to}@${domain}`, text);
		socket.end(frame(Buffer.from([3, 232]), 8));
	}
});
upgrade.end();
