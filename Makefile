# Thin: each target calls what does the work. `make help` lists them.
SHELL := /bin/bash
BUILD ?= build
export DATAOPS_CLUSTER ?= standin

.PHONY: help deps deps-build deps-test deps-image deps-cluster build demo unit integration cluster test fuzz faults lint image bench clean
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

deps: deps-build deps-test deps-cluster ## install everything that build, tests and the real cluster need
deps-build: ## Debian packages to build and to run the demo
	@scripts/deps build
deps-test: deps-build ## and what the tests need
	@scripts/deps test
deps-image: ## what the image is built with
	@scripts/deps image
deps-cluster: ## and a real Kubernetes, built from Go modules once (7 minutes)
	@scripts/deps cluster

build: deps-build ## the three programs, in build/
	@scripts/build release && cp -f $(BUILD)/release/dataops-runner $(BUILD)/release/dataops-courier $(BUILD)/release/dataops-step $(BUILD)/

demo: build ## a runner, a queue, two jobs, on the embedded stand-ins (SITES=2: two runners; CLUSTER=real: a real Kubernetes)
	@scripts/demo "$(SITES)" "$(CLUSTER)"

unit: deps-test ## unit tests under ASan and UBSan
	@scripts/unit
integration: deps-test ## whole jobs on the stand-ins, programs under ASan and UBSan (QUICK=1: without the slow ones)
	@scripts/integration standin $(if $(QUICK),-m "not slow")
cluster: deps-test deps-cluster build ## the same cases and more on a real Kubernetes
	@scripts/integration real
test: ## everything that must be green: lint, unit, integration, a real Kubernetes, short fuzz
	@scripts/test
fuzz: deps-test ## each fuzz target for a minute (SECONDS_EACH=60; KEEP=1: what adds coverage goes into the corpus)
	@KEEP=$(KEEP) scripts/fuzz $(or $(SECONDS_EACH),60)
faults: deps-test ## courier with one call that fails, each in turn (not in `make test`: it still finds wrong ends)
	@scripts/faults
lint: deps-test ## warnings of gcc and clang, analyzer, rules of the house, format, shellcheck
	@scripts/lint
image: build deps-image ## build/dataops-runner-image.tar and .spdx.json (BASE=image: built on that one; FRESH=1: with Debian's updates)
	@deploy/image
bench: image deps-cluster ## budgets of docs/design.md section 5, on a real Kubernetes, into docs/benchmarks.md
	@scripts/bench
clean: ## stops a test cluster, removes build/
	@[ ! -d $(BUILD)/cluster ] || tests/cluster/cluster down --all
	rm -rf $(BUILD)
