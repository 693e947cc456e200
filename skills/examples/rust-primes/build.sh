#!/bin/sh
# Builds the skill and lays its bundle out in ./bundle (or in the directory that is given).
# The program is linked statically where the C library can be, so that it needs nothing of the host that runs it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bundle=${1:-$here/bundle}

build() {
  cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --target-dir "$here/target"
}
if ! RUSTFLAGS="-C target-feature=+crt-static" build 2>/dev/null; then
  echo "no static C library here: linking dynamically" >&2
  build
fi

rm -rf "$bundle"
mkdir -p "$bundle"
install -m 755 "$here/target/release/rust-primes" "$bundle/rust-primes"
install -m 644 "$here/manifest.json" "$bundle/manifest.json"
echo "$bundle"
