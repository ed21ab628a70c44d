# Quorate. `make demo` shows it, `make test` tests it; each does its own set-up and says so.

PYTHON ?= python3
export CARGO_TERM_COLOR ?= auto
BUILT = $(or $(CARGO_TARGET_DIR),target)/debug/quorate

.PHONY: help
help:
	@echo "make demo         play a day in the terminal, on \`quorate dev\`, whose log is a file"
	@echo "make demo-kafka   play a bank's day on a real Kafka and registry, started here; KEEP=1 lets them run"
	@echo "make test         format, lints and every test, on real parts started here"
	@echo "make reference    the second implementation, on random rounds; make test does it, too"
	@echo "make client       the Python client: types, wheel, tests; make test does it, too"
	@echo "make setup        install what these need of the system; they call it themselves"
	@echo "make verify       the trust rule against golden files; GOLDEN=DIR takes them from there"
	@echo "make check        docs and licences, beyond what make test does"
	@echo "make bench        what the parts cost, and a processor on a broker; SMALL=1 is quick"
	@echo "make soak         faults, mutations, attacks, many times over; writes their tables in docs"
	@echo "make miri         the core's unit tests under Miri"
	@echo "make fuzz         every fuzz target; SECONDS_EACH=600"

# What the others need of the system, installed if it is missing (as root, on Debian).
.PHONY: setup
setup:
	@scripts/setup.sh

.PHONY: demo
demo:
	@scripts/demo.sh

.PHONY: demo-kafka
demo-kafka:
	@scripts/demo.sh kafka

.PHONY: test
test: setup format
	@echo "== tests: Kafka and a schema registry are started where no others are named"
	@PYTHON=$(PYTHON) scripts/test.sh

# What `make test` does while its tests wait: what waits as well, and behind everything else what needs
# no more than a processor.
.PHONY: beside client-built computed
beside:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target client-built computed

# Who builds would take the program away from the tests.
client-built:
	@scripts/client.sh "$(BUILT)"

computed:
	@nice -n 19 $(MAKE) --no-print-directory lint pure reference

# The second implementation: its own tests, and a hundred thousand random rounds beside the engine.
.PHONY: reference
reference:
	@echo "== a hundred thousand random rounds through both implementations"
	REFERENCE_ROUNDS=100000 cargo test --locked --test main reference
	@echo "== the second implementation, in Python"
	cd spec && $(PYTHON) -m unittest discover -q -s reference/tests -t .
	cd spec && $(PYTHON) -m reference.vectors vectors

# The Python client, on the built program and on a Kafka and a registry started for it.
.PHONY: client
client: setup
	cargo build --locked
	@$(MAKE) --no-print-directory client-built

.PHONY: format
format:
	@echo "== format"
	cargo fmt --all --check

.PHONY: lint
lint: format
	@echo "== lints"
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@# Those that "all" are not: nothing but their names brings them in, and only alone.
	cargo clippy --locked --bench kafka --bench gateway --bench replay -- -D warnings

# Nothing that brings the standard library in compiles for this target: no clock, no socket.
.PHONY: pure
pure:
	@echo "== the core, for a target without a standard library"
	rustup target add wasm32v1-none
	cargo build --locked -p quorate-core --target wasm32v1-none

.PHONY: verify
verify:
	$(if $(GOLDEN),GOLDEN=$(abspath $(GOLDEN)) )cargo test --locked --test main golden -- --nocapture

.PHONY: check
check:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

.PHONY: bench
bench: setup
	@scripts/bench.sh

.PHONY: soak
soak:
	@scripts/soak.sh

.PHONY: miri
miri:
	rustup component add --toolchain nightly miri rust-src
	cargo +nightly miri test --locked -p quorate-core --lib

SECONDS_EACH ?= 600
.PHONY: fuzz
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cd fuzz && for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(SECONDS_EACH) || exit 1; done
