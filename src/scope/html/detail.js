// The message beside the ladder: explained, raw, as bytes, compared.

const tabs = ["Explained", "Raw", "Bytes", "Compare"];

function marks_of(ref) {
	const row = ref.row, said = [];
	const marks = row.marks || [];
	if (marks.includes("retransmission")) {
		const rows = ref.entry.rows;
		const same = rows.map((r, i) => [r, i]).filter(([r]) => r.original === row.original && !(r.marks || []).includes("duplicate"));
		const nth = same.findIndex(([, i]) => i === ref.at) + 2;
		said.push(row.original === undefined ? "sent again" : "sent again, " + nth + " of " + (same.length + 1) +
			(row.expected ? ": expected " + seconds(row.expected) + " s after the first, seen at " : ": seen at ") + seconds(row.delta) + " s");
	}
	if (marks.includes("duplicate")) said.push("the same packet, captured twice (a mirror port)");
	if (marks.includes("tls")) said.push("was encrypted with TLS on the way");
	for (const d of row.diagnostics || []) said.push("§ " + d);
	for (const n of row.findings || []) said.push("evidence of " + (n + 1) + ": " + ref.entry.verdict.findings[n].text);
	return said;
}

function detail_head(ref, tab, choose, close) {
	const row = ref.row, h = ref.entry.ladder.hosts;
	const head = make("div", "detail-head " + tone_class(row));
	const x = button("✕", "close", close);
	x.setAttribute("aria-label", "Close");
	head.append(x, make("h2", "", label_of(row)));
	const facts = ["frame " + row.frame, seconds(row.time, 6) + " s", h[row.from].address + " → " + h[row.to].address];
	if (row.kind === "message") facts.push(row.transport, row.bytes + " bytes");
	head.append(make("p", "facts", facts.join(" · ")));
	for (const said of marks_of(ref)) head.append(make("p", "marks", said));
	const bar = make("div", "tabs");
	bar.setAttribute("role", "tablist");
	for (const name of row.kind === "message" ? tabs : [])  {
		const b = button(name, "", () => choose(name));
		b.setAttribute("role", "tab");
		b.setAttribute("aria-selected", String(name === tab));
		bar.append(b);
	}
	head.append(bar);
	return head;
}

function compared(ref, kept) {
	const other = kept && (kept.entry !== ref.entry || kept.at !== ref.at) ? kept : partner_of(ref);
	const into = make("div");
	if (!other) {
		into.append(make("p", "hint", "Nothing of its kind here: keep a message with c, then choose another."));
		return into;
	}
	const row = other.entry.rows[other.at];
	into.append(make("p", "hint", (other === kept ? "Kept: " : "Compared with ") + label_of(row) + ", frame " + row.frame +
		". − is only there, + only here." + (other === kept ? "" : " Another one: keep it with c.")));
	into.append(diffed(text_of(other), text_of(ref)));
	return into;
}

function media_facts(row) {
	const into = make("div");
	const add = (name, value, means) => into.append(field(name, value, means, ""));
	if (!row.seen) {
		add("Media", "none seen", "It was agreed upon, but no packet of it passed where the capture was taken");
		return into;
	}
	add("Codec", row.codec || "unknown", "");
	add("Packets", row.packets + " of " + row.expected, row.lost ? row.lost + " did not come past here (" + seconds(100 * row.lost / row.expected, 1) + " %)" : "None is missing");
	add("Jitter", seconds(row.jitter_ms, 2) + " ms, at most " + seconds(row.max_jitter_ms, 2) + " ms", "How unevenly packets came [RFC3550 6.4.1]");
	add("Longest gap", seconds(row.max_gap_ms, 1) + " ms", "The longest time without a packet");
	add("Lasted", seconds(row.until - row.time) + " s", row.streams > 1 ? row.streams + " streams, one after the other" : "");
	if (row.dtmf) add("DTMF", row.dtmf, "Keys that were pressed [RFC4733]");
	return into;
}

function show_detail(into, ref, tab, kept, choose, close) {
	const row = ref.row;
	into.replaceChildren(detail_head(ref, tab, choose, close));
	const body = make("div", "tab");
	body.setAttribute("role", "tabpanel");
	if (row.kind === "media") body.append(media_facts(row));
	else if (ref.entry.text[ref.at] === null) body.append(make("p", "hint", "Its bytes are no longer kept."));
	else if (tab === "Raw") body.append(make("pre", "", text_of(ref).replace(/\r\n/g, "\n")));
	else if (tab === "Bytes") body.append(make("pre", "bytes", dump(bytes_of(ref))));
	else if (tab === "Compare") body.append(compared(ref, kept));
	else body.append(explained(text_of(ref)));
	into.append(body);
}
