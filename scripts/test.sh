#!/usr/bin/env bash
# make test: prepares the machine, builds everything, and runs every test and check there is, with real PostgreSQL, real
# sandboxes and a real browser. The last line is "N passed, N failed"; a check counts as one. Exits with 1 when anything
# failed, also when a tool died without a result.
#
# ONLY="go web e2e generated" in the environment limits it to some of its parts.
# shellcheck source=scripts/build.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/build.sh"

results=$build/test
# Real sandboxes need root; the go command itself does not.
test_as_root=()
[ "$(id -u)" = 0 ] || test_as_root=(-exec 'sudo -n -E')
rm -rf "$results"
mkdir -p "$results"
started=$(now)

# check runs a command as one test: its output is shown when it fails. A command that prints nothing but fails is shown too.
check() {
	local name=$1 begun
	shift
	begun=$(now)
	if "$@" >"$results/$name.log" 2>&1 </dev/null; then
		echo "1 0 0" >"$results/$name.counts"
		say "ok   $name ($(since "$begun"))"
	else
		echo "0 1 0" >"$results/$name.counts"
		say "--- FAILED: $name" "($*)"
		tail -n 60 "$results/$name.log" | sed 's/^/    /'
	fi
}

# suite notes that a runner's own counts are to come; close_suite adds a failure when they did not, or do not say what the
# runner's exit code says.
suite() { echo "0 1 0" >"$results/$1.counts"; }
close_suite() {
	local name=$1 code=$2 passed failed skipped
	read -r passed failed skipped <"$results/$name.counts"
	if [ "$code" != 0 ] && [ "$failed" = 0 ]; then
		say "--- FAILED: $name ended with code $code"
		echo "$passed 1 $skipped" >"$results/$name.counts"
	fi
}

gofmt_is_clean() {
	local unformatted
	unformatted=$(gofmt -l bench cmd internal web/*.go)
	[ -z "$unformatted" ] || { say "Not formatted (make format): $unformatted"; return 1; }
}

go_tests() {
	local codes
	check go-format gofmt_is_clean
	# With the race detector it takes the same packages, compiled once, as the tests.
	check go-vet env CGO_ENABLED=1 go vet -race ./...
	suite go-tests
	set +e
	CGO_ENABLED=1 go test -race -json -timeout 10m "${test_as_root[@]}" ./... 2>&1 | node scripts/testsum.mjs go "$results/go-tests.counts"
	codes="${PIPESTATUS[*]}"
	set -e
	close_suite go-tests "${codes% *}"
}

web_tests() {
	local code=0
	check web-lint "$pnpm" --dir web lint
	check web-types "$pnpm" --dir web typecheck
	check web-budget "$pnpm" --dir web budget
	suite web-tests
	"$pnpm" --dir web exec vitest run --reporter=json --outputFile="$results/vitest.json" >"$results/web-tests.log" 2>&1 </dev/null || code=$?
	if [ -s "$results/vitest.json" ]; then
		node scripts/testsum.mjs vitest "$results/web-tests.counts" <"$results/vitest.json" || true
	else
		tail -n 60 "$results/web-tests.log"
	fi
	close_suite web-tests "$code"
	say "web unit tests: $(cut -d' ' -f1 "$results/web-tests.counts") passed"
}

browser_tests() {
	local code=0
	suite browser-tests
	as_root env PATH="$PATH" HOME="$HOME" node --test --test-concurrency=1 --test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=./scripts/node-reporter.mjs --test-reporter-destination="$results/browser.ndjson" \
		web/e2e/*.spec.mjs </dev/null || code=$?
	node scripts/testsum.mjs node "$results/browser-tests.counts" <"$results/browser.ndjson" || true
	close_suite browser-tests "$code"
}

# want says whether a part of the tests is asked for.
want() { [[ " ${ONLY:-go web e2e generated} " == *" $1 "* ]]; }

with_runc=yes
prepare test
build_all
export PATH=$PATH:/usr/sbin:/sbin

# The Go tests and the web's share the processors; what is measured by a deadline in a browser then has them alone.
if want web; then
	(web_tests) >"$results/web.log" 2>&1 &
	web=$!
fi
if want go; then go_tests; fi
if want web; then
	wait "$web" || true
	cat "$results/web.log"
	[ -e "$results/web-tests.counts" ] || suite web-tests
fi
if want generated; then check generated-code-is-current bash scripts/generate.sh check; fi
if want e2e; then browser_tests; fi

passed=0 failed=0 skipped=0
for counts in "$results"/*.counts; do
	read -r p f s <"$counts"
	((passed += p, failed += f, skipped += s)) || true
done
[ "$skipped" = 0 ] || say "$skipped skipped"
say "Tests took $(since "$started")."
say "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
