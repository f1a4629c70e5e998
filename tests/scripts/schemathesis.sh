#!/bin/sh
# Prints the path of schemathesis, after installing it into a virtual environment of its own if need be.
#
# The environment lies outside every checkout, as the jars of kafka-jars.sh, and appears by one rename: its programs
# know their place by a link that is made after it.
set -eu

version=4.32.5
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
made=$cache/schemathesis-$version

if [ ! -d "$made" ]; then
  mkdir -p "$cache"
  command -v python3 >/dev/null || { echo "schemathesis: no python3: please install Python 3.10 or newer with venv and pip" >&2; exit 1; }
  part=$(mktemp -d "$cache/schemathesis-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching schemathesis $version from PyPI" >&2
  python3 -m venv "$part/venv" >&2
  "$part/venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >&2
  chmod 755 "$part"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part" "$made" 2>/dev/null || [ -d "$made" ]
fi
# Scripts of an environment name its first place; its Python, asked for the module, does not care.
echo "$made/venv/bin/python3"
