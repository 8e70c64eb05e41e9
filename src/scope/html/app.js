// What is shown, and what keys and clicks do.

const state = {
	shown: [], // entries on the ladder, in order
	chosen: null, // ref of the selected row
	kept: null, // ref to compare with
	tab: "Explained",
	by_time: false, by_call: false, unfold_all: false,
	unfolded: new Set(),
	refs: [],
	needle: "",
	theme: "",
};
const key_of = (entry, at) => entry.at + "-" + at;

function redraw() {
	const ladder = $("ladder");
	state.shown.forEach((entry, i) => (entry.colour = i % 6));
	ladder.classList.toggle("by-call", state.by_call);
	show_verdict($("verdict"), state.shown, state.by_call, jump);
	if (state.shown.every((e) => e.ladder) && state.shown.length) {
		state.refs = draw_ladder(ladder, state.shown, {
			by_time: state.by_time,
			is_unfolded: (entry, at) => state.unfold_all || state.unfolded.has(key_of(entry, at)),
		});
	} else {
		ladder.replaceChildren(make("p", "empty", state.shown.length ? "The messages of this call are not in the file." : "No call fits."));
		state.refs = [];
	}
	mark_found();
	mark_chosen(false);
}

function redraw_ladder() {
	const ladder = $("ladder"), at = ladder.scrollTop;
	redraw();
	ladder.scrollTop = at;
}

function mark_found() {
	for (const r of state.refs) r.g.classList.toggle("found", state.needle !== "" && row_fits(r.entry, r.at, state.needle));
}

function into_sight(g) {
	const box = $("ladder"), rows = g.getBoundingClientRect(), seen = box.getBoundingClientRect();
	if (rows.top < seen.top + HEAD + 12) box.scrollTop -= seen.top + HEAD + 12 - rows.top;
	else if (rows.bottom > seen.bottom - 6) box.scrollTop += rows.bottom - seen.bottom + 6;
}

function mark_chosen(scroll) {
	const c = state.chosen, k = state.kept;
	$("ladder").removeAttribute("aria-activedescendant");
	for (const r of state.refs) {
		const is_chosen = c !== null && r.entry === c.entry && r.at === c.at;
		r.g.setAttribute("aria-selected", String(is_chosen));
		r.g.classList.toggle("kept", k !== null && r.entry === k.entry && r.at === k.at);
		if (!is_chosen) continue;
		$("ladder").setAttribute("aria-activedescendant", r.g.id);
		if (scroll) into_sight(r.g);
	}
}

function render_detail() {
	const is_open = state.chosen !== null, was_open = !$("detail").hidden;
	$("detail").hidden = !is_open;
	$("main").classList.toggle("has-detail", is_open);
	if (is_open) show_detail($("detail"), state.chosen, state.tab, state.kept, choose_tab, close_detail);
	return is_open !== was_open;
}

function choose_tab(name) {
	state.tab = name;
	render_detail();
	const tab = $("detail").querySelector('[role="tab"][aria-selected="true"]');
	if (tab) tab.focus();
}

function choose(ref) {
	state.chosen = ref;
	if (render_detail()) redraw_ladder();
	mark_chosen(true);
}

function close_detail() {
	choose(null);
	$("ladder").focus();
}

function jump(entry, at) {
	const find = () => state.refs.find((r) => r.entry === entry && r.at === at);
	if (!find() && entry.rows[at].original !== undefined) {
		state.unfolded.add(key_of(entry, entry.rows[at].original));
		redraw_ladder();
	}
	choose(find() || null);
	$("ladder").focus();
}

function toggle_fold(ref) {
	const key = key_of(ref.entry, ref.row.original === undefined ? ref.at : ref.row.original);
	if (!state.unfolded.delete(key)) state.unfolded.add(key);
	redraw_ladder();
}

function show(entries) {
	state.shown = entries;
	state.chosen = null;
	render_detail();
	redraw();
	$("ladder").scrollTop = 0;
	for (const line of $("list").children) {
		const is_shown = entries.includes(line.entry);
		line.setAttribute("aria-selected", String(is_shown));
		if (is_shown && entries.length === 1) {
			line.scrollIntoView({ block: "nearest" });
			$("list").setAttribute("aria-activedescendant", line.id);
		}
	}
}

function toggle_call(entry) {
	const others = state.shown.filter((e) => e !== entry);
	if (!entry.ladder) return;
	const more = others.length < state.shown.length ? others : [...others, entry].sort((a, b) => a.at - b.at);
	if (more.length) {
		state.by_call = more.length > 1;
		show(more.filter((e) => e.ladder));
		label_tools();
	}
}

function filter_calls() {
	state.needle = $("find").value.trim().toLowerCase();
	const fits = (e) => state.needle === "" || haystack(e).includes(state.needle) || e.rows.some((r, at) => row_fits(e, at, state.needle));
	const found = calls.filter(fits);
	$("list").replaceChildren(...found.map(call_line));
	const still = state.shown.filter((e) => found.includes(e));
	show(still.length ? still : found.length ? [most_telling(found)] : []);
}

// What somebody most likely opens the page for: a call that went wrong, else a call at all.
function most_telling(found) {
	const worst = (severity, kind) => found.find((e) => e.verdict.severity === severity && (!kind || e.verdict.kind === kind));
	return worst("fault", "call") || worst("fault") || worst("warning", "call") || found.find((e) => e.verdict.kind === "call") || found[0];
}

function step_call(by) {
	const lines = Array.from($("list").children);
	const at = lines.findIndex((l) => l.entry === state.shown[0]);
	const line = lines[Math.min(lines.length - 1, Math.max(0, at + by))];
	if (line) show([line.entry]);
}

function step_row(by) {
	const at = state.chosen ? state.refs.findIndex((r) => r.entry === state.chosen.entry && r.at === state.chosen.at) : -1;
	const next = at < 0 ? (by > 0 ? 0 : state.refs.length - 1) : at + by;
	const r = state.refs[Math.min(state.refs.length - 1, Math.max(0, next))];
	if (r) choose(r);
}

function next_evidence() {
	const at = state.chosen ? state.refs.findIndex((r) => r.entry === state.chosen.entry && r.at === state.chosen.at) : -1;
	const after = [...state.refs.slice(at + 1), ...state.refs.slice(0, at + 1)];
	const r = after.find((x) => (x.row.findings || []).length);
	if (r) choose(r);
}

function keep() {
	state.kept = state.kept && state.chosen && state.kept.at === state.chosen.at && state.kept.entry === state.chosen.entry ? null : state.chosen;
	if (state.kept) state.tab = "Compare";
	render_detail();
	mark_chosen(false);
}

function label_tools() {
	const press = (id, text, is_on, title) => {
		$(id).textContent = text;
		$(id).title = title;
		if (is_on !== null) $(id).setAttribute("aria-pressed", String(is_on));
	};
	press("b-time", "Time scale", state.by_time, "Gaps as long as they lasted (t)");
	press("b-fold", "Resent", state.unfold_all, "Show what was sent again (f)");
	press("b-colour", "By call", state.by_call, "Colours by call (o)");
	press("b-theme", { "": "◐ Auto", light: "○ Light", dark: "● Dark" }[state.theme], null, "Light or dark");
}

const actions = {
	"ArrowDown": () => step_row(1), "j": () => step_row(1), "ArrowUp": () => step_row(-1), "k": () => step_row(-1),
	"ArrowRight": () => step_call(1), "ArrowLeft": () => step_call(-1),
	"Home": () => step_row(-1e9), "End": () => step_row(1e9),
	"Enter": () => (state.chosen ? state.chosen.row.sends && toggle_fold(state.chosen) : step_row(1)),
	" ": () => step_shown(), "e": next_evidence, "c": keep, "d": () => state.chosen && choose_tab("Compare"),
	"t": () => { state.by_time = !state.by_time; label_tools(); redraw_ladder(); },
	"f": () => { state.unfold_all = !state.unfold_all; label_tools(); redraw_ladder(); },
	"o": () => { state.by_call = !state.by_call; label_tools(); redraw_ladder(); },
	"/": () => { $("find").focus(); $("find").select(); },
	"?": () => $("help").showModal(),
	"Escape": () => (state.kept ? keep_none() : state.chosen ? close_detail() : clear_find()),
};

// Space adds the next call of the list to those shown.
function step_shown() {
	const lines = Array.from($("list").children);
	const last = lines.findIndex((l) => l.entry === state.shown[state.shown.length - 1]);
	if (lines[last + 1]) toggle_call(lines[last + 1].entry);
}

function keep_none() {
	state.kept = null;
	render_detail();
	mark_chosen(false);
}

function clear_find() {
	if (!$("find").value) return;
	$("find").value = "";
	filter_calls();
}

function on_key(event) {
	if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
	const target = event.target, is_find = target === $("find");
	if (is_find && event.key === "Escape") {
		clear_find();
		$("ladder").focus();
		return;
	}
	if (is_find && event.key !== "ArrowDown") return;
	if (target.tagName === "AUDIO") return;
	if (target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
	if (is_find) $("ladder").focus();
	const act = actions[event.key];
	if (!act) return;
	event.preventDefault();
	act();
}

function on_ladder_click(event) {
	const g = event.target.closest(".row");
	if (!g) return;
	if (event.target.closest(".unfold")) toggle_fold(g.ref);
	else choose(g.ref);
}

function on_list_click(event) {
	const line = event.target.closest(".call");
	if (!line) return;
	if (event.ctrlKey || event.metaKey || event.shiftKey) toggle_call(line.entry);
	else show([line.entry]);
}

function start() {
	const n_messages = calls.reduce((n, c) => n + c.call.messages, 0);
	$("title").textContent = plain(data.title);
	const n = calls.length + data.omitted, is_calls = calls.every((c) => c.verdict.kind === "call");
	$("sum").textContent = n + (is_calls ? (n === 1 ? " call" : " calls") : n === 1 ? " " + calls[0].verdict.kind : " calls, registrations and others") +
		" · " + n_messages + (n_messages === 1 ? " message" : " messages");
	if (data.without || data.omitted) {
		$("notice").hidden = false;
		$("notice").textContent = "The capture is larger than a page can be: of " + data.without + " calls only the verdict is here, " +
			data.omitted + " are left out (limit " + data.limit + " messages). Choose with -Y or --ladder.";
	}
	$("find").addEventListener("input", filter_calls);
	$("list").addEventListener("click", on_list_click);
	$("ladder").addEventListener("click", on_ladder_click);
	$("b-time").addEventListener("click", actions.t);
	$("b-fold").addEventListener("click", actions.f);
	$("b-colour").addEventListener("click", actions.o);
	$("b-help").addEventListener("click", actions["?"]);
	$("b-theme").addEventListener("click", () => {
		state.theme = { "": "light", light: "dark", dark: "" }[state.theme];
		document.documentElement.dataset.theme = state.theme;
		label_tools();
		redraw_ladder();
	});
	document.addEventListener("keydown", on_key);
	let width = innerWidth;
	addEventListener("resize", () => {
		if (innerWidth !== width) requestAnimationFrame(redraw_ladder);
		width = innerWidth;
	});
	label_tools();
	filter_calls();
	$("ladder").focus();
}

start();
