#!/bin/sh
# Prints the path of the folder with the programs of a package from PyPI that tests start, after installing it into a
# virtual environment of its own if need be.
#
#   python-tool.sh schemathesis | kafka-connect-py
#
# The environment lies outside every checkout, as the jars of kafka-jars.sh, and appears by one rename: whoever finds it
# finds all of it. Its programs name the first place of their Python, so they are to be given to the one beside them.
set -eu

case ${1:-} in
schemathesis) version=4.32.5 ;;
kafka-connect-py) version=1.0.0 ;;
*) echo "usage: $0 schemathesis | kafka-connect-py" >&2; exit 2 ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
made=$cache/$1-$version
if [ ! -d "$made" ]; then
  mkdir -p "$cache"
  command -v python3 >/dev/null || { echo "$1: no python3: please install Python 3.10 or newer with venv and pip" >&2; exit 1; }
  part=$(mktemp -d "$cache/$1-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching $1 $version from PyPI" >&2
  python3 -m venv "$part/venv" >&2
  "$part/venv/bin/pip" install --quiet --disable-pip-version-check "$1==$version" >&2
  chmod 755 "$part"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part" "$made" 2>/dev/null || [ -d "$made" ]
fi
echo "$made/venv/bin"
