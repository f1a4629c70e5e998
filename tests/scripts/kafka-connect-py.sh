#!/bin/sh
# Prints the path of the folder with kafka-connect-py's programs, after installing it into a virtual environment of its
# own if need be.
#
# The environment lies outside every checkout, as the jars of kafka-jars.sh, and appears by one rename: its programs
# know their place by a link that is made after it.
set -eu

version=1.0.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
made=$cache/kafka-connect-py-$version

if [ ! -d "$made" ]; then
  mkdir -p "$cache"
  command -v python3 >/dev/null || { echo "kafka-connect-py: no python3: please install Python 3.10 or newer with venv and pip" >&2; exit 1; }
  part=$(mktemp -d "$cache/kafka-connect-py-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching kafka-connect-py $version from PyPI" >&2
  python3 -m venv "$part/venv" >&2
  "$part/venv/bin/pip" install --quiet --disable-pip-version-check "kafka-connect-py==$version" >&2
  chmod 755 "$part"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part" "$made" 2>/dev/null || [ -d "$made" ]
fi
# Its programs name the first place of their Python, so they are to be given to the one beside them.
echo "$made/venv/bin"
