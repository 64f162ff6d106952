"""The foreign models in PyTorch. Exports the one of a workload: models_torch.py FOLDER

It writes model.onnx, and weights.pt with the same weights."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from protocol import Workload
from torch import Tensor, nn

CLASSES = 10


def normalized(*conv: int, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, by inputs, outputs, kernel and stride, and batch normalisation."""
    inputs, outputs, kernel, stride = conv
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *normalized(inputs, outputs, 3, stride), nn.ReLU(inplace=True), *normalized(outputs, outputs, 3, 1)
        )
        self.downsample = nn.Sequential(*(normalized(inputs, outputs, 1, stride) if inputs != outputs else []))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.downsample(x))


def resnet18() -> nn.Module:
    """torchvision's resnet18."""
    blocks = []
    for inputs, outputs, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        blocks += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
    stem = [*normalized(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        expand = [*normalized(inputs, hidden, 1, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [*normalized(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*expand, *depthwise, *normalized(hidden, outputs, 1, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    """torchvision's mobilenet_v2, without its dropout."""
    layers: list[nn.Module] = [*normalized(3, 32, 3, 2), nn.ReLU6(inplace=True)]
    inputs = 32
    for expansion, outputs, count, stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for i in range(count):
            layers.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
            inputs = outputs
    layers += [*normalized(320, 1280, 1, 1), nn.ReLU6(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, CLASSES))


class Encoder(nn.Module):
    """Six of PyTorch's encoder layers, and a classifier of the mean of a sequence."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
                for _ in range(6)
            )
        )
        for layer in self.layers:
            # a dropout that drops nothing would be a node of the file
            layer.dropout = layer.dropout1 = layer.dropout2 = nn.Identity()
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.layers(x)).mean(1))


class Lstm(nn.Module):
    """Two layers of an LSTM, and a classifier of the last state."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
    "encoder": Encoder,
    "lstm": Lstm,
}


def network(model: str) -> nn.Module:
    """A model in training mode."""
    return NETWORKS[model]().train()


def export(net: nn.Module, sample: Tensor, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (sample,),
            path,
            dynamo=False,
            training=torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=False,
            opset_version=17,
            input_names=["input"],
            output_names=["output"],
        )


if __name__ == "__main__":
    workload = Workload(sys.argv[1])
    torch.manual_seed(1)
    net = network(workload.settings["model"])
    torch.save(net.state_dict(), workload.folder / "weights.pt")
    export(net, torch.from_numpy(workload.arrays["input"]), workload.folder / "model.onnx")
