"""Frozen models against the network in PyTorch in float64, and against onnx's own definition of the format."""

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession
from onnxruntime.training.api import CheckpointState

from artifacts import ROOT, SHAKE, run
from shakenet_torch import ShakeNet

SHAPES = {"mean": [125.0, 125.4, 125.6], "std": [68.0, 67.6, 67.5]}
DEPTH, WIDTH, IMAGES = 14, 4, 5


def shake(*arguments: object) -> None:
    subprocess.run(["node", SHAKE, *map(str, arguments)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of a few steps, so that no running statistic is what it was."""
    folder = tmp_path_factory.mktemp("run") / "run"
    flags = {"depth": DEPTH, "width": WIDTH, "train-limit": 160, "test-limit": 100, "epochs": 2, "batch-size": 16}
    shake("train", "--run-dir", folder, *(f"--{name}={value}" for name, value in flags.items()))
    return folder


def reference(trained: Path) -> ShakeNet:
    """The run's last checkpoint in PyTorch in float64."""
    state = CheckpointState.load_checkpoint(trained / "checkpoints" / "last")
    net = ShakeNet(DEPTH, WIDTH, **SHAPES).double()
    net.load_state_dict({name: torch.from_numpy(parameter.data.copy()) for name, parameter in state.parameters})
    return net


@pytest.fixture(scope="module")
def expected(trained: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and the logits that PyTorch makes of them."""
    net = reference(trained)
    pixels = np.random.default_rng(3).integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8)
    return pixels, net.evaluate(torch.from_numpy(pixels)).numpy()


def error(actual: np.ndarray, truth: np.ndarray) -> float:
    assert actual.shape == truth.shape
    return float(np.abs(actual - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("opset", range(11, 22))
@pytest.mark.parametrize("layout", ["float32-nchw", "uint8-nhwc"])
def test_every_opset_is_sound_and_gives_the_logits_of_pytorch(trained, expected, tmp_path, opset, layout):
    pixels, logits = expected
    path = tmp_path / "model.onnx"
    shake("export", trained, "--out", path, "--opset", opset, "--input", layout)
    onnx.checker.check_model(path, full_check=True)
    images = pixels.astype(np.float32) if layout == "float32-nchw" else pixels.transpose(0, 2, 3, 1)
    session = InferenceSession(path)
    assert error(run(session, {"images": np.ascontiguousarray(images)})["logits"], logits) < 1e-5


def test_the_reference_evaluator_of_onnx_agrees(trained, expected):
    pixels, logits = expected
    outputs = ReferenceEvaluator(str(trained / "model.onnx")).run(None, {"images": pixels.astype(np.float32)})
    assert error(outputs[0], logits) < 1e-5


def test_probabilities_are_the_softmax(trained, expected, tmp_path):
    pixels, logits = expected
    path = tmp_path / "model.onnx"
    shake("export", trained, "--out", path, "--output", "probabilities", "--opset", 11)
    found = run(InferenceSession(path), {"images": pixels.astype(np.float32)})["probabilities"]
    assert np.allclose(found, torch.from_numpy(logits).softmax(1), atol=1e-5)


def test_alpha_as_an_input_mixes_the_branches(trained, expected, tmp_path):
    pixels, _ = expected
    path = tmp_path / "model.onnx"
    shake("export", trained, "--out", path, "--alpha-input")
    onnx.checker.check_model(path, full_check=True)
    net = reference(trained)
    alpha = np.random.default_rng(4).random((DEPTH - 2) // 2, dtype=np.float32)
    with torch.no_grad():
        each = torch.from_numpy(alpha).double()[:, None].expand(-1, IMAGES)
        truth = net.eval()(torch.from_numpy(pixels), each, each).numpy()
    found = run(InferenceSession(path), {"images": pixels.astype(np.float32), "alpha": alpha})["logits"]
    assert error(found, truth) < 1e-5


# the reference evaluator knows DequantizeLinear from opset 19 on
@pytest.mark.parametrize("opset", [13, 19, 21])
def test_int8_is_what_the_format_says_it_is(trained, expected, tmp_path, opset):
    pixels, logits = expected
    path = tmp_path / "model.onnx"
    shake("export", trained, "--out", path, "--precision", "int8", "--opset", opset)
    onnx.checker.check_model(path, full_check=True)
    feeds = {"images": pixels.astype(np.float32)}
    found = run(InferenceSession(path), feeds)["logits"]
    # these pixels are noise, which is not what it was calibrated on
    assert error(found, logits) < 0.15
    if opset >= 19:
        by_definition = ReferenceEvaluator(str(path)).run(None, feeds)[0]
        # a sum in the middle of two steps may be rounded to either
        assert error(found, by_definition) < 2e-2


def test_float16_is_sound_and_near(trained, expected, tmp_path):
    pixels, logits = expected
    path = tmp_path / "model.onnx"
    shake("export", trained, "--out", path, "--precision", "float16", "--input", "uint8-nhwc")
    onnx.checker.check_model(path, full_check=True)
    images = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    assert error(run(InferenceSession(path), {"images": images})["logits"], logits) < 1e-2
