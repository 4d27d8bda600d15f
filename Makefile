# What you need first: rustup, make and a C linker. Everything else is installed here, once; see `make setup`.
# `make` alone lists the targets.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tools that are built once and kept, by name and version, outside the project: PULSELET_CACHE moves them.
PULSELET_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pulselet
CARGO_DENY_VERSION := 0.20.2
CARGO_COMPONENT_VERSION := 0.21.1
CARGO_DENY := $(PULSELET_CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_COMPONENT := $(PULSELET_CACHE)/tools/cargo-component-$(CARGO_COMPONENT_VERSION)/bin/cargo-component
export CARGO_DENY CARGO_COMPONENT

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub(/%/, "NAME", $$1); printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install the pinned Rust toolchain and its targets (every other target does this itself)
	@scripts/setup.sh

.PHONY: demo
demo: setup examples ## Count the words of a real text with a pipeline of functions, and check the result
	@cargo build --release --locked --package pulselet-cli
	@scripts/demo.sh target/release/pulselet

.PHONY: test
test: setup $(CARGO_COMPONENT) ## Run every test; the last line says how many passed and failed
	@scripts/test.sh

.PHONY: lint
lint: setup $(CARGO_DENY) ## Check format, clippy, docs and the licences of dependencies
	@scripts/lint.sh

bench-%: setup examples guests ## Run one bench; QUICK=1 ends within two minutes; writes target/bench/NAME.json
	@QUICK="$(QUICK)" cargo bench --locked --package pulselet-benches --bench $*

bench-cold: bench-guests

.PHONY: bench-guests
bench-guests: setup # The larger functions that cold starts are measured with; JavaScript's and Python's tools are fetched once
	@cd benches/guests && cargo build --release --locked --target wasm32-wasip2
	@scripts/bench-tools.sh "$(PULSELET_CACHE)" benches/guests/target

.PHONY: examples
examples: setup ## Build the example functions
	@cd examples && cargo build --release --locked --target wasm32-wasip2

.PHONY: guests
guests: setup ## Build the functions that the tests run
	@cd tests/guests && cargo build --release --locked --target wasm32-wasip2

.PHONY: fmt
fmt: setup ## Format all Rust code
	@for workspace in . examples tests/guests benches/guests; do (cd "$$workspace" && cargo fmt); done

.PHONY: clean
clean: ## Remove what was built here; installed tools stay
	@rm -rf target examples/target tests/guests/target benches/guests/target

$(CARGO_DENY): | setup
	@scripts/install-tool.sh "$(PULSELET_CACHE)" cargo-deny $(CARGO_DENY_VERSION)

$(CARGO_COMPONENT): | setup
	@scripts/install-tool.sh "$(PULSELET_CACHE)" cargo-component $(CARGO_COMPONENT_VERSION)
