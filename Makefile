# The commands of the house. `make` alone lists them.

SWIFT ?= swift
TREE := Sources Tests Package.swift
# With Swift's own library inside, the program runs on machines that have no Swift.
RELEASE := -c release --product sluice --static-swift-stdlib

# The whole-process tests that have a long form, and what each of them may take.
SOAK_SUITES := Kills PowerCuts Bounds Troubles IndexDamage LyingUpstreams Regions RegionChoice \
	FailoverLoad ClusterUploads HTTP2 RateLimits
SOAK_LIMIT := 25m

.DEFAULT_GOAL := help
.PHONY: help run build test simulate soak bench format lint deps deps-test deps-bench

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: deps ## build for release and run the demo: a sample site and Sluice in front of it
	$(SWIFT) build $(RELEASE)
	.build/release/sluice demo

build: deps ## build for release
	$(SWIFT) build $(RELEASE)

test: deps-test ## build and run every test, the whole-process tests on the debug build
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build

simulate: deps ## run one seed of the simulation again: make simulate SEED=7
	SEED=$(SEED) $(SWIFT) test --filter SimulationTests

# One suite at a time, so that one that hangs does not take the others' time.
soak: deps-test ## kill, cut off and fill up the debug build for an hour; as root for loop mounts
	$(SWIFT) build --build-tests
	@for suite in $(SOAK_SUITES); do \
	  echo "soak: $$suite"; \
	  SOAK=1 timeout $(SOAK_LIMIT) $(SWIFT) test --skip-build --filter "EndToEnd/$$suite" || failed=1; \
	done; \
	echo "soak: 1000 seeds of the simulation"; \
	SEEDS=1000 timeout $(SOAK_LIMIT) $(SWIFT) test --skip-build --filter SimulationTests || failed=1; \
	test -z "$$failed"

bench: deps-bench build ## measure the release build beside nginx and a bare C loop (about 20 minutes)
	python3 bench/run.py

format: ## put every Swift file into the house's form
	$(SWIFT) format -i -r $(TREE)

lint: ## check that every Swift file has the house's form
	$(SWIFT) format lint --strict -r $(TREE)

deps: ## install the libraries that the build needs, where they are missing
	@bash deploy/deps.sh libssl-dev liblmdb-dev libxxhash-dev libmaxminddb-dev libnghttp2-dev pkg-config

deps-test: deps
	@bash deploy/deps.sh chromium curl nghttp2-client openssl prometheus

deps-bench: deps
	@bash deploy/deps.sh gcc libc6-dev liblmdb-dev nginx nghttp2-client openssl wrk python3
