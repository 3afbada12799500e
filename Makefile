# `make` prints what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo
# One set of features for all: with -p the dependencies would be built again.
ALL := --workspace --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## two mail systems on this machine exchange real mail: `paquebot demo`
	$(CARGO) build $(ALL) --bins
	$(TARGET)/debug/paquebot demo

# The tests share one cluster; whatever happens, it ends with them.
.PHONY: test
test: setup cluster-programs ## all tests, the real peers and a Kubernetes node among them
	cd tests/cluster && CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" go test -vet=off ./image ./network
	$(CARGO) build $(ALL) --bins
	bin=$$(tests/cluster/cached.sh) && trap "tests/cluster/ended.sh $$bin $(TARGET)" EXIT && trap 'exit 1' INT TERM HUP && \
	$(CARGO) test $(ALL)

.PHONY: cluster
cluster: setup ## a Kubernetes node on this machine with this build's image, to try things; `make cluster-down` ends it
	$(MAKE) --no-print-directory image PROFILE=dev
	bin=$$(tests/cluster/cached.sh) && "$$bin/cluster" up --dir $(TARGET)/cluster && \
	image=$$("$$bin/cluster" load --dir $(TARGET)/cluster $(TARGET)/paquebot-image-dev.tar) && \
	printf '%s\n' "export KUBECONFIG=$$(realpath $(TARGET))/cluster/kubeconfig IMAGE=$$image" \
	"alias kubectl='$$bin/cluster kubectl'   # where there is no other" \
	"Its network: $$bin/cluster exec --dir $(TARGET)/cluster COMMAND. It ends with: make cluster-down"

.PHONY: cluster-down
cluster-down: ## end it, and remove what it kept
	bin=$$(tests/cluster/cached.sh) && "$$bin/cluster" down --dir $(TARGET)/cluster

.PHONY: cluster-programs
cluster-programs: ## build Kubernetes, cert-manager and external-dns, once a machine
	tests/cluster/cached.sh
	tests/cluster/cached.sh addons

PROFILE ?= release
.PHONY: image
image: ## the OCI image into target/ (PROFILE=dev: from the last `cargo build`)
ifeq ($(PROFILE),dev)
	$(CARGO) build $(ALL) --bins
endif
	tests/setup/image.sh "$$(tests/cluster/cached.sh)" $(TARGET)/paquebot-image$(if $(filter dev,$(PROFILE)),-dev).tar $(PROFILE)

.PHONY: check
check: ## format, lints, generated files, documentation
	$(CARGO) fmt --all --check
	test -z "$$(gofmt -l tests/cluster | tee /dev/stderr)"
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
