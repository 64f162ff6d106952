"""Our checkpoints against ONNX Runtime's own reader and writer."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.training.api import CheckpointState
from onnxruntime.training.onnxblock import save_checkpoint

from artifacts import Artifacts, recode, resave

TYPES = [
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]


@pytest.fixture
def saved(tmp_path) -> Path:
    """A checkpoint by ONNX Runtime with every element type and every kind of property."""
    random = np.random.default_rng(1)
    tensors = [onnx.numpy_helper.from_array(random.integers(0, 2, (3, 1, 2)).astype(t), t) for t in TYPES]
    scalar = onnx.numpy_helper.from_array(np.array(5, np.int64), "num_batches_tracked")
    path = tmp_path / "saved"
    save_checkpoint((tensors[:1], [*tensors[1:], scalar]), path)
    state = CheckpointState.load_checkpoint(path)
    state.properties["epoch"] = 2**40
    state.properties["error"] = 0.125
    state.properties["scheme"] = "S-S-I, naïve"
    CheckpointState.save_checkpoint(state, path)
    return path


def test_ours_reads_and_writes_everything_that_onnx_runtime_saves(saved: Path):
    recoded = CheckpointState.load_checkpoint(recode(saved))
    state = CheckpointState.load_checkpoint(saved)
    assert dict(recoded.properties) == dict(state.properties)
    expected = dict(state.parameters)
    for name, parameter in recoded.parameters:
        np.testing.assert_array_equal(parameter.data, expected[name].data, strict=True)
        assert parameter.requires_grad == expected[name].requires_grad
    assert len(recoded.parameters) == len(expected) == len(TYPES) + 1


def test_nothing_is_lost_on_the_way_through_ours(saved: Path):
    assert resave(recode(saved)) == resave(saved)


@pytest.mark.parametrize("optimizer", ["sgd-nesterov", "adamw"])
def test_onnx_runtime_reads_our_initial_checkpoint(build, optimizer: str):
    artifacts: Artifacts = build(8, 4, "ort-training", optimizer)
    state = CheckpointState.load_checkpoint(artifacts.checkpoint)
    names = artifacts.reference().state_dict().keys()
    assert {name for name, _ in state.parameters} == names
    for name, parameter in state.parameters:
        assert parameter.requires_grad == (not name.endswith(("running_mean", "running_var")))
    assert state.properties["seed"] == 1
    weight = state.parameters["stage3.block0.branch1.conv2.weight"].data
    assert weight.std() == pytest.approx(np.sqrt(2 / (9 * 16)), rel=0.1)
