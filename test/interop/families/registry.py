"""The families of networks, and how each is trained."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convolutional
import sequences
import tabular

Inputs = dict[str, Tensor]

TORCH = ("dynamo", "torchscript")
# the exporter that writes Attention, where onnx has it
WITH_ATTENTION = ("dynamo-23",) if onnx.defs.onnx_opset_version() >= 23 else ()
BATCHES = (8, 5)  # the batch axis is dynamic


def cross_entropy(scores: Tensor) -> Tensor:
    """Labels for scores [batch, class, ...]."""
    return torch.randint(0, scores.shape[1], (scores.shape[0], *scores.shape[2:]))


def probabilities(scores: Tensor) -> Tensor:
    return torch.rand_like(scores)


@dataclass(frozen=True)
class Loss:
    """A loss of `generateArtifacts`, the same in PyTorch, and what draws its targets from the outputs' shape."""

    name: str
    target: str
    value: Callable[[Tensor, Tensor], Tensor]
    draw: Callable[[Tensor], Tensor]


CROSS_ENTROPY = Loss("cross-entropy", "labels", F.cross_entropy, cross_entropy)
MSE = Loss("mse", "target", F.mse_loss, torch.randn_like)
L1 = Loss("l1", "target", F.l1_loss, torch.randn_like)
NLL = Loss("nll-of-probabilities", "labels", lambda p, labels: F.nll_loss(p.log(), labels), cross_entropy)
BCE = Loss("bce-with-logits", "target", F.binary_cross_entropy_with_logits, probabilities)


@dataclass(frozen=True)
class Family:
    """`rate` holds the learning rates of SGD and AdamW, `output` names what the loss reads."""

    module: Callable[[], nn.Module]
    sample: Callable[[int], Inputs]
    loss: Loss = CROSS_ENTROPY
    rate: dict[str, float] = field(default_factory=lambda: {"sgd": 0.05, "adamw": 0.001})
    exporters: tuple[str, ...] = TORCH
    output: str = "output"
    uncovered: dict[str, str] = field(default_factory=dict)  # the operator that keeps ours from it, by exporter
    quick: bool = False  # whether the gate has it too


def images(channels: int, size: int) -> Callable[[int], Inputs]:
    return lambda batch: {"x": torch.randn(batch, channels, size, size)}


def rows(columns: int) -> Callable[[int], Inputs]:
    return lambda batch: {"x": torch.randn(batch, columns)}


def tokens(batch: int) -> Inputs:
    return {"tokens": torch.randint(1, sequences.WORDS, (batch, 10))}


def padded_tokens(batch: int) -> Inputs:
    """Sentences of 3 to 10 words."""
    drawn = tokens(batch)["tokens"]
    lengths = torch.randint(3, 11, (batch, 1))
    return {"tokens": drawn.where(torch.arange(10) < lengths, sequences.PADDING)}


def texts(batch: int) -> Inputs:
    """Pairs of sentences, with their padding and which is which."""
    drawn = padded_tokens(batch)["tokens"]
    segments = (torch.arange(10) > torch.randint(1, 9, (batch, 1))).long()
    return {"input_ids": drawn, "attention_mask": (drawn != sequences.PADDING).long(), "token_type_ids": segments}


def advertisements(batch: int) -> Inputs:
    categories = torch.stack([torch.randint(0, rows, (batch,)) for rows in (12, 7, 20)], dim=1)
    return {"numbers": torch.randn(batch, 5), "categories": categories}


def both(operator: str) -> dict[str, str]:
    return {"dynamo": operator, "torchscript": operator}


def recurrent(kind: type[nn.RNNBase], **options) -> Family:
    return Family(partial(sequences.Recurrent, kind, **options), tokens, rate={"sgd": 0.2, "adamw": 0.01})


FAMILIES = {
    "mlp": Family(tabular.mlp, rows(12), exporters=(*TORCH, "onnxruntime"), quick=True),
    "mlp-l1": Family(tabular.mlp, rows(12), L1),
    "lenet": Family(convolutional.LeNet, images(1, 28), exporters=(*TORCH, "onnxruntime")),
    "sampler": Family(convolutional.Sampler, images(2, 12)),
    "vgg": Family(convolutional.VGG, images(3, 16)),
    "resnet": Family(convolutional.ResNet, images(3, 32), quick=True),
    "mobilenet-v2": Family(convolutional.mobilenet_v2, images(3, 16)),
    "mobilenet-v3": Family(convolutional.mobilenet_v3, images(3, 16)),
    "efficientnet": Family(convolutional.efficientnet, images(3, 16)),
    "shufflenet": Family(convolutional.ShuffleNet, images(3, 16)),
    "convnext": Family(convolutional.ConvNeXt, images(3, 32)),
    "unet-transposed": Family(convolutional.unet_transposed, images(3, 16)),
    "unet-nearest": Family(partial(convolutional.unet_resize, "nearest"), images(3, 16)),
    "unet-bilinear": Family(partial(convolutional.unet_resize, "bilinear"), images(3, 16)),
    "autoencoder": Family(convolutional.Autoencoder, images(1, 16), MSE),
    "group-and-instance-norm": Family(convolutional.normalised, images(3, 16)),
    "vit": Family(sequences.ViT, images(3, 16)),
    "bert": Family(sequences.Bert, padded_tokens, exporters=(*TORCH, "onnxruntime")),
    "bert-post-norm": Family(sequences.PostNormBert, texts, exporters=(*TORCH, "onnxruntime", "transformers")),
    "torch-encoder": Family(sequences.TorchEncoder, padded_tokens),
    "gpt": Family(sequences.GPT, tokens, exporters=(*TORCH, "onnxruntime"), quick=True),
    "gpt-fused": Family(sequences.FusedGPT, tokens, exporters=(*TORCH, *WITH_ATTENTION)),
    "lstm": recurrent(nn.LSTM),
    "lstm-bidirectional": recurrent(nn.LSTM, bidirectional=True, layers=2),
    "gru": recurrent(nn.GRU),
    "gru-bidirectional": recurrent(nn.GRU, bidirectional=True, layers=2),
    "rnn": recurrent(nn.RNN),
    "dlrm": Family(tabular.DLRM, advertisements, BCE),
    "sklearn-regressor": Family(
        tabular.scikit_learn_regressor, rows(12), MSE, exporters=("skl2onnx",), output="variable", quick=True
    ),
    "sklearn-classifier": Family(
        tabular.scikit_learn_classifier, rows(12), NLL, exporters=("skl2onnx",), output="probabilities", quick=True
    ),
}
