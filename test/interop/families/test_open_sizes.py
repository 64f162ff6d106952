"""Networks whose batch, lengths and picture sizes the file leaves open: five steps beside PyTorch's, on sizes that the
exporter has not seen."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import open_sizes
from exporters import export
from registry import CROSS_ENTROPY, Family
from sequences import WORDS
from training import Batch, in_order_of, make, train_in_ours, train_in_torch

Sizes = Sequence[int]
LENGTHS = [(3, 11), (5, 6), (1, 9), (4, 16), (2, 7)]
SOUNDS = [(3, 80), (1, 48), (2, 101), (4, 66), (2, 57)]
PICTURES = [(3, 20, 12), (1, 16, 28), (4, 12, 12), (2, 24, 16), (5, 16, 20)]
ODD_PICTURES = [(3, 21, 13), (1, 17, 28), (4, 14, 15), (2, 23, 18), (5, 16, 19)]


@dataclass(frozen=True)
class Subject:
    """`traced` are the sizes of the exporter's example, `axes` their names, and `sizes` those of the steps."""

    module: Callable[[], nn.Module]
    draw: Callable[[Sizes], Tensor]
    axes: dict[int, str]
    traced: Sizes
    sizes: Sequence[Sizes]
    exporters: tuple[str, ...] = ("dynamo", "torchscript")


def tokens(sizes: Sizes) -> Tensor:
    return torch.randint(1, WORDS, tuple(sizes))


def padded(sizes: Sizes) -> Tensor:
    batch, length = sizes
    ends = torch.randint(2, length + 1, (batch, 1))
    return tokens(sizes).where(torch.arange(length) < ends, 0)


def pictures(sizes: Sizes) -> Tensor:
    batch, *size = sizes
    return torch.randn(batch, 3, *size)


def waves(sizes: Sizes) -> Tensor:
    return torch.randn(*sizes)


def text(module: Callable[[], nn.Module], draw: Callable[[Sizes], Tensor] = tokens, **options) -> Subject:
    return Subject(module, draw, {0: "batch", 1: "length"}, (2, 8), LENGTHS, **options)


def image(module: Callable[[], nn.Module], sizes: Sequence[Sizes] = PICTURES, **options) -> Subject:
    return Subject(module, pictures, {0: "batch", 2: "height", 3: "width"}, (2, 16, 24), sizes, **options)


def recurrent(kind: type[nn.RNNBase], **options) -> Subject:
    return text(partial(open_sizes.AnyLengthRecurrent, kind, **options))


SUBJECTS = {
    # the older exporter fixes a Reshape of PyTorch's own attention at the example's length
    "encoder": text(open_sizes.AnyLengthEncoder, padded, exporters=("dynamo",)),
    "decoder": text(open_sizes.CausalDecoder),
    "distances": text(open_sizes.Distances),
    "lstm": recurrent(nn.LSTM),
    "lstm-bidirectional": recurrent(nn.LSTM, bidirectional=True, layers=2),
    "gru": recurrent(nn.GRU, bidirectional=True),
    # dynamo=True of torch 2.13 fixes the length at that of the example
    "rnn": text(partial(open_sizes.AnyLengthRecurrent, nn.RNN), exporters=("torchscript",)),
    # dynamo=True of torch 2.13 fails at the GRU
    "waves": Subject(
        open_sizes.Waves, waves, {0: "batch", 1: "samples"}, (2, 64), SOUNDS, exporters=("torchscript",)
    ),
    "segmenter": image(open_sizes.AnySizeSegmenter, ODD_PICTURES),
    "unet-nearest": image(partial(open_sizes.AnySizeUNet, "nearest"), ODD_PICTURES),
    "unet-bilinear": image(partial(open_sizes.AnySizeUNet, "bilinear"), ODD_PICTURES),
    "unet-padded": image(open_sizes.PaddedUNet, ODD_PICTURES),
    "classifier": image(open_sizes.AnySizeClassifier, ODD_PICTURES),
    "windows": image(open_sizes.Windows),
    "vit": image(open_sizes.AnySizeViT),
}
CASES = [(name, exporter) for name, subject in SUBJECTS.items() for exporter in subject.exporters]


def family_of(subject: Subject) -> Family:
    return Family(subject.module, lambda _: {}, CROSS_ENTROPY, rate={"sgd": 0.1})


def exported(name: str, exporter: str) -> bytes:
    subject = SUBJECTS[name]
    module = make(family_of(subject))
    return export(module, {"x": subject.draw(subject.traced)}, exporter, {"x": subject.axes})


def exported_apart(name: str, exporter: str) -> bytes:
    """The file, exported by a process of its own: where one has exported an nn.LSTM, torch 2.13 fixes the length of the
    next bidirectional one at that of its example."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(exported, name, exporter).result()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_five_steps_on_other_sizes_are_pytorchs(name: str, exporter: str, tmp_path):
    subject = SUBJECTS[name]
    family = family_of(subject)
    file = tmp_path / "model.onnx"
    file.write_bytes(exported_apart(name, exporter))
    steps = steps_of(subject, make(family))
    expected = train_in_torch(family, make(family), "sgd", steps)
    actual = train_in_ours(family, file, "sgd", steps)
    truth = in_order_of(actual, expected)
    np.testing.assert_allclose(actual.losses, expected.losses, rtol=1e-4, atol=1e-4)
    for parameter, value in truth.items():
        np.testing.assert_allclose(actual.trained[parameter], value, rtol=1e-3, atol=1e-5, err_msg=parameter)
    np.testing.assert_allclose(actual.output, expected.output, rtol=1e-3, atol=1e-4)


def steps_of(subject: Subject, module: nn.Module) -> list[Batch]:
    torch.manual_seed(1)
    drawn = [subject.draw(sizes) for sizes in subject.sizes]
    with torch.no_grad():
        outputs = [module.eval()(x) for x in drawn]
    return [Batch({"x": x}, CROSS_ENTROPY.draw(output)) for x, output in zip(drawn, outputs, strict=True)]
