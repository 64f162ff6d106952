"""Low-rank adapters beside the same ones in PyTorch: 20 steps, and the exported model."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from exporters import export
from tensors import decode, encode
from training import ADAMW, ROOT, RULES, reason

STEPS = 20
RANK, ALPHA = 2, 5
LAYERS = ("0", "3", "5")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.Tanh(), nn.Linear(8, 3)
    )


class Adapter(nn.Module):
    """weight + alpha / rank * B A, in the shape of the weight."""

    def __init__(self, a: np.ndarray, b: np.ndarray):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(value)) for value in (a, b))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (ALPHA / RANK * self.b @ self.a).reshape(weight.shape)


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(6, 2, 6, 6), torch.randn(6, 3)) for _ in range(STEPS)]


def train_ours(folder: Path, optimizer: str, rate: float) -> dict:
    file, run, results = (folder / name for name in ("base.onnx", "run.json", "results.json"))
    file.write_bytes(export(network(), {"x": torch.randn(2, 2, 6, 6)}, "torchscript"))
    feeds = [encode({"x": x.numpy(), "target": target.numpy()}) for x, target in batches()]
    options = {
        "loss": "mse",
        "optimizer": RULES[optimizer],
        "learningRate": rate,
        "lora": {"rank": RANK, "alpha": ALPHA},
    }
    evaluation = {"x": feeds[0]["x"]}
    run.write_text(
        json.dumps({"model": str(file), "options": options, "batches": feeds, "evaluation": evaluation})
    )
    script = ROOT / "test/interop/families/train-model.js"
    done = subprocess.run(["node", script, run, results], capture_output=True, text=True)
    assert done.returncode == 0, reason(done.stderr)
    return json.loads(results.read_text())


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adamw", 0.01)])
def test_adapters_take_the_steps_of_pytorch(tmp_path: Path, optimizer: str, rate: float):
    ours = train_ours(tmp_path, optimizer, rate)
    initial, trained = decode(ours["initial"]), decode(ours["trained"])
    assert sorted(initial) == sorted(f"{layer}.weight.lora_{side}" for layer in LAYERS for side in "AB")
    module = network().requires_grad_(False)
    for layer in LAYERS:
        name = f"{layer}.weight.lora_"
        assert not initial[f"{name}B"].any()
        parametrize.register_parametrization(
            module[int(layer)], "weight", Adapter(initial[f"{name}A"], initial[f"{name}B"])
        )
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    assert len(parameters) == 2 * len(LAYERS)
    update = (
        torch.optim.SGD(parameters, rate)
        if optimizer == "sgd"
        else torch.optim.AdamW(
            parameters,
            rate,
            betas=(ADAMW["alpha"], ADAMW["beta"]),
            eps=ADAMW["epsilon"],
            weight_decay=ADAMW["weightDecay"],
        )
    )
    losses = []
    for x, target in batches():
        update.zero_grad()
        loss = nn.functional.mse_loss(module(x), target)
        loss.backward()
        update.step()
        losses.append(loss.item())
    np.testing.assert_allclose(ours["losses"], losses, rtol=1e-4)
    for layer in LAYERS:
        adapter = module[int(layer)].parametrizations.weight[0]
        for side, expected in (("A", adapter.a), ("B", adapter.b)):
            found = trained[f"{layer}.weight.lora_{side}"]
            np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        expected = module(batches()[0][0]).numpy()
    # the exported file has the adapters merged into its weights
    np.testing.assert_allclose(decode(ours["outputs"])["output"], expected, rtol=1e-3, atol=1e-5)
