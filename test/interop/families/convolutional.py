"""Small networks of convolutions, each with the parts that mark its family."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5), nn.Tanh(), nn.AvgPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Linear(6 * 5 * 5, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class Sampler(nn.Module):
    """A network that reads its pictures at places that it computes, by PyTorch's grid_sample."""

    def __init__(self):
        super().__init__()
        self.places = nn.Sequential(nn.Conv2d(2, 8, 3), nn.Tanh(), nn.Conv2d(8, 2, 1))
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.AvgPool2d(2))
        self.classifier = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        grid = self.places(x).permute(0, 2, 3, 1)
        read = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return self.classifier(self.features(read).flatten(1))


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for inputs, outputs in ((3, 6), (6, 8), (8, 12)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(nn.Linear(48, 20), nn.ReLU(True), nn.Dropout(0), nn.Linear(20, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + identity)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 6, 7, 2, padding=3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        )
        self.layers = nn.Sequential(BasicBlock(6, 6, 1), BasicBlock(6, 10, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.avgpool(self.layers(self.stem(x))), 1))


def convolution(inputs: int, outputs: int, kernel: int, activation: type[nn.Module], **options) -> nn.Sequential:
    """Convolution, batch normalisation and activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
        nn.BatchNorm2d(outputs),
        activation(),
    )


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, activation: type[nn.Module], scale: type[nn.Module]):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 2, 1)
        self.excite = nn.Conv2d(channels // 2, channels, 1)
        self.activation = activation()
        self.scale = scale()

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)
        return x * self.scale(self.excite(self.activation(self.squeeze(mean))))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module], excitation: nn.Module):
        super().__init__()
        inner = 2 * inputs
        self.layers = nn.Sequential(
            convolution(inputs, inner, 1, activation),
            convolution(inner, inner, 3, activation, stride=stride, groups=inner),
            excitation,
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.is_residual else self.layers(x)


def mobile(activation: type[nn.Module], excite=lambda channels: nn.Identity()) -> nn.Sequential:
    """Inverted residuals with depthwise convolutions: MobileNet, and EfficientNet with other activations."""
    return nn.Sequential(
        convolution(3, 6, 3, activation, stride=2),
        InvertedResidual(6, 6, 1, activation, excite(12)),
        InvertedResidual(6, 8, 2, activation, excite(12)),
        convolution(8, 16, 1, activation),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0),
        nn.Linear(16, 5),
    )


def mobilenet_v2() -> nn.Module:
    return mobile(nn.ReLU6)


def mobilenet_v3() -> nn.Module:
    return mobile(nn.Hardswish, lambda channels: SqueezeExcitation(channels, nn.ReLU, nn.Hardsigmoid))


def efficientnet() -> nn.Module:
    return mobile(nn.SiLU, lambda channels: SqueezeExcitation(channels, nn.SiLU, nn.Sigmoid))


class ShuffleUnit(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            convolution(half, half, 1, nn.ReLU),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
            nn.BatchNorm2d(half),
            convolution(half, half, 1, nn.ReLU),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        x = torch.cat((kept, self.branch(changed)), dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return x.view(batch, channels, height, width)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = convolution(3, 8, 3, nn.ReLU, stride=2)
        self.units = nn.Sequential(ShuffleUnit(8), ShuffleUnit(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.units(self.stem(x)).mean([2, 3]))


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        inner = self.scale * self.project(F.gelu(self.expand(inner)))
        return x + inner.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(ConvNeXtBlock(8), ConvNeXtBlock(8))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


def double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, 3, nn.ReLU), convolution(outputs, outputs, 3, nn.ReLU))


class UNet(nn.Module):
    """A class for each pixel."""

    def __init__(self, up: nn.Module):
        super().__init__()
        self.down1 = double_convolution(3, 4)
        self.down2 = double_convolution(4, 8)
        self.up = up
        self.join = double_convolution(8, 4)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        coarse = self.down2(F.max_pool2d(fine, 2))
        return self.head(self.join(torch.cat((fine, self.up(coarse)), dim=1)))


def unet_transposed() -> nn.Module:
    return UNet(nn.ConvTranspose2d(8, 4, 2, 2))


def unet_resize(mode: str) -> nn.Module:
    corners = {} if mode == "nearest" else {"align_corners": False}
    return UNet(nn.Sequential(nn.Upsample(scale_factor=2, mode=mode, **corners), nn.Conv2d(8, 4, 1)))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(4, 6, 3, 2, padding=1), nn.ELU()
        )
        self.bottleneck = nn.Linear(6 * 16, 8)
        self.decode = nn.Linear(8, 6 * 16)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(6, 4, 3, 2, padding=1, output_padding=1),
            nn.PReLU(4),
            nn.ConvTranspose2d(4, 1, 4, 2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        code = self.bottleneck(self.encoder(x).flatten(1))
        return self.decoder(F.softplus(self.decode(code)).view(-1, 6, 4, 4))


def normalised() -> nn.Module:
    """GroupNorm and InstanceNorm."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, padding=1),
        nn.GroupNorm(2, 8),
        nn.Mish(),
        nn.Conv2d(8, 8, 3, 2, padding=1),
        nn.InstanceNorm2d(8, affine=True),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
