// The HTML page and the SVG in headless Chromium; prints TAP. RUNG names the program, WORK a folder for files.
// With SHOTS=folder it also leaves screenshots there, to be looked at.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { Browser } from "./browser.mjs";
import * as captures from "./captures.mjs";

const { RUNG, WORK, SHOTS } = process.env;
const tests = [];
const test = (name, what) => tests.push([name, what]);

function check(is_so, what) {
	if (!is_so) throw new Error(what);
}
function same(got, want, what) {
	check(JSON.stringify(got) === JSON.stringify(want), `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

function scope(capture, out, ...more) {
	execFileSync(RUNG, ["scope", "-r", `${WORK}/${capture}.pcap`, "-o", `${WORK}/${out}`, ...more]);
	return `file://${WORK}/${out}`;
}

copyFileSync(new URL("../data/captures/call-busy-486.pcap", import.meta.url), WORK + "/call-busy-486.pcap");
captures.one_way(WORK + "/one-way.pcap");
captures.hostile(WORK + "/hostile.pcap");
captures.long_talk(WORK + "/long.pcap");
captures.many(WORK + "/many.pcap", 1430);
const browser = await Browser.start(process.env.CHROMIUM || "chromium", WORK + "/profile");

async function page(url, options, what) {
	const p = await browser.open(url, options);
	await what(p);
	same(p.errors, [], "console");
	same(p.requests, [url], "requests");
	await p.close();
}

const chosen = (p) => p.eval(`document.querySelector('svg .row[aria-selected="true"] .label')?.textContent ?? ""`);
const count = (p, selector) => p.eval(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
const text = (p, selector) => p.eval(`document.querySelector(${JSON.stringify(selector)}).textContent`);

test("the page shows verdict, ladder, and the absence of media", async () => {
	await page(scope("one-way", "one-way.html"), {}, async (p) => {
		same(await count(p, ".call"), 1, "calls");
		check((await text(p, "#verdict")).includes("one-way audio"), "the verdict");
		same(await count(p, "#ladder .heads .head"), 3, "hosts");
		same(await count(p, "svg .row .none"), 1, "the empty band");
		same(await count(p, "svg .row .band"), 1, "the band that was seen");
	});
});

test("the page opens with the call, not with the registrations before it", async () => {
	await page(scope("call-busy-486", "busy.html"), {}, async (p) => {
		check((await count(p, ".call")) > 1, "registrations are there, too");
		check((await text(p, "#verdict")).includes("1001 → 1002"), "the call is shown");
	});
});

test("keys choose, unfold, search, help, close", async () => {
	await page(`file://${WORK}/one-way.html`, {}, async (p) => {
		await p.key("ArrowDown");
		same(await chosen(p), "INVITE (SDP)", "the first message");
		check((await text(p, "#detail")).includes("Names the transaction on this hop"), "a parameter explained");
		check((await text(p, "#detail")).includes("Payload type, codec and clock rate"), "a line of SDP explained");
		await p.key("ArrowDown");
		const folded = await count(p, "svg .row");
		await p.key("Enter");
		same(await count(p, "svg .row"), folded + 2, "rows after Enter");
		await p.key("ArrowDown");
		await p.key("ArrowDown");
		check((await text(p, "#detail .marks")).startsWith("sent again, 3 of 3: expected 1.500 s"), "the mark of a copy");
		await p.key("c");
		await p.key("ArrowUp");
		check((await text(p, "#detail .tab")).startsWith("Kept: INVITE"), "the comparison");
		await p.key("Escape");
		await p.key("Escape");
		same(await p.eval("document.getElementById('detail').hidden"), true, "closed");
		await p.key("e");
		same(await chosen(p), "INVITE (SDP)", "evidence");
		await p.key("/");
		await p.type("ringing");
		same(await count(p, "svg .row.found"), 2, "rows found");
		await p.key("Escape");
		same(await count(p, "svg .row.found"), 0, "rows found after Esc");
		await p.key("?");
		same(await p.eval("document.getElementById('help').open"), true, "help");
		await p.key("Escape");
	});
});

test("the mouse: a message, its tabs, the fold", async () => {
	await page(`file://${WORK}/one-way.html`, {}, async (p) => {
		const folded = await count(p, "svg .row");
		await p.click("svg .unfold");
		same(await count(p, "svg .row"), folded + 2, "rows after the click");
		await p.click("svg .row .label");
		for (const [n, what] of [[2, "INVITE sip:1002@x SIP/2.0"], [3, "0000  49 4e 56 49 54 45"], [4, "Max-Forwards: 70"]]) {
			await p.click(`#detail [role="tab"]:nth-child(${n})`);
			check((await text(p, "#detail .tab")).includes(what), "tab " + n);
		}
	});
});

// Sound: a player for each direction, as long as the call's audio, out of the page itself.
const captures_dir = new URL("../data/captures/", import.meta.url).pathname;
const durations = (p) => p.eval(`Promise.all(Array.from(document.querySelectorAll("audio"), (a) => new Promise((done) => {
	a.preload = "metadata"; a.onloadedmetadata = () => done(a.duration); a.onerror = () => done(-1); a.load(); })))`);
for (const [capture, codec] of [["call-answered", "PCMU"], ["call-pcma", "PCMA"], ["call-g722", "G722"], ["call-opus", "opus"], ["call-srtp-sdes", "PCM"]])
	test(`sound of ${capture}`, async () => {
		const url = `file://${WORK}/${capture}.html`;
		execFileSync(RUNG, ["scope", "-r", `${captures_dir}${capture}.pcap`, "-Y", "sip.CSeq.method == \"INVITE\"", "-o", `${WORK}/${capture}.html`]);
		const streams = execFileSync(RUNG, ["scope", "-r", `${captures_dir}${capture}.pcap`, "--streams", "--json"]).toString().trim().split("\n").map(JSON.parse);
		const longest = Math.max(...streams.map((s) => s.duration_s));
		const p = await browser.open(url);
		const got = await durations(p);
		same(got.length, 2, "players");
		check(got.every((d) => d > 1 && Math.abs(d - longest) < 1), `durations ${got} of ${longest} s`);
		check((await text(p, "#verdict")).includes(codec), "the codec is named");
		same(p.requests.filter((u) => u !== url && !u.startsWith("data:audio/wav;base64,")), [], "requests");
		same(p.errors, [], "console");
		await p.close();
	});

test("sound that cannot be had is told", async () => {
	execFileSync(RUNG, ["scope", "-r", `${captures_dir}call-jssip-ws-dtls.pcap`, "-o", `${WORK}/dtls.html`]);
	await page(`file://${WORK}/dtls.html`, {}, async (p) => {
		same(await count(p, "audio"), 0, "players");
		check(await p.eval("document.documentElement.outerHTML.includes('key agreed on by DTLS')"), "why there are none");
	});
});

test("sound that is more than a page holds is left out, and told", async () => {
	await page(scope("long", "long.html"), {}, async (p) => {
		same(await count(p, "audio"), 0, "players");
		check((await text(p, "#verdict")).includes("left out: a page holds 24 MB of sound"), "why there are none");
	});
	check(readFileSync(WORK + "/long.html").length < 1_000_000, "the page's size");
});

test("what peers wrote is text and runs nowhere", async () => {
	await page(scope("hostile", "hostile.html"), {}, async (p) => {
		for (let call = 0; call < 2; call++) {
			for (let row = 0; row < 6; row++) {
				await p.key("ArrowDown");
				for (let tab = 1; tab <= 4; tab++) await p.click(`#detail [role="tab"]:nth-child(${tab})`);
				await p.eval("document.getElementById('ladder').focus()");
			}
			await p.key("ArrowRight");
		}
		same(await count(p, "script"), 2, "scripts");
		same(await count(p, "img, iframe, object, embed, [onload], [onerror]"), 0, "elements of theirs");
		check((await text(p, "#list")).includes("<img src=x onerror=alert(2)>"), "it is shown as text");
		check(!/[\u202a-\u202e\u2066-\u2069]/.test(await text(p, "main")), "no turned writing");
	});
});

test("the policy stops a script that got in after all", async () => {
	const p = await browser.open(`file://${WORK}/hostile.html`);
	same(await p.eval(`(() => { const s = document.createElement("script"); s.textContent = "window.bad = 1"; document.body.append(s);
		const i = document.createElement("div"); i.innerHTML = '<img src="x" onerror="window.bad = 2">'; document.body.append(i);
		return new Promise((done) => setTimeout(() => done(window.bad ?? 0), 50)); })()`), 0, "bad");
	same(await p.eval(`fetch("https://example.com/").then(() => "sent", () => "refused")`), "refused", "a request");
	same(p.requests.filter((u) => !u.startsWith("file:")), [], "requests");
	await p.close();
});

// Contrast [WCAG 2.1 1.4.3] of each text against what is really behind it.
const contrast = `(() => {
	const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
	const lum = (c) => rgb(c).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const b = getComputedStyle(e).backgroundColor; if (rgb(b)[3] !== 0) return b; } return "rgb(255, 255, 255)"; };
	let worst = [99, ""];
	for (const e of document.querySelectorAll("main *, header *")) {
		const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
		if (!own || !e.getClientRects().length || e.matches(".badge-n")) continue;
		const style = getComputedStyle(e), is_svg = e.namespaceURI.endsWith("svg");
		const row = e.closest(".row[aria-selected='true'] .label") ? getComputedStyle(e.closest(".row").querySelector(".hit")).fill : null;
		const a = lum(is_svg ? style.fill : style.color), b = lum(row || behind(e.closest("svg")?.parentElement || e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < worst[0]) worst = [ratio, e.textContent.slice(0, 40) + " ." + (e.className.baseVal ?? e.className)];
	}
	return worst;
})()`;

for (const dark of [false, true])
	test(`contrast is at least 4.5, ${dark ? "dark" : "light"}`, async () => {
		await page(`file://${WORK}/one-way.html`, { dark }, async (p) => {
			for (const key of ["f", "ArrowDown", "ArrowDown", "ArrowDown"]) await p.key(key);
			for (const by_call of [false, true]) {
				const [worst, where] = await p.eval(contrast);
				check(worst >= 4.5, `${worst.toFixed(2)} at "${where}"${by_call ? " by call" : ""}`);
				await p.key("o");
			}
		});
	});

for (const width of [800, 1100, 1600])
	test(`nothing covers anything at ${width} pixels`, async () => {
		await page(`file://${WORK}/one-way.html`, { width, height: 900 }, async (p) => {
			await p.key("ArrowDown");
			same(await p.eval("document.documentElement.scrollWidth > innerWidth"), false, "scrolls sideways");
			same(await p.eval(`(() => { const [a, b] = ["ladder", "detail"].map((id) => document.getElementById(id).getBoundingClientRect());
				return a.height > 150 && b.height > 150 && (a.right <= b.left + 1 || a.bottom <= b.top + 1); })()`), true, "ladder and message side by side");
			same(await p.eval(`(() => { const l = document.getElementById("ladder"); l.scrollTop = 200;
				return Math.abs(l.querySelector(".heads").getBoundingClientRect().top - l.getBoundingClientRect().top) < 2; })()`), true, "the hosts stay in sight");
			if (SHOTS) await p.shot(`${SHOTS}/page-${width}.png`);
		});
	});

test("10,000 messages: all are there, and one chosen", async () => {
	await page(scope("many", "many.html"), {}, async (p) => {
		same(await count(p, ".call"), 1430, "calls");
		await p.key("ArrowRight");
		await p.key("ArrowDown");
		check((await text(p, "#detail")).includes("call-1"), "the second call's message");
		await p.key("/");
		await p.type("call-1429");
		same(await count(p, ".call"), 1, "calls that fit");
	});
});

for (const dark of [false, true])
	test(`the SVG is drawn, its text is text, ${dark ? "dark" : "light"}`, async () => {
		await page(scope("one-way", "one-way.svg"), { dark, width: 800 }, async (p) => {
			same(await p.eval("document.documentElement.nodeName"), "svg", "the document");
			check((await p.eval("document.documentElement.textContent")).includes("INVITE (SDP) ×3 in 1.5 s"), "its text");
			same(await p.eval(`getComputedStyle(document.querySelector(".bg")).fill`), dark ? "rgb(21, 24, 28)" : "rgb(255, 255, 255)", "background");
			if (SHOTS) await p.shot(`${SHOTS}/svg-${dark ? "dark" : "light"}.png`);
		});
		check(readFileSync(WORK + "/one-way.svg").length < 100_000, "its size");
	});

test("the SVG of hostile peers is well-formed and runs nothing", async () => {
	await page(scope("hostile", "hostile.svg", "--call", "1"), {}, async (p) => {
		same(await p.eval("document.documentElement.nodeName"), "svg", "the document");
		same(await count(p, "script, img, image, foreignObject, parsererror"), 0, "elements of theirs");
	});
});

let failed = 0;
console.log("1.." + tests.length);
for (const [i, [name, what]] of tests.entries()) {
	try {
		await what();
		console.log(`ok ${i + 1} - ${name}`);
	} catch (e) {
		failed++;
		console.log(`not ok ${i + 1} - ${name}\n# ${e.message}`);
	}
}
await browser.stop();
process.exitCode = failed ? 1 : 0;
