# The same commands for people and for CI. `make demo` and `make test` do all set-up on a fresh machine.

# One target folder outside of the checkout, so that a fresh clone reuses what was built before.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tenon/target
export TENON_DATA ?= $(CARGO_TARGET_DIR)/demo-data
TENON := $(CARGO_TARGET_DIR)/release/tenon
CARGO := cargo
PLUGINS := $(addprefix plugins/,find-matches mask sessionize most-frequent calendar http-json)
PEERS := $(CARGO_TARGET_DIR)/peers

SIMULATED_RUNS ?= 250
POWER_CUTS ?= 1000
FUZZ_REQUESTS ?= 100000
FUZZ_MUTATIONS ?= 200000

.PHONY: demo test nightly check bench peers tenon plugins fmt

demo: plugins ## find the people that stand twice in 5000 records
	@$(TENON) run examples/match-people/job.toml

test: tenon ## every test
	@$(TENON) doctor --fix --quiet || true
	$(CARGO) test --release --workspace

# A simulated run has four cuts. The variables shorten it: make nightly POWER_CUTS=10
nightly: tenon ## every test, with 1000 power cuts on a simulated disk and 1000 on a loop device, and ten times the fuzzing
	@$(TENON) doctor --fix --quiet || true
	TENON_STORE_SIMULATED_RUNS=$(SIMULATED_RUNS) TENON_STORE_POWER_CUTS=$(POWER_CUTS) \
		TENON_FUZZ_REQUESTS=$(FUZZ_REQUESTS) TENON_FUZZ_MUTATIONS=$(FUZZ_MUTATIONS) \
		$(CARGO) test --release --workspace

check: ## format, lints, docs, rooms, one version of each heavy dependency
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps --quiet
	$(CARGO) test --release --workspace --test rooms --quiet

bench: plugins peers ## the benchmarks; results are explained in docs/benchmarks.md
	TENON_PEER_ARROW_UDF=$(PEERS)/arrow-udf TENON_PEER_PYTHON=$(PEERS)/pyspark/bin/python \
		TENON_PEER_MOTO=$(PEERS)/moto/bin/python TENON_PEER_FORMATS=$(PEERS)/formats/bin/python \
		TENON_PEER_SPLINK=$(PEERS)/splink/bin/python \
		$(CARGO) bench --workspace --quiet

# What the benchmarks compare with. One that cannot be had is absent from the tables.
peers:
	-tests/peers/arrow-udf/build.sh $(PEERS)/arrow-udf
	-test -x $(PEERS)/pyspark/bin/python || python3 -m venv $(PEERS)/pyspark
	-$(PEERS)/pyspark/bin/python -m pip install --quiet --requirement tests/peers/pyspark/requirements.txt
	-test -x $(PEERS)/moto/bin/python || python3 -m venv $(PEERS)/moto
	-$(PEERS)/moto/bin/python -m pip install --quiet --requirement tests/peers/moto/requirements.txt
	-test -x $(PEERS)/splink/bin/python || python3 -m venv $(PEERS)/splink
	-$(PEERS)/splink/bin/python -m pip install --quiet --requirement tests/peers/splink/requirements.txt
	test -x $(PEERS)/formats/bin/python || python3 -m venv $(PEERS)/formats
	-$(PEERS)/formats/bin/python -m pip install --quiet --requirement tests/peers/formats/requirements.txt

# All targets at once, so that every command finds its dependencies built with the same features.
tenon:
	@$(CARGO) build --release --workspace --all-targets

plugins: tenon
	@$(TENON) doctor --fix --quiet >/dev/null || true
	@rm -rf $(TENON_DATA)/registry
	@for plugin in $(PLUGINS); do $(TENON) plugin install $$plugin --quiet >/dev/null || exit; done

fmt:
	$(CARGO) fmt --all
