"""The examples that train with ONNX Runtime alone, by a chunk of steps in one model."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

import dotnet
from artifacts import ROOT, SHAKE

EXAMPLES = ROOT / "examples" / "epoch-model"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("epoch-model") / "artifacts"
    flags = ["--depth", "8", "--width", "4", "--data", "cifar10", "--target", "standard", "--chunk"]
    subprocess.run(["node", SHAKE, "build-graph", *flags, "--out", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A file in CIFAR-10's binary form: each class has a brightness of its own."""
    random = np.random.default_rng(3)
    labels = np.arange(1200, dtype=np.int64) % 10
    images = 12 + 25 * labels[:, None] + random.integers(-10, 10, (1200, 3 * 32 * 32))
    records = np.concatenate([labels[:, None], images.clip(0, 255)], 1).astype(np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "data_batch_1.bin"
    path.write_bytes(records.tobytes())
    return path


def losses_in(output: str) -> list[float]:
    losses = [float(loss) for loss in re.findall(r"^epoch \d: loss (\S+)$", output, re.MULTILINE)]
    assert len(losses) == 2, output
    return losses


def test_python_trains_with_onnx_runtime_alone(artifacts: Path, pictures: Path, tmp_path: Path):
    trained = tmp_path / "trained.onnx"
    command = [sys.executable, EXAMPLES / "train.py", artifacts, pictures, trained]
    first, last = losses_in(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert last < 0.9 * first
    session = InferenceSession(trained)
    assert [value.name for value in session.get_inputs()] == ["images", "labels"]
    images = np.frombuffer(pictures.read_bytes(), np.uint8).reshape(-1, 3073)[:100]
    feeds = {
        "images": images[:, 1:].reshape(-1, 3, 32, 32),
        "labels": images[:, 0].astype(np.int64),
    }
    loss, _, logits = session.run(None, feeds)
    expected = -np.log(np.take_along_axis(softmax(logits), feeds["labels"][:, None], 1)).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


@pytest.mark.slow
def test_csharp_trains_with_onnx_runtime_alone(artifacts: Path, pictures: Path, tmp_path: Path):
    program = dotnet.compile_program(EXAMPLES / "Train.cs", tmp_path)
    first, last = losses_in(dotnet.dotnet(program, artifacts, pictures))
    assert last < 0.9 * first
