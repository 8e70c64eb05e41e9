#!/bin/bash
# What is loaded late (src/base/late.h) is not linked, by whatever way, and is named as the linker would have named it.
. "$(dirname "$0")/lib.sh"
LATE=${LATE-$top/build/liblate.so}
need readelf ldd
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'; }

late=$(needed "$LATE" | grep -vE '^lib(c|.*san)\.') # sanitizers are linked to both
four() { [ "$(wc -w <<<"$late")" = 4 ]; }
not_loaded() { ! ldd "$RUNG" | grep -F "$1"; }
named() { grep -qaF "$1" "$RUNG"; }
check "four libraries" four
for lib in $late; do
	check "$lib is not loaded at the start" not_loaded "$lib"
	check "$lib is what rung asks for" named "$lib"
done
finish
