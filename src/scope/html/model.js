"use strict";
// The data of the page, and small helpers. What peers wrote is only ever put into text nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// Control characters and those that turn the writing's direction, made visible.
const steering = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const plain = (s) => String(s).replace(steering, (c) => "⟨" + c.charCodeAt(0).toString(16).padStart(2, "0") + "⟩");

function make(name, cls, text, ...children) {
	const e = document.createElement(name);
	if (cls) e.className = cls;
	if (text !== undefined && text !== null) e.textContent = plain(text);
	e.append(...children);
	return e;
}

function svg(name, attributes, text) {
	const e = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const key in attributes) e.setAttribute(key, attributes[key]);
	if (text !== undefined) e.textContent = plain(text);
	return e;
}

function button(text, cls, what) {
	const b = make("button", cls, text);
	b.type = "button";
	b.addEventListener("click", what);
	return b;
}

const seconds = (s, digits = 3) => s.toFixed(digits);
const signs = { ok: "✓", note: "i", warning: "!", fault: "✕" };

function parties(verdict) {
	return verdict.kind === "registration" ? verdict.to : verdict.from + " → " + verdict.to;
}

// One entry for each call of the page: `call` as `--calls --json` says it, the ladder when it is in the file.
const calls = data.calls.map((entry, at) => {
	const call = entry.call || entry.ladder.calls[0];
	const rows = entry.ladder ? entry.ladder.rows : [];
	return { at, call, verdict: call.verdict, ladder: entry.ladder, text: entry.text, audio: entry.audio, rows };
});
const first = calls.reduce((t, c) => Math.min(t, c.call.start), Infinity);

const utf8 = new TextEncoder(), from_utf8 = new TextDecoder();

function bytes_of(ref) {
	const t = ref.entry.text[ref.at];
	if (t === null) return new Uint8Array(0);
	return typeof t === "string" ? utf8.encode(t) : Uint8Array.from(atob(t.base64), (c) => c.charCodeAt(0));
}

function text_of(ref) {
	const t = ref.entry.text[ref.at];
	return t === null ? "" : typeof t === "string" ? t : from_utf8.decode(bytes_of(ref));
}

// What is searched, in lower case; made once.
function haystack(entry) {
	if (!entry.haystack)
		entry.haystack = [parties(entry.verdict), entry.verdict.call_id, ...entry.verdict.findings.map((f) => f.text)]
			.join("\n").toLowerCase();
	return entry.haystack;
}

function row_fits(entry, at, needle) {
	const ref = { entry, at };
	return (entry.rows[at].label || "").toLowerCase().includes(needle) ||
		(entry.rows[at].kind === "message" && text_of(ref).toLowerCase().includes(needle));
}
