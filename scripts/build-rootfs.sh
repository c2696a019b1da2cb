#!/bin/sh
# Builds the sandbox's root file system: scripts/build-rootfs.sh OUT_DIR
#
# OUT_DIR is replaced whole, and only after the new tree is complete. OUT_DIR/.vivarium-image holds the hash of what it was
# made from; when nothing has changed the script ends at once. Sandboxes that run on the old tree lose it: end them first. Debian's packages come from the sources that this machine's
# apt uses. Needs root and mmdebstrap.
set -eu

suite=bookworm
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:?usage: build-rootfs.sh OUT_DIR}
image=$root/image
stamp_file=.vivarium-image
layout='layout 1' # what the oci driver relies on; its rootFSLayout must be the same

stamp() {
	printf '%s\n' "$layout"
	(
		cd "$root"
		cat scripts/build-rootfs.sh image/packages.txt image/setup.sh
		find image/files -type f | LC_ALL=C sort | while read -r name; do
			printf '%s\n' "$name"
			cat "$name"
		done
	) | sha256sum | cut -d' ' -f1
}

# sources prints the machine's own apt sources for the suite, in the format they are in, so that mirrors are the machine's.
sources() {
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$list" ] || continue
		awk -v s="$suite" '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i == s || $i == s"-updates" || $i == s"-security") { print; break } }' "$list"
	done
	for list in /etc/apt/sources.list.d/*.sources; do
		[ -r "$list" ] || continue
		awk -v s="$suite" 'BEGIN { RS = ""; ORS = "\n\n" } !/(^|\n)Enabled: *no/ && $0 ~ "(^|\n)Suites:[^\n]* " s "(-updates|-security)?( |\n|$)"' "$list"
	done
}

want=$(stamp)
if [ "$(cat "$out/$stamp_file" 2>/dev/null || true)" = "$want" ]; then
	echo "build-rootfs: $out is up to date"
	exit 0
fi

[ "$(id -u)" = 0 ] || { echo "build-rootfs: run it as root" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "build-rootfs: mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 1; }

mkdir -p "$(dirname -- "$out")"
out=$(CDPATH='' cd -- "$(dirname -- "$out")" && pwd)/$(basename -- "$out")
exec 9>"$out.lock"
flock 9
if [ "$(cat "$out/$stamp_file" 2>/dev/null || true)" = "$want" ]; then # another build has just ended
	exit 0
fi

new=$(mktemp -d "$out.new.XXXXXX")
cleanup() { rm -rf --one-file-system "$new"; }
trap cleanup EXIT
trap 'exit 1' INT TERM

include=$(grep -v '^#' "$image/packages.txt" | tr '\n' ',' | sed 's/,*$//')
sources >"$new/apt-sources"
mirrors=$new/apt-sources
[ -s "$mirrors" ] || mirrors= # mmdebstrap's own default, Debian's

mmdebstrap --quiet --mode=root --variant=minbase --include="$include" \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" "$new/tree" ${mirrors:+"$mirrors"}

mkdir -p "$new/tree/tmp/image"
cp -R "$image/files" "$image/setup.sh" "$new/tree/tmp/image/"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
	unshare --mount --pid --fork chroot "$new/tree" /bin/sh -c 'mount -t proc proc /proc && sh /tmp/image/setup.sh /tmp/image/files'

printf '%s\n' "$want" >"$new/tree/$stamp_file"
chmod 0755 "$new/tree"
if [ -e "$out" ]; then
	mv "$out" "$new/old"
fi
mv "$new/tree" "$out"
echo "build-rootfs: $out is ready"
