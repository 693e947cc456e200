#!/bin/sh
# Lays an MCP server from PyPI, exactly as it is published, out as a bundle in ./bundle (or in the directory that is given).
# Each package is pinned with its hashes, and nothing of it is executed here: wheels alone, no build scripts.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bundle=${1:-$here/bundle}
# The interpreter that the sandbox offers, so that compiled modules fit it.
python=${PYTHON:-/usr/bin/python3}

rm -rf "$bundle"
mkdir -p "$bundle"
"$python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile --only-binary :all: \
  --require-hashes --requirement "$here/requirements.txt" --target "$bundle"
# Scripts name the interpreter of this machine, and nobody calls them.
rm -rf "$bundle/bin"
# Compiled in advance, and not held against times of files: a bundle has none, and cannot be written to.
"$python" -m compileall -q -j 0 -s "$bundle" -p /skill --invalidation-mode unchecked-hash "$bundle"
install -m 644 "$here/manifest.json" "$bundle/manifest.json"
echo "$bundle"
