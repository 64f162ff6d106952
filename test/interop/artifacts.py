"""Training artifacts made by the real `shake`, and what the tests need to run them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from onnxruntime import InferenceSession
from onnxruntime.training.api import CheckpointState

from shakenet_torch import ShakeNet

ROOT = Path(__file__).resolve().parents[2]
SHAKE = ROOT / "dist" / "cli" / "main.js"


@dataclass(frozen=True)
class Artifacts:
    """A folder of training artifacts and its manifest."""

    folder: Path
    depth: int
    width: int

    @property
    def training_model(self) -> Path:
        return self.folder / "training_model.onnx"

    @property
    def eval_model(self) -> Path:
        return self.folder / "eval_model.onnx"

    @property
    def optimizer_model(self) -> Path:
        return self.folder / "optimizer_model.onnx"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def settings(self) -> dict:
        return json.loads((self.folder / "manifest.json").read_text())["settings"]

    @property
    def blocks(self) -> int:
        return (self.depth - 2) // 2

    def tensors(self) -> dict[str, np.ndarray]:
        """The checkpoint's parameters and statistics, read by ONNX Runtime."""
        state = CheckpointState.load_checkpoint(self.checkpoint)
        return {name: parameter.data.copy() for name, parameter in state.parameters}

    def reference(self) -> ShakeNet:
        """The network in PyTorch in float64 with the checkpoint's tensors."""
        net = ShakeNet(self.depth, self.width, mean=self.settings["mean"], std=self.settings["std"]).double()
        net.load_state_dict({name: torch.from_numpy(value) for name, value in self.tensors().items()})
        return net.train()


def build_graph(
    folder: Path, depth: int, width: int, target: str, optimizer: str, fused: bool = False, seed: int = 1
) -> Artifacts:
    """Runs `shake build-graph`."""
    options = {
        "depth": depth,
        "width": width,
        "target": target,
        "optimizer": optimizer,
        "fused": str(fused).lower(),
        "seed": seed,
        "out": folder,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    subprocess.run(["node", SHAKE, "build-graph", *arguments], check=True, cwd=ROOT)
    return Artifacts(folder, depth, width)


def recode(path: Path) -> Path:
    """What our decoder reads, written by our encoder."""
    output = path.with_name("recoded")
    subprocess.run(["node", ROOT / "test/interop/recode-checkpoint.js", path, output], check=True)
    return output


def resave(path: Path) -> bytes:
    """What ONNX Runtime reads, written by ONNX Runtime."""
    output = path.with_name("resaved")
    CheckpointState.save_checkpoint(
        CheckpointState.load_checkpoint(path), output, include_optimizer_state=True
    )
    return output.read_bytes()


def random_batch(blocks: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """What a training step is fed besides the parameters."""
    random = np.random.default_rng(seed)
    return {
        "images": random.integers(0, 256, (size, 3, 32, 32), dtype=np.uint8),
        "labels": random.integers(0, 10, size, dtype=np.int64),
        "alpha": random.random((blocks, size), dtype=np.float32),
        "beta": random.random((blocks, size), dtype=np.float32),
    }


def train_step(net: ShakeNet, batch: dict[str, np.ndarray]) -> tuple[float, int]:
    """Forward and backward in PyTorch: the loss and how many are correct; gradients are left in `.grad`."""
    images, labels, alpha, beta = (
        torch.from_numpy(batch[name]) for name in ("images", "labels", "alpha", "beta")
    )
    net.zero_grad()
    logits = net.train()(images, alpha.double(), beta.double())
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def run(session: InferenceSession, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a model on copies of what it asks for; every output by name."""
    inputs = {value.name: feeds[value.name].copy() for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def relative_error(actual: np.ndarray, truth: torch.Tensor) -> float:
    """The norm of the difference over the norm of the truth, a whole tensor at a time."""
    expected = truth.detach().numpy()
    assert actual.shape == expected.shape
    return float(np.linalg.norm((actual - expected).ravel()) / np.linalg.norm(expected.ravel()))


def relative_errors(actual: dict[str, np.ndarray], truth: dict[str, torch.Tensor]) -> dict[str, float]:
    """The relative error of every tensor; both sides must have the same names."""
    assert actual.keys() == truth.keys()
    return {name: relative_error(actual[name], truth[name]) for name in truth}


def gradients(net: ShakeNet) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def statistics(net: ShakeNet) -> dict[str, torch.Tensor]:
    return dict(net.named_buffers())


def outputs_named(outputs: dict[str, np.ndarray], suffix: str) -> dict[str, np.ndarray]:
    """The outputs `<name><suffix>`, by name."""
    return {name.removesuffix(suffix): value for name, value in outputs.items() if name.endswith(suffix)}


def torch_optimizer(artifacts: Artifacts, net: torch.nn.Module) -> torch.optim.Optimizer:
    """What `--optimizer` stands for in PyTorch."""
    settings = artifacts.settings
    decay = {"weight_decay": settings["weightDecay"]}
    match settings["optimizer"]:
        case "sgd-nesterov":
            return torch.optim.SGD(net.parameters(), momentum=settings["momentum"], nesterov=True, **decay)
        case "sgd":
            return torch.optim.SGD(net.parameters())
        case "adamw":
            return torch.optim.AdamW(net.parameters(), **decay)
        case other:
            raise ValueError(other)
