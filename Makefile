# The chores by their usual names.
.PHONY: run demo test test-clients torture bench fmt lint deny

# Serves on embedded defaults: SQLite and a folder, nothing to configure.
run:
	cargo run --release -- serve

# Brings up a living exchange, tells its story and keeps serving on 127.0.0.1.
demo:
	cargo run --release -- demo

fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Everything that CI asks for. Installs what it needs and says so: cargo-deny, PostgreSQL, Chromium and what
# scripts/clients needs (by apt, only as root; by pip and npm into target/clients).
test:
	./scripts/need postgres
	./scripts/need chromium || echo "without Chromium the HTML report is not opened: its test says SKIPPED" >&2
	./scripts/need cargo-deny
	./scripts/clients
	$(MAKE) lint
	$(MAKE) deny
	cargo build --workspace --bins
	cargo test --workspace
	./scripts/clean-tree

# Other people's clients against a server of ours (a part of `test`).
test-clients:
	./scripts/clients
	cargo build --workspace --bins
	cargo test -p quan-server --test it clients::

deny:
	./scripts/deny

# What takes too long for every change: a million fuzzed signatures get one verdict; every parser of outside bytes gets a hundred
# thousand that are nearly right; servers are killed a thousand times; 5 GiB are uploaded (and need 11 GiB of disk).
torture:
	./scripts/need postgres
	cargo build --workspace --bins
	QUAN_DEATHS=334 cargo test -p quan-server --test it kill:: -- --nocapture
	QUAN_FUZZED=1000000 cargo test --release -p quan-verifier --lib signature -- --nocapture
	QUAN_FUZZED=100000 cargo test --release -p quan-verifier --test it fuzz::
	QUAN_FUZZED=20000 cargo test -p quan-server --test it fuzz::
	QUAN_UPLOAD_MIB=5120 cargo test --release -p quan-server --test it uploads::a_large -- --nocapture

# The book is large and looked up at random: huge pages spare the processor half of its walks through page tables.
run demo bench: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1

# Ratios against peers run in the same minute; printed and written to target/bench.json.
bench:
	./scripts/need postgres
	CARGO_TARGET_DIR=$(CURDIR)/target cargo bench --manifest-path benches/peers/Cargo.toml
	CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-$(CURDIR)/target} cargo build --release --manifest-path benches/peers/Cargo.toml --bin files
	cargo bench -p quan-verifier --bench audit
	cargo bench -p quan-server --bench settle --bench growth --bench publish --bench data
