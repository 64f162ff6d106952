"""The models of the notebooks of microsoft/onnxruntime-training-examples, with random weights: made, exported and
trained as the notebooks do it. A library is imported where a model of it is made."""

import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[1]))
from torchvision_import import import_torchvision  # noqa: E402

Inputs = dict[str, Tensor]

TRAINING = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}


class MnistNet(nn.Module):
    def __init__(self, pixels: int = 784, hidden: int = 500, classes: int = 10):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, input: Tensor) -> Tensor:
        return self.fc2(self.relu(self.fc1(input)))


class Scores(nn.Module):
    """A classifier of transformers, whose outputs are its scores alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        return self.model(input).logits


class MaskedWords(nn.Module):
    """MobileBERT with its loss. The notebook's own wrapper reads the sentence of the cell above and not its inputs."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, mask: Tensor, types: Tensor, labels: Tensor) -> list[Tensor]:
        found = self.model(input_ids, mask, types, labels=labels)
        return [found.loss, found.logits]


def mobilenet() -> nn.Module:
    """torchvision's, with statistics that fit its activations, as a trained one has them."""
    import_torchvision()
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(weights=None)
    network.classifier[0].p = 0.0
    network.classifier[1] = nn.Linear(1280, 4)
    return calibrated(network, torch.randn(8, 3, 64, 64))


def calibrated(network: nn.Module, inputs: Tensor) -> nn.Module:
    """The network with running statistics of batch normalisation that are those of some inputs."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = None  # the mean over all batches
    with torch.no_grad():
        network.train()(inputs)
    for layer in layers:
        layer.momentum = 0.1
    return network


def mobilevit() -> nn.Module:
    """apple/mobilevit-xx-small for seven classes."""
    from transformers import MobileViTConfig, MobileViTForImageClassification

    config = MobileViTConfig(
        hidden_sizes=[64, 80, 96],
        neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320],
        expand_ratio=2.0,
        hidden_dropout_prob=0.0,
        classifier_dropout_prob=0.0,
        num_labels=7,
        attn_implementation="eager",  # opset 12 has no other
    )
    return calibrated(Scores(MobileViTForImageClassification(config)), torch.randn(4, 3, 256, 256))


def mobilebert() -> nn.Module:
    """google/mobilebert-uncased with two layers, as in the notebook, and fewer words."""
    from transformers import MobileBertConfig, MobileBertForMaskedLM

    config = MobileBertConfig(
        vocab_size=500, num_hidden_layers=2, attention_probs_dropout_prob=0.0, attn_implementation="eager"
    )
    return MaskedWords(MobileBertForMaskedLM(config))


def wav2vec() -> nn.Module:
    """superb/wav2vec2-base-superb-sid for two speakers, with two layers of twelve."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    dropouts = ("hidden", "activation", "attention", "feat_proj", "final")
    config = Wav2Vec2Config(
        num_hidden_layers=2,
        classifier_proj_size=256,
        num_labels=2,
        use_weighted_layer_sum=True,
        layerdrop=0.0,
        apply_spec_augment=False,
        attn_implementation="eager",
        **{f"{name}_dropout": 0.0 for name in dropouts},
    )
    return Scores(Wav2Vec2ForSequenceClassification(config))


def images(size: int, batch: int, classes: int) -> Callable[[], Inputs]:
    return lambda: {"input": torch.randn(batch, 3, size, size), "labels": torch.randint(0, classes, (batch,))}


def digits() -> Inputs:
    return {"input": torch.randn(64, 784), "labels": torch.randint(0, 10, (64,))}


def speech() -> Inputs:
    return {"input": torch.randn(2, 16000), "labels": torch.randint(0, 2, (2,))}


def sentences() -> Inputs:
    """Words of which one is masked, and the labels of the masked ones."""
    words = torch.randint(5, 500, (4, 16))
    is_masked = torch.arange(16) == torch.randint(1, 12, (4, 1))
    attention = (torch.arange(16) < torch.tensor([[16], [12], [14], [13]])).long()
    return {
        "input_ids": words.where(~is_masked, 4),
        "attention_mask": attention,
        "token_type_ids": torch.zeros_like(words),
        "labels": words.where(is_masked, -100),
    }


@dataclass(frozen=True)
class Notebook:
    """`trained` are the names of the parameters that it trains, all of them where it is None. `loss` is an option of
    `generateArtifacts`. `exports` has the options of `torch.onnx.export`, by the name of an exporter."""

    files: tuple[str, ...]
    module: Callable[[], nn.Module]
    sample: Callable[[], Inputs]
    trained: tuple[str, ...] | None = None
    loss: str | dict = "cross-entropy"
    outputs: tuple[str, ...] = ("output",)
    exports: dict[str, dict] = field(default_factory=lambda: {"torchscript": TRAINING})
    quick: bool = False  # whether the gate has it too, by the older exporter

    @property
    def has_loss(self) -> bool:
        return isinstance(self.loss, dict)


HEAD = ("classifier.weight", "classifier.bias")
MOBILENET_HEAD = ("classifier.1.weight", "classifier.1.bias")

NOTEBOOKS = {
    "MNIST": Notebook(
        ("on_device_training/desktop/python/mnist.ipynb", "on_device_training/web/offline-step/mnist.ipynb"),
        MnistNet,
        digits,
        exports={"torchscript": {"opset_version": 14, **TRAINING}},
        quick=True,
    ),
    "MobileNet v2": Notebook(
        (
            "on_device_training/mobile/android/c-cpp/prepare_for_training.ipynb",
            "on_device_training/mobile/android/java/prepare_for_training.ipynb",
        ),
        mobilenet,
        images(224, 4, 4),
        MOBILENET_HEAD,
        exports={"torchscript": {"opset_version": 17}, "dynamo": {}},
        quick=True,
    ),
    "MobileViT": Notebook(
        ("on_device_training/desktop/csharp/image_classification/mobilevit_offline.ipynb",),
        mobilevit,
        images(256, 5, 7),
        tuple(f"model.{name}" for name in HEAD),
        exports={"torchscript": {"opset_version": 12, **TRAINING}},
    ),
    "MobileBERT": Notebook(
        ("on_device_training/desktop/csharp/masked_language_modeling/mobilebert_offline.ipynb",),
        mobilebert,
        sentences,
        loss={"output": "loss"},
        outputs=("loss", "logits"),
        exports={"torchscript": {"opset_version": 15, **TRAINING}},
    ),
    "wav2vec 2.0": Notebook(
        ("on_device_training/mobile/ios/artifacts_gen.py",),
        wav2vec,
        speech,
        tuple(f"model.{name}" for name in HEAD),
        exports={"torchscript": {"opset_version": 17}, "dynamo": {}},
    ),
}


def made(notebook: Notebook) -> nn.Module:
    """The module with parameters that differ: the older exporter merges equal ones."""
    torch.manual_seed(0)
    module = notebook.module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return module


def model_inputs(notebook: Notebook, feeds: Inputs) -> Inputs:
    """What the model reads, without what its loss reads."""
    return feeds if notebook.has_loss else {name: value for name, value in feeds.items() if name != "labels"}


def export(notebook: Notebook, module: nn.Module, exporter: str) -> bytes:
    """The file of torch.onnx.export with a dynamic batch."""
    options = dict(notebook.exports[exporter])
    inputs = model_inputs(notebook, notebook.sample())
    options |= {"input_names": list(inputs), "output_names": list(notebook.outputs)}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            batch = torch.export.Dim("batch")
            options |= {"dynamic_shapes": tuple({0: batch} for _ in inputs), "verbose": False}
            torch.onnx.export(module.eval(), tuple(inputs.values()), dynamo=True, **options).save(file)
        else:
            names = [name for name in (*inputs, *notebook.outputs) if name != "loss"]
            options |= {"dynamic_axes": {name: {0: "batch"} for name in names}, "dynamo": False}
            torch.onnx.export(module.train("training" in options), tuple(inputs.values()), file, **options)
    return file.getvalue()
