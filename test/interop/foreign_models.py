"""Training artifacts that nobody here wrote: PyTorch modules, exported by PyTorch, made into artifacts by Python's
`generate_artifacts`, as a user of ONNX Runtime Training would."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnxruntime.training import artifacts, onnxblock
from torch import Tensor, nn


NEVER = 1e-12  # a dropout ratio that drops nothing; `generate_artifacts` takes out a Dropout whose ratio is zero


class Perceptron(nn.Sequential):
    def __init__(self, outputs: int = 4):
        super().__init__(
            nn.Linear(12, 32),
            nn.ReLU(),
            nn.Linear(32, 24),
            nn.Tanh(),
            nn.Linear(24, 16, bias=False),
            nn.Sigmoid(),
            nn.Linear(16, outputs),
        )


class LeNet(nn.Module):
    def __init__(self, pool: Callable[[int], nn.Module] = nn.MaxPool2d, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), pool(2), nn.Conv2d(6, 16, 5), nn.ReLU(), pool(2)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + identity)


class ResNet(nn.Module):
    def __init__(self, outputs: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layers = nn.Sequential(BasicBlock(8, 8, 1), BasicBlock(8, 16, 2), BasicBlock(16, 32, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.relu(self.bn1(self.conv1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Transformer(nn.Module):
    """A classifier of sequences of tokens out of PyTorch's own encoder layers."""

    def __init__(self, outputs: int = 5, dropout: float = NEVER, vocabulary: int = 40, length: int = 12, width: int = 32):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, length, width))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, dropout, activation="gelu", batch_first=True, norm_first=first)
            for first in (True, False)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.embedding(tokens) + self.position)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(dim=1))


@dataclass(frozen=True)
class Model:
    """How a module is made and exported; `batch` is None for a dynamic batch axis."""

    module: Callable[[], nn.Module]
    sample: Callable[[int], Tensor]
    opset: int
    batch: int | None = None

    @property
    def export_batch(self) -> int:
        return self.batch or 2


def average_pool(size: int) -> nn.Module:
    return nn.AvgPool2d(size)


def images(*shape: int) -> Callable[[int], Tensor]:
    return lambda batch: torch.randn(batch, *shape)


def tokens(batch: int) -> Tensor:
    return torch.randint(0, 40, (batch, 12))


MODELS = {
    "mlp": Model(Perceptron, images(12), opset=14),
    "lenet": Model(LeNet, images(1, 28, 28), opset=15),
    "lenet-average": Model(lambda: LeNet(average_pool), images(1, 28, 28), opset=15, batch=8),
    "resnet": Model(ResNet, images(3, 16, 16), opset=15),
    "transformer": Model(Transformer, tokens, opset=17),
    "transformer-opset14": Model(Transformer, tokens, opset=14),
    "dropped": Model(lambda: nn.Sequential(nn.Linear(12, 64), nn.Dropout(0.25)), images(12), opset=15),
    "transformer-dropout": Model(lambda: Transformer(dropout=0.1), tokens, opset=17),
}

LOSSES = {
    "ce": artifacts.LossType.CrossEntropyLoss,
    "mse": artifacts.LossType.MSELoss,
    "bce": artifacts.LossType.BCEWithLogitsLoss,
    "l1": artifacts.LossType.L1Loss,
}

OPTIMIZERS: dict[str, Callable[[], artifacts.OptimType | onnxblock.Block]] = {
    "adamw": lambda: artifacts.OptimType.AdamW,
    "sgd": lambda: artifacts.OptimType.SGD,
    "adamw-decay": lambda: onnxblock.optim.AdamW(betas=(0.8, 0.99), eps=1e-5, weight_decay=0.1),
    "adamw-clip": lambda: onnxblock.optim.AdamW(clip_grad=onnxblock.optim.ClipGradNorm(0.05)),
    "sgd-clip": lambda: onnxblock.optim.SGD(clip_grad=onnxblock.optim.ClipGradNorm(0.05)),
}


@dataclass(frozen=True)
class Case:
    """A folder of artifacts."""

    model: str
    loss: str
    optimizer: str

    @property
    def name(self) -> str:
        return f"{self.model}-{self.loss}-{self.optimizer}"


def cases(model: str, losses: Sequence[str], optimizers: Sequence[str] = ("adamw", "sgd")) -> list[Case]:
    return [Case(model, loss, optimizer) for loss in losses for optimizer in optimizers]


CASES = [
    *cases("mlp", ["ce", "mse", "bce", "l1"]),
    *cases("lenet", ["ce", "bce"]),
    *cases("lenet-average", ["ce"]),
    *cases("resnet", ["ce", "mse"]),
    *cases("transformer", ["ce", "l1"]),
    *cases("transformer-opset14", ["ce", "mse"], ["adamw"]),
    *cases("mlp", ["ce"], ["adamw-decay", "adamw-clip", "sgd-clip"]),
]
DROPPED_SCORES = Case("dropped", "ce", "sgd")
DROPOUT = Case("transformer-dropout", "ce", "sgd")


def export(model: Model, seed: int = 0) -> onnx.ModelProto:
    """The module with its initial weights in training mode, by PyTorch's TorchScript exporter."""
    torch.manual_seed(seed)
    dynamic = {} if model.batch else {"input": {0: "batch"}, "output": {0: "batch"}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.module().train(),
            (model.sample(model.export_batch),),
            file,
            dynamo=False,
            training=torch.onnx.TrainingMode.TRAINING,
            do_constant_folding=False,
            opset_version=model.opset,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes=dynamic,
        )
    exported = onnx.load_from_string(file.getvalue())
    name_optional_outputs(exported)
    return exported


def name_optional_outputs(model: onnx.ModelProto) -> None:
    """`generate_artifacts` asks for outputs that PyTorch's exporter leaves out."""
    optional = {"Dropout": ["mask"], "LayerNormalization": ["mean", "inv_std_dev"]}
    for node in model.graph.node:
        if len(node.output) == 1:
            node.output.extend(f"{node.output[0]}_{name}" for name in optional.get(node.op_type, []))


def generate(case: Case, folder: Path) -> Path:
    """The four files of a case."""
    model = export(MODELS[case.model])
    names = [name for name, _ in MODELS[case.model].module().named_parameters()]
    folder.mkdir(parents=True, exist_ok=True)
    artifacts.generate_artifacts(
        model,
        requires_grad=names,
        frozen_params=[i.name for i in model.graph.initializer if "running_" in i.name],
        loss=LOSSES[case.loss],
        optimizer=OPTIMIZERS[case.optimizer](),
        artifact_directory=folder,
        additional_output_names=["output"] if case.loss == "ce" else None,
    )
    drop_running_outputs(folder / "eval_model.onnx")
    return folder


def drop_running_outputs(path: Path) -> None:
    """An evaluation model keeps the training outputs of BatchNormalization, and ONNX Runtime refuses it then."""
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            del node.output[1:]
    onnx.save(model, path)
