#!/bin/sh
# Prints the path of a program written in Go that tests start, after building it if need be.
#
#   go-tool.sh toxiproxy | versitygw | geth
#
# It lies outside every checkout and build folder, under the name of its version, so it is built once on a
# machine. It appears by one rename: whoever finds it finds all of it.
set -eu

flags=
case ${1:-} in
toxiproxy) package=github.com/Shopify/toxiproxy/v2/cmd/server version=v2.12.0 ;;
versitygw) package=github.com/versity/versitygw/cmd/versitygw version=v1.8.0 ;;
# It reaches into Go's runtime, which newer linkers refuse unless told.
geth) package=github.com/ethereum/go-ethereum/cmd/geth version=v1.13.15 flags=-ldflags=-checklinkname=0 ;;
*) echo "usage: $0 toxiproxy | versitygw | geth" >&2; exit 2 ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
tool=$cache/$1-$version
if [ ! -x "$tool" ]; then
  command -v go >/dev/null || { echo "$1: no go: install Go 1.25 or newer" >&2; exit 1; }
  mkdir -p "$cache"
  part=$(mktemp -d "$cache/$1-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "building $1 $version" >&2
  GOBIN=$part go install $flags "$package@$version" >&2
  mv "$part/$(basename "$package")" "$tool"
fi
echo "$tool"
