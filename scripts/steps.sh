# Steps of a build: named, kept by what they are made from, run side by side, with progress. Sourced by bash, never run.
# shellcheck shell=bash
#
# A step is a function step_NAME that does the work, a function made_from_NAME that prints the names of the files the work
# depends on, each ended by a NUL, and a file or folder that comes of it. It is done again only when the contents differ.

stamps=$build/stamps
mkdir -p "$stamps"
declare -A title product stamp
total=0
versions="$(go env GOVERSION) $(node --version)"

# step declares a step: its name, what it makes, and a title that completes the sentence "[2/5] …".
step() {
	product[$1]=$2
	title[$1]=$3
}

# wanted says whether a step must run: what it makes is missing, or what it is made from has changed.
wanted() {
	stamp[$1]=$({ "made_from_$1" | sum_of; declare -f "step_$1"; printf '%s\n' "$versions"; } | sha256sum | cut -d' ' -f1)
	[ ! -e "${product[$1]}" ] || [ "$(cat "$stamps/$1" 2>/dev/null)" != "${stamp[$1]}" ]
}

# run_step does one step and says so. A step that follows others in its lane is looked at again: they may have changed what
# it is made from, or have left that as it was.
run_step() {
	local name=$1 started number
	wanted "$name" || return 0
	started=$(now)
	: >"$progress/running.$name"
	if ! ("step_$name") >"$logs/$name.log" 2>&1 </dev/null; then
		mv "$progress/running.$name" "$progress/failed.$name"
		return 1
	fi
	printf '%s\n' "${stamp[$name]}" >"$stamps/$name"
	rm -f "$progress/running.$name"
	number=$(flock "$progress" sh -c "echo >>'$progress/done'; wc -l <'$progress/done'")
	clear_line
	say "[$number/$total] ${title[$name]} ($(since "$started"))"
}

clear_line() { [ ! -t 1 ] || printf '\r\033[K'; }

# run_lanes runs lanes side by side; a lane is a string of steps that follow each other. The first failure ends the rest.
run_lanes() {
	local lane name pids=() failed=0 begun running
	progress=$(mktemp -d "$build/progress.XXXXXX")
	begun=$(now)
	set -m # each lane is a process group, which can be ended as a whole
	for lane in "$@"; do
		(for name in $lane; do run_step "$name" || exit 1; done) </dev/null &
		pids+=($!)
	done
	set +m
	trap 'end_lanes "${pids[@]}"; rm -rf "$progress"; exit 130' INT TERM
	while [ -n "$(jobs -pr)" ] && ! compgen -G "$progress/failed.*" >/dev/null; do
		if [ -t 1 ]; then
			running=$(cd "$progress" && compgen -G 'running.*' | sed 's/^running\.//' | tr '\n' ' ' || true)
			printf '\r\033[K  %s  %s' "$(since "$begun")" "$running"
		fi
		sleep 0.3
	done
	clear_line
	if compgen -G "$progress/failed.*" >/dev/null; then
		failed=1
		end_lanes "${pids[@]}"
	fi
	for name in "${pids[@]}"; do wait "$name" 2>/dev/null || failed=1; done
	trap - INT TERM
	for name in $(cd "$progress" && compgen -G 'failed.*' | sed 's/^failed\.//' || true); do
		say "FAILED: ${title[$name]}; the end of $logs/$name.log:"
		tail -n 40 "$logs/$name.log" | sed 's/^/  | /'
	done
	rm -rf "$progress"
	return "$failed"
}

end_lanes() {
	local pid
	for pid in "$@"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}
