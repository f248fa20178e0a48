# make run    builds everything and shows the running pair with its simulated plant
# make test   runs everything CI runs
#
# Everything that is installed by hand elsewhere is installed here, into .tools or node_modules, from the package
# registries only.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .tools/golangci-lint-$(GOLANGCI_VERSION)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
SEEDS ?= 500
FIRST ?= $(shell date +%s)000
T ?= 20s
N ?= 30
WEBT ?= 8s
API_REQUESTS ?= 60000
# 0: fresh ones
API_SEED ?= 0
FUXA_VERSION := 1.3.4
UI_SOURCES := $(shell find web/ui -path web/ui/node_modules -prune -o -path web/ui/dist -prune -o -type f -print)

.PHONY: bench-web need build ui run check lint unit sim mutants model fuzz e2e campaign campaign-alarms bench bench-history bench-modbus soak test clean apt

need:
	@command -v go >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl/"; exit 1; }
	@command -v npm >/dev/null || { echo "Node.js 20 or later with npm is needed for the dashboard: https://nodejs.org/"; exit 1; }

web/ui/node_modules/.stamp: web/ui/package-lock.json | need
	cd web/ui && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

web/ui/dist/.stamp: web/ui/node_modules/.stamp $(UI_SOURCES)
	go run ./web/ui/build
	touch $@

ui: web/ui/dist/.stamp

build: need ui
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/scadad ./cmd/scadactl ./cmd/scadasim

# Static programs, the same bytes from the same commit wherever and whenever they are built, with manual pages and completions.
PKG_VERSION := $(shell git describe --tags --exact-match 2>/dev/null | sed 's/^v//' | grep . || git log -1 --format=0~%cd.%h --date=format:%Y%m%d%H%M%S 2>/dev/null)

.PHONY: dist deb
dist: need ui
	rm -rf bin/dist
	mkdir -p bin/dist/man bin/dist/completion
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags timetzdata -ldflags '-s -w $(LDFLAGS)' -o bin/dist/ ./cmd/scadad ./cmd/scadactl ./cmd/scadasim
	go test -count=1 ./cmd/scadad ./cmd/scadactl -run TestManualPages -man $(CURDIR)/bin/dist/man
	gzip -9n bin/dist/man/*.1
	for shell in bash zsh fish; do bin/dist/scadactl completion $$shell > bin/dist/completion/scadactl.$$shell; done

# bin/dist/scada_VERSION_ARCH.deb, by Debian's own dpkg-deb; needs no root.
deb: dist
	@command -v dpkg-deb >/dev/null || { echo "dpkg-deb is needed: make the package on Debian or Ubuntu"; exit 1; }
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) cmd/internal/packaging/build '$(PKG_VERSION)' $$(go env GOARCH) bin/dist/scada_$(subst ~,-,$(PKG_VERSION))_$$(go env GOARCH).deb

# The image of the container file, built and run as a pair without an engine. Needs root once to install buildah.
.PHONY: container
container: dist
	@command -v buildah >/dev/null || { apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends buildah >/dev/null; }
	go test -count=1 -tags e2e ./cmd/internal/e2e -run 'TestContainer$$' -v -long

run: build
	@exec bin/scadasim demo

check: lint
	@test -z "$$(gofmt -l acquisition alarms cmd history redundancy simulators web 2>/dev/null | grep -v node_modules)" || { echo "not gofmt'ed:"; gofmt -l acquisition alarms cmd history redundancy simulators web | grep -v node_modules; exit 1; }
	go vet ./...
	go test ./cmd/internal/archtest

$(GOLANGCI):
	GOBIN=$(CURDIR)/.tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .tools/golangci-lint $@

lint: need $(GOLANGCI) ui
	$(GOLANGCI) run ./...
	$(GOLANGCI) run --build-tags e2e ./cmd/internal/e2e/...

unit: need ui apt
	go test -race -count=1 -timeout 20m $$(go list ./... | grep -v /node_modules/)
	go test -count=1 ./acquisition/opcua ./web/uaserver # what the races of the OPC UA library itself keep out of the line above

# make sim SEEDS=n FIRST=k runs the seeds k to k+n-1, fresh ones without FIRST. The first 200 and what has failed before are among the unit tests.
sim: need
	go test -count=1 -timeout 0 -v -run TestSeeds ./redundancy/simulation -seeds $(SEEDS) -first $(FIRST)

# make mutants makes deliberate faults and says who notices; ONLY=redundancy makes those of a room or with a text.
mutants: need
	go run ./cmd/internal/mutate -only "$(ONLY)"

# make model searches the models of both leases for two that may write; needs root to install spin.
model: need
	@command -v spin >/dev/null || { apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends spin gcc libc6-dev >/dev/null; }
	go test -count=1 -tags model -timeout 30m -v ./redundancy/model

fuzz: need
	go run ./cmd/internal/fuzzall -t $(T)
	go test -count=1 -timeout 0 -v -run TestHostileAPI ./cmd/internal/server -args -api.seed $(API_SEED) -api.requests $(API_REQUESTS)

# Hostile messages to the OPC UA server, in numbers: N=10000000 takes about half an hour.
fuzz-ua: N = 10000000
fuzz-ua: need
	go test -count=1 -timeout 0 -v -run TestHostile ./web/uaserver ./web/uaserver/channel -args -messages $(N)

# The end-to-end tests start real processes, a real browser and foreign OPC UA and Modbus clients.
apt:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  for p in systemd prometheus sslscan tmux debootstrap chromium fonts-wqy-microhei mbpoll nftables iproute2 mosquitto python3-aiosmtpd gcc libc6-dev libmodbus-dev python3-pymodbus python3-serial python3-serial-asyncio victoria-metrics; do dpkg -s $$p >/dev/null 2>&1 || missing="$${missing:-} $$p"; done; \
	  if [ -n "$${missing:-}" ]; then apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing >/dev/null; fi; \
	fi

cmd/internal/e2e/nodeopcua/node_modules/.stamp: cmd/internal/e2e/nodeopcua/package-lock.json | need
	cd cmd/internal/e2e/nodeopcua && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

cmd/internal/e2e/opcua/server/node_modules/.stamp: cmd/internal/e2e/opcua/server/package-lock.json | need
	cd cmd/internal/e2e/opcua/server && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

cmd/internal/e2e/oidcprovider/node_modules/.stamp: cmd/internal/e2e/oidcprovider/package-lock.json | need
	cd cmd/internal/e2e/oidcprovider && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

cmd/internal/e2e/parquet/node_modules/.stamp: cmd/internal/e2e/parquet/package-lock.json | need
	cd cmd/internal/e2e/parquet && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

e2e: build apt cmd/internal/e2e/oidcprovider/node_modules/.stamp cmd/internal/e2e/nodeopcua/node_modules/.stamp cmd/internal/e2e/parquet/node_modules/.stamp cmd/internal/e2e/opcua/server/node_modules/.stamp
	go test -count=1 -p 1 -timeout 40m -tags e2e ./cmd/internal/e2e/... -v # one package after the other: their times matter

# A real node with TLS is scanned by tools of others; what they say stays in run/scan, what they find fails. Needs root once to install them.
.PHONY: scan
scan: build apt
	@for p in sslscan testssl.sh nmap wapiti sqlmap; do dpkg -s $$p >/dev/null 2>&1 || missing="$${missing:-} $$p"; done; \
	  if [ -n "$${missing:-}" ]; then apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing >/dev/null; fi
	mkdir -p run/scan
	go test -count=1 -timeout 40m -tags e2e ./cmd/internal/e2e -run 'TestScan$$|TestNobodySeesAnything' -v -scan -scan.keep $(CURDIR)/run/scan

# The end-to-end tests that mostly wait: link certificates renewed, a field network lost, a virtual address left behind; the package in a
# bare Debian, docs/install.md as it stands, an upgrade from the release before.
.PHONY: e2e-long
e2e-long: build deb apt
	go test -count=1 -timeout 60m -tags e2e ./cmd/internal/e2e -run 'TestLinkRenewal|TestAddressAndFieldLoss|TestPackage|TestReproducible|TestInstallPage|TestUpgrade|TestTop' -v -long

# Every fault N times at three heartbeats, with real programs in network namespaces; needs root, and hours.
campaign: build apt
	mkdir -p run
	go test -count=1 -timeout 24h -tags e2e ./cmd/internal/e2e -run 'TestCampaign|TestSwitches|TestPartition' -v -campaign $(N) -campaign.switches 50 -campaign.partition 1h -campaign.results $(CURDIR)/run/campaign.jsonl

# R random faults while alarms come and go and operators acknowledge them; R=200 takes about half an hour.
campaign-alarms: R = 200
campaign-alarms: build apt
	mkdir -p run
	go test -count=1 -timeout 24h -tags e2e ./cmd/internal/e2e -run TestAlarmCampaign -v -alarms.campaign $(R) -alarms.results $(CURDIR)/run/alarms.jsonl

acquisition/modbus/testdata/peers/node_modules/.stamp: acquisition/modbus/testdata/peers/package-lock.json | need
	cd acquisition/modbus/testdata/peers && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
	touch $@

# Our Modbus channel beside goburrow's own handler, libmodbus and modbus-serial; needs root for a network of its own.
bench-modbus: need apt acquisition/modbus/testdata/peers/node_modules/.stamp
	go test -count=1 ./acquisition/modbus -run 'TestTable$$' -table -v
	go test -count=1 ./acquisition/modbus -run 'TestLineTable$$|TestOutageTable$$' -table -v

# FUXA is the anchor of the dashboard's figures. It is compiled by its own install scripts, which takes minutes.
.tools/fuxa/node_modules/.stamp: | need
	mkdir -p .tools/fuxa
	cd .tools/fuxa && npm install --no-audit --no-fund --loglevel=error @frangoteam/fuxa@$(FUXA_VERSION) modbus-serial@8.0.19 socket.io-client@4.8.3
	touch $@

# What the dashboard costs: the server with hundreds of sockets, the page in Chromium, a large plant; FUXA's page beside it, both at the
# same device, and a year of history in a trend. About eight minutes, and the time FUXA takes to install.
bench-web: need build ui apt .tools/fuxa/node_modules/.stamp
	go test -count=1 -timeout 30m ./web -run TestSocketLoad -v -load $(WEBT)
	go test -count=1 -timeout 30m ./web/ui -run 'TestFigures|TestPeer' -v -figures $(WEBT) -peer $(CURDIR)/.tools/fuxa
	go test -count=1 -timeout 30m -tags e2e ./cmd/internal/e2e -run 'TestBesideFUXA|TestPagesBesideFUXA|TestYearInATrend' -v -fuxa $(CURDIR)/.tools/fuxa -fuxa.time $(WEBT) -year 60s

bench: need bench-history bench-modbus cmd/internal/e2e/opcua/server/node_modules/.stamp
	go test -run '^$$' -bench . -benchmem ./acquisition/... ./alarms/... ./history/... ./redundancy/... ./web/...

# The archive beside other engines on the same samples; those that cannot be installed are left out by name. TAGS=10000
# takes half an hour.
TAGS ?= 2000
bench-history: need
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  for p in victoria-metrics influxdb; do dpkg -s $$p >/dev/null 2>&1 || missing="$${missing:-} $$p"; done; \
	  if [ -n "$${missing:-}" ]; then apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing >/dev/null || echo "not installed:$$missing"; fi; \
	fi
	go run ./cmd/internal/historybench -tags $(TAGS)

soak: build cmd/internal/e2e/opcua/server/node_modules/.stamp
	go test -count=1 -timeout 60m -tags e2e ./cmd/internal/e2e/modbus -run TestSoak -v -soak 10m
	go test -count=1 -timeout 0 ./acquisition/modbus -run TestSelfVerifyingRegisters -v -registers 1000000000
	go test -count=1 -timeout 10m -tags e2e ./cmd/internal/e2e/opcua -run 'TestForeignDevice$$|HasAMemory' -v -items 10000 -every 1s -freeze 20s
	go test -count=1 -run TestAbuseLeaves -v ./web/uaserver -args -abuse 20s

test: check unit sim
	$(MAKE) fuzz T=1s API_SEED=2
	$(MAKE) e2e

clean:
	rm -rf bin run .tools web/ui/node_modules cmd/internal/e2e/*/node_modules cmd/internal/e2e/opcua/server/node_modules acquisition/modbus/testdata/peers/node_modules
	find web/ui/dist -mindepth 1 ! -name .gitkeep -delete
