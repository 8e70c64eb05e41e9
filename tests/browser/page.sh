#!/bin/sh
# The exports of `rung scope` in headless Chromium (page.mjs); RUNG names the program. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
RUNG=${RUNG-$here/../../build/rung}
for tool in node chromium; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP no $tool here"; exit 0; }
done
WORK=$(mktemp -d "${TMPDIR:-/tmp}/rung-browser.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
export RUNG WORK
node "$here/page.mjs"
