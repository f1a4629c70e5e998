#!/bin/sh
# Prints the path of versitygw, a server of S3 over a folder, after building it by Go if need be.
set -eu

version=1.8.0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/transom/versitygw-$version

if [ ! -x "$folder/versitygw" ]; then
  mkdir -p "${folder%/*}"
  command -v go >/dev/null || { echo "versitygw: no go: run 'make setup', or install Go 1.24 or newer" >&2; exit 1; }
  part=$(mktemp -d "${folder%/*}/versitygw-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "building versitygw $version" >&2
  GOBIN=$part go install "github.com/versity/versitygw/cmd/versitygw@v$version" >&2
  chmod 755 "$part"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part" "$folder" 2>/dev/null || [ -x "$folder/versitygw" ]
fi
echo "$folder/versitygw"
