// Phones in pages of one headless Chromium, commanded by lines on the standard input, one answer each ("N ok VALUE" or
// "N fail WHY"):
//
//   N open PAGE              a new page with JsSIP and phone.js
//   N reload PAGE            as its user would
//   N do PAGE JAVASCRIPT     the value of an expression there, awaited
//   N quiet PAGE             did the console complain, or the page ask for more than itself?
//
// node phone.mjs NODE_MODULES FOLDER CERTIFICATE: the certificate that Chromium takes without asking (of a test's exchange).
import { X509Certificate, createHash } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Browser } from "./browser.mjs";
import { bundle } from "./bundle.mjs";

const [modules, work, certificate] = process.argv.slice(2);
const key = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: "spki", format: "der" });
const browser = await Browser.start(process.env.CHROMIUM || "chromium", work + "/profile", [
	"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
	"--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns", "--mute-audio",
	"--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
	"--ignore-certificate-errors-spki-list=" + createHash("sha256").update(key).digest("base64")]);

const url = `file://${work}/phone.html`;
writeFileSync(work + "/jssip.js", bundle(modules, "jssip", "JsSIP"));
copyFileSync(new URL("phone.js", import.meta.url), work + "/phone.js");
writeFileSync(work + "/phone.html", `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
	<script src="jssip.js"></script><script src="phone.js"></script>`);

const pages = new Map();
const verbs = {
	open: async (name) => void pages.set(name, await browser.open(url)),
	reload: (name) => pages.get(name).load("Page.reload"),
	do: (name, expression) => pages.get(name).eval(expression),
	quiet: (name) => {
		const { errors, requests } = pages.get(name);
		const others = requests.filter((r) => !r.startsWith(`file://${work}/`));
		if (errors.length || others.length) throw new Error([...errors, ...others].join("; "));
	},
};

process.on("SIGTERM", () => browser.stop().then(() => process.exit(0)));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
	const [, n, verb, name, rest] = /^(\d+) (\w+) (\S+) ?(.*)$/.exec(line);
	Promise.resolve().then(() => verbs[verb](name, rest)).then(
		(value) => console.log(`${n} ok ${JSON.stringify(value) ?? ""}`),
		(e) => console.log(`${n} fail ${e.message.replace(/\n[^]*/, "")}`));
}
await browser.stop();
