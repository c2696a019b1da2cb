#!/usr/bin/env bash
# make format: writes the sources the way that make test wants them.
# shellcheck source=scripts/build.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/build.sh"

gofmt -w bench cmd internal web/*.go
[ -x "$pnpm" ] && [ -d web/node_modules ] || die "Run make build first: it fetches the web's tools."
"$pnpm" --dir web format
