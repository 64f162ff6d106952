"""Our optimizer models against torch.optim, with groups of parameters and with clipping."""

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

SCRIPT = Path(__file__).parent / "write-optimizer.js"
SHAPES = {"layer.weight": (4, 3), "layer.bias": (4,), "conv.weight": (3, 2, 2, 2)}
STEPS = 20

ADAMW = {"kind": "adamw", "alpha": 0.9, "beta": 0.999, "epsilon": 1e-8, "correctBias": True, "mode": 0}


def sgd(**settings):
    return lambda groups: torch.optim.SGD(groups, lr=1, **settings)


def adamw(**settings):
    return lambda groups: torch.optim.AdamW(groups, lr=1, **settings)


MUON = {"kind": "muon", "momentum": 0.9, "weightDecay": 0.1, "newtonSchulzSteps": 5, "sgdRate": 4}


class Muon:
    """torch.optim.Muon in float32 for matrices, of which a filter is one, and torch.optim.SGD for vectors."""

    def __init__(self, groups):
        matrices, vectors = (group["params"] for group in groups)
        self.param_groups = groups
        self.matrices = [torch.nn.Parameter(p.detach().view(len(p), -1)) for p in matrices]
        self.muon = torch.optim.Muon(self.matrices, momentum=0.9, weight_decay=0.1)
        self.sgd = torch.optim.SGD(vectors, momentum=0.9, weight_decay=0.1 / 4, nesterov=True)

    def step(self):
        for matrix, p in zip(self.matrices, self.param_groups[0]["params"]):
            matrix.grad = p.grad.view_as(matrix)
        self.muon.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self.sgd.param_groups[0]["lr"] = 4 * self.param_groups[1]["lr"]
        self.muon.step()
        self.sgd.step()


# our rule, PyTorch's optimizer, the settings of the bias's group, the limits of the gradients
CASES = {
    "sgd": ({"kind": "sgd"}, sgd(), {}),
    "sgd with decay": ({"kind": "sgd", "weightDecay": 0.1}, sgd(weight_decay=0.1), {}),
    "momentum": (
        {"kind": "sgd-momentum", "momentum": 0.9, "weightDecay": 0.01},
        sgd(momentum=0.9, weight_decay=0.01),
        {},
    ),
    "nesterov": (
        {"kind": "sgd-nesterov", "momentum": 0.9, "weightDecay": 0.01},
        sgd(momentum=0.9, weight_decay=0.01, nesterov=True),
        {},
    ),
    "adamw": (ADAMW | {"weightDecay": 0.01}, adamw(weight_decay=0.01), {}),
    "adamw with other betas": (
        ADAMW | {"alpha": 0.8, "beta": 0.95, "epsilon": 1e-3, "weightDecay": 0},
        adamw(betas=(0.8, 0.95), eps=1e-3, weight_decay=0),
        {},
    ),
    "a group": (
        ADAMW
        | {
            "weightDecay": 0.1,
            "groups": {"*.bias": {"weightDecay": 0, "learningRate": 0.1, "alpha": 0.5}},
        },
        adamw(weight_decay=0.1),
        {"weight_decay": 0, "factor": 0.1, "betas": (0.5, 0.999)},
    ),
    "muon": (MUON, Muon, {}),
    "clipped by norm": ({"kind": "sgd", "maxNorm": 0.5}, sgd(), {}),
    "clipped by value": (
        {"kind": "sgd-momentum", "momentum": 0.5, "weightDecay": 0, "clipValue": 0.3},
        sgd(momentum=0.5),
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_are_those_of_pytorch(name: str, tmp_path: Path, monkeypatch):
    # torch.optim.Muon iterates in bfloat16; ours stays in float32
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    rule, optimizer_of, group = CASES[name]
    path = tmp_path / "optimizer.onnx"
    subprocess.run(["node", SCRIPT, path, json.dumps(rule)], check=True)
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {i.name: i.shape for i in session.get_inputs()}
    outputs = [o.name for o in session.get_outputs()]

    random = np.random.default_rng(1)
    state = {n: np.zeros(s, np.float32) for n, s in inputs.items() if n not in ("learning_rate", "step")}
    state |= {n: random.normal(size=s).astype(np.float32) for n, s in SHAPES.items()}
    weights = {n: torch.nn.Parameter(torch.from_numpy(state[n].copy())) for n in SHAPES}
    factor = group.get("factor", 1)
    settings = {key: value for key, value in group.items() if key != "factor"}
    optimizer = optimizer_of(
        [
            {"params": [weights["layer.weight"], weights["conv.weight"]]},
            {"params": [weights["layer.bias"]], **settings},
        ]
    )
    for step in range(1, STEPS + 1):
        rate = 0.1 / step
        for own, scale in zip(optimizer.param_groups, (1, factor)):
            own["lr"] = rate * scale
        for n, shape in SHAPES.items():
            gradient = random.normal(size=shape).astype(np.float32)
            state[f"{n}_grad"] = gradient
            weights[n].grad = torch.from_numpy(gradient.copy())
        if "maxNorm" in rule:
            torch.nn.utils.clip_grad_norm_(weights.values(), rule["maxNorm"])
        if "clipValue" in rule:
            torch.nn.utils.clip_grad_value_(weights.values(), rule["clipValue"])
        optimizer.step()
        controls = {"learning_rate": np.array([rate], np.float32), "step": np.array([step], np.int64)}
        feeds = {n: (controls | state)[n] for n in inputs}
        for output, value in zip(outputs, session.run(outputs, feeds)):
            state[output.removesuffix("_next")] = value
    for n in SHAPES:
        np.testing.assert_allclose(state[n], weights[n].detach().numpy(), rtol=2e-5, atol=2e-6)
