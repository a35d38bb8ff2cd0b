# The same commands for people and for CI. `make demo` and `make test` do all set-up on a fresh machine.

# One target folder outside of the checkout, so that a fresh clone reuses what was built before.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tenon/target
export TENON_DATA ?= $(CARGO_TARGET_DIR)/demo-data
TENON := $(CARGO_TARGET_DIR)/release/tenon
CARGO := cargo
PLUGINS := plugins/find-matches

.PHONY: demo test check bench tenon plugins fmt

demo: plugins ## find the people that stand twice in 5000 records
	@$(TENON) run examples/match-people/job.toml

test: tenon ## every test
	$(TENON) doctor --fix
	$(CARGO) test --release --workspace --quiet

check: ## format, lints, docs, rooms, one version of each heavy dependency
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --quiet
	$(CARGO) test --release --package tenon-tests --test rooms --quiet

bench: plugins ## the benchmarks; results are explained in docs/benchmarks.md
	$(CARGO) bench --workspace --quiet

tenon:
	@$(CARGO) build --release --package tenon-cli --quiet

plugins: tenon
	@$(TENON) doctor --fix --quiet
	@for plugin in $(PLUGINS); do $(TENON) plugin install $$plugin --quiet || exit; done

fmt:
	$(CARGO) fmt --all
