.PHONY: help check test race fuzz bench

FUZZTIME ?= 20s

help: ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

check: ## all that the gate does
	.ci/run

test: ## all tests
	go test ./... ./examples/... ./integration/...

race: ## all tests with the race detector, which needs a C compiler, in random order
	go test -race -shuffle=on ./... ./examples/... ./integration/...

fuzz: ## every fuzz test for FUZZTIME each
	@for f in $$(grep -rlE '^func Fuzz' --include=*_test.go .); do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z0-9]+' $$f | cut -c6-); do \
			echo "== $$t in $$(dirname $$f)"; \
			go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f) || exit 1; \
		done; \
	done

bench: ## side by side with the bare SDK, interleaved; and the redactor
	go run ./integration/bench
	go run ./integration/redaction
