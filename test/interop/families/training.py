"""The same training in PyTorch and in ours."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from registry import BATCHES, Family
from tensors import Tensors, decode, encode

ROOT = Path(__file__).resolve().parents[3]
STEPS = 20

# An epsilon that drowns rounding: AdamW divides the gradient by its size, so a gradient that is zero in exact
# arithmetic (the bias of attention's keys) would move its parameter by the sign of its rounding error.
ADAMW = {"alpha": 0.9, "beta": 0.999, "epsilon": 1e-4, "weightDecay": 0.01, "correctBias": True, "mode": 0}
RULES = {"sgd": {"kind": "sgd"}, "adamw": {"kind": "adamw", **ADAMW}}


@dataclass(frozen=True)
class Outcome:
    """The losses of the steps, the elements of the parameters before and after, and an evaluation after the last."""

    losses: np.ndarray
    initial: Tensors
    trained: Tensors
    output: np.ndarray


def make(family: Family, seed: int = 0) -> nn.Module:
    """The module with parameters of which no two elements are equal, so that each is found in an exported file."""
    torch.manual_seed(seed)
    module = family.module()
    taken: set[float] = set()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
            elements = parameter.numpy().ravel()
            for i, element in enumerate(elements):
                while float(element) in taken:
                    element = np.nextafter(element, np.float32(10))
                taken.add(float(element))
                elements[i] = element
    return module


@dataclass(frozen=True)
class Batch:
    inputs: dict[str, torch.Tensor]
    target: torch.Tensor


def batches(family: Family, module: nn.Module) -> list[Batch]:
    """Four batches over and over, of two sizes."""
    torch.manual_seed(1)
    drawn = []
    for size in BATCHES * 2:
        inputs = family.sample(size)
        with torch.no_grad():
            outputs = module.eval()(*inputs.values())
        drawn.append(Batch(inputs, family.loss.draw(outputs)))
    return [drawn[i % len(drawn)] for i in range(STEPS)]


def parameters_of(module: nn.Module) -> Tensors:
    return {name: parameter.detach().numpy().copy() for name, parameter in module.named_parameters()}


def torch_optimizer(module: nn.Module, optimizer: str, rate: float) -> torch.optim.Optimizer:
    if optimizer == "sgd":
        return torch.optim.SGD(module.parameters(), rate)
    return torch.optim.AdamW(
        module.parameters(),
        rate,
        betas=(ADAMW["alpha"], ADAMW["beta"]),
        eps=ADAMW["epsilon"],
        weight_decay=ADAMW["weightDecay"],
    )


def follow_onnx_variances(module: nn.Module) -> None:
    """Lets running variances move by the variance of the batch, as ONNX defines it. PyTorch's own move by that times
    n / (n - 1)."""

    def keep(layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        layer.variance_before = layer.running_var.clone()

    def correct(layer: nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        if layer.training:
            variance = inputs[0].detach().var((0, 2, 3), correction=0)
            layer.running_var = layer.variance_before.lerp(variance, layer.momentum)

    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(keep)
            layer.register_forward_hook(correct)


def train_in_torch(family: Family, module: nn.Module, optimizer: str, steps: list[Batch]) -> Outcome:
    initial = parameters_of(module)
    follow_onnx_variances(module)
    module.train()
    update = torch_optimizer(module, optimizer, family.rate[optimizer])
    losses = []
    for batch in steps:
        update.zero_grad()
        loss = family.loss.value(module(*batch.inputs.values()), batch.target)
        loss.backward()
        update.step()
        losses.append(loss.item())
    with torch.no_grad():
        output = module.eval()(*steps[0].inputs.values()).numpy()
    return Outcome(np.array(losses), initial, parameters_of(module), output)


def train_in_ours(family: Family, file: Path, optimizer: str, steps: list[Batch]) -> Outcome:
    def feeds(batch: Batch) -> dict:
        given = {**batch.inputs, family.loss.target: batch.target}
        return encode({name: value.numpy() for name, value in given.items()})

    description = {
        "model": str(file),
        "options": {
            "loss": family.loss.name,
            "lossInput": family.output,
            "optimizer": RULES[optimizer],
            "learningRate": family.rate[optimizer],
        },
        "batches": [feeds(batch) for batch in steps],
        "evaluation": encode({name: value.numpy() for name, value in steps[0].inputs.items()}),
    }
    run, results = file.with_suffix(f".{optimizer}.run.json"), file.with_suffix(f".{optimizer}.json")
    run.write_text(json.dumps(description))
    script = ROOT / "test/interop/families/train-model.js"
    done = subprocess.run(["node", script, run, results], capture_output=True, text=True)
    assert done.returncode == 0, reason(done.stderr)
    outcome = json.loads(results.read_text())
    return Outcome(
        np.array(outcome["losses"]),
        decode(outcome["initial"]),
        decode(outcome["trained"]),
        decode(outcome["outputs"])[family.output],
    )


def reason(errors: str) -> str:
    """The sentence of what Node printed of an error."""
    return next((line for line in errors.splitlines() if "Error: " in line), errors)


def in_order_of(ours: Outcome, expected: Outcome) -> Tensors:
    """PyTorch's trained parameters as ours lie in the file: exporters transpose, join and reorder them, and rename
    some. Each element is found by its first value. Every element that PyTorch trains must be there."""
    first = np.concatenate([value.ravel() for value in expected.initial.values()])
    last = np.concatenate([value.ravel() for value in expected.trained.values()])
    places = {float(value): i for i, value in enumerate(first)}
    found = {
        name: np.array([places.get(float(value), -1) for value in values.ravel()])
        for name, values in ours.initial.items()
    }
    unknown = [name for name, indices in found.items() if (indices < 0).any()]
    assert not unknown, f"trained, though no parameters of the module: {unknown}"
    missing = np.ones(len(first), bool)
    missing[np.concatenate(list(found.values()))] = False
    ends = np.cumsum([value.size for value in expected.initial.values()])
    lost = {list(expected.initial)[np.searchsorted(ends, i, "right")] for i in np.flatnonzero(missing)}
    assert not lost, f"not among the trained parameters: {lost}"
    return {name: last[indices].reshape(ours.initial[name].shape) for name, indices in found.items()}
