#!/usr/bin/env bash
# make generate: writes the generated code anew: the typed queries (sqlc) and the web client's types (from the server's own
# OpenAPI document). `scripts/generate.sh check` changes nothing and fails when what is there is not what would be written.
# shellcheck source=scripts/build.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/build.sh"

generated=(internal/postgres web/src/api)

generate() {
	bash scripts/sqlc-generate.sh
	go run ./cmd/vivarium openapi >"$build/openapi.json"
	"$pnpm" --dir web gen:api "$build/openapi.json"
}

if [ "${1:-}" != check ]; then
	prepare run
	build_all
	generate
	exit 0
fi

before=$(mktemp -d "$build/generated.XXXXXX")
restore() {
	local name
	for name in "${generated[@]}"; do
		diff -rq "$before/$name" "$name" >/dev/null || { rm -rf "$name"; cp -a "$before/$name" "$name"; }
	done
	rm -rf "$before"
}
trap restore EXIT
cp -a --parents "${generated[@]}" "$before"
generate
for name in "${generated[@]}"; do
	diff -ru "$before/$name" "$name" || { say "$name is not what make generate writes."; exit 1; }
done
