#!/usr/bin/env bash
# Deletes a data folder whose server has stopped: scripts/wipe.sh FOLDER
#
# Sandboxes and a killed server's database outlive the server, so what still runs from the folder is ended first, found by
# its state in the folder and by nothing else. Needs root.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
data=$(readlink -f -- "${1:?usage: wipe.sh FOLDER}")
[ -d "$data" ] || exit 0

# arguments prints the arguments of a process, one a line.
arguments() { tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null || true; }

for process in /proc/[0-9]*; do
	line=$(arguments "${process#/proc/}")
	case $line in
	*vivarium$'\n'serve*"$data"*)
		echo "A server is running on $data (process ${process#/proc/}). Stop it first." >&2
		exit 1
		;;
	esac
done

while IFS= read -r state; do
	for id in $("$root/.build/bin/runsc" --root "$state" list --quiet 2>/dev/null || true); do
		"$root/.build/bin/runsc" --root "$state" delete --force "$id" >/dev/null 2>&1 || true
	done
done < <(find "$data" -xdev -maxdepth 3 -type d -name runsc)

while IFS= read -r file; do
	pid=$(head -n 1 "$file")
	if arguments "$pid" | grep -qxF "$(dirname "$file")"; then
		kill -QUIT "$pid" # its data is about to be deleted: nothing need be written first
		tail --pid="$pid" -f /dev/null
	fi
done < <(find "$data" -xdev -maxdepth 3 -name postmaster.pid)

# Homes and runsc's namespaces are mounts in the folder; the last one made goes first.
awk -v d="$data/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | tac | while IFS= read -r mount; do
	umount -- "$(printf '%b' "$mount")"
done
rm -rf --one-file-system -- "$data"
