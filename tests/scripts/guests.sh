#!/bin/sh
# Builds plugins for WebAssembly.
#
#   guests.sh BUILD OUT PACKAGE...
#
# builds the packages in the folder BUILD and leaves OUT/PACKAGE.wasm. BUILD is not the outer build
# folder, which is locked while this runs within a build; checkouts may share it, one after the other.
set -eu

build=$1
out=$2
shift 2
[ $# -gt 0 ] || exit 0
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
made=$build/wasm32-wasip2/plugin

mkdir -p "$build" "$out"
exec 9>"$build/.lock"
flock 9

# Cargo keeps a component under the name of its crate, without a hash: what another checkout built last
# must not be taken for ours.
if [ "$(cat "$build/.checkout" 2>/dev/null)" != "$root" ]; then
  rm -f "$made"/*.wasm "$made"/deps/*.wasm
  echo "$root" >"$build/.checkout"
fi

packages=
for package in "$@"; do packages="$packages -p $package"; done
cd "$root"
# shellcheck disable=SC2086 # one word a package
"${CARGO:-cargo}" build --quiet --target wasm32-wasip2 --profile plugin --target-dir "$build" $packages 9>&-

for package in "$@"; do
  file=$made/$(echo "$package" | tr - _).wasm
  # By one rename, so that a worker that watches the folder never sees half of it; unchanged files stay.
  if ! cmp -s "$file" "$out/$package.wasm"; then
    cp "$file" "$out/.$package.part"
    chmod 644 "$out/.$package.part"
    mv "$out/.$package.part" "$out/$package.wasm"
  fi
done
