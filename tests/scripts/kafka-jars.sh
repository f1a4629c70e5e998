#!/bin/sh
# Prints the folder that holds the jars of a real Kafka, after filling it by Maven if need be.
#
# The folder lies outside every checkout and build folder and is named by what the pom asks for, so it is
# filled once on a machine. It appears by one rename: whoever finds it finds all of it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
pom=$here/kafka/pom.xml
cache=${XDG_CACHE_HOME:-$HOME/.cache}/transom
jars=$cache/kafka-4.1.1-$(cksum <"$pom" | cut -d ' ' -f 1)

if [ ! -d "$jars" ]; then
  mkdir -p "$cache"
  command -v mvn >/dev/null || { echo "kafka-jars: no mvn: run 'make setup', or install Maven and a JDK 17" >&2; exit 1; }
  part=$(mktemp -d "$cache/kafka-part.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  echo "fetching Kafka's jars from Maven Central" >&2
  mvn -q -B -f "$pom" dependency:copy-dependencies \
    "-DoutputDirectory=$part/lib" -DincludeScope=runtime >&2
  chmod 755 "$part/lib"
  # Fails when another run was quicker, whose folder is as good.
  mv -T "$part/lib" "$jars" 2>/dev/null || [ -d "$jars" ]
fi
echo "$jars"
