"""A training step and the evaluation of networks with ShakeDrop against PyTorch in float64, with fixed draws."""

import subprocess

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnxruntime import InferenceSession

from artifacts import (
    ROOT,
    SHAKE,
    Artifacts,
    gradients,
    outputs_named,
    random_batch,
    relative_error,
    run,
    statistics,
)
from shake_drop_torch import (
    PreActivationBlock,
    PyramidBlock,
    ResidualNet,
    ShakeDrop,
    doubling_channels,
    pyramid_channels,
)

TOLERANCE = 1e-4  # relative, by norm, a whole tensor at a time
SURVIVAL = 0.4

NETWORKS = {
    "preact-resnet": (["--depth=14", "--width=4"], PreActivationBlock, doubling_channels(14, 4)),
    "pyramidnet": (["--depth=14", "--width=4", "--alpha=9"], PyramidBlock, pyramid_channels(14, 4, 9)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def built(request, tmp_path_factory) -> tuple[Artifacts, ResidualNet]:
    """Artifacts in standard ONNX, and the network in PyTorch with their tensors."""
    flags, block, channels = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    options = [f"--network={request.param}", f"--survival={SURVIVAL}", "--target=standard", f"--out={folder}"]
    subprocess.run(["node", SHAKE, "build-graph", *options, *flags], check=True, cwd=ROOT)
    artifacts = Artifacts(folder, 14, 4)
    net = ResidualNet(block, channels, artifacts.settings["mean"], artifacts.settings["std"]).double()
    return artifacts, net


def loaded(artifacts: Artifacts, net: ResidualNet) -> ResidualNet:
    net.load_state_dict({name: torch.from_numpy(value) for name, value in artifacts.tensors().items()})
    return net.train()


def draws(blocks: int, size: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "b": (random.random((blocks, size)) < 0.5).astype(np.float32),
        "alpha": random.uniform(-1, 1, (blocks, size)).astype(np.float32),
        "beta": random.random((blocks, size), dtype=np.float32),
    }


def step(net: ResidualNet, batch: dict[str, np.ndarray]) -> float:
    """Forward and backward in PyTorch; gradients are left in `.grad`."""
    images, labels = (torch.from_numpy(batch[name]) for name in ("images", "labels"))
    b, alpha, beta = (torch.from_numpy(batch[name]).double() for name in ("b", "alpha", "beta"))
    net.zero_grad()
    loss = F.cross_entropy(net(images, b, alpha, beta), labels)
    loss.backward()
    return loss.item()


def test_forward_is_by_alpha_and_backward_by_beta_where_a_branch_does_not_survive():
    x = torch.tensor([[2.0], [3.0]], requires_grad=True)
    b, alpha, beta = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.25], [-0.5]]), torch.tensor([[0.75], [0.125]])
    shaken = ShakeDrop.apply(x, b, alpha, beta)
    assert shaken.tolist() == [[2.0], [-1.5]]
    shaken.backward(torch.tensor([[4.0], [8.0]]))
    assert x.grad.tolist() == [[4.0], [1.0]]


def test_a_training_step_with_fixed_draws_agrees(built):
    artifacts, net = built
    batch = random_batch(artifacts.blocks, 8, seed=2) | draws(artifacts.blocks, 8, seed=3)
    outputs = run(InferenceSession(artifacts.training_model), batch | artifacts.tensors())
    loss = step(loaded(artifacts, net), batch)
    assert outputs["loss"].item() == pytest.approx(loss, rel=1e-5)
    expect_agreement(outputs_named(outputs, "_grad"), gradients(net))
    expect_agreement(outputs_named(outputs, "_next"), statistics(net))


def expect_agreement(ours: dict[str, np.ndarray], truth: dict[str, torch.Tensor]) -> None:
    """What is 0 in the truth, behind or before a normalisation of the same values, has no relative error."""
    assert ours.keys() == truth.keys()
    zero = {name for name, value in truth.items() if value.norm() < 1e-12}
    assert len(zero) <= 1
    assert all(np.abs(ours[name]).max() < 1e-6 for name in zero)
    assert max(relative_error(ours[name], truth[name]) for name in truth if name not in zero) < TOLERANCE


def test_the_evaluation_multiplies_by_the_expectation(built):
    artifacts, net = built
    loaded(artifacts, net)
    batch = random_batch(artifacts.blocks, 8, seed=4) | draws(artifacts.blocks, 8, seed=5)
    for _ in range(3):
        step(net, batch)
    feeds = artifacts.tensors() | {name: value.float().numpy() for name, value in statistics(net).items()}
    outputs = run(InferenceSession(artifacts.eval_model), batch | feeds)
    assert relative_error(outputs["logits"], net.evaluate(torch.from_numpy(batch["images"]), SURVIVAL)) < TOLERANCE
