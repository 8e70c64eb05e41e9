// Two messages compared, line by line: what went, what came, what stayed.

const DIFF_MAX = 600; // lines; longer ones are compared without looking for moved lines

// The longest common subsequence of two short lists, as [sign, line] pairs.
function diff(a, b) {
	const n = a.length, m = b.length, out = [];
	if (n > DIFF_MAX || m > DIFF_MAX) return [...a.map((x) => ["-", x]), ...b.map((x) => ["+", x])];
	const best = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1));
	for (let i = n - 1; i >= 0; i--)
		for (let k = m - 1; k >= 0; k--)
			best[i][k] = a[i] === b[k] ? best[i + 1][k + 1] + 1 : Math.max(best[i + 1][k], best[i][k + 1]);
	let i = 0, k = 0;
	while (i < n || k < m) {
		if (i < n && k < m && a[i] === b[k]) {
			out.push([" ", a[i]]);
			i++;
			k++;
		} else if (i < n && (k === m || best[i + 1][k] >= best[i][k + 1])) out.push(["-", a[i++]]);
		else out.push(["+", b[k++]]);
	}
	return out;
}

function diffed(before, after) {
	const pre = make("pre");
	const classes = { " ": "same", "-": "gone", "+": "come" };
	for (const [sign, line] of diff(before.split(/\r?\n/), after.split(/\r?\n/)))
		pre.append(make("span", classes[sign], sign + " " + line));
	return pre;
}

// With what a message is compared unless one was kept: the one before it of the same kind.
function partner_of(ref) {
	const row = ref.entry.rows[ref.at];
	const same = (r) => r.kind === "message" && (row.status ? r.status === row.status : r.method === row.method && !r.status);
	for (let i = ref.at - 1; i >= 0; i--)
		if (same(ref.entry.rows[i])) return { entry: ref.entry, at: i };
	for (let i = ref.at + 1; i < ref.entry.rows.length; i++)
		if (same(ref.entry.rows[i])) return { entry: ref.entry, at: i };
	return null;
}
