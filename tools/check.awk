# The rules of tools/check; the names of the files to read come on standard input, one per line, relative to the project.

BEGIN {
	split("base sip sdp rtp codec wire", t, " ")
	for (i in t)
		is_pure[t[i]] = 1
	n = split(layers, rows, "\n")
	for (i = 1; i <= n; i++) {
		if (!split(rows[i], part, ":"))
			continue
		x = part[1]
		may[x, x] = may[x, "base"] = is_layer[x] = 1
		m = split(part[2], t, " ")
		for (k = 1; k <= m; k++) {
			down = sub(/^\+/, "", t[k])
			may[x, t[k]] = 1
			if (down) # rows stand in the order of their layers: what t[k] may is complete
				for (y in is_layer)
					if ((t[k], y) in may)
						may[x, y] = 1
		}
	}
	n = split(system_headers, rows, "\n")
	for (i = 1; i <= n; i++)
		if (split_row(rows[i], part)) {
			sys_re[++n_sys] = part[1]
			sys_may[n_sys] = " " part[2] " "
			sys_why[n_sys] = part[3]
		}
	n = split(banned, rows, "\n")
	for (i = 1; i <= n; i++)
		if (split_row(rows[i], part) && part[2] != "none") {
			m = split(part[1], t, " ")
			for (k = 1; k <= m; k++) {
				ban_where[t[k]] = part[2]
				ban_why[t[k]] = part[3]
			}
		}
	n_words = split(words, word, " ")
	while ((getline path) > 0) {
		sub(/^\.\//, "", path)
		read_file(path)
	}
	readmes()
	exit n_errors > 0
}

function split_row(row, part,    i, n) {
	n = split(row, part, /[ ]*\|[ ]*/)
	# a regular expression of the first column may hold the separator: the last two columns are fixed
	for (i = 2; i < n - 1; i++)
		part[1] = part[1] "|" part[i]
	if (n > 3) {
		part[2] = part[n - 1]
		part[3] = part[n]
	}
	return n >= 3
}

function complain(line, rule, text) {
	printf "%s%s: %s: %s\n", file, line ? ":" line : "", rule, text
	n_errors++
}
function warn(line, rule, text) {
	printf "%s%s: warning: %s: %s\n", file, line ? ":" line : "", rule, text
}

# The line without comments and without the contents of strings; in_comment lives from line to line.
function code_of(s,    out, i) {
	out = ""
	while (s != "") {
		if (in_comment) {
			i = index(s, "*/")
			if (!i)
				return out
			s = substr(s, i + 2)
			in_comment = 0
		}
		if (!match(s, /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'|\/\*|\/\//))
			return out s
		out = out substr(s, 1, RSTART - 1)
		tok = substr(s, RSTART, RLENGTH)
		s = substr(s, RSTART + RLENGTH)
		if (tok == "//")
			return out
		if (tok == "/*")
			in_comment = 1
		else
			out = out substr(tok, 1, 1) substr(tok, 1, 1)
	}
	return out
}

function include_of_ours(line, target,    x) {
	includes[file, target] = 1
	if (line_is_first_include == 0) {
		line_is_first_include = line
		first_include = target
	}
	x = target
	if (!sub(/\/.*/, "", x)) {
		if (target !~ /\.(def|inc)$/)
			complain(line, "layers", "name the folder: \"" folder "/" target "\"")
		return
	}
	if (!(x in is_layer))
		complain(line, "layers", "\"" target "\" is in no folder of the layers")
	else if (!((folder, x) in may))
		complain(line, "layers", folder " may not include " x " (\"" target "\")")
	else if (target ~ /_priv\.h$/ && x != folder)
		complain(line, "layers", "\"" target "\" is private to " x)
}

function include_of_system(line, target,    i) {
	if (line_is_first_include == 0) {
		line_is_first_include = line
		first_include = "<" target ">"
	}
	for (i = 1; i <= n_sys; i++)
		if (target ~ sys_re[i] && index(sys_may[i], " " folder " ") == 0)
			complain(line, "system", "<" target "> in " folder ": " sys_why[i])
}

function is_banned(f,    where) {
	where = ban_where[f]
	if (where == "all")
		return 1
	if (where == "pure")
		return folder in is_pure
	if (where ~ /^-/)
		return index(" " substr(where, 2) " ", " " folder " ") == 0
	return index(" " where " ", " " folder " ") > 0
}

function look_for_calls(line, s,    f, before) {
	while (match(s, /[A-Za-z_][A-Za-z0-9_]*\(/)) {
		f = substr(s, RSTART, RLENGTH - 1)
		before = RSTART > 1 ? substr(s, 1, RSTART - 1) : ""
		s = substr(s, RSTART + RLENGTH)
		if (before ~ /^(static|struct|enum|void|int|bool)[ \t]/) # a function of our own that is called like that
			own[f] = file
		# a member called like that is another thing
		if ((f in ban_where) && before !~ /(\.|->)$/ && own[f] != file && is_banned(f))
			complain(line, "banned", f ": " ban_why[f])
	}
}

function own_header(path,    h) {
	h = path
	sub(/\.c$/, ".h", h)
	return h in seen_header ? substr(h, 5) : ""
}

function read_file(path,    is_generator, s, code, i, is_c, is_h, is_src, is_table, start, n, t, tag) {
	file = path
	is_h = path ~ /\.h$/
	is_c = path ~ /\.c$/
	is_table = path ~ /(\.def|\.inc|_table\.c)$/
	is_src = path ~ /^src\//
	is_generator = path ~ /\/gen_[^\/]*\.c$/
	folder = ""
	if (is_src) {
		split(path, t, "/")
		folder = t[2]
		if (is_c || is_h || path ~ /\.def$/)
			sources_of[folder] = sources_of[folder] " " path
	}
	in_comment = start = line_is_first_include = pragma = 0
	first_include = ""
	n = 0
	while ((getline s < path) > 0) {
		n++
		if (n == 1)
			first_line = s
		if (s ~ machine_re())
			complain(n, "machine", "a path of one machine")
		for (i = 1; i <= n_words; i++)
			if (index(s, word[i]))
				complain(n, "machine", "a name of one machine")
		if (path ~ /^(src|tests)\/.*\.([ch]|def|inc)$/) {
			if (s ~ open_end_re())
				complain(n, "open-end", "finish it or leave it out")
			t_s = s
			while (match(t_s, /\[RFC[^]]*\]/)) {
				tag = substr(t_s, RSTART, RLENGTH)
				t_s = substr(t_s, RSTART + RLENGTH)
				if (tag !~ /^\[RFC[0-9]+( [0-9A-Z]+(\.[0-9A-Z]+)*[,:]?)*( [a-z][^]]*)?\]$/)
					complain(n, "rfc-tag", tag " is not of the form [RFC3261 17.1.1.2]")
			}
		}
		if (!is_src || !(is_c || is_h))
			continue
		if (s ~ /^#pragma once/)
			pragma = 1
		if (is_generator)
			continue
		if (s ~ /^#[ \t]*include[ \t]*"/) {
			split(s, t, "\"")
			include_of_ours(n, t[2])
			continue
		}
		if (s ~ /^#[ \t]*include[ \t]*</) {
			split(s, t, /[<>]/)
			include_of_system(n, t[2])
			continue
		}
		code = code_of(s)
		if (code != "")
			look_for_calls(n, code)
		if (s ~ /^\{/)
			start = n
		else if (s ~ /^\}/ && start) {
			if (n - start - 1 > 100)
				complain(start, "size", "a function of " (n - start - 1) " lines")
			else if (n - start - 1 > 60)
				warn(start, "size", "a function of " (n - start - 1) " lines")
			start = 0
		}
	}
	close(path)
	if (is_h)
		seen_header[path] = 1
	if (!is_src || !(is_c || is_h))
		return
	if (is_h && !pragma)
		complain(1, "essay", "no #pragma once")
	if (is_c && first_line !~ /^\/\*/)
		complain(1, "essay", "the file does not open with a comment that says what it is for")
	if (is_c && !is_generator)
		pending[path] = first_include
	if (!is_table) {
		if (n > (is_h ? 300 : 800))
			complain(0, "size", n " lines")
		else if (n > (is_h ? 150 : 600))
			warn(0, "size", n " lines")
	}
}

# Written in pieces, so that this file does not complain of itself.
function machine_re() {
	return "/(wo" "rk|ho" "me|ro" "ot|Us" "ers)/[A-Za-z0-9_]"
}
function open_end_re() {
	return "(^|[^A-Za-z])(TO" "DO|FIX" "ME|XX" "X)([^A-Za-z]|$)"
}

function readmes(    path, own, x, text, s, n, i, t, base) {
	for (path in pending) {
		own = own_header(path)
		if (own != "" && pending[path] != own && ((path, own) in includes)) {
			file = path
			complain(0, "layers", "its own header \"" own "\" is to be included first")
		}
	}
	for (x in sources_of) {
		file = "src/" x "/README.md"
		text = ""
		n = 0
		while ((getline s < file) > 0) {
			n++
			text = text "\n" s
		}
		close(file)
		if (n == 0) {
			file = "src/" x
			complain(0, "readme", "no README.md")
			continue
		}
		if (n > 40)
			complain(0, "readme", n " lines; at most 40")
		i = split(sources_of[x], t, " ")
		for (; i > 0; i--) {
			base = t[i]
			sub(/^src\/[^\/]*\//, "", base)
			if (!names(text, base))
				complain(0, "readme", "does not name " base)
		}
	}
}

# Does a README name the file? As msg.c, as msg.h/msg.c, msg.[ch], msg.{c,h}, or as `msg`.
function names(text, base,    stem) {
	if (index(text, base))
		return 1
	stem = base
	sub(/\.[a-z]+$/, "", stem)
	sub(/_priv$/, "", stem)
	return index(text, "`" stem "`") || index(text, stem ".[") || index(text, stem ".{") ||
		index(text, stem ".h") || index(text, stem ".c")
}
