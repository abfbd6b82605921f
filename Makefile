# Targets that every commit keeps working; the same ones run in CI and before a push.
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

demo: build ## watch two cameras through tunnels on this machine; Ctrl-C ends it
	@exec bin/tunnelctl demo $(ARGS)

test: ## all tests, with Go alone
	go test ./...

fmt: ## format the sources
	go run $(GOLANGCI_LINT) fmt

lint: ## linters and import rules
	go run $(GOLANGCI_LINT) run
	go run $(ACTIONLINT) deploy/ci/*.yml
	go vet ./...
	CGO_ENABLED=0 GOARCH=arm go build ./cmd/... # an int of 32 bits
	go test ./internal/archtest

race: ## all tests under the race detector, in random order
	go test -race -shuffle=on -count=1 ./...

once: build ## the demo without people: 100 frames of each camera
	bin/tunnelctl demo --once --port 0

bench: build ## what the module costs as a relay, against others; ARGS=--help says more
	@$(BENCH) $(ARGS)

bench-smoke: build ## the same in seconds: shows that it runs
	@$(BENCH) --smoke

check: lint race once bench-smoke ## what a commit needs

judges: build long-test sdk-test proxy-test image-test arm64-test ## long-test, and programs that are not ours: players, SDKs, a site's proxy, a container runtime
	.ci/judges

sdk-test: build ## Microsoft's SDKs, unchanged, at the hub emulator; that of services calls the module, too
	.ci/sdk

proxy-test: build ## the module behind tinyproxy and squid, with a login, refusing, dying
	.ci/proxy

image: ## the module's images and their bills of materials, into bin/images; BASE=local: without a registry
	@.ci/image

release: ## the release of VERSION, into bin/release: images, programs, checksums, notes; ARGS=--help says more
	@.ci/release $(ARGS)

image-test: build ## the images, built, compared, run in containers as IoT Edge would, with video
	.ci/image-test

arm64-test: ## the packages with system calls, as arm64 binaries under qemu
	.ci/arm64

long-test: ## 10 000 tunnels, and peers that vanish; needs a network namespace: root, or users who may have one
	RTSPTUNNEL_LONG_TESTS=1 go test -count=1 ./internal/module/tunnel

ci: ## what .ci/run runs, each step with its seconds
	@.ci/steps check judges

fuzz: ## each fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

hooks: ## make check runs before each push
	git config core.hooksPath .githooks

.PHONY: help build demo test fmt lint race once bench bench-smoke check judges long-test sdk-test proxy-test image release image-test arm64-test ci fuzz hooks
