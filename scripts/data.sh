# Where make run keeps its data. Sourced by bash, never run.
# shellcheck shell=bash

# data_dir prints the data folder. PostgreSQL refuses to run as root, so the server runs it as the system's user postgres,
# who must be able to walk to the folder.
data_dir() {
	if [ -n "${VIVARIUM_DATA_DIR:-}" ]; then
		printf '%s\n' "$VIVARIUM_DATA_DIR"
	elif [ "$(as_root setpriv --reuid=postgres --regid=postgres --clear-groups sh -c "cd '$root' && echo reached" 2>/dev/null)" = reached ]; then
		printf '%s\n' "$build/data"
	else
		printf '/var/lib/vivarium-dev/%s\n' "$(printf '%s' "$root" | sha256sum | cut -c1-8)"
	fi
}
