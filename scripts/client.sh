#!/usr/bin/env bash
# The Python client: its types, its wheel, and its tests on what the wheel holds; then the example
# agents that ask models, by the vendors' SDKs, against services played on this machine.
# usage: client.sh QUORATE  (the built program)
# What it is checked with is pinned in clients/python/requirements.txt; Kafka's client comes with the
# environment that the example agents have.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
client=$root/clients/python
QUORATE=$(realpath "$1")
export QUORATE

python=$("$root/scripts/python.sh" "$client/requirements.txt")
kafka=$("$root/scripts/python.sh")
passing=$(mktemp -d "${TMPDIR:-/tmp}/quorate-client.XXXXXX")
trap 'rm -rf "$passing"' EXIT
cd "$passing"

echo "== the Python client: types"
"$python" -m mypy --cache-dir "$passing/mypy" --config-file "$client/pyproject.toml" \
  --python-executable "$kafka" "$client/src/quorate"

echo "== the Python client: its wheel, made from its source distribution, in an empty environment"
"$python" -m build --no-isolation --outdir "$passing/dist" "$client" > build.log 2>&1 ||
  { cat build.log >&2; exit 1; }
python3 -m venv "$passing/empty"
"$passing/empty/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index \
  dist/quorate-*.whl
"$passing/empty/bin/python" "$client/tests/wheel.py" "$root/schemas" dist/quorate-*.whl
"$python" -m mypy --cache-dir "$passing/mypy" --strict --python-version 3.10 \
  --python-executable "$passing/empty/bin/python" "$client/tests/uses.py"

echo "== the Python client: tests, of what the wheel holds; and agents that ask models"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
  --target "$passing/site" dist/quorate-*.whl
cp -R "$client/tests" "$passing/tests"
cp -R "$root/examples/agents/tests" "$passing/models"
models=$("$root/scripts/python.sh" "$root/examples/agents/models.txt")
export QUORATE_ROOT=$root PYTHONPATH=$passing/site:$root/examples/agents
export PYTHONWARNINGS=ignore::DeprecationWarning

# test_of INTERPRETER FOLDER PATTERN: plays the files' tests; what they say is shown once they are through.
test_of() {
  local log status=0
  log=$(mktemp "$passing/log.XXXXXX")
  "$1" -m unittest discover -s "$2" -t . -p "$3" > "$log" 2>&1 || status=$?
  { echo "-- $2/$3"; cat "$log"; } >&2
  return $status
}

# Most of them wait most of the time. Together the patterns name every file.
jobs=()
test_of "$kafka" tests 'test_[!dkp]*.py' & jobs+=($!)
test_of "$kafka" tests 'test_[dp]*.py' & jobs+=($!)
test_of "$kafka" tests 'test_k*.py' & jobs+=($!)
test_of "$models" models 'test_*.py' & jobs+=($!)
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
exit "$failed"
