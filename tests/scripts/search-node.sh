#!/bin/sh
# Prints the folder that holds a search server made of jars, after filling it by Maven and javac if need be:
#
#   search-node.sh NAME VERSION LOG4J_VERSION
#
# NAME is opensearch or elasticsearch. In the folder are lib/*.jar and classes/SearchNode.class. It lies outside every
# checkout, as that of kafka-jars.sh, and appears by one rename.
set -eu

name=$1
version=$2
log4j=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../search" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
made=$cache/$name-$version-$(cat "$here/pom.xml" "$here/SearchNode.java" | cksum | cut -d ' ' -f 1)

if [ ! -d "$made" ]; then
  mkdir -p "$cache"
  for tool in mvn javac; do
    command -v "$tool" >/dev/null || { echo "$name: no $tool: run 'make setup', or install Maven and a JDK 17" >&2; exit 1; }
  done
  part=$(mktemp -d "$cache/$name-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching the jars of $name $version from Maven Central" >&2
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$part/lib" -DincludeScope=runtime \
    "-Dsearch.name=$name" "-Dsearch.version=$version" "-Dlog4j.version=$log4j" >&2
  mkdir "$part/source" "$part/classes"
  sed "s/org\.opensearch/org.$name/" "$here/SearchNode.java" >"$part/source/SearchNode.java"
  javac -cp "$part/lib/*" -d "$part/classes" "$part/source/SearchNode.java" >&2
  chmod 755 "$part"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part" "$made" 2>/dev/null || [ -d "$made" ]
fi
echo "$made"
