// A package of CommonJS modules as one script for a page, which then has it as window[name]: what a bundler does, for the few
// packages of package.json. Prefers what a package has for browsers.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const is_file = (path) => existsSync(path) && statSync(path).isFile();

function as_file(path) {
	for (const end of ["", ".js", "/index.js"]) if (is_file(path + end)) return path + end;
	throw new Error("no module at " + path);
}

function resolve(what, from, modules) {
	if (what.startsWith(".")) return as_file(join(dirname(from), what));
	const about = JSON.parse(readFileSync(join(modules, what, "package.json")));
	return as_file(join(modules, what, typeof about.browser === "string" ? about.browser : about.main));
}

export function bundle(modules, entry, name) {
	const parts = new Map(); // path -> its function, as text
	const add = (path) => {
		if (parts.has(path)) return;
		parts.set(path, "");
		let source = readFileSync(path, "utf8");
		if (path.endsWith(".json")) source = "module.exports = " + source;
		else source = source.replace(/\brequire\((['"])(.*?)\1\)/g, (all, quote, what) => {
			const found = resolve(what, path, modules);
			add(found);
			return `require(${JSON.stringify(found.slice(modules.length))})`;
		});
		parts.set(path, `${JSON.stringify(path.slice(modules.length))}(module, exports, require) {\n${source}\n}`);
	};
	const first = resolve(entry, "", modules);
	add(first);
	return `window[${JSON.stringify(name)}] = (() => {
const parts = {${[...parts.values()].join(",\n")}}, made = {};
function require(path) {
	if (!made[path]) parts[path]((made[path] = { exports: {} }), made[path].exports, require);
	return made[path].exports;
}
return require(${JSON.stringify(first.slice(modules.length))});
})();\n`;
}
