# 'make' alone tells what there is. Everything honours CARGO_TARGET_DIR.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

target := $(abspath $(or $(CARGO_TARGET_DIR),target))
plugins := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml)))
guests := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard tests/guests/*/Cargo.toml)))

.PHONY: help setup build plugins demo test test-systems lint docs install
.DEFAULT_GOAL := help

help:
	@echo 'make demo             a worker with an embedded broker, at work and tried by faults (ONCE=1: ends by itself)'
	@echo 'make test             all tests, against a real Kafka'
	@echo 'make test-systems     those against servers that are slow to build or start'
	@echo 'make build            the worker: $(target)/release/transom'
	@echo 'make plugins          the plugins: $(target)/plugins/*.wasm'
	@echo 'make install          both, under PREFIX=$(PREFIX)'
	@echo 'make lint docs        format, clippy, documentation; warnings are errors'
	@echo 'make setup            installs what building needs (the others call it)'

setup:
	@sh tests/scripts/setup.sh build

build: setup
	TRANSOM_COMMIT="$$(git rev-parse --short=12 HEAD 2>/dev/null)" $(CARGO) build --release -p transom

plugins: setup
	@mkdir -p '$(target)/plugins' && chmod 755 '$(target)/plugins'
	sh tests/scripts/guests.sh '$(target)/guests' '$(target)/plugins' $(plugins)

demo: plugins
	$(CARGO) build -p transom
	'$(target)/debug/transom' demo --plugins '$(target)/plugins' $(if $(ONCE),--once)

test:
	@sh tests/scripts/setup.sh test
	@sh tests/scripts/kafka-jars.sh >/dev/null
	@sh tests/scripts/opensearch.sh >/dev/null
	$(CARGO) build -p transom
	$(CARGO) test --workspace

test-systems:
	@sh tests/scripts/setup.sh test
	@sh tests/scripts/kafka-jars.sh >/dev/null
	@sh tests/scripts/elasticsearch.sh >/dev/null
	@sh tests/scripts/python-tool.sh schemathesis >/dev/null
	@sh tests/scripts/python-tool.sh kafka-connect-py >/dev/null
	$(CARGO) build -p transom
	$(CARGO) test -p transom-tests --test it systems_ -- --ignored

lint:
	@sh tests/scripts/setup.sh lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --target wasm32-wasip2 $(addprefix -p ,$(guests)) -- -D warnings

docs: setup
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

install: build plugins
	install -D -m 755 '$(target)/release/transom' '$(DESTDIR)$(PREFIX)/bin/transom'
	install -d -m 755 '$(DESTDIR)$(PREFIX)/lib/transom/plugins'
	for plugin in $(plugins); do \
	  install -m 644 '$(target)'/plugins/$$plugin.wasm '$(DESTDIR)$(PREFIX)/lib/transom/plugins/' || exit 1; \
	done
