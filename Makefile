# Everything here is a short way to say a plain command; `make -n TARGET` prints it.
# One cargo profile (dev, which is optimised) serves every target, so that nothing is compiled twice.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help tools setup build demo test proof torture lint audit clean

TARGET := $(or $(CARGO_TARGET_DIR),target)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
DENY := $(shell command -v cargo-deny 2>/dev/null)

# Doc tests are linked in a temporary folder, where the run path of .cargo/config.toml finds no libtorch.
DOC_LIBRARIES := LD_LIBRARY_PATH="$${LD_LIBRARY_PATH:+$$LD_LIBRARY_PATH:}$(CURDIR)/.libtorch/site/torch/lib"

# Tests run side by side: a second OpenMP team per process would only make them wait for each other.
test proof torture: export OMP_NUM_THREADS ?= 1

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools:
	@need() { command -v "$${1%% *}" >/dev/null 2>&1 || { echo "haggle: '$${1%% *}' was not found; $$2" >&2; exit 1; }; }; \
	need cargo "install Rust with rustup (rust-toolchain.toml names the version), or put ~/.cargo/bin on PATH"; \
	need "$${CC:-cc}" "install a C and C++ compiler (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++)"; \
	need "$${CXX:-c++}" "install a C++ compiler (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++)"; \
	need python3 "install Python 3.8 or newer with pip (Debian, Ubuntu: apt-get install python3-pip)"

setup: tools ## Fetch libtorch into the user's cache and link it as .libtorch (once, 150 MB)
	@python3 scripts/libtorch.py

build: setup ## Build all programs into target/debug
	cargo build --workspace

demo: build ## The whole way on the bundled sessions: import, fit, train, serve, gate, swap
	$(TARGET)/debug/haggle demo

test: setup ## Run every fast test
	$(DOC_LIBRARIES) cargo test --workspace --doc
ifdef NEXTEST
	cargo nextest run --workspace
else
	cargo test --workspace --lib --bins --tests
endif

proof: setup ## Run the slow proofs too: learning curves, long replays, crash storms
ifdef NEXTEST
	cargo nextest run --workspace --run-ignored only --profile proof --no-tests pass
else
	cargo test --workspace --lib --bins --tests -- --ignored
endif

torture: setup ## Kill, cut, damage and fill the daemon's store for minutes; prints what was lost (power cuts need root)
	cargo test -p haggle-serve --test torture --test durability -- --include-ignored --nocapture --test-threads 1

lint: setup ## Formatting, clippy, documentation, and the dependency rules where cargo-deny is installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
ifdef DENY
	cargo deny check bans licenses sources
else
	@echo "haggle: cargo-deny is not installed; the dependency rules of deny.toml were not checked" >&2
endif

audit: ## Compare dependencies with the advisory database (needs cargo-deny and network)
	cargo deny check advisories

clean: ## Remove what was built; libtorch stays in the cache
	cargo clean
