"""The models of ONNX Runtime's training examples: their steps in ours, in PyTorch, and in ONNX Runtime 1.19.2."""

import json
import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from notebooks import NOTEBOOKS, Inputs, Notebook, export, made, model_inputs
from tensors import Tensors, decode, encode

ROOT = Path(__file__).resolve().parents[3]
STEPS = 8
RATE = 1e-3
EPSILON = 1e-6
# those of generate_artifacts; its mode adds epsilon before the bias is corrected, PyTorch's, 0, after it
ADAMW = {"kind": "adamw", "alpha": 0.9, "beta": 0.999, "epsilon": EPSILON, "weightDecay": 0, "correctBias": True}
PYTORCHS, ONNX_RUNTIMES = 0, 1

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
CASES = [
    pytest.param(name, exporter, marks=[] if notebook.quick and exporter == "torchscript" else [pytest.mark.slow])
    for name, notebook in NOTEBOOKS.items()
    for exporter in notebook.exports
]


@dataclass(frozen=True)
class Outcome:
    """The losses of the steps, the trained parameters, and the outputs of the trained model for the first batch."""

    losses: np.ndarray
    trained: Tensors
    outputs: Tensors


def batches(notebook: Notebook) -> list[Inputs]:
    """Two batches in turns, so that the loss falls."""
    torch.manual_seed(1)
    drawn = [notebook.sample(), notebook.sample()]
    return [drawn[i % 2] for i in range(STEPS)]


def named(notebook: Notebook, module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that the notebook trains."""
    return {
        name: each
        for name, each in module.named_parameters()
        if notebook.trained is None or name in notebook.trained
    }


def train_in_torch(notebook: Notebook, module: nn.Module, steps: list[Inputs]) -> Outcome:
    """What is frozen is in evaluation mode, as ours has it: its batch normalisation keeps its statistics."""
    module.train(notebook.trained is None)
    parameters = named(notebook, module)
    update = torch.optim.AdamW(parameters.values(), RATE, eps=EPSILON, weight_decay=0)
    losses = []
    for feeds in steps:
        found = module(*model_inputs(notebook, feeds).values())
        loss = found[0] if notebook.has_loss else nn.functional.cross_entropy(found, feeds["labels"])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    with torch.no_grad():
        found = module.eval()(*model_inputs(notebook, steps[0]).values())
    outputs = dict(zip(notebook.outputs, found if notebook.has_loss else [found], strict=True))
    trained = {name: each.detach().numpy() for name, each in parameters.items() if each.grad is not None}
    return Outcome(np.array(losses), trained, {name: each.numpy() for name, each in outputs.items()})


def train_in_ours(notebook: Notebook, model: bytes, steps: list[Inputs], mode: int, folder: Path) -> Outcome:
    file, run, results = (folder / name for name in ("model.onnx", "run.json", "results.json"))
    file.write_bytes(model)
    options = {
        "loss": notebook.loss,
        "trainable": notebook.trained or "all",
        "optimizer": {**ADAMW, "mode": mode},
        "learningRate": RATE,
    }
    feeds = [encode({name: value.numpy() for name, value in each.items()}) for each in steps]
    evaluation = encode({name: value.numpy() for name, value in model_inputs(notebook, steps[0]).items()})
    run.write_text(
        json.dumps({"model": str(file), "options": options, "batches": feeds, "evaluation": evaluation})
    )
    script = ROOT / "test/interop/families/train-model.js"
    done = subprocess.run(["node", script, run, results], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(results.read_text())
    return Outcome(np.array(found["losses"]), decode(found["trained"]), decode(found["outputs"]))


def train_in_onnx_runtime(notebook: Notebook, model: bytes, steps: list[Inputs], folder: Path) -> Outcome:
    """The cells of the notebook: `generate_artifacts`, and training by ONNX Runtime 1.19.2."""
    from onnxruntime import InferenceSession
    from onnxruntime.training import artifacts
    from onnxruntime.training.api import CheckpointState, Module, Optimizer

    exported = onnx.load_from_string(model)
    names = [each.name for each in exported.graph.initializer]
    trained = notebook.trained or names
    artifacts.generate_artifacts(
        exported,
        optimizer=artifacts.OptimType.AdamW,
        loss=artifacts.LossType.CrossEntropyLoss,
        requires_grad=list(trained),
        frozen_params=[name for name in names if name not in trained],
        artifact_directory=folder,
    )
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    losses = []
    for feeds in steps:
        losses.append(module(feeds["input"].numpy(), feeds["labels"].numpy()))
        optimizer.step()
        module.lazy_reset_grad()
    module.export_model_for_inferencing(folder / "inference.onnx", ["output"])
    session = InferenceSession(folder / "inference.onnx")
    outputs = session.run(["output"], {"input": steps[0]["input"].numpy()})
    parameters = {name: state.parameters[name].data.copy() for name in trained}
    return Outcome(np.array(losses), parameters, {"output": outputs[0]})


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm((actual - expected).ravel()) / np.linalg.norm(expected.ravel()))


def assert_equal(actual: Outcome, expected: Outcome) -> None:
    assert expected.losses[-2:].mean() < expected.losses[:2].mean()
    np.testing.assert_allclose(actual.losses, expected.losses, rtol=1e-4)
    assert sorted(actual.trained) == sorted(expected.trained)
    errors = {each: relative_error(actual.trained[each], expected.trained[each]) for each in expected.trained}
    worst = max(errors, key=errors.__getitem__)
    assert errors[worst] < 1e-3, f"{worst}: {errors[worst]:.1e}"
    for output, values in expected.outputs.items():
        assert relative_error(actual.outputs[output], values) < 1e-3, output


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_the_steps_of_a_notebook_are_pytorchs(name: str, exporter: str, tmp_path: Path):
    notebook = NOTEBOOKS[name]
    try:
        module = made(notebook)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    model = export(notebook, module, exporter)
    steps = batches(notebook)
    actual = train_in_ours(notebook, model, steps, PYTORCHS, tmp_path)
    assert_equal(actual, train_in_torch(notebook, module, steps))


@pytest.mark.parametrize("name", ["MNIST", "MobileNet v2"])
def test_the_steps_of_a_notebook_are_onnx_runtimes(name: str, tmp_path: Path):
    notebook = NOTEBOOKS[name]
    model = export(notebook, made(notebook), "torchscript")
    steps = batches(notebook)
    actual = train_in_ours(notebook, model, steps, ONNX_RUNTIMES, tmp_path)
    assert_equal(actual, train_in_onnx_runtime(notebook, model, steps, tmp_path))
