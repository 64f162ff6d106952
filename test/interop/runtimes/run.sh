#!/usr/bin/env bash
# Runs an exported network in other people's runtimes: run.sh [--run DIR] [pytest arguments, such as -k openvino].
# The first run makes .venv-runtimes with python3.11, or with what PYTHON names; what cannot be installed is skipped by name.
set -euo pipefail
cd "$(dirname "$0")/../../.."

here=test/interop/runtimes
venv=.venv-runtimes
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
if ! cmp -s $here/requirements.txt $venv/requirements.txt; then
  "${PYTHON:-python3.11}" -m venv --clear $venv
  "${pip[@]}" -r $here/requirements.txt || while read -r package; do
    "${pip[@]}" "$package" || echo "cannot install $package" >&2
  done <$here/requirements.txt
  cp $here/requirements.txt $venv/requirements.txt
fi

node_modules/.bin/tsc -b
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=test/interop PATH="$PWD/$venv/bin:$PATH"
exec $venv/bin/python -m pytest -p no:cacheprovider --rootdir $here $here "$@"
