# `make` prints what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo
# One set of features for all: with -p the dependencies would be built again.
ALL := --workspace --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## two mail systems on this machine exchange real mail: `paquebot demo`
	$(CARGO) build $(ALL) --bins
	$(TARGET)/debug/paquebot demo

.PHONY: test
test: setup ## all tests, the real peers among them
	$(CARGO) build $(ALL) --bins
	$(CARGO) test $(ALL)

.PHONY: check
check: ## format, lints, generated files, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	$(CARGO) build $(ALL) --bins
	mkdir -p $(TARGET)/crds
	$(TARGET)/debug/paquebot crds --directory $(TARGET)/crds
	diff -r crds $(TARGET)/crds || { echo "crds/ is stale: run \`make crds\`"; exit 1; }
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps

.PHONY: bench
bench: setup ## Paquebot beside Postfix on this machine, into docs/benchmarks.md
	$(CARGO) build $(ALL) --release --bins
	python3 tests/bench/bench.py --directory $(TARGET) --write docs/benchmarks.md

.PHONY: crds
crds: ## write crds/ anew from operator/src/api
	$(CARGO) build $(ALL) --bins
	$(TARGET)/debug/paquebot crds --directory crds

.PHONY: setup
setup: ## install the peers that the tests talk to (Debian's apt)
	tests/setup/peers.sh
