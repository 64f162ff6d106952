#!/bin/sh
# What our compiler makes of ONNX's backend node tests, by operator, against exclusions.txt:
# run.sh [PART of the tests' names] [--sample N] [--reasons] [--update].
# The first run makes .venv-onnx with python3.11, or with what PYTHON names, and downloads four older releases of onnx.
set -eu
cd "$(dirname "$0")/../../.."

here=test/interop/node_tests
venv=.venv-onnx
if ! cmp -s $here/requirements.txt $venv/requirements.txt; then
  "${PYTHON:-python3.11}" -m venv --clear $venv
  $venv/bin/python -m pip install --quiet --disable-pip-version-check -r $here/requirements.txt
  $venv/bin/python -W ignore $here/collect.py $venv/node-tests
  cp $here/requirements.txt $venv/requirements.txt
fi

node_modules/.bin/tsc -b
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=test/interop exec $venv/bin/python $here/measure.py $venv/node-tests "$@"
