# What the scripts share: where things are, how they speak, how they become root. Sourced by bash, never run.
# shellcheck shell=bash

set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=$root/.build
bin=$build/bin
logs=$build/log
: "${HOME:=/root}"
export HOME
# What we build needs no C compiler; only the race detector of the tests does, and asks for it itself.
# pnpm is fetched at the version that web/package.json names, so it need not look for another.
export pnpm_config_pm_on_fail=ignore CGO_ENABLED=0 NEXT_TELEMETRY_DISABLED=1 NEXT_IGNORE_INCORRECT_LOCKFILE=1 npm_config_update_notifier=false
mkdir -p "$bin" "$logs"

pnpm_version=$(sed -n 's/.*"packageManager": *"pnpm@\([0-9.]*\)".*/\1/p' web/package.json)
pnpm=$build/pnpm/node_modules/.bin/pnpm

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# as_root runs a command as root. prepare has made sure that this works.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# now is the time in milliseconds.
now() { printf '%s\n' $((${EPOCHREALTIME/[.,]/} / 1000)); }

# since prints the time passed since a moment that now gave, in words.
since() {
	local ms=$(($(now) - $1))
	if ((ms < 10000)); then printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
	elif ((ms < 120000)); then printf '%d s' $((ms / 1000))
	else printf '%d min %02d s' $((ms / 60000)) $((ms / 1000 % 60)); fi
}

# sum_of prints one hash over the names and contents of the files named on stdin, each ended by a NUL.
sum_of() {
	sort -z | xargs -0 --no-run-if-empty sha256sum | sha256sum | cut -d' ' -f1
}
