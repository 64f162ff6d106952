"""A pre-activation ResNet and a PyramidNet with ShakeDrop in PyTorch, written from the papers and not from ours."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shakenet_torch import BatchNorm


class ShakeDrop(torch.autograd.Function):
    """b + alpha - b alpha on the way forward, b + beta - b beta on the way back (Yamada et al. 2018)."""

    @staticmethod
    def forward(ctx, x: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(b, beta)
        return (b + alpha - b * alpha) * x

    @staticmethod
    def backward(ctx, grad: Tensor):
        b, beta = ctx.saved_tensors
        return (b + beta - b * beta) * grad, None, None, None


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class PreActivationBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = BatchNorm(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = BatchNorm(outputs), conv(outputs, outputs, 3)
        if inputs != outputs:
            self.shortcut = nn.Module()
            self.shortcut.conv = conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        activated = F.relu(self.bn1(x))
        branch = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return (self.shortcut.conv(activated) if hasattr(self, "shortcut") else x), branch


class PyramidBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride, self.added = stride, outputs - inputs
        self.bn1, self.conv1 = BatchNorm(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = BatchNorm(outputs), conv(outputs, outputs, 3)
        self.bn3 = BatchNorm(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        branch = self.bn3(self.conv2(F.relu(self.bn2(self.conv1(self.bn1(x))))))
        pooled = F.avg_pool2d(x, 2) if self.stride == 2 else x
        zeros = pooled.new_zeros(len(x), self.added, *pooled.shape[2:])
        return torch.cat([pooled, zeros], dim=1), branch


class ResidualNet(nn.Module):
    """Raw pixels [batch, 3, 32, 32], b, alpha and beta [blocks, batch] to logits."""

    def __init__(self, block: type[nn.Module], channels: list[int], mean: list[float], std: list[float]):
        super().__init__()
        self.mean, self.std = mean, std
        self.stem = nn.Module()
        self.stem.conv = conv(3, channels[0], 3)
        if block is PyramidBlock:
            self.stem.bn = BatchNorm(channels[0])
        per_stage = (len(channels) - 1) // 3
        for i, (inputs, outputs) in enumerate(pairwise(channels)):
            stage, within = divmod(i, per_stage)
            if within == 0:
                self.add_module(f"stage{stage + 1}", nn.Module())
            stride = 2 if stage > 0 and within == 0 else 1
            getattr(self, f"stage{stage + 1}").add_module(f"block{within}", block(inputs, outputs, stride))
        self.head = nn.Module()
        self.head.bn = BatchNorm(channels[-1])
        self.fc = nn.Linear(channels[-1], 10)

    def blocks(self) -> list[nn.Module]:
        return [block for stage in (self.stage1, self.stage2, self.stage3) for block in stage.children()]

    def forward(self, images: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        def shaken(branch: Tensor, block: int) -> Tensor:
            draws = (values[block].view(-1, 1, 1, 1) for values in (b, alpha, beta))
            return ShakeDrop.apply(branch, *draws)

        return self.logits(images, shaken)

    def evaluate(self, images: Tensor, last: float) -> Tensor:
        """Logits with running statistics; a branch is multiplied by E[b + alpha - b alpha]."""
        count = len(self.blocks())
        survival = [1 - block / count * (1 - last) for block in range(1, count + 1)]
        with torch.no_grad():
            return self.eval().logits(images, lambda branch, block: survival[block] * branch)

    def logits(self, images: Tensor, shaken) -> Tensor:
        mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (self.mean, self.std))
        x = self.stem.conv((images - mean) / std)
        if hasattr(self.stem, "bn"):
            x = self.stem.bn(x)
        for i, block in enumerate(self.blocks()):
            shortcut, branch = block(x)
            x = shortcut + shaken(branch, i)
        return self.fc(F.relu(self.head.bn(x)).mean((2, 3)))


def pyramid_channels(depth: int, width: int, alpha: int) -> list[int]:
    blocks = (depth - 2) // 2
    return [int(width + alpha * k / blocks + 0.5) for k in range(blocks + 1)]


def doubling_channels(depth: int, width: int) -> list[int]:
    return [width] + [width * 2**stage for stage in range(3) for _ in range((depth - 2) // 6)]
