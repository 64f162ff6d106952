#!/bin/sh
# Tests our files against PyTorch, onnx and ONNX Runtime's own training: run.sh [pytest arguments].
# The first run makes .venv with python3.11, or with what PYTHON names.
set -eu
cd "$(dirname "$0")/../.."

if ! cmp -s test/interop/requirements.txt .venv/requirements.txt; then
  "${PYTHON:-python3.11}" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r test/interop/requirements.txt
  cp test/interop/requirements.txt .venv/requirements.txt
fi

node_modules/.bin/tsc -b
PYTHONDONTWRITEBYTECODE=1 exec .venv/bin/python -m pytest -p no:cacheprovider test/interop "$@"
