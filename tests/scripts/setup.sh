#!/bin/sh
# Installs what is missing, and says nothing when nothing is.
#
#   setup.sh build   what building the worker and the plugins needs
#   setup.sh lint    and what the linters need
#   setup.sh test    and what the tests need: Java and Maven for Kafka, Elasticsearch and OpenSearch, Go for
#                    a faulty network and S3, npm for an Ethereum node, Python for schemathesis
#                    and kafka-connect-py
#
# System packages come by apt-get where it is there and allowed; elsewhere one line says what to install.
set -eu

what=${1:-build}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)

fail() { echo "setup: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

packages=
missing=
# need CHECK PACKAGE NAME: when CHECK fails, PACKAGE is to be installed
need() {
  eval "$1" >/dev/null 2>&1 && return
  packages="$packages $2"
  missing="$missing, $3"
}

need 'have cc || have gcc || have clang' gcc 'a C compiler'
need 'have c++ || have g++ || have clang++' g++ 'a C++ compiler'
need 'have make' make 'make'
need 'have bash' bash 'bash'
need 'have flock' util-linux 'flock (util-linux)'
need 'have pkg-config' pkg-config 'pkg-config'
need 'pkg-config --exists openssl' libssl-dev "OpenSSL's headers (libssl-dev)"
if [ "$what" = test ]; then
  need 'have java' default-jdk-headless 'a JDK 17 or newer'
  need 'have mvn' maven 'Maven'
  need 'have npm' npm 'npm'
  need 'python3 -c "import ensurepip, venv"' python3-venv 'Python 3.10 or newer with venv'
fi

if [ -n "$packages" ]; then
  missing=${missing#, }
  if [ "$(id -u)" = 0 ]; then as=; elif have sudo && sudo -n true 2>/dev/null; then as='sudo -n'; else as=no; fi
  { have apt-get && [ "$as" != no ]; } || fail "please install $missing"
  echo "setup: installing$packages"
  log=$(mktemp)
  { $as apt-get update -q && $as env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $packages; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install them; please install $missing"
  }
  rm -f "$log"
fi

if [ "$what" = test ]; then
  # `openjdk version "17.0.15"`, `java version "21"`
  java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${java:-0}" -ge 17 ] || fail "the tests' Kafka needs Java 17 or newer; 'java' is version ${java:-unknown}"
fi

if [ "$what" = test ]; then
  # Older ones fetch the version that a module asks for only from 1.21 on; Debian 12's is older.
  have go || fail "please install Go 1.21 or newer: https://go.dev/dl"
fi

have cargo || fail "please install Rust: https://rustup.rs"
cd "$root"
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
found=$(rustc --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)
[ "$oldest" = "$wanted" ] || fail "Rust $wanted or newer is needed, this is $found: try 'rustup update stable'"

if [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2" ]; then
  have rustup || fail "please install Rust's standard library for wasm32-wasip2"
  echo "setup: adding the target wasm32-wasip2"
  rustup target add wasm32-wasip2
fi
if [ "$what" = lint ]; then
  for part in rustfmt clippy; do
    tool=$part
    [ "$part" = rustfmt ] || tool=clippy-driver
    "$tool" --version >/dev/null 2>&1 || rustup component add "$part" || fail "please install $part"
  done
fi
