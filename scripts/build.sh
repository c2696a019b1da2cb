#!/usr/bin/env bash
# Builds what the server needs, into .build/ and web/dist/: runsc, runc, the sandbox's root file system, the web pages, the agent,
# the server. What is there and made from the same sources is not built again. Sourced, it only offers build_all.
# shellcheck source=scripts/bootstrap.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/bootstrap.sh"
# shellcheck source=scripts/steps.sh
. "$root/scripts/steps.sh"

files() { find "$@" -type f -print0; }
go_files() { files "$@" ! -name '*_test.go' ! -path '*/testdata/*'; }

step runsc "$bin/runsc" "gVisor's runtime is compiled from its Go module"
made_from_runsc() { files tools/runsc scripts/build-runsc.sh; }
step_runsc() { sh scripts/build-runsc.sh "$bin/runsc"; }

# Only the tests, and servers that are started with VIVARIUM_ISOLATION=runc, need it.
step runc "$bin/runc" "runc is compiled from its Go module"
made_from_runc() { files tools/runc scripts/build-runc.sh; }
step_runc() { sh scripts/build-runc.sh "$bin/runc"; }

step rootfs "$build/rootfs" "the sandbox's root file system is made from Debian's packages"
made_from_rootfs() { files image scripts/build-rootfs.sh; }
step_rootfs() { as_root sh scripts/build-rootfs.sh "$build/rootfs"; }

step pnpm "$pnpm" "pnpm is fetched"
made_from_pnpm() { printf '%s\0' web/package.json; }
step_pnpm() { npm install --prefix "$build/pnpm" --no-save --no-audit --no-fund "pnpm@$pnpm_version"; }

step modules web/node_modules "the web's packages are fetched"
made_from_modules() { files web/package.json web/pnpm-lock.yaml web/pnpm-workspace.yaml; }
step_modules() { CI=true "$pnpm" --dir web install --frozen-lockfile; }

step web web/dist/index.html "the web pages are built"
made_from_web() {
	find web \( -name node_modules -o -name .next -o -name out -o -name dist -o -name e2e \) -prune -o \
		-type f ! -name '*.go' ! -name 'next-env.d.ts' ! -name '*.tsbuildinfo' ! -name '*.test.ts' ! -name '*.test.tsx' -print0
}
step_web() { BUILD_ID=${stamp[web]:0:12} "$pnpm" --dir web build; }

step agent "$bin/vivarium-agent" "the sandbox's agent is compiled"
made_from_agent() { go_files cmd/vivarium-agent internal go.mod go.sum; }
step_agent() { go build -trimpath -ldflags='-s -w' -o "$bin/vivarium-agent" ./cmd/vivarium-agent; }

step server "$bin/vivarium" "the server is compiled, with the web pages in it"
made_from_server() {
	go_files cmd/vivarium internal go.mod go.sum
	find web -maxdepth 1 -name '*.go' -print0
	files web/dist
}
step_server() { go build -trimpath -o "$bin/vivarium" ./cmd/vivarium; }

# build_all makes what is missing, the slow downloads beside the slow compilations.
build_all() {
	local name names=() started
	started=$(now)
	for name in runsc ${with_runc:+runc} rootfs pnpm modules web agent server; do
		if wanted "$name"; then names+=("$name"); fi
	done
	[ "${#names[@]}" -gt 0 ] || return 0
	# New pages are in the server, so it follows them.
	case " ${names[*]} " in *" web "*) [[ " ${names[*]} " == *" server "* ]] || names+=(server) ;; esac
	total=${#names[@]}
	say "Builds $total parts, in .build/ and web/dist/: ${names[*]}"
	run_lanes "rootfs" "runsc ${with_runc:+runc} agent" "pnpm modules web server" || die "The build failed after $(since "$started")."
	say "Built in $(since "$started")."
}

[ "${VIVARIUM_ISOLATION:-}" != runc ] || with_runc=yes

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	prepare run
	build_all
fi
