"""Every operator that is written, at every opset from 11 to 23, under onnx's full check."""

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).parents[2]
CONFIG = "test/interop/operators/vitest.config.ts"
NEWEST = min(23, onnx.defs.onnx_opset_version())


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, list[dict]]:
    """The folder of the files and their list."""
    folder = tmp_path_factory.mktemp("operators")
    command = ["node_modules/.bin/vitest", "run", "--config", CONFIG]
    environment = {**os.environ, "OUT": str(folder)}
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment)
    return folder, json.loads((folder / "cases.json").read_text())


def refusal(path: Path) -> str | None:
    """What the checker says against a file."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return str(error).splitlines()[0]
    return None


def test_the_checker_accepts_every_file_of_every_operator_and_opset(written):
    folder, cases = written
    graphs = defaultdict(list)
    for case in cases:
        if "file" in case and case["opset"] <= NEWEST:
            graphs[case["graph"]].append(case)
    wrong = []
    for files in graphs.values():
        refusals = {case["opset"]: refusal(folder / case["file"]) for case in files}
        # onnx has no such operator for these types
        if files[0]["isGuessed"] and refusals[max(refusals)]:
            continue
        wrong += [f"{files[0]['label']} at {opset}: {said}" for opset, said in refusals.items() if said]
    assert sum(len(files) for files in graphs.values()) > 8000
    assert wrong == []


def test_what_is_refused_names_the_node_and_the_opset(written):
    refused = [case for case in written[1] if "refused" in case]
    assert len({case["label"] for case in refused}) > 50
    for case in refused:
        assert f"cannot be written at opset {case['opset']}: " in case["refused"], case
