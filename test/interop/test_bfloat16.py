"""A step in bfloat16 against PyTorch: it may be as far from float64 as PyTorch's autocast is."""

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnxruntime import InferenceSession
from onnxruntime.training.api import CheckpointState
from torch import nn

from artifacts import ROOT, random_batch
from bfloat16 import BFLOAT16, nodes_in, rounded_after_every_node
from foreign_models import MODELS, Case, generate

Gradients = dict[str, np.ndarray]


def chunk_of(folder: Path, output: Path) -> onnx.ModelProto:
    script = ROOT / "test/interop/write-bfloat16.js"
    subprocess.run(["node", script, folder, output], check=True)
    model = onnx.load(output)
    casts = [node for node in nodes_in(model.graph) if node.op_type == "Cast"]
    assert any(attribute.i == BFLOAT16 for node in casts for attribute in node.attribute)
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 22}
    assert "loss_scale" not in {value.name for value in model.graph.input}
    return model


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    return {name: parameter.data.copy() for name, parameter in state.parameters}


def step(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One step with a learning rate of zero and moments of zero."""
    session = InferenceSession(rounded_after_every_node(model).SerializeToString())
    given = dict(feeds)
    for value in session.get_inputs():
        if value.name not in given:
            shape = [size if isinstance(size, int) else 1 for size in value.shape]
            given[value.name] = np.zeros(shape, np.int64 if value.type == "tensor(int64)" else np.float32)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def gradients_of(net: nn.Module, loss: torch.Tensor) -> Gradients:
    net.zero_grad()
    loss.backward()
    return {name: value.grad.double().numpy() for name, value in net.named_parameters()}


def distance(some: Gradients, others: Gradients) -> float:
    """Of all gradients as one vector, relative to its norm."""
    assert some.keys() == others.keys()
    difference = sum(np.sum((some[name] - others[name]) ** 2) for name in others)
    return float(np.sqrt(difference / sum(np.sum(value**2) for value in others.values())))


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


def assert_as_close_as_autocast(ours: Gradients, pytorch: Gradients, exact: Gradients) -> None:
    own, theirs = distance(ours, exact), distance(pytorch, exact)
    assert 1e-3 < own < 1.2 * theirs, (own, theirs)
    assert theirs < 0.2, theirs


def test_shakenet(build, tmp_path):
    artifacts = build(8, 8, "ort-training")
    model = chunk_of(artifacts.folder, tmp_path / "chunk.onnx")
    batch = random_batch(artifacts.blocks, 16, seed=2)
    tensors = artifacts.tensors()
    outputs = step(model, tensors | {name: value[None] for name, value in batch.items()})
    decay = artifacts.settings["weightDecay"]
    net = artifacts.reference()
    names = [name for name, _ in net.named_parameters()]
    ours = {name: outputs[f"{name}.momentum_next"] - decay * tensors[name] for name in names}

    images, labels, alpha, beta = (torch.from_numpy(batch[name]) for name in ("images", "labels", "alpha", "beta"))
    exact_loss = F.cross_entropy(net(images, alpha.double(), beta.double()), labels)
    exact = gradients_of(net, exact_loss)
    single = artifacts.reference().float()
    with autocast():
        loss = F.cross_entropy(single(images, alpha, beta), labels)
    assert_as_close_as_autocast(ours, gradients_of(single, loss), exact)
    assert outputs["loss"].item() == pytest.approx(exact_loss.item(), rel=0.01)


def test_a_residual_network_from_pytorch(tmp_path):
    folder = generate(Case("resnet", "ce", "adamw"), tmp_path / "artifacts")
    model = chunk_of(folder, tmp_path / "chunk.onnx")
    tensors = tensors_of(folder)
    torch.manual_seed(1)
    images, labels = MODELS["resnet"].sample(16), torch.randint(0, 10, (16,))
    feeds = {"input": images.numpy()[None], "labels": labels.numpy()[None]}
    outputs = step(model, tensors | feeds)

    def module() -> nn.Module:
        net = MODELS["resnet"].module()
        net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()}, strict=False)
        return net.train()

    net = module().double()
    exact_loss = F.cross_entropy(net(images.double()), labels)
    exact = gradients_of(net, exact_loss)
    single = module()
    with autocast():
        loss = F.cross_entropy(single(images), labels)
    ours = {name: outputs[f"{name}.momentum_1_next"] / 0.1 for name in exact}
    assert_as_close_as_autocast(ours, gradients_of(single, loss), exact)
    # onnxruntime-training numbers the name of the loss
    loss_name = model.graph.output[0].name
    assert outputs[loss_name].item() == pytest.approx(exact_loss.item(), rel=0.01)
