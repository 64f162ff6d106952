"""The reference itself."""

import pytest
import torch
import torch.nn.functional as F

from shakenet_torch import ShakeNet, ShakeShake

CIFAR10 = {"mean": [125.3, 123.0, 113.9], "std": [63.0, 62.1, 66.7]}


@pytest.mark.parametrize(
    ("depth", "width", "count"),
    [(8, 16, 152_218), (14, 16, 346_650), (20, 16, 541_082), (26, 32, 2_923_162), (26, 96, 26_192_922)],
)
def test_the_parameter_counts_are_the_published_ones(depth: int, width: int, count: int):
    with torch.device("meta"):
        net = ShakeNet(depth, width, **CIFAR10)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_the_names_are_those_of_the_checkpoint():
    names = set(ShakeNet(8, 4, **CIFAR10).state_dict())
    norm = ("weight", "bias", "running_mean", "running_var")
    branch = {"conv1.weight", "conv2.weight", *(f"{bn}.{leaf}" for bn in ("bn1", "bn2") for leaf in norm)}
    shortcut = {"conv1.weight", "conv2.weight", *(f"bn.{leaf}" for leaf in norm)}
    expected = {"stem.conv.weight", *(f"stem.bn.{leaf}" for leaf in norm), "fc.weight", "fc.bias"}
    for stage in ("stage1", "stage2", "stage3"):
        expected |= {f"{stage}.block0.{b}.{leaf}" for b in ("branch1", "branch2") for leaf in branch}
        expected |= {f"{stage}.block0.shortcut.{leaf}" for leaf in shortcut}
    assert names == expected


def test_forward_mixes_by_alpha_and_backward_by_beta():
    branch1, branch2 = (
        torch.tensor([[2.0], [3.0]], requires_grad=True),
        torch.tensor([[10.0], [20.0]], requires_grad=True),
    )
    alpha, beta = torch.tensor([[0.25], [1.0]]), torch.tensor([[0.75], [0.0]])
    mixed = ShakeShake.apply(branch1, branch2, alpha, beta)
    assert mixed.tolist() == [[8.0], [3.0]]
    mixed.backward(torch.tensor([[4.0], [5.0]]))
    assert branch1.grad.tolist() == [[3.0], [0.0]]
    assert branch2.grad.tolist() == [[1.0], [5.0]]


def test_the_second_path_of_the_shortcut_sees_the_image_one_pixel_right_and_down():
    image = torch.arange(1.0, 37.0).view(1, 1, 6, 6)
    shifted = F.avg_pool2d(F.pad(image, (1, -1, 1, -1)), 1, 2)
    assert shifted[0, 0].tolist() == [[0, 0, 0], [0, 8, 10], [0, 20, 22]]


def test_with_beta_equal_to_alpha_the_gradient_is_the_true_one():
    torch.manual_seed(0)
    net = ShakeNet(8, 4, **CIFAR10).double()
    images, direction = torch.randint(0, 256, (2, 3, 32, 32)), torch.randn(4, 16, 3, 3).double()
    alpha = torch.rand(3, 2).double()
    weight = net.stage1.block0.branch1.conv1.weight

    def loss() -> torch.Tensor:
        return F.cross_entropy(net(images, alpha, alpha), torch.tensor([3, 7]))

    (grad,) = torch.autograd.grad(loss(), weight)
    slope = (grad * direction).sum().item()
    with torch.no_grad():
        difference = 0.0
        for sign in (1, -1):
            weight += sign * 1e-6 * direction
            difference += sign * loss().item() / 2e-6
            weight -= sign * 1e-6 * direction
    assert difference == pytest.approx(slope, rel=1e-5)


def test_the_running_variance_is_the_biased_one():
    torch.manual_seed(0)
    net = ShakeNet(8, 4, **CIFAR10)
    images = torch.randint(0, 256, (2, 3, 32, 32))
    net(images, torch.rand(3, 2), torch.rand(3, 2))
    mean, std = (torch.tensor(CIFAR10[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    x = net.stem.conv((images - mean) / std)
    torch.testing.assert_close(net.stem.bn.running_var, 0.9 + 0.1 * x.var((0, 2, 3), correction=0))
    torch.testing.assert_close(net.stem.bn.running_mean, 0.1 * x.mean((0, 2, 3)))
