# The commands of the project. `make` without a target prints them.
#
# Every target installs what it needs, so `make real-all` works on a fresh machine.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The load of the real-* targets. Override like: make real-json REAL_RATE=60 REAL_DUR=30s REAL_SIZE=16384
# NETNS=1 puts the chain's services into network namespaces with links of known delay and rate (root). Its defaults differ: the
# regression of network times over sizes needs many sizes, and large messages are slow.
NETNS ?=
ifneq ($(and $(NETNS),$(filter-out real-chain,$(filter real-% demo-%,$(MAKECMDGOALS)))),)
  $(error NETNS=1 works only with make real-chain)
endif
REAL_RATE ?= $(if $(NETNS),10,40)
REAL_DUR ?= 20s
REAL_SIZE ?= $(if $(NETNS),1000-200000,8192)
LINK_DELAY ?= 5ms,20ms
LINK_RATE ?= 50Mbit
# COLLECTOR=1 puts the real Collector between services and normalizer. STACK=compose drives the stack of `make up`.
COLLECTOR ?=
STACK ?=
# Checkouts a second of real-languages, each a dozen requests.
SHOP_RATE ?= 10
# Name of the run and of its folder in logs/. Default: the current time.
RUN_ID ?=
# Folder of all runs. Default: logs
LOGS_DIR ?=
# Further services of `make up`: chain, languages.
PROFILE ?=
# File that `make tail` follows.
FILE ?= invocations
# Length of the Poisson loads of `make fidelity`.
FIDELITY_DUR ?= 120s
# Parts of `make bench`: merge, buckets, compare, steady, late, live, held, pairs, wire, service, driver, replay, stats, validate, parquet, convert, verdict, report, simgrid. Default: all.
# Parts of `make fidelity`: lindley, neighbours, stations, overload, crowd, regression, replay, replay-chain, sensitivity, stand-ins, dependence, shop, hosts, links, simgrid.
# Default: all. hosts and links need root, the Collector and toxiproxy; replay-chain and dependence need toxiproxy; simgrid needs SimGrid;
# shop needs root, toxiproxy and the languages of the shop.
PARTS ?=
# Seconds of each load of `make placement-study`, utilisations of the busiest station, and the folder of its results. PARTS: chain, shop.
DURATION ?= 30
BUSY ?= 0.35,0.7
STUDY_OUT ?= target/placement-study/$(shell date +%Y%m%d-%H%M%S)
# Spans of each load of `make bench-scale`.
SCALE_SPANS ?= 1000000,10000000,100000000
# Inputs of each target of `make fuzz`, and the seed of its random numbers.
FUZZ_INPUTS ?= 1000000
FUZZ_SEED ?= 1

# Folders of installers that may not be in PATH yet. scripts/setup links a newer Go than the system's into the first one.
export PATH := $(CURDIR)/target/tools/go/bin:$(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin
TOOLS := target/tools
RELEASE := target/release
CARGO := cargo
GIT_SHA := $(shell git rev-parse --short HEAD 2>/dev/null)

RUN := $(RELEASE)/cctf run --rate $(REAL_RATE) --duration $(REAL_DUR) --size $(REAL_SIZE) \
  $(if $(GIT_SHA),--git-sha $(GIT_SHA)) $(if $(RUN_ID),--run-id $(RUN_ID)) $(if $(LOGS_DIR),--logs-dir $(LOGS_DIR)) \
  $(if $(COLLECTOR),--collector $(TOOLS)/bin/otelcol)
# Ports of `make up` on this machine: a service, the first service of the chain, the shop's front, the Collector.
SERVICE_PORT ?= 8080
CHAIN_PORT ?= 8090
SHOP_PORT ?= 8000
OTLP_GRPC_PORT ?= 4317
# The Collector of `make up`. Default: the official image.
OTELCOL_IMAGE ?=
export SERVICE_PORT CHAIN_PORT SHOP_PORT OTLP_GRPC_PORT OTELCOL_IMAGE
ifneq ($(and $(NETNS),$(STACK)),)
  $(error NETNS=1 and STACK=compose exclude each other: the first starts services in network namespaces, the second drives containers)
endif
# Flags of RUN for one service, the chain and the shop.
IN_COMPOSE = --otlp-endpoint http://127.0.0.1:$(OTLP_GRPC_PORT) --target http://127.0.0.1:
ONE := $(if $(filter compose,$(STACK)),$(IN_COMPOSE)$(SERVICE_PORT))
CHAIN := $(if $(filter compose,$(STACK)),--scen real-chain $(IN_COMPOSE)$(CHAIN_PORT),--chain $(if $(NETNS),--netns --toxiproxy $(TOOLS)/bin/toxiproxy-server --link-delay $(LINK_DELAY) --link-rate $(LINK_RATE)))
SHOP := $(if $(filter compose,$(STACK)),$(IN_COMPOSE)$(SHOP_PORT),--application examples/start --collector $(TOOLS)/bin/otelcol)
FIDELITY_TOOLS := $(if $(and $(PARTS),$(if $(findstring hosts,$(PARTS))$(findstring links,$(PARTS))$(findstring chain,$(PARTS))$(findstring dependence,$(PARTS)),,none)),,collector toxiproxy) \
  $(if $(and $(PARTS),$(if $(findstring shop,$(PARTS)),,none)),,toxiproxy need-shop)
# Static binaries run in an image without any other file.
STATIC = $(CARGO) rustc --release --locked --package $(1) --bin $(1) -- -C target-feature=+crt-static

.PHONY: help setup build release real-json real-gzip real-hash real-kvset real-kvget real-all real-chain real-languages demo-migrate \
  up down logs tail report collector jaeger toxiproxy stop clean check test bench bench-scale fidelity placement-study fuzz \
  screenshots need-browser need-build need-binaries need-ready need-compose need-compose-tool need-go need-jq need-node need-python need-shop need-simgrid test-tools bench-tools

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Variables of real-*: REAL_RATE=$(REAL_RATE) (requests/s) REAL_DUR=$(REAL_DUR) REAL_SIZE=$(REAL_SIZE) (bytes) RUN_ID=<name>; real-languages: SHOP_RATE=$(SHOP_RATE) (checkouts/s)"

setup: ## Install missing tools: C compiler, Rust, Go with vegeta, Python
	@scripts/setup build go python
	@$(MAKE) $(TOOLS)/bin/vegeta
	@echo "setup: all tools are installed (the service measures the host itself, so sysstat and ifstat are not needed)"

build: need-binaries ## Build the release binaries and, with Docker, the images tunable-svc and cctf-normalizer
	@if docker info >/dev/null 2>&1; then scripts/images $(RELEASE) tunable-svc cctf-normalizer; \
	  else echo "build: binaries are in $(RELEASE); no images were built, because no Docker engine answers"; fi

release: build ## Pack the static binaries with checksums into target/dist
	@scripts/release $(RELEASE) target/dist

need-binaries: need-build
	@$(call STATIC,cctf) && $(call STATIC,cctf-normalizer) && $(call STATIC,tunable-svc)

real-json: need-ready ## Run the real workload on POST /json/validate
	@$(RUN) --endpoints json $(ONE)

real-gzip: need-ready ## Run the real workload on POST /blob/gzip
	@$(RUN) --endpoints gzip $(ONE)

real-hash: need-ready ## Run the real workload on POST /hash/sha256
	@$(RUN) --endpoints hash $(ONE)

real-kvset: need-ready ## Run the real workload on POST /kv/set/{key}
	@$(RUN) --endpoints kvset $(ONE)

real-kvget: need-ready ## Run the real workload on GET /kv/get/{key}
	@$(RUN) --endpoints kvget $(ONE)

real-all: need-ready ## Run all five one after the other: json, gzip, hash, kvset, kvget
	@$(RUN) --endpoints json,gzip,hash,kvset,kvget $(ONE)

real-chain: need-ready ## Run json through three services: endpoint, edge, cloud; NETNS=1 adds links of known delay and rate (root)
	@$(RUN) --endpoints json $(CHAIN)

real-languages: need-binaries $(if $(filter compose,$(STACK)),,collector need-shop) ## Run the shop of examples/: services in Python, Node, Java, Go and Rust
	@$(RUN) --scen languages --endpoints /checkout --rate $(SHOP_RATE) $(SHOP)

demo-migrate: need-ready ## Run json while its service moves from the edge to the cloud, REAL_DUR on each node
	@$(RUN) --endpoints json --migrate

need-ready: need-binaries $(if $(COLLECTOR),collector) $(if $(NETNS),toxiproxy)

up: build need-compose ## Start the stack of compose.yaml in containers; PROFILE=chain adds endpoint, edge and cloud, PROFILE=languages the shop
	@scripts/compose $(TOOLS) up $(PROFILE)

down: need-compose ## Stop that stack; its files stay
	@scripts/compose $(TOOLS) down

logs: need-compose ## Follow the logs of its containers
	@scripts/compose $(TOOLS) logs

tail: need-binaries ## Follow a run line by line (RUN_ID=<name>, default: the newest; FILE=calls, ...)
	@$(RELEASE)/cctf tail $(RUN_ID) --file $(FILE)

report: need-binaries ## Write report.html, one offline page of a run (RUN_ID=<name>, default: the newest; LOGS_DIR=<folder>)
	@$(RELEASE)/cctf report $(RUN_ID) $(if $(LOGS_DIR),--logs-dir $(LOGS_DIR))

collector: need-go ## Build the pinned OpenTelemetry Collector into target/tools (3 minutes, once)
	@scripts/collector $(TOOLS)

jaeger: need-go ## Build the pinned Jaeger into target/tools (minutes, once)
	@scripts/jaeger $(TOOLS)

toxiproxy: $(TOOLS)/bin/toxiproxy-server ## Build the pinned toxiproxy, which delays traffic, into target/tools
	@scripts/setup network

stop: ## Stop all runs of this checkout
	@scripts/stop $(RELEASE)

clean: ## Remove target/; logs/ stays
	@rm -rf target
	@echo "clean: removed target/; logs/ is kept"

check: need-build ## Check formatting, lints and unit tests; run it before each commit
	@scripts/timed "formatting" $(CARGO) fmt --all --check
	@scripts/timed "lints" $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@scripts/timed "unit tests" $(CARGO) test --locked --workspace --lib --bins

test: need-build ## Run all checks and tests, including those of the real binaries and in containers
	@rm -f target/parts.txt
	@$(MAKE) check
	@scripts/timed "tools of the tests" $(MAKE) test-tools
	@scripts/timed "release binaries" $(MAKE) need-binaries
	@scripts/timed "build of the tests" $(CARGO) build --locked --workspace --bins --tests
	@scripts/timed "all tests" scripts/with-engine $(CARGO) test --locked --workspace
	@cat target/parts.txt

bench: need-binaries bench-tools ## Measure against the Collector, FastAPI, vegeta, prost, DuckDB, pandas and jq, and print the tables (35 minutes; PARTS=pairs,driver)
	@$(CARGO) build --release --locked -p measure --bin ingest
	@$(CARGO) build --release --locked -p cctf --example sink --example shards --example recorded
	@$(CARGO) build --release --locked -p cctf-plan --example arrivals
	@$(CARGO) build --release --locked -p cctf-convert --example telemetry
	@$(if $(and $(PARTS),$(if $(findstring wire,$(PARTS)),,not)),,$(CARGO) bench --locked -p measure --bench wire)
	@python3 bench/run.py --bin-dir $(RELEASE) --tools $(TOOLS) $(if $(PARTS),--parts $(PARTS))

bench-scale: need-binaries need-python ## Measure 1, 10 and 100 million spans: CPU time a span and memory must stay constant
	@$(CARGO) build --release --locked -p measure --bin ingest
	@python3 bench/run.py --bin-dir $(RELEASE) --tools $(TOOLS) --scale $(SCALE_SPANS)

fidelity: need-binaries $(FIDELITY_TOOLS) $(if $(and $(PARTS),$(if $(findstring simgrid,$(PARTS)),,not)),,need-simgrid $(TOOLS)/line/ready) ## Compare recorded values with queueing theory, the kernel's counters, the settings of links and replays (an hour, root, idle machine; PARTS=lindley,crowd)
	@$(CARGO) build --release --locked -p measure --bin fidelity --bin skew --bin branches
	@$(RELEASE)/fidelity --bin-dir $(RELEASE) --duration $(FIDELITY_DUR) $(if $(PARTS),--only $(PARTS))

placement-study: need-binaries toxiproxy need-python $(TOOLS)/line/ready ## Predict placements of two applications, run some of them, and compare (17 minutes, root, idle machine; PARTS=chain DURATION=60 BUSY=0.3,0.5,0.7)
	@python3 examples/placement/study.py --bin-dir $(RELEASE) --toxiproxy $(TOOLS)/bin/toxiproxy-server --line $(TOOLS)/line/bin/python \
	  --duration $(DURATION) --busy $(BUSY) --out $(STUDY_OUT) $(if $(PARTS),--parts $(PARTS))

fuzz: need-build ## Feed mutated input to all readers (FUZZ_INPUTS per target, FUZZ_SEED)
	@FUZZ_INPUTS=$(FUZZ_INPUTS) FUZZ_SEED=$(FUZZ_SEED) $(CARGO) test --release --locked -p cctf-normalizer --test fuzz -- --nocapture
	@FUZZ_INPUTS=$(FUZZ_INPUTS) $(CARGO) test --release --locked -p cctf-normalizer --test all join_model:: -- --nocapture
	@FUZZ_INPUTS=$(FUZZ_INPUTS) $(CARGO) test --release --locked -p cctf-merge any_order -- --nocapture

screenshots: need-binaries $(TOOLS)/browser/ready ## Record a run, and take the pictures of its pages for docs/images (3 minutes)
	@scripts/screenshots $(RELEASE)

# Docker's plugin, or one that is built here.
need-compose:
	@docker compose version >/dev/null 2>&1 || $(MAKE) need-compose-tool

need-compose-tool: need-go
	@scripts/compose-tool $(TOOLS)

need-build:
	@scripts/setup build

need-go:
	@scripts/setup go

need-jq:
	@scripts/setup jq

need-node:
	@scripts/setup node

need-browser: need-node
	@scripts/setup browser

need-python:
	@scripts/setup python

need-simgrid:
	@scripts/setup simgrid

# The languages, their system packages, and the packages of their lock files.
need-shop: need-go need-node need-python
	@scripts/setup java broker
	@examples/start install

test-tools: collector jaeger toxiproxy need-shop need-compose-tool need-simgrid $(TOOLS)/bin/vegeta $(TOOLS)/readers/ready $(TOOLS)/simulators/ready $(TOOLS)/line/ready $(TOOLS)/exporters/python/ready $(TOOLS)/exporters/node/ready \
  $(TOOLS)/manifests/ready $(TOOLS)/browser/ready

bench-tools: collector need-jq need-simgrid $(TOOLS)/bin/vegeta $(TOOLS)/bin/vegeta-pacer $(TOOLS)/fastapi/ready $(TOOLS)/readers/ready

$(TOOLS)/bin/vegeta: | need-go
	@echo "installing vegeta into $(TOOLS)/bin"
	@GOBIN="$(CURDIR)/$(TOOLS)/bin" go install github.com/tsenart/vegeta/v12@v12.13.0

$(TOOLS)/bin/vegeta-pacer: bench/vegeta-pacer/main.go bench/vegeta-pacer/go.mod bench/vegeta-pacer/go.sum | need-go
	@cd $(<D) && go build -o $(CURDIR)/$@ .

# Go would name the program after its folder: server.
$(TOOLS)/bin/toxiproxy-server: | need-go
	@echo "installing toxiproxy into $(TOOLS)/bin"
	@GOBIN="$(CURDIR)/$(TOOLS)/bin/toxiproxy" go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0
	@mv $(TOOLS)/bin/toxiproxy/server $@ && rmdir $(TOOLS)/bin/toxiproxy

# Virtual environments leave the machine's Python unchanged.
$(TOOLS)/readers/ready: e2e/readers/requirements.txt | need-python
	@scripts/venv $(TOOLS)/readers $<

$(TOOLS)/simulators/ready: e2e/simulators/requirements.txt | need-python
	@scripts/venv $(TOOLS)/simulators $<

# LINE and ECLYPSE require different versions of other packages.
$(TOOLS)/line/ready: e2e/simulators/line.txt | need-python
	@scripts/venv $(TOOLS)/line $<

$(TOOLS)/manifests/ready: e2e/manifests/requirements.txt | need-python
	@scripts/venv $(TOOLS)/manifests $<

$(TOOLS)/fastapi/ready: bench/fastapi/requirements.txt | need-python
	@scripts/venv $(TOOLS)/fastapi $<

$(TOOLS)/exporters/python/ready: e2e/exporters/requirements.txt | need-python
	@scripts/venv $(TOOLS)/exporters/python $<

# Playwright drives the system's Chromium, and downloads none. need-browser runs each time, because Chromium may have been removed.
$(TOOLS)/browser/ready: e2e/browser/package.json e2e/browser/package-lock.json | need-browser
	@echo "installing the packages of $< into $(@D)"
	@mkdir -p $(@D) && cp $^ $(@D) && npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund
	@touch $@

$(TOOLS)/exporters/node/ready: e2e/exporters/package.json | need-node
	@echo "installing the packages of $< into $(@D)"
	@mkdir -p $(@D) && cp $< $(@D) && npm install --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund
	@touch $@
