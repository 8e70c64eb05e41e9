// The calls, and what is said of those shown.

function call_line(entry) {
	const v = entry.verdict;
	const said = v.findings.filter((f, n) => n === 0 || f.severity === "fault" || f.severity === "warning").map((f) => f.text);
	const line = make("div", "call by-" + (entry.at % 6));
	line.setAttribute("role", "option");
	line.id = "call-" + entry.at;
	const sign = make("span", "sign " + v.severity, signs[v.severity] || "");
	sign.title = v.severity;
	const who = make("div", "who");
	who.append(make("span", "", parties(v)), make("span", "when", seconds(entry.call.start - first, 1) + " s"));
	const what = make("div", "what", said.join("; ") + (entry.ladder ? "" : " (its messages are not in this file)"));
	line.append(sign, who, what);
	line.entry = entry;
	return line;
}

function evidence_of(entry, n) {
	return entry.rows.map((row, at) => ({ row, at })).filter((r) => (r.row.findings || []).includes(n));
}

function finding_block(entry, f, n, jump) {
	const block = make("div", "finding"), words = make("div");
	const said = make("p", "said", (f.severity === "ok" ? "" : f.severity + ": ") + f.text);
	for (const r of evidence_of(entry, n)) {
		const b = button("#" + r.row.frame, "jump", () => jump(entry, r.at));
		b.title = r.row.label || "";
		b.setAttribute("aria-label", "evidence: frame " + r.row.frame);
		said.append(b);
	}
	words.append(said);
	const why = [f.remedy, f.severity === "ok" || f.severity === "note" ? "" : f.confidence + " % sure", f.rfc && f.severity !== "ok" ? f.rfc : ""].filter(Boolean).join(" · ");
	if (why) words.append(make("p", "why", why));
	block.append(make("span", "sign " + f.severity, signs[f.severity]), words);
	return block;
}

// What one side of a leg said: a player, and what is missing in it.
function sound_block(entry, a) {
	const block = make("figure", "sound"), leg = entry.ladder.calls.find((c) => c.call === a.call);
	const who = leg ? (a.side === "caller" ? leg.verdict.from : leg.verdict.to) : "";
	const said = "What the " + a.side + " said (" + who + "): " + (a.codec || "codec unknown") + (a.wav ? ", " + seconds(a.seconds, 1) + " s" : "");
	block.append(make("figcaption", "why", plain(said) + (a.problem ? " · " + a.problem : "")));
	if (!a.wav) return block;
	const sound = document.createElement("audio");
	sound.controls = true;
	sound.preload = "none";
	sound.src = "data:audio/wav;base64," + a.wav;
	sound.setAttribute("aria-label", plain(said));
	block.append(sound);
	return block;
}

function show_verdict(into, shown, is_by_call, jump) {
	into.replaceChildren();
	for (const entry of shown) {
		const title = make("h2");
		if (is_by_call) title.append(make("span", "swatch by-" + entry.colour));
		title.append(plain(parties(entry.verdict)));
		into.append(title);
		entry.verdict.findings.forEach((f, n) => into.append(finding_block(entry, f, n, jump)));
		into.append(make("p", "callid", new Date(entry.call.start * 1000).toISOString().replace("T", " ") + " · " + entry.verdict.kind + " · Call-ID " + entry.verdict.call_id));
		for (const a of entry.audio || []) into.append(sound_block(entry, a));
	}
}
