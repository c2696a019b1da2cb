#!/usr/bin/env bash
# make clean: deletes what was built. make clean-data (scripts/clean.sh data): deletes the data of make run, after asking.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/data.sh
. "$root/scripts/data.sh"

if [ "${1:-}" != data ]; then
	# The data may be in .build too; everything else there is made again.
	find .build -mindepth 1 -maxdepth 1 ! -name data -print0 | while IFS= read -r -d '' name; do
		as_root rm -rf --one-file-system -- "$name"
	done
	rm -rf web/node_modules web/.next web/out
	find web/dist -mindepth 1 ! -name .keep -delete
	exit 0
fi

data=$(data_dir)
[ -e "$data" ] || { say "There is no data in $data."; exit 0; }
say "This deletes every account and workspace in $data, for good."
read -rp "Type yes to delete them: " answer
[ "$answer" = yes ] || die "Nothing was deleted."
as_root bash scripts/wipe.sh "$data"
say "Deleted."
