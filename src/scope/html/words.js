// A message taken apart, each part with what it means.

// Cuts at `sep`, but not inside quotes or angle brackets.
function cut(s, sep) {
	const parts = [];
	let from = 0, quoted = false, depth = 0;
	for (let i = 0; i < s.length; i++) {
		const c = s[i];
		if (quoted) {
			if (c === "\\") i++;
			else if (c === '"') quoted = false;
		} else if (c === '"') quoted = true;
		else if (c === "<") depth++;
		else if (c === ">") depth = Math.max(0, depth - 1);
		else if (c === sep && !depth) {
			parts.push(s.slice(from, i));
			from = i + 1;
		}
	}
	parts.push(s.slice(from));
	return parts;
}

// Parameters of a value: after its first semicolon, inside a URI in angle brackets, or of a challenge.
function params_of(name, value) {
	const found = [];
	const add = (p) => {
		const key = p.split("=")[0].trim();
		if (Object.hasOwn(data.explain.params, key.toLowerCase())) found.push([p.trim(), data.explain.params[key.toLowerCase()]]);
	};
	if (/^(www-|proxy-)?auth/i.test(name)) {
		cut(value.replace(/^\s*\S+\s+/, ""), ",").forEach(add);
		return found;
	}
	for (const one of cut(value, ",")) {
		const uri = /<([^>]*)>/.exec(one);
		if (uri) uri[1].split("?")[0].split(";").slice(1).forEach(add);
		cut(one, ";").slice(1).forEach(add);
	}
	return found;
}

// {start, headers: [{name, value}], body}; folded lines are joined.
function parse(text) {
	const end = /\r?\n\r?\n/.exec(text);
	const head = end ? text.slice(0, end.index) : text;
	const lines = head.replace(/^(\r?\n)+/, "").replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
	const headers = lines.slice(1).map((line) => {
		const at = line.indexOf(":");
		return at < 0 ? { name: "", value: line } : { name: line.slice(0, at).trim(), value: line.slice(at + 1).trim() };
	});
	return { start: lines[0] || "", headers, body: end ? text.slice(end.index + end[0].length) : "" };
}

function field(name, value, means, rfc) {
	const f = make("div", "field");
	if (rfc) f.append(make("span", "rfc", rfc));
	if (name) f.append(make("div", "name", name));
	f.append(make("div", "value", value));
	if (means) f.append(make("div", "means", means));
	return f;
}

function explain_start(start) {
	const status = /^SIP\/2\.0 +(\d{3})/i.exec(start), method = start.split(" ")[0];
	const known = status ? data.explain.statuses[status[1]]
		: Object.hasOwn(data.explain.methods, method) ? data.explain.methods[method] : null;
	return field("", start, known ? known[0] : status ? "A status outside the register" : "A method outside the register",
		known ? known[1] : "");
}

function explain_header(h) {
	const key = h.name.toLowerCase();
	const known = Object.hasOwn(data.explain.headers, key) ? data.explain.headers[key] : null;
	const long = known && known[0].toLowerCase() !== key ? h.name + " (" + known[0] + ")" : h.name || "not a header";
	const f = field(long, h.value, known ? known[1] : "Not in the register; passed on as it is", known ? known[2] : "");
	for (const [p, means] of params_of(h.name, h.value)) {
		const line = make("div", "param");
		line.append(make("b", "", p.length > 40 ? p.slice(0, 38) + "…" : p), " " + means);
		f.append(line);
	}
	return f;
}

function explain_body(headers, body, into) {
	const type = headers.find((h) => /^(content-type|c)$/i.test(h.name));
	into.append(make("h3", "", "Body"));
	if (!type || !/application\/sdp/i.test(type.value)) {
		into.append(make("pre", "", body));
		return;
	}
	for (const line of body.split(/\r?\n/)) {
		if (!line) continue;
		const attribute = /^a=[^:\s]+/.exec(line), key = attribute ? attribute[0] : line[0];
		const means = Object.hasOwn(data.explain.sdp, key) ? data.explain.sdp[key] : "";
		into.append(field("", line, means, ""));
	}
}

function explained(text) {
	const into = make("div"), m = parse(text);
	into.append(explain_start(m.start));
	for (const h of m.headers) into.append(explain_header(h));
	if (m.body) explain_body(m.headers, m.body, into);
	return into;
}

// Offset, sixteen bytes, and what they look like.
function dump(bytes) {
	const lines = [];
	for (let at = 0; at < bytes.length; at += 16) {
		const part = Array.from(bytes.subarray(at, at + 16));
		const hex = part.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47);
		const seen = part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join("");
		lines.push(at.toString(16).padStart(4, "0") + "  " + hex + "  " + seen);
	}
	return lines.join("\n");
}
