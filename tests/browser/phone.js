// A phone in a page: JsSIP, a line in `seen` for all that happens to it, and few words to command it (phone.mjs evaluates them).
// Whatever waits has a limit. `ladder` is what went over the WebSocket, from outside of JsSIP.
const LIMIT_MS = 15000;
const seen = [];
const wires = [], sockets = [];
let n_read = 0, is_new = () => {}, ua, session, last_id;

function say(line) {
	seen.push(line);
	is_new();
}

window.WebSocket = class extends WebSocket {
	constructor(...args) {
		super(...args);
		sockets.push(this);
		this.addEventListener("message", (e) => note("<", e.data));
	}

	send(message) {
		note(">", message);
		super.send(message);
	}
};
function note(way, message) {
	const id = /^(?:Call-ID|i) *: *(.*?)\r$/im.exec(message);
	if (id) wires.push({ id: id[1], line: way + " " + message.split(" ", 2)[message.startsWith("SIP/2.0") ? 1 : 0] });
}

// Waits for a line like that, after the last one that was waited for.
async function until(pattern) {
	const limit = Date.now() + LIMIT_MS;
	for (;;) {
		while (n_read < seen.length) if (new RegExp("^(" + pattern + ")$", "s").test(seen[n_read++])) return seen[n_read - 1];
		if (Date.now() > limit) throw new Error(`no "${pattern}" within ${LIMIT_MS / 1000} s; seen: ${seen.slice(-12).join(", ")}`);
		await new Promise((done) => ((is_new = done), setTimeout(done, 1000)));
	}
}

function start(url, user, domain) {
	ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(url)], uri: `sip:${user}@${domain}`, password: "secret" + user,
		register_expires: 120 });
	ua.on("connected", () => say("connected"));
	ua.on("disconnected", () => say("disconnected"));
	ua.on("registered", (e) => say("registered " + e.response.status_code));
	ua.on("unregistered", () => say("unregistered"));
	ua.on("registrationFailed", (e) => say("not registered " + (e.response?.status_code ?? e.cause)));
	ua.on("newMessage", (e) => e.originator === "remote" && say("message " + e.request.body));
	ua.on("newOptions", (e) => e.originator === "remote" && say("asked"));
	ua.on("newRTCSession", (e) => begin(e.session, e.request, e.originator));
	ua.start();
	return until("registered 200");
}

function begin(s, request, originator) {
	session = s;
	last_id = request.call_id;
	if (originator === "remote") say("incoming " + request.from.uri.user);
	const play = (pc) => pc.addEventListener("track", (e) => Object.assign(new Audio(), { srcObject: e.streams[0] }).play());
	if (s.connection) play(s.connection);
	else s.on("peerconnection", (e) => play(e.peerconnection));
	s.on("progress", (e) => say(`progress ${e.response?.status_code ?? "sent"}`));
	s.on("accepted", () => say("accepted"));
	s.on("confirmed", (e) => say("confirmed " + e.originator));
	s.on("hold", (e) => say("hold " + e.originator));
	s.on("unhold", (e) => say("unhold " + e.originator));
	s.on("reinvite", () => say("reinvite"));
	s.on("newInfo", (e) => e.originator === "remote" && say("info " + e.info.body));
	for (const end of ["ended", "failed"]) s.on(end, (e) => say(`${end} ${e.originator} ${e.message?.status_code ?? e.cause}`));
}

const sound = { mediaConstraints: { audio: true, video: false } };
const call = (target) => void ua.call(target, sound);
const answer = () => void session.answer(sound);
const decline = (status_code) => void session.terminate({ status_code });
const hang_up = () => void session.terminate();

// Both ends of a request of our own: the status of its answer.
const ask = (send) => new Promise((done) => send({ eventHandlers: {
	succeeded: (e) => done(e.response.status_code), failed: (e) => done(e.response?.status_code ?? e.cause) } }));
const message = (target, text) => ask((options) => ua.sendMessage(target, text, options));
const options = (target) => ask((options) => ua.sendOptions(target, "", options));

function subscribe(target, event, accept) {
	const s = ua.subscribe(target, event, accept, { expires: 300 });
	s.on("accepted", () => say("subscribed"));
	s.on("notify", (is_final, request, body) => say(`notify${is_final ? " final" : ""} ${request.event.event} ${body}`));
	s.on("terminated", (code, reason) => say(`unsubscribed ${code} ${reason ?? ""}`));
	s.subscribe();
	subscribe.last = s;
}

// Right behind the ACK, with nothing between: a train of INFOs and a re-INVITE.
function hurry(n) {
	session.on("confirmed", () => {
		session.renegotiate();
		for (let i = 1; i <= n; i++) session.sendInfo("text/plain", String(i));
	});
}

async function received() {
	for (const s of (await session.connection.getStats()).values())
		if (s.type === "inbound-rtp" && s.kind === "audio") return { bytes: s.bytesReceived, energy: s.totalAudioEnergy ?? 0 };
	return { bytes: 0, energy: 0 };
}
async function poll(is_so, what) {
	const limit = Date.now() + LIMIT_MS;
	let got;
	while (!is_so((got = await received()))) {
		if (Date.now() > limit) throw new Error(`${what} within ${LIMIT_MS / 1000} s: ${JSON.stringify(got)}`);
		await new Promise((done) => setTimeout(done, 250));
	}
	return got;
}
// Audio comes: a second of it from now on, and it is not silence.
async function hears() {
	const before = await received();
	return poll((now) => now.bytes > before.bytes + 2000 && now.energy > before.energy, "no audio came");
}
// No more audio comes.
function still() {
	let last = -1;
	return poll((now) => now.bytes === last || ((last = now.bytes), false), "audio did not end");
}

// What went over the WebSocket for the last call.
const ladder = () => wires.filter((w) => w.id === last_id).map((w) => w.line).join(" ");
