#!/bin/sh
# Builds gVisor's runsc, at the version that tools/runsc/go.mod pins: scripts/build-runsc.sh [OUT]
#
# OUT is .build/bin/runsc by default. OUT.stamp holds the hash of what it was made from; when nothing has changed the
# script ends at once. Needs Go alone.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-$root/.build/bin/runsc}
mkdir -p "$(dirname -- "$out")"
out=$(CDPATH='' cd -- "$(dirname -- "$out")" && pwd)/$(basename -- "$out")

cd "$root/tools/runsc"
want=$(cat "$root/scripts/build-runsc.sh" go.mod go.sum tools.go | sha256sum | cut -d' ' -f1)
if [ -x "$out" ] && [ "$(cat "$out.stamp" 2>/dev/null || true)" = "$want" ]; then
	echo "build-runsc: $out is up to date"
	exit 0
fi

version=$(awk '$1 == "gvisor.dev/gvisor" { print $2 }' go.mod)
new=$out.new.$$
trap 'rm -f "$new"' EXIT
trap 'exit 1' INT TERM
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$version" -o "$new" gvisor.dev/gvisor/runsc
chmod 0755 "$new"
mv "$new" "$out"
printf '%s\n' "$want" >"$out.stamp"
echo "build-runsc: $out is $version"
