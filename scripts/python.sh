#!/usr/bin/env bash
# Python with what a file of requirements names, pinned, and nothing of ours: by default the clients
# that the example agents are written with. Prints the interpreter's path. The environment is made
# once for each version of the file and kept in $QUORATE_CACHE (default: .cache).
# usage: python.sh [REQUIREMENTS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wanted=${1:-$root/examples/agents/requirements.txt}
mkdir -p "${QUORATE_CACHE:-$root/.cache}"
made=$(cd "${QUORATE_CACHE:-$root/.cache}" && pwd)/python-$(sha256sum "$wanted" | cut -c1-12)

exec 9> "$made.lock"
flock 9
if [ ! -e "$made/.complete" ]; then
  rm -rf "$made"
  python3 -m venv "$made"
  "$made/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted" >&2
  touch "$made/.complete"
fi
echo "$made/bin/python"
