"""The lines of the documentation, as a reader runs them."""

import re
import shutil
import subprocess
import sys

from artifacts import ROOT, Artifacts


def script(name: str) -> str:
    """The block of the page about moving behind `<!-- run: name -->`."""
    page = (ROOT / "docs" / "moving-from-onnxruntime-training.md").read_text()
    return re.search(rf"<!-- run: {re.escape(name)} -->\n```\w+\n(.*?)```", page, re.DOTALL).group(1)


def test_the_documented_python_lines_train_our_artifacts(build, tmp_path):
    artifacts: Artifacts = build(8, 16, "ort-training", "sgd")
    shutil.copytree(artifacts.folder, tmp_path / "D")
    lines = subprocess.run(
        [sys.executable, "-c", script("train.py")], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    losses = [float(line) for line in lines]
    assert len(losses) == 10
    assert losses[-1] < losses[0]
