#!/bin/sh
# Makes the typed queries in internal/postgres/sqlcgen from internal/postgres/queries and the migrations.
#
#   scripts/sqlc-generate.sh           writes them
#   scripts/sqlc-generate.sh --check   writes nothing, and fails when what is committed is not current
#
# The generator is built from tools/sqlc, whose go.sum pins it, when .build/bin has none of that version.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
sqlc=$root/.build/bin/sqlc

case ${1-} in
'' | --check) ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac

wanted=$(sed -n 's/^require github.com\/sqlc-dev\/sqlc //p' "$root/tools/sqlc/go.mod")
if [ "$("$sqlc" version 2>/dev/null || true)" != "$wanted" ]; then
    echo "building sqlc $wanted" >&2
    mkdir -p "$root/.build/bin"
    (cd "$root/tools/sqlc" && CGO_ENABLED=0 go build -trimpath -o "$sqlc" github.com/sqlc-dev/sqlc/cmd/sqlc)
fi

cd "$root/internal/postgres"
if [ "${1-}" != --check ]; then
    exec "$sqlc" generate --no-remote
fi
if ! "$sqlc" diff --no-remote; then
    echo "internal/postgres/sqlcgen is not current: run scripts/sqlc-generate.sh and commit what it writes" >&2
    exit 1
fi
