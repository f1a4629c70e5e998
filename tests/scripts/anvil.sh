#!/bin/sh
# Prints the path of anvil, a small Ethereum node for tests, after fetching it by npm if need be.
#
# It lies outside every checkout and build folder, under the name of its version, so it is fetched once on a
# machine. It appears by one rename: whoever finds it finds all of it.
set -eu

version=1.7.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
tool=$cache/anvil-$version
if [ ! -x "$tool" ]; then
  command -v npm >/dev/null || { echo "anvil: no npm: install Node.js with npm" >&2; exit 1; }
  mkdir -p "$cache"
  part=$(mktemp -d "$cache/anvil-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching anvil $version from npm" >&2
  npm install --silent --no-audit --no-fund --prefix "$part" "@foundry-rs/anvil@$version" >&2
  # The package brings the program for this machine as a package of its own.
  found=$(find "$part" -path '*/@foundry-rs/anvil-*/bin/anvil' -type f | head -n 1)
  [ -n "$found" ] || { echo "anvil: there is none for this machine" >&2; exit 1; }
  chmod 755 "$found"
  mv "$found" "$tool"
fi
echo "$tool"
