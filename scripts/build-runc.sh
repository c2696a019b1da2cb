#!/bin/sh
# Builds runc with seccomp, at the version that tools/runc/go.mod pins: scripts/build-runc.sh [OUT]
#
# OUT is .build/bin/runc by default. OUT.stamp holds the hash of what it was made from; when nothing has changed the script
# ends at once. The program is static, so that it runs where there is no libseccomp. It installs nothing: what is missing
# of Go, a C compiler, pkg-config and libseccomp's development files it names.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-$root/.build/bin/runc}
mkdir -p "$(dirname -- "$out")"
out=$(CDPATH='' cd -- "$(dirname -- "$out")" && pwd)/$(basename -- "$out")

cd "$root/tools/runc"
want=$(cat "$root/scripts/build-runc.sh" go.mod go.sum tools.go | sha256sum | cut -d' ' -f1)
if [ -x "$out" ] && [ "$(cat "$out.stamp" 2>/dev/null || true)" = "$want" ]; then
	echo "build-runc: $out is up to date"
	exit 0
fi

command -v go >/dev/null || { echo "build-runc: Go is missing: https://go.dev/dl" >&2; exit 1; }
missing=
command -v "${CC:-gcc}" >/dev/null || missing="$missing gcc"
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
command -v pkg-config >/dev/null || missing="$missing pkg-config"
pkg-config --exists libseccomp 2>/dev/null || missing="$missing libseccomp-dev"
if [ -n "$missing" ]; then
	echo "build-runc: Debian packages are missing: apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

version=$(awk '$1 == "require" && $2 == "github.com/opencontainers/runc" { print $3 }' go.mod)
new=$out.new.$$
trap 'rm -f "$new"' EXIT
trap 'exit 1' INT TERM
CGO_ENABLED=1 go build -trimpath -tags 'seccomp netgo osusergo' -ldflags '-s -w -linkmode external -extldflags -static' \
	-o "$new" github.com/opencontainers/runc
"$new" --version | grep -q '^libseccomp: ' || { echo "build-runc: the program was built without seccomp" >&2; exit 1; }
chmod 0755 "$new"
mv "$new" "$out"
printf '%s\n' "$want" >"$out.stamp"
echo "build-runc: $out is $version"
