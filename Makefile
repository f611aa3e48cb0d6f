# `make demo` and `make test` install what they need (Debian's packages; they say what, before they do), build and run.
# What is compiled is kept outside the clone, so that a second clone does not compile RocksDB again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tocsin
export CARGO_TARGET_DIR ?= $(CACHE)/target
# With sccache, a change of profile or features does not compile the C++ libraries again either.
export RUSTC_WRAPPER := $(or $(RUSTC_WRAPPER),$(shell command -v sccache 2>/dev/null))
export SCCACHE_CACHE_SIZE ?= 20G

FUZZED ?= json avro schema rules judge

.PHONY: help demo test check unit simulate fuzz prove prove-restart prove-takeover torture fix bench bench-peers bench-targets bench-programs build setup setup-demo

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup-demo ## the real processor on a small broker in the same process, over sample data (no RocksDB: a few minutes)
	cargo build --locked --profile demo --package tocsin --no-default-features
	@$(CARGO_TARGET_DIR)/demo/tocsin demo $(ARGS)

test: setup ## everything that must hold: format, lints, unit, property, golden and integration tests
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit

check: ## format and lints; changes nothing
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	# The demonstration's build is another one: without RocksDB and all that needs it.
	cargo clippy --locked --package tocsin --no-default-features -- -D warnings

unit: ## all tests; those that need Kafka start one
	cargo test --locked --workspace --no-fail-fast 2>&1 | processor/tests/tools/tally

prove: setup ## exactly once on a real broker: the program killed KILLS times (default: 50), and frozen past its session
	TOCSIN_KILLS=$(or $(KILLS),50) cargo test --locked --package tocsin --test live -- proof:: --nocapture

prove-restart: setup ## time to come back with SIZES megabytes of state (default: 100 1000; twice that and more of disk), and audit's speed
	for size in $(or $(SIZES),100 1000); do \
		TOCSIN_STATE_MB=$$size cargo test --locked --package tocsin --test live -- size:: --nocapture; done

torture: setup ## faults of all kinds on three real brokers, for MINUTES (default: 30) or ROUNDS; SEED repeats, KINDS=kill,clock chooses
	TOCSIN_TORTURE_MINUTES=$(or $(MINUTES),30) TOCSIN_TORTURE_ROUNDS=$(ROUNDS) TOCSIN_TORTURE_SEED=$(SEED) \
		TOCSIN_TORTURE_KINDS="$(KINDS)" cargo test --locked --package tocsin --test torture -- --nocapture whatever

prove-takeover: setup ## from a kill to the first live event elsewhere; how long partitions stand still in a rolling restart
	TOCSIN_TORTURE_FIGURES=1 cargo test --locked --package tocsin --test torture -- --nocapture whatever

simulate: setup ## the loop in SEEDS seeded worlds that go wrong in every way, from the seed FROM on
	TOCSIN_SIMULATION_SEEDS=$(or $(SEEDS),100000) TOCSIN_SIMULATION_SEED=$(or $(FROM),1) \
		cargo test --locked --package tocsin --test simulation -- --nocapture

# The flags let the compiler count which code is reached, and tell what is compared with what; a host target keeps them
# out of build scripts. They need no nightly compiler.
FUZZ_FLAGS := -Cpasses=sancov-module $(addprefix -Cllvm-args=,-sanitizer-coverage-level=4 \
	-sanitizer-coverage-inline-8bit-counters -sanitizer-coverage-pc-table -sanitizer-coverage-trace-compares)

fuzz: HOST = $(shell rustc -vV | sed -n 's/^host: //p')
fuzz: setup ## what reads foreign bytes, by a fuzzer that follows the code it reaches: MINUTES each (default: 30)
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --locked --profile fuzz --target $(HOST) \
		--package tocsin-fuzz --features libfuzzer
	for target in $(FUZZED); do \
		corpus=$(CACHE)/fuzz/$$target; mkdir -p $$corpus/kept $$corpus/seeds; \
		TOCSIN_FUZZ_SEEDS=$$corpus/seeds $(CARGO_TARGET_DIR)/$(HOST)/fuzz/$$target $$corpus/kept $$corpus/seeds \
			-max_total_time=$$(( 60 * $(or $(MINUTES),30) )) -max_len=8192 -timeout=60 -rss_limit_mb=2048 \
			-artifact_prefix=$$corpus/found- -print_final_stats=1; done

fix: ## mends what can be mended
	cargo fmt --all
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

SIZES = $(if $(EVENTS),--events $(EVENTS)) $(if $(CUSTOMERS),--customers $(CUSTOMERS)) $(ARGS)

bench: setup bench-programs ## events from a file, throughput, latency (EVENTS, CUSTOMERS), then each part alone: tables, JSON
	benches/files $(SIZES)
	benches/peers/run --engines tocsin,floor $(SIZES)
	benches/latency/run
	benches/parts

bench-targets: setup bench-programs ## what is promised beside what is found: engine, flatness, timers, state, memory, replay (ARGS)
	benches/targets/run $(ARGS)

bench-peers: setup bench-programs ## Tocsin, Kafka Streams and a bare loop on one broker (EVENTS, CUSTOMERS): a table, and JSON
	@deploy/local/setup peers
	benches/peers/run $(SIZES)

bench-programs:
	cargo build --release --locked --package tocsin --package tocsin-benches --bins

build: setup ## the program as it is shipped
	cargo build --release --locked --package tocsin

setup: ## installs what building and testing needs
	@deploy/local/setup build test

setup-demo:
	@deploy/local/setup demo
