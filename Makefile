# SPDX-License-Identifier: MIT OR Apache-2.0
# `make help` lists the targets. The work is done by the scripts in .ci, so that CI runs what a person runs.

.DEFAULT_GOAL := help
# One clock for all that a target runs.
export ROOMSEAL_STARTED := $(shell date +%s)
.PHONY: help run test test-full mutants bench setup fmt lint doc deny clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' Makefile | sed 's/^  make \([a-z-]*\) /  make \1\t/' | expand -t 18

run: ## set up, build, and put the box into a meeting on this machine
	@.ci/setup base
	@.ci/meeting

test: ## set up, and run every check that fits into 40 minutes on two cores
	@.ci/setup
	@.ci/test

test-full: ## as test, and all that takes longer; names the commit it ran on
	@.ci/setup
	@.ci/test full

mutants: ## take one guard after the other out of a copy, and see the tests notice
	@.ci/mutants

bench: ## set up, and measure sealing, what it costs the box, and the hub beside livekit-server
	@.ci/setup
	@.ci/bench

setup: ## install what building, running and testing need (Debian 12 or 13)
	@.ci/setup

fmt: ## format the code
	@.ci/with cargo fmt --all

lint: ## formatting and clippy
	@.ci/test lint

doc: ## build the documentation of the code, warnings denied
	@.ci/test doc

deny: ## check licences, sources and duplicates of all dependencies
	@.ci/test deny

clean: ## remove what was built and what setup put into .cache
	rm -rf target .cache
