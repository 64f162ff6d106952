"""ShakeNet in PyTorch, written from the author's code (xgastaldi/shake-shake) and not from ours."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


activation = F.relu
"""The nonlinearity of all networks; another one may be set here."""


def gelu(x: Tensor) -> Tensor:
    """Nearly GELU (Hendrycks and Gimpel 2016)"""
    return x * torch.sigmoid(1.702 * x)


class ShakeShake(torch.autograd.Function):
    """alpha and 1 - alpha on the way forward, beta and 1 - beta on the way back."""

    @staticmethod
    def forward(ctx, branch1: Tensor, branch2: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return alpha * branch1 + (1 - alpha) * branch2

    @staticmethod
    def backward(ctx, grad: Tensor):
        (beta,) = ctx.saved_tensors
        return beta * grad, (1 - beta) * grad, None, None


class BatchNorm(nn.Module):
    """Batch normalisation whose running variance is of the biased kind, as in ONNX; PyTorch's is not."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
        with torch.no_grad():
            wide = x.to(self.running_mean.dtype)
            variance, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
            self.running_mean.lerp_(mean, 0.1)
            self.running_var.lerp_(variance, 0.1)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


class Branch(nn.Module):
    """activation - conv3x3 - BN - activation - conv3x3 - BN"""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(activation(x)))
        return self.bn2(self.conv2(activation(x)))


class Shortcut(nn.Module):
    """activation - { 1x1 pooling - conv1x1 ; shift right and down - 1x1 pooling - conv1x1 } - concatenation - BN"""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.bn = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = activation(x)
        shifted = F.pad(x, (1, -1, 1, -1))
        paths = [
            self.conv1(F.avg_pool2d(x, 1, self.stride)),
            self.conv2(F.avg_pool2d(shifted, 1, self.stride)),
        ]
        return self.bn(torch.cat(paths, dim=1))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.branch1 = Branch(inputs, outputs, stride)
        self.branch2 = Branch(inputs, outputs, stride)
        self.shortcut = nn.Identity() if inputs == outputs else Shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        per_image = (-1, 1, 1, 1)
        mixed = ShakeShake.apply(
            self.branch1(x), self.branch2(x), alpha.view(per_image), beta.view(per_image)
        )
        return self.shortcut(x) + mixed


class Stem(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = BatchNorm(16)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class ShakeNet(nn.Module):
    """`depth` 2x`width`d: raw pixels [batch, 3, 32, 32], alpha and beta [blocks, batch] to logits."""

    def __init__(self, depth: int, width: int, classes: int = 10, *, mean: list[float], std: list[float]):
        super().__init__()
        self.mean, self.std = mean, std
        self.stem = Stem()
        channels = 16
        for stage in range(3):
            blocks = nn.Module()
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.add_module(f"block{block}", Block(channels, width * 2**stage, stride))
                channels = width * 2**stage
            self.add_module(f"stage{stage + 1}", blocks)
        self.fc = nn.Linear(channels, classes)

    def forward(self, images: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        per_colour = {"dtype": self.fc.weight.dtype, "device": images.device}
        mean = torch.tensor(self.mean, **per_colour).view(1, 3, 1, 1)
        std = torch.tensor(self.std, **per_colour).view(1, 3, 1, 1)
        x = self.stem((images - mean) / std)
        blocks = [block for stage in (self.stage1, self.stage2, self.stage3) for block in stage.children()]
        for block, block_alpha, block_beta in zip(blocks, alpha, beta, strict=True):
            x = block(x, block_alpha, block_beta)
        return self.fc(F.avg_pool2d(activation(x), 8).flatten(1))

    def evaluate(self, images: Tensor) -> Tensor:
        """Logits with running statistics and 0.5 for every coefficient."""
        blocks = sum(len(list(stage.children())) for stage in (self.stage1, self.stage2, self.stage3))
        half = torch.full((blocks, len(images)), 0.5, dtype=self.fc.weight.dtype)
        with torch.no_grad():
            return self.eval()(images, half, half)
