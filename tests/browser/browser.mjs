// Headless Chromium over its debugging pipe: no library, only Node. Used by the tests of the HTML page and of the browser phone.
//
//   const b = await Browser.start("chromium", profile_dir, ["--further-flag"])
//   const p = await b.open("file:///x.html", {width, height, dark})
//   await p.eval("document.title"); await p.key("ArrowDown"); await p.shot("x.png")
//   p.errors, p.requests: what the console complained of, and what the page asked the network for
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";

export class Browser {
	static async start(program, profile, more = []) {
		const b = new Browser();
		const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
			"--user-data-dir=" + profile, "--remote-debugging-pipe", ...more, "about:blank"];
		b.child = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
		b.waiting = new Map();
		b.pages = new Map();
		b.last = 0;
		let rest = Buffer.alloc(0);
		b.child.stdio[4].on("data", (chunk) => {
			rest = Buffer.concat([rest, chunk]);
			for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) b.take(JSON.parse(rest.subarray(0, end).toString()));
		});
		await b.send("Browser.getVersion");
		return b;
	}

	take(message) {
		if (message.id) {
			const { done, fail } = this.waiting.get(message.id);
			this.waiting.delete(message.id);
			if (message.error) fail(new Error(message.error.message));
			else done(message.result);
		} else if (this.pages.has(message.sessionId)) this.pages.get(message.sessionId).event(message.method, message.params);
	}

	send(method, params = {}, sessionId) {
		const id = ++this.last;
		this.child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
		return new Promise((done, fail) => this.waiting.set(id, { done, fail }));
	}

	async open(url, { width = 1440, height = 900, dark = false, media = "screen" } = {}) {
		const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
		const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
		const p = new Page(this, sessionId, targetId);
		this.pages.set(sessionId, p);
		for (const domain of ["Page", "Runtime", "Network", "Log"]) await p.send(domain + ".enable");
		await p.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
		await p.send("Emulation.setEmulatedMedia", { media, features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
		await p.load("Page.navigate", { url });
		return p;
	}

	async stop() {
		const ended = new Promise((done) => this.child.on("exit", done));
		this.send("Browser.close").catch(() => {});
		await ended;
	}
}

class Page {
	constructor(browser, sessionId, targetId) {
		Object.assign(this, { browser, sessionId, targetId, errors: [], requests: [], on_load: () => {} });
	}

	send(method, params) {
		return this.browser.send(method, params, this.sessionId);
	}

	async load(method, params) {
		const loaded = new Promise((done) => (this.on_load = done));
		await this.send(method, params);
		await loaded;
	}

	event(method, params) {
		if (method === "Page.loadEventFired") this.on_load();
		else if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.exception?.description || params.exceptionDetails.text);
		else if (method === "Runtime.consoleAPICalled") this.errors.push("console." + params.type + ": " + params.args.map((a) => a.value).join(" "));
		else if (method === "Log.entryAdded") this.errors.push(params.entry.text);
		else if (method === "Network.requestWillBeSent" && !params.request.url.startsWith("data:")) this.requests.push(params.request.url);
		else if (method === "Page.javascriptDialogOpening") {
			this.errors.push("dialog: " + params.message);
			this.send("Page.handleJavaScriptDialog", { accept: true });
		}
	}

	async eval(expression) {
		const r = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
		if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description || r.exceptionDetails.text);
		return r.result.value;
	}

	async key(key, text) {
		const codes = { Enter: 13, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, Home: 36, End: 35, Tab: 9, " ": 32 };
		const typed = text ?? (key.length === 1 ? key : key === "Enter" ? "\r" : undefined);
		await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, text: typed, windowsVirtualKeyCode: codes[key] });
		await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, windowsVirtualKeyCode: codes[key] });
	}

	async type(text) {
		await this.send("Input.insertText", { text });
	}

	async click(selector) {
		const at = await this.eval(`(() => { const r = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect();
			return [r.x + r.width / 2, r.y + r.height / 2]; })()`);
		for (const type of ["mousePressed", "mouseReleased"])
			await this.send("Input.dispatchMouseEvent", { type, x: at[0], y: at[1], button: "left", clickCount: 1 });
	}

	async shot(path) {
		const { data } = await this.send("Page.captureScreenshot", { format: "png" });
		await writeFile(path, Buffer.from(data, "base64"));
	}

	async close() {
		await this.browser.send("Target.closeTarget", { targetId: this.targetId });
		this.browser.pages.delete(this.sessionId);
	}
}
