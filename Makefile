# demo · test · bench · lint · deb · install: each installs what it needs itself.

CARGO   ?= cargo
PREFIX  ?= /usr
DESTDIR ?=
# Hosts' programs for the demo, the lab and the bench.
export VRRPD_BIN_DIR := $(CURDIR)/target/release

.PHONY: all build demo test unit simulator package lab bench soak lint deb install clean setup setup-lint

all: build

build:
	$(CARGO) build --release --locked

# The Debian packages that the lab needs; nothing is fetched if all are there.
PACKAGES := postgresql iproute2 nftables keepalived frr tshark tcpdump iputils-arping procps util-linux
setup:
	@tests/setup $(PACKAGES)

setup-lint:
	@tests/setup mandoc systemd nftables

demo: setup build
	$(CARGO) run --release --locked -q -p lab --bin demo

test: unit simulator package lab

unit: setup
	$(CARGO) test --locked --workspace --exclude simulator --exclude lab

# Fixed seeds, then fresh ones; a failing seed prints how to replay it.
simulator:
	$(CARGO) test --release --locked -p simulator

# The simulator for as long as one likes: make soak SECONDS=600
SECONDS ?= 60
soak:
	$(CARGO) run --release --locked -q -p simulator -- --seconds $(SECONDS)

# The Debian packages bring what they should, and it runs.
package: build
	tests/package

lab: setup build
	$(CARGO) test --release --locked -p lab

# The table of what is promised, all of it or some: make bench BENCH="idle_1 vip_100ms --runs 5"
bench: setup build
	$(CARGO) build --release --locked -q -p arbiterd --example load
	$(CARGO) run --release --locked -q -p lab --bin bench -- $(BENCH)

lint: setup-lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items -q
	tests/lint

install: build
	packaging/install "$(DESTDIR)" "$(PREFIX)"

# Debian packages, in target/debian.
deb: build
	packaging/deb

clean:
	$(CARGO) clean
