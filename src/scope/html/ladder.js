// The ladder, drawn of the rows of one call or several: hosts as columns, time downwards.

const GUTTER = 196, HEAD = 44, ROW = 34, LINE = 15, PAD = 14, HOST = 150;
const pen = document.createElement("canvas").getContext("2d");

function wide(text, weight = "") {
	pen.font = weight + " 12.5px " + getComputedStyle(document.documentElement).getPropertyValue("--sans");
	return pen.measureText(text).width;
}

// Breaks between words into lines of at most `width` pixels.
function wrap(text, width, weight) {
	const lines = [];
	let line = "";
	for (const word of text.split(" ")) {
		const more = line ? line + " " + word : word;
		if (line && lines.length < 4 && wide(more, weight) > width) {
			lines.push(line);
			line = word;
		} else line = more;
	}
	return [...lines, line];
}

function label_of(row) {
	if (row.kind === "message") return row.label;
	if (!row.seen) return "no RTP seen";
	return "RTP" + (row.codec ? " " + row.codec : "") + ", " + row.packets + " packets in " + seconds(row.until - row.time, 1) + " s" +
		(row.lost ? ", " + row.lost + " lost" : "") + ", jitter " + seconds(row.jitter_ms, 1) + " ms" +
		(row.dtmf ? ", DTMF " + row.dtmf : "");
}

// Rows and hosts of the calls shown, in order of time.
function collect(shown, is_unfolded) {
	const hosts = [], refs = [];
	const lane = (h) => {
		const found = hosts.findIndex((x) => x.address === h.address);
		return found < 0 ? hosts.push(h) - 1 : found;
	};
	for (const entry of shown) {
		const lanes = entry.ladder.hosts.map(lane);
		entry.rows.forEach((row, at) => {
			const is_folded = row.original !== undefined && !is_unfolded(entry, row.original);
			if (!is_folded) refs.push({ entry, at, row, from: lanes[row.from], to: lanes[row.to], us: entry.ladder.first + row.time });
		});
	}
	if (shown.length > 1) refs.sort((a, b) => a.us - b.us);
	const zero = refs.length ? refs[0].us : 0;
	let last = zero, before = zero;
	for (const r of refs) {
		r.since = r.us - zero;
		r.delta = r.us - last;
		r.gap = Math.max(0, r.us - before);
		before = r.us;
		if (r.row.original === undefined) last = r.us;
	}
	return { hosts, refs };
}

// Where each row stands. By time, every gap is as long as it lasted, all of them some 1,500 pixels.
function place(refs, gap, by_time) {
	const total = refs.reduce((t, r) => t + r.gap, 0) || 1;
	const scale = Math.min(400, Math.max(1500, refs.length * 30) / total);
	let y = 8;
	for (const r of refs) {
		const hops = Math.abs(r.from - r.to) || 1;
		r.lines = wrap(plain(label_of(r.row)), hops * gap - 24 - (r.row.sends ? 70 : 0), r.row.tone === "error" ? "600" : "");
		y += by_time ? r.gap * scale : r.gap >= 1 ? 10 : 0;
		r.top = y;
		y += ROW + (r.row.kind === "media" ? 4 : 0) + (r.lines.length - 1) * LINE;
		r.y = y - 8;
	}
	return y + 16;
}

function badge(g, x, y, n) {
	g.append(svg("circle", { class: "badge", cx: x, cy: y - 4, r: 8 }), svg("text", { class: "badge-n", x, y: y - 0.5 }, n));
}

function draw_arrow(g, r, x0, x1) {
	const y = r.y, d = x1 > x0 ? 1 : -1;
	if (r.row.kind === "media" && r.row.seen) {
		g.append(svg("path", { class: "band",
			d: `M${x0 + 2 * d} ${y - 3}H${x1 - 12 * d}V${y - 7}L${x1 - 2 * d} ${y}L${x1 - 12 * d} ${y + 7}V${y + 3}H${x0 + 2 * d}z` }));
		return;
	}
	if (r.row.kind === "media") {
		g.append(svg("rect", { class: "none", x: Math.min(x0, x1) + 3, y: y - 5, width: Math.abs(x1 - x0) - 6, height: 10, rx: 2 }),
			svg("path", { class: "line", d: `M${x1 - 12 * d} ${y - 4}l${6 * d} 4l${-6 * d} 4` }));
		return;
	}
	const is_request = r.row.tone === "request";
	g.append(svg("path", { class: "line shaft", d: `M${x0} ${y}H${x1 - 2 * d}` }));
	g.append(svg("path", { class: is_request ? "full" : "line",
		d: `M${x1 - 10 * d} ${y - 5}L${x1 - d} ${y}L${x1 - 10 * d} ${y + 5}${is_request ? "z" : ""}` }));
	if (r.row.tone === "error") g.append(svg("path", { class: "line", d: `M${d > 0 ? x0 + 6 : x0 - 14} ${y - 4}l8 8m0 -8l-8 8` }));
}

function draw_pill(g, r, x, y) {
	const text = "×" + r.row.sends + " in " + seconds(r.row.span, 1) + " s", w = wide(text) + 10;
	const p = svg("g", { class: "unfold" });
	p.append(svg("rect", { class: "pill", x, y: y - 12, width: w, height: 16, rx: 8 }), svg("text", { class: "pill-n", x: x + w / 2, y }, text));
	g.append(p);
}

function draw_labels(g, r, x0, x1) {
	const is_self = x0 === x1, up = r.row.kind === "media" ? 11 : 7;
	const pill = r.row.sends ? wide("×" + r.row.sends + " in " + seconds(r.row.span, 1) + " s") + 16 : 0;
	const x = is_self ? x0 + 36 : (x0 + x1) / 2 - pill / 2;
	r.lines.forEach((line, i) => {
		const y = is_self ? r.y + 4 - (r.lines.length - 1 - i) * LINE : r.y - up - (r.lines.length - 1 - i) * LINE;
		g.append(svg("text", { class: "label halo" + (is_self ? "" : " m"), x, y }, line));
	});
	const last = wide(r.lines[r.lines.length - 1]);
	if (pill) draw_pill(g, r, is_self ? x + last + 6 : x + last / 2 + 6, r.y - (is_self ? -4 : up));
}

function draw_gutter(g, r, is_first) {
	const y = r.y + 4, delta = r.row.original !== undefined ? r.row.delta : r.delta;
	g.append(svg("text", { class: "num e", x: 62, y }, seconds(r.since)));
	if (!is_first)
		g.append(svg("text", { class: "num e" + (delta >= 1 ? " wait" : ""), x: 122, y }, (r.row.original !== undefined ? "↻" : "+") + seconds(delta)));
	if (r.row.frame && r.row.kind === "message") g.append(svg("text", { class: "num e", x: 162, y }, r.row.frame));
	(r.row.findings || []).forEach((n, i) => badge(g, 178 + 17 * i, y, n + 1));
	if ((r.row.marks || []).includes("against-rfc")) g.append(svg("text", { class: "sect m", x: 178 + 17 * (r.row.findings || []).length, y }, "§"));
}

const tone_class = (row) => (/^\d/.test(row.tone) ? "r" + row.tone : row.tone);

function draw_row(r, geometry, is_first) {
	const x = geometry.x;
	const g = svg("g", { class: "row " + tone_class(r.row) + " by-" + (r.entry.colour || 0) + (r.row.original !== undefined ? " copy" : ""),
		role: "option", id: "row-" + r.entry.at + "-" + r.at, "aria-selected": "false",
		"aria-label": seconds(r.since) + " seconds, " + geometry.hosts[r.from].address + " to " + geometry.hosts[r.to].address + ": " + label_of(r.row) });
	g.append(svg("rect", { class: "hit", x: 0, y: r.top, width: geometry.width, height: r.y + 9 - r.top }));
	g.append(svg("rect", { class: "edge", x: 0, y: r.top, width: 3, height: r.y + 9 - r.top }));
	geometry.hosts.forEach((h, i) => g.append(svg("path", { class: "lane", d: `M${x(i)} ${r.top}V${r.y + 9}` })));
	draw_gutter(g, r, is_first);
	if (r.from === r.to)
		g.append(svg("path", { class: "line", d: `M${x(r.from)} ${r.y - 6}h26v10h-24m8 -4l-8 4l8 4` }));
	else draw_arrow(g, r, x(r.from), x(r.to));
	draw_labels(g, r, x(r.from), x(r.to));
	g.ref = r;
	return g;
}

// Where a time stands, between the rows before and after it.
function y_of(refs, us) {
	const after = refs.findIndex((r) => r.us > us && r.row.original === undefined);
	if (after < 0) return refs[refs.length - 1].y + 10;
	if (!after) return refs[0].y;
	const a = refs[after - 1], b = refs[after];
	return a.y + ((b.y - a.y) * (us - a.us)) / (b.us - a.us);
}

// How long media lasted: a bar beside the lane that it goes to.
function draw_lasting(into, refs, r, x) {
	const height = Math.max(6, y_of(refs, r.entry.ladder.first + r.row.until) - r.y - 8);
	into.append(svg("rect", { class: r.row.seen ? "band" : "none", x: x(r.to) + (r.to > r.from ? -9 : 4), y: r.y + 8, width: 5, height, rx: 2 }));
}

function draw_heads(into, geometry) {
	const s = svg("svg", { class: "heads", width: geometry.width, height: HEAD + 12, "aria-hidden": "true" });
	s.append(svg("text", { class: "num e", x: 62, y: 34 }, "time s"), svg("text", { class: "num e", x: 122, y: 34 }, "since"),
		svg("text", { class: "num e", x: 162, y: 34 }, "frame"));
	const w = geometry.head;
	geometry.hosts.forEach((h, i) => {
		const x = geometry.x(i);
		s.append(svg("rect", { class: "head", x: x - w / 2, y: 6, width: w, height: HEAD - 4, rx: 6 }));
		if (h.name) s.append(svg("text", { class: "host m", x, y: 23 }, h.name));
		s.append(svg("text", { class: "addr m", x, y: h.name ? 39 : 31 }, h.address));
	});
	into.append(s);
}

// Draws into `into` and returns the rows as drawn.
function draw_ladder(into, shown, view) {
	into.replaceChildren();
	const { hosts, refs } = collect(shown, view.is_unfolded);
	const longest = Math.max(...hosts.map((h) => Math.max(h.address.length, (h.name || "").length)));
	const head = Math.max(HOST, longest * 7.2 + 16), room = into.clientWidth - GUTTER - head - 2 * PAD;
	const gap = Math.min(360, Math.max(head + 10, Math.floor(room / Math.max(1, hosts.length - 1))));
	const width = Math.max(into.clientWidth, GUTTER + head + (hosts.length - 1) * gap + PAD);
	const geometry = { hosts, gap, head, width, x: (i) => GUTTER + head / 2 + i * gap };
	const height = place(refs, gap, view.by_time);
	const body = svg("svg", { width: geometry.width, height, role: "presentation" });
	let at = 0;
	hosts.forEach((h, i) => body.append(svg("path", { class: "lane", d: `M${geometry.x(i)} 0V${height}` })));
	for (const r of refs) body.append((r.g = draw_row(r, geometry, at++ === 0)));
	for (const r of refs)
		if (r.row.kind === "media") {
			const over = svg("g", { class: "lasting media by-" + (r.entry.colour || 0) });
			draw_lasting(over, refs, r, geometry.x);
			body.append(over);
		}
	draw_heads(into, geometry);
	into.append(body);
	return refs;
}
