"""Small networks that compute shapes, pads, masks and places from the sizes of their inputs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convolutional import convolution
from sequences import WORDS, Layer, TorchEncoder


class AnyLengthEncoder(TorchEncoder):
    """The encoder over any length, with sines for places."""

    def embedded(self, tokens: Tensor) -> Tensor:
        return super().embedded(tokens) + sines(tokens.shape[1], self.words.embedding_dim)


def sines(length: int, width: int) -> Tensor:
    """The positions of Attention Is All You Need (2017): sines and cosines [length, width]."""
    places = torch.arange(length, dtype=torch.float32).unsqueeze(1)
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    return torch.stack((torch.sin(places * rates), torch.cos(places * rates)), -1).reshape(length, width)


class CausalDecoder(nn.Module):
    """The next token at each place, by a causal mask made from the length; a learned token stands in front."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.first = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.1 * torch.randn(64, width))
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, WORDS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length = tokens.shape
        x = torch.cat((self.first.expand(batch, -1, -1), self.words(tokens)), 1)
        x = x + self.position[: length + 1]
        allowed = torch.ones(length + 1, length + 1, dtype=torch.bool).tril()
        for layer in self.layers:
            x = layer(x, allowed)
        return self.head(self.norm(x[:, 1:])).transpose(1, 2)


class Distances(nn.Module):
    """Attention with a bias by the distance of two places: ALiBi (2021), and a table of near distances."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.near = nn.Embedding(9, 2)
        self.register_buffer("slopes", torch.tensor([0.5, 0.25]))
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length = tokens.shape
        places = torch.arange(length)
        apart = places[None, :] - places[:, None]
        bias = self.near(apart.clamp(-4, 4) + 4).permute(2, 0, 1)
        bias = bias - self.slopes[:, None, None] * apart.abs()
        q, k, v = self.qkv(self.words(tokens)).view(batch, length, 3, 2, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(0).expand(batch, -1, -1, -1))
        return self.head(mixed.mean(2).flatten(1))


class AnyLengthRecurrent(nn.Module):
    """A recurrent network whose first state is given, made from the batch's size."""

    def __init__(self, kind: type[nn.RNNBase], bidirectional: bool = False, layers: int = 1):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 8)
        self.states = layers * (2 if bidirectional else 1)
        self.recurrent = kind(8, 6, layers, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(12 if bidirectional else 6, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        state = torch.zeros(self.states, tokens.shape[0], 6)
        given = (state, state) if isinstance(self.recurrent, nn.LSTM) else state
        outputs, last = self.recurrent(self.embedding(tokens), given)
        last = last[0] if isinstance(self.recurrent, nn.LSTM) else last
        ends = torch.cat((last[-2], last[-1]), 1) if self.recurrent.bidirectional else last[-1]
        return self.head(outputs.mean(dim=1) + ends)


class AnySizeSegmenter(nn.Module):
    """A class for each pixel: a fully convolutional network whose scores are resized to the picture."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, 6, 3, nn.ReLU, stride=2), nn.Conv2d(6, 8, 3, 2, padding=1), nn.ReLU()
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        pooled = F.interpolate(self.pool(features), size=features.shape[-2:], mode="bilinear", align_corners=False)
        scores = self.head(torch.cat((features, pooled), 1))
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=False)


class AnySizeUNet(nn.Module):
    """A U-Net that resizes each coarse map to the fine one beside it, whatever its size."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode
        self.down = nn.ModuleList(convolution(a, b, 3, nn.ReLU) for a, b in ((3, 4), (4, 6), (6, 8)))
        self.up = nn.ModuleList(convolution(a, b, 3, nn.ReLU) for a, b in ((14, 6), (10, 4)))
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = self.down[1](F.max_pool2d(first, 2))
        x = self.down[2](F.max_pool2d(second, 2))
        corners = None if self.mode == "nearest" else False
        for up, beside in zip(self.up, (second, first), strict=True):
            x = F.interpolate(x, size=beside.shape[-2:], mode=self.mode, align_corners=corners)
            x = up(torch.cat((x, beside), 1))
        return self.head(x)


class PaddedUNet(nn.Module):
    """A U-Net that pads pictures to a multiple of 4, doubles coarse maps, and cuts the scores to the picture."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 4, 3, 2, padding=1), nn.Conv2d(4, 6, 3, 2, padding=1)
        self.up1, self.up2 = nn.ConvTranspose2d(6, 4, 2, 2), nn.ConvTranspose2d(4, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % 4, 0, -height % 4))
        fine = torch.tanh(self.down1(padded))
        coarse = torch.tanh(self.down2(fine))
        scores = self.up2(torch.tanh(self.up1(coarse)) + fine)
        return scores[:, :, :height, :width]


class AnySizeClassifier(nn.Module):
    """A convolutional classifier of pictures of any size, with the mean of all places."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            convolution(3, 6, 3, nn.ReLU), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(6, 8, 3), nn.ReLU()
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))


class Windows(nn.Module):
    """Attention within windows of 4 x 4 places, as Swin has it, over pictures of any multiple of 4."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 1)
        self.layer = Layer(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        batch, height, width, channels = x.shape
        x = x.view(batch, height // 4, 4, width // 4, 4, channels)
        x = self.layer(x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels))
        x = x.view(batch, height // 4, width // 4, 4, 4, channels).permute(0, 1, 3, 2, 4, 5)
        return self.head(x.reshape(batch, height, width, channels).mean((1, 2)))


class AnySizeViT(nn.Module):
    """A vision transformer whose table of positions is resized to the patches of the picture."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.class_token = nn.Parameter(0.1 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.1 * torch.randn(1, width, 4, 4))
        self.layer = Layer(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        position = F.interpolate(self.position, size=x.shape[-2:], mode="bilinear", align_corners=False)
        x = (x + position).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1)
        return self.head(self.layer(x)[:, 0])


class Waves(nn.Module):
    """Convolutions over sound of any length: a hop of 4, a recurrent layer, and a frame's scores for each hop."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(1, 6, 8, 4, padding=2), nn.GELU(), nn.GroupNorm(2, 6))
        self.recurrent = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.convolutions(x.unsqueeze(1)).transpose(1, 2)
        outputs, state = self.recurrent(frames)
        whole = state[-1].unsqueeze(1).repeat(1, frames.shape[1], 1)
        return self.head(torch.cat((outputs, whole), -1)).transpose(1, 2)
