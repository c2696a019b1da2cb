#!/usr/bin/env bash
# make run: prepares the machine, builds what is missing, and serves Vivarium until it is stopped with Ctrl-C.
#
# Accounts and workspaces are kept in VIVARIUM_DATA_DIR, without it in .build/data, or, where PostgreSQL's user cannot reach
# that (a clone below /root), below /var/lib/vivarium-dev. Further arguments go to `vivarium serve`.
# shellcheck source=scripts/build.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/build.sh"
# shellcheck source=scripts/data.sh
. "$root/scripts/data.sh"

prepare run
build_all
data=$(data_dir)
say "Workspaces and accounts are kept in $data"
if [ "$(id -u)" = 0 ]; then
	exec "$bin/vivarium" serve --data-dir "$data" "$@"
fi
exec sudo "$bin/vivarium" serve --data-dir "$data" "$@"
