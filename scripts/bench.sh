#!/usr/bin/env bash
# make bench: measures a server of its own, with real sandboxes; each figure beside its target and its floor.
# shellcheck source=scripts/build.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/build.sh"

prepare run
build_all
go build -o "$bin/bench" ./bench
as_root "$bin/bench" -build "$build" "$@"
