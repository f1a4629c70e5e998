#!/bin/sh
# Runs integration tests again and again: a race shows once in many runs.
#
#   repeat.sh TEST COUNT
#
# builds, runs all tests whose name has TEST in it COUNT times, each time with a broker of its own, and stops at
# the first failure with all that it printed. With OTHER_LOAD=N, N processes use up the CPU beside it.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 TEST COUNT" >&2; exit 2; }
test=$1
count=$2
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"

cargo build --quiet -p transom
binary=$(cargo test -p transom-tests --test it --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
[ -x "$binary" ] || { echo "the tests do not build: cargo test -p transom-tests --no-run" >&2; exit 1; }

output=$(mktemp)
load=
trap 'rm -f "$output"; for process in $load; do kill "$process" 2>/dev/null || :; done' EXIT
trap 'exit 130' INT TERM
for _ in $(seq "${OTHER_LOAD:-0}"); do
  sh -c 'while :; do :; done' &
  load="$load $!"
done

cd tests
for run in $(seq "$count"); do
  if ! "$binary" "$test" --nocapture >"$output" 2>&1; then
    cat "$output"
    echo "run $run of $count failed" >&2
    exit 1
  fi
  # A name that no test has would pass for ever.
  grep -q '^test result: ok. [1-9]' "$output" || { echo "no test has $test in its name" >&2; exit 2; }
  echo "run $run of $count: $(sed -n 's/^test result: //p' "$output")"
done
