# Everything starts here. The work itself is in scripts/; each script says what it does in its first lines.
.PHONY: help run build test bench generate format clean clean-data

help:
	@echo 'make run         build what is missing and serve Vivarium; keeps its data between runs'
	@echo 'make test        build, and run every test; ends with "N passed, N failed"'
	@echo 'make bench       measure terminals, saves and memory, each beside its floor'
	@echo 'make build       build what make run serves, without serving it'
	@echo 'make generate    write the generated code anew: queries and the client of the API'
	@echo 'make format      gofmt and biome over the sources'
	@echo 'make clean       delete what was built; the data stays'
	@echo 'make clean-data  delete the workspaces and accounts of make run, after asking'

run:
	@bash scripts/run.sh

build:
	@bash scripts/build.sh

test:
	@bash scripts/test.sh

bench:
	@bash scripts/bench.sh

generate:
	@bash scripts/generate.sh

format:
	@bash scripts/format.sh

clean:
	@bash scripts/clean.sh

clean-data:
	@bash scripts/clean.sh data
