# Every commit keeps these targets working. CI and the pre-push hook run the same ones.
.DEFAULT_GOAL := help
SHELL := bash

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
FUZZTIME ?= 20s
BENCH := CGO_ENABLED=0 go build -trimpath -o bin/bench ./bench && exec bin/bench

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## the binaries, into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

demo: build ## two cameras through tunnels on this machine; Ctrl-C ends it
	@exec bin/tunnelctl demo $(ARGS)

test: ## all tests, with Go alone
	go test ./...

fmt: ## format the sources
	go run $(GOLANGCI_LINT) fmt

lint: ## linters, import rules, the sample workflow
	go run $(GOLANGCI_LINT) run
	go run $(ACTIONLINT) deploy/ci/*.yml
	go vet ./...
	CGO_ENABLED=0 GOARCH=arm go build ./cmd/... # an int of 32 bits
	go test ./internal/archtest

race: ## all tests under the race detector, in random order
	go test -race -shuffle=on -count=1 ./...

once: build ## the demo without a player: 100 frames of each camera
	bin/tunnelctl demo --once --port 0

bench: build ## cost of the module as a relay and of the gateway as an RTSP server, compared with others; ARGS=--help for flags
	@$(BENCH) $(ARGS)

bench-smoke: build ## the bench in seconds, to test that it runs
	@$(BENCH) --smoke

check: lint race once bench-smoke ## what a commit needs

judges: build long-test docs-test sdk-test proxy-test gateway-test image-test arm64-test ## long-test, and tests with programs that are not ours: players, SDKs, proxies, a container runtime
	.ci/judges

docs-test: ## the shell sessions of README.md and docs/EMULATOR.md, as a reader runs them
	.ci/documents

sdk-test: build ## Microsoft's SDKs, unchanged, against the hub emulator; the service SDK calls the module, too
	.ci/sdk

proxy-test: build ## the module behind tinyproxy and squid: with a login, refusing, killed
	.ci/proxy

gateway-test: build ## tunnelgateway between cameras and players that are not ours: gst-rtsp-server, ffmpeg, GStreamer; promtool
	.ci/gateway

browser-test: build ## the page and its outputs in headless Chromium: each output, faults, hostile pages; .ci/browser bench measures
	.ci/browser

image: ## the module's images and their bills of materials, into bin/images; BASE=local builds without a registry
	@.ci/image

release: ## the release of VERSION, into bin/release: images, programs, checksums, notes; ARGS=--help for flags
	@.ci/release $(ARGS)

image-test: build ## builds the images twice and runs them in containers as IoT Edge does, with video
	.ci/image-test

arm64-test: ## tests of packages with system calls, as arm64 binaries under qemu
	.ci/arm64

long-test: ## 10 000 tunnels of the module, 1 000 of the gateway, and peers that vanish; needs root or user namespaces
	RTSPTUNNEL_LONG_TESTS=1 go test -count=1 ./internal/module/tunnel
	RTSPTUNNEL_LONG_TESTS=1 go test -count=1 -run TestTunnel_opensOften ./internal/gateway

ci: ## what .ci/run runs, with the duration of each step
	@.ci/steps check judges

fuzz: ## each fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

hooks: ## run make check before each push
	git config core.hooksPath .githooks

.PHONY: help build demo test fmt lint race once bench bench-smoke check judges long-test docs-test sdk-test proxy-test gateway-test browser-test image release image-test arm64-test ci fuzz hooks
