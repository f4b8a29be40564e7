# What guards this repository. `make verify` is what CI runs, and changes no file; `make check` is the part of it that
# is quick and needs no ZooKeeper. `make help` lists the rest.

# How many live tests must pass. Raise it with every live test that is added: then one that is lost, renamed out of
# reach or silently skipped turns the gate red.
LIVE_TESTS_MIN := 121
# Live tests measure times, so by default they do not compete with each other for the cores.
LIVE_THREADS ?= 1
# The greatest length of a source file, in lines.
LINES_MAX := 600

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: verify
verify: check determinism explore worlds mutants-changed page live ## Everything that CI runs.

.PHONY: check
check: fmt layout clippy purity deny doc test ## The quick part of it, which needs no ZooKeeper.

.PHONY: fmt
fmt: ## The formatting is rustfmt's.
	cargo fmt --all --check
	rustfmt --edition 2024 --check fuzz/fuzz_targets/*.rs

.PHONY: clippy
clippy: ## No warnings, with the features that are used most.
	cargo clippy --locked --workspace --all-targets -- -D warnings
	# Without `mutations`, which the tests of the workspace switch on, and nobody else.
	cargo clippy --locked -p queenright-core -- -D warnings
	cargo clippy --locked -p queenright-sim --no-default-features --features world -- -D warnings
	cargo clippy --locked -p queenright --all-targets --features tls -- -D warnings
	cargo clippy --locked -p queenright-sim --features world -- -D warnings

.PHONY: test
test: ## The README's test command: no ZooKeeper needed.
	cargo test --locked --workspace

# By `--config`, which adds to what whoever runs this has configured; RUSTDOCFLAGS would replace it.
.PHONY: doc
doc: ## The documentation builds without warnings.
	cargo doc --locked --workspace --no-deps --config 'build.rustdocflags = ["-Dwarnings"]'
	cargo doc --locked -p queenright-sim --features world --no-deps --config 'build.rustdocflags = ["-Dwarnings"]'

.PHONY: deny
deny: ## Licences, sources and versions of dependencies are as deny.toml says.
	cargo deny --locked check bans licenses sources

# What core may be built on. A dependency that is not named here is refused, whatever it is: runtimes, clocks and
# randomness are what must stay out, and nobody can list all of them.
CORE_DEPENDENCIES := queenright-core bincode unty serde serde_core serde_derive thiserror thiserror-impl \
	proc-macro2 quote syn unicode-ident

.PHONY: purity
purity: ## core has no runtime, no clock, no randomness, no std.
	@cd core
	found=$$(cargo tree --locked -e normal --prefix none --format '{p}' | awk '{ print $$1 }' | sort -u)
	strange=$$(grep -vxFf <(printf '%s\n' $(CORE_DEPENDENCIES)) <<<"$$found" || true)
	[ -z "$$strange" ] || { echo "core depends on what CORE_DEPENDENCIES does not name:" $$strange; exit 1; }
	if cargo tree --locked -e normal,features --prefix none | grep -E '^(bincode|serde|serde_core|thiserror) feature "(std|default)"'; then
		echo 'a dependency of core is built with std'; exit 1
	fi
	for attribute in '#![no_std]' '#![forbid(unsafe_code)]'; do
		grep -qxF "$$attribute" src/lib.rs || { echo "core/src/lib.rs lacks $$attribute"; exit 1; }
	done
	if grep -nE '\bextern crate std\b|(^|[^:[:alnum:]_])std::' -r src | grep -vE ':[[:space:]]*//'; then
		echo 'core names std'; exit 1
	fi
	echo "core is pure: $$(wc -w <<<"$$found") crates, none of them with a runtime, a clock or randomness"

.PHONY: layout
layout: ## Files are short, name no machine's paths, and ignore tests only for want of ZooKeeper or Chromium.
	@wrong=0
	sources=$$(git ls-files '*.rs' '*.py' '*.sh' Makefile .ci)
	long=$$(for file in $$sources; do [ ! -f "$$file" ] || wc -l "$$file"; done | awk '$$1 > $(LINES_MAX)')
	[ -z "$$long" ] || { echo "longer than $(LINES_MAX) lines, so probably two concepts:"; echo "$$long"; wrong=1; }
	if git grep -nE '(^|[^[:alnum:]_.])/(home|root|work|Users)/[[:alnum:]_.-]' -- . ':!Cargo.lock'; then
		echo 'paths of one machine'; wrong=1
	fi
	reasons='needs ZooKeeper: make live|needs Chromium: make page'
	if git grep -nE '#\[ignore' -- '*.rs' | grep -vE "#\[ignore = \"($$reasons)\"\]"; then
		echo 'ignored for another reason than the want of ZooKeeper or Chromium: nothing runs it'; wrong=1
	fi
	if git grep -nE '//[/!].*```(rust,)?ignore' -- '*.rs'; then
		echo 'code in documentation that nothing compiles: `no_run` or `text`, for `make live` would run it'; wrong=1
	fi
	[ $$wrong = 0 ]
	echo "layout: $$(wc -w <<<"$$sources") files, none longer than $(LINES_MAX) lines"

.PHONY: live
live: ## The tests against real ZooKeeper servers, which they start, and with clients of others: see CONTRIBUTING.md.
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; status=0
	cargo test --locked --workspace --no-fail-fast -- --ignored --skip in_chromium --test-threads=$(LIVE_THREADS) 2>&1 | tee "$$log" || status=1
	cargo test --locked -p queenright --features tls --test live_tls -- --ignored 2>&1 | tee -a "$$log" || status=1
	passed=$$(awk '/^test result: / { sum += $$4 } END { print sum + 0 }' "$$log")
	echo "live tests passed: $$passed, needed: $(LIVE_TESTS_MIN)"
	[ $$status = 0 ] && [ "$$passed" -ge $(LIVE_TESTS_MIN) ]

# One build of the program for all that follows: `world` is an addition to the others.
SIMULATOR := cargo run --quiet --locked --release -p queenright-sim --features world --

# Two processes have different addresses and different random hash keys, and two threads share the seeds in another way
# than one: what depends on any of them shows here.
DETERMINISM_SEEDS := 100
WORLD_SEEDS := 100
.PHONY: determinism
determinism: ## The same seeds in two processes give the same runs.
	@run() {
		$(SIMULATOR) explore --seeds $(DETERMINISM_SEEDS) --jobs $$1 --format json |
			grep -oE '"fingerprint":"[0-9a-f]{16}"'
	}
	first=$$(run 1); second=$$(run 2)
	echo "$(DETERMINISM_SEEDS) seeds: $$first"
	[ "$$first" = "$$second" ] || { echo "in another process: $$second"; exit 1; }
	world() {
		$(SIMULATOR) world --seeds $(WORLD_SEEDS) --jobs $$1 --format json |
			grep -oE '"fingerprint":"[0-9a-f]{16}"'
	}
	first=$$(world 1); second=$$(world 2)
	echo "$(WORLD_SEEDS) seeds of whole nodes: $$first"
	[ "$$first" = "$$second" ] || { echo "in another process: $$second"; exit 1; }

# Fixed seeds find what came back; those of the commit's hash are new each time.
EXPLORE_SEEDS := 60000
.PHONY: explore
explore: ## The explorer over fixed seeds and over those of this commit.
	$(SIMULATOR) explore --seeds $(EXPLORE_SEEDS)
	$(SIMULATOR) explore --seeds $(EXPLORE_SEEDS) --first "$$(git rev-parse HEAD)"

.PHONY: worlds
worlds: ## Every interleaving of each bounded world, as many states as are on record.
	$(SIMULATOR) check

# How many tests of the page must pass.
PAGE_TESTS_MIN := 4
.PHONY: page
page: ## The timeline's page in a real browser, without a window.
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT
	# --workspace, for another selection of packages is another of features, and so another build.
	cargo test --locked --workspace --test page -- --ignored in_chromium 2>&1 | tee "$$log"
	passed=$$(awk '/^test result: / { sum += $$4 } END { print sum + 0 }' "$$log")
	[ "$$passed" -ge $(PAGE_TESTS_MIN) ] || { echo "tests of the page passed: $$passed, needed: $(PAGE_TESTS_MIN)"; exit 1; }

# Core's parts of which every mutant is tried; of the rest of core it is one in three, the same ones each time.
MUTATED := core/src/lease.rs core/src/session.rs core/src/registration.rs core/src/cache.rs core/src/election/**
.PHONY: mutants
mutants: ## Core with one thing changed at a time: do its tests notice? Hours. Needs cargo-mutants.
	@set -f; status=0
	tools/mutants.sh whole $(addprefix --file=,$(MUTATED)) || status=1
	tools/mutants.sh sample --package=queenright-core $(addprefix --exclude=,$(MUTATED)) --sharding=round-robin --shard=0/3 || status=1
	exit $$status

# The changes of a commit, and of what is not committed yet.
MUTANTS_SINCE ?= HEAD~1
.PHONY: mutants-changed
mutants-changed: ## A sample of the mutants of what was changed last in core, for three minutes at most.
	@tools/mutants.sh changed $(MUTANTS_SINCE)

# For how long each target is fuzzed, in seconds.
FUZZ_TIME ?= 60
.PHONY: fuzz
fuzz: ## Each fuzz target for a minute. Needs cargo-fuzz; RUSTC_BOOTSTRAP=1 stands for a nightly toolchain.
	for target in cache coordinator election link recording session wire; do
		mkdir -p fuzz/target/corpus/$$target
		# Whole plans are long, and differ in so many ways that the bookkeeping of the others costs most of the time.
		options=(); [ $$target != election ] || options=(-len_control=0 -max_len=1000 -entropic=0)
		RUSTC_BOOTSTRAP=1 cargo fuzz run -s none --no-trace-compares $$target fuzz/target/corpus/$$target fuzz/corpus/$$target -- "$${options[@]}" -max_total_time=$(FUZZ_TIME)
	done
