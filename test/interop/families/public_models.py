"""Public models with random weights: what of them can be trained, and one step's gradients beside PyTorch's.

Run it with a Python that has the packages of ../coverage/requirements.txt. It prints a row of a Markdown table
for each model; test_public_models.py tests some of them.
    python test/interop/families/public_models.py [--exporter dynamo] [NAME...]
"""

import argparse
import io
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tensors import encode  # noqa: E402
from torchvision_import import import_torchvision  # noqa: E402

import_torchvision()
import torchvision.models as vision  # noqa: E402
from torchvision.ops import StochasticDepth  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


class Hidden(nn.Module):
    """A transformer's last hidden states alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).last_hidden_state


class Scores(nn.Module):
    """A classifier of transformers without what it returns beside the scores."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).logits


class Masked(nn.Module):
    """A segmentation's scores alone."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)["out"]


@dataclass(frozen=True)
class Subject:
    module: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]


def image(build: Callable[..., nn.Module], size: int = 64, **options) -> Subject:
    settings = {"weights": None, "num_classes": 10, **options}
    return Subject(lambda: build(**settings), lambda: torch.randn(2, 3, size, size))


def segmentation(build: Callable[..., nn.Module]) -> Subject:
    options = {"weights": None, "weights_backbone": None, "num_classes": 4}
    return Subject(lambda: Masked(build(**options)), lambda: torch.randn(2, 3, 64, 64))


def text(model: str, config: str, **options) -> Subject:
    """A model of transformers, which is imported where one is made."""

    def module() -> nn.Module:
        import transformers

        return Hidden(getattr(transformers, model)(getattr(transformers, config)(vocab_size=100, **options)))

    return Subject(module, lambda: torch.randint(1, 100, (2, 12)))


WIDTH = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

SUBJECTS = {
    "resnet18": image(vision.resnet18),
    "resnet50": image(vision.resnet50),
    "resnext50_32x4d": image(vision.resnext50_32x4d),
    "mobilenet_v2": image(vision.mobilenet_v2),
    "mobilenet_v3_small": image(vision.mobilenet_v3_small),
    "efficientnet_b0": image(vision.efficientnet_b0),
    "shufflenet_v2_x0_5": image(vision.shufflenet_v2_x0_5),
    "mnasnet0_5": image(vision.mnasnet0_5),
    "regnet_y_400mf": image(vision.regnet_y_400mf),
    "densenet121": image(vision.densenet121),
    "squeezenet1_1": image(vision.squeezenet1_1),
    "alexnet": image(vision.alexnet, 224),
    "vgg11": image(vision.vgg11, 224),
    "vgg11_bn": image(vision.vgg11_bn, 224),
    "googlenet": image(vision.googlenet, aux_logits=False, init_weights=False),
    "convnext_tiny": image(vision.convnext_tiny),
    "vit_b_16": image(vision.vit_b_16, image_size=64),
    "swin_t": image(vision.swin_t),
    "fcn_resnet50": segmentation(vision.segmentation.fcn_resnet50),
    "lraspp_mobilenet_v3_large": segmentation(vision.segmentation.lraspp_mobilenet_v3_large),
    "bert": text("BertModel", "BertConfig", intermediate_size=64, **WIDTH, **NO_DROPOUT),
    "distilbert": text(
        "DistilBertModel",
        "DistilBertConfig",
        **{"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "dropout": 0.0, "attention_dropout": 0.0},
    ),
    "gpt2": text(
        "GPT2Model",
        "GPT2Config",
        **{"n_embd": 32, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    ),
    "t5 encoder": text(
        "T5EncoderModel", "T5Config", d_model=32, d_ff=64, num_layers=2, num_heads=2, dropout_rate=0.0
    ),
}


def prepared(module: nn.Module) -> nn.Module:
    """The module without dropping, and with parameters that differ: the older exporter merges equal ones."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout | StochasticDepth):
            layer.p = 0.0
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return module


def export(module: nn.Module, inputs: Tensor, exporter: str) -> bytes:
    """The .onnx file with batch normalisation as layers of its own."""
    file = io.BytesIO()
    names = {"input_names": ["input"], "output_names": ["output"]}
    if exporter == "torchscript":
        torch.onnx.export(
            module,
            (inputs,),
            file,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            opset_version=17,
            **names,
        )
        return file.getvalue()
    from onnxscript import optimizer

    program = torch.onnx.export(module, (inputs,), dynamo=True, optimize=False, verbose=False, **names)
    parameters = {name for name, _ in module.named_parameters()}

    def should_fold(node) -> bool | None:
        """Leaves nodes that read a parameter: folded, weights are transposed under names of the exporter's, and a
        table of relative positions is written out, so that elements that were one are trained apart."""
        return False if any(each is not None and each.name in parameters for each in node.inputs) else None

    optimizer.inline(program.model)
    optimizer.fold_constants(program.model, should_fold=should_fold)
    optimizer.remove_unused_nodes(program.model)
    return program.model_proto.SerializeToString()


def numbers_trained(module: nn.Module, inputs: Tensor) -> tuple[int, int]:
    """How many numbers of the parameters the output depends on, and how many it does not depend on. Exporters leave
    those out: BERT's pooler, where the hidden states are returned."""
    module.zero_grad()
    module(inputs).sum().backward()
    sizes = [(each.numel(), each.grad is not None) for each in module.parameters()]
    module.zero_grad()
    return sum(size for size, read in sizes if read), sum(size for size, read in sizes if not read)


@dataclass(frozen=True)
class Comparison:
    """A training step of a model beside PyTorch in float64: how many parameters the loss depends on, relative errors
    of the loss, of all gradients that are compared, and of PyTorch's own in float32; and how long `generateArtifacts`
    takes."""

    parameters: int
    compared: int
    loss: float
    gradients: float
    torch: float
    seconds: float

    def __str__(self) -> str:
        errors = [f"{error:.0e}" for error in (self.loss, self.gradients, self.torch)]
        return " | ".join(map(str, [self.parameters, self.compared, *errors, f"{self.seconds:.1f} s"]))


class RefusedError(Exception):
    """Ours refuses a model, in a sentence."""


def compare(name: str, exporter: str) -> Comparison:
    torch.manual_seed(0)
    module = prepared(SUBJECTS[name].module())
    inputs = SUBJECTS[name].inputs()
    with torch.no_grad():
        target = torch.randn_like(module.eval()(inputs))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(export(module, inputs, exporter))
        run, results, elements = (Path(folder) / name for name in ("run.json", "results.json", "elements"))
        feeds = encode({"input": inputs.numpy(), "target": target.numpy()})
        run.write_text(json.dumps({"model": str(file), "feeds": feeds}))
        script = ROOT / "test/interop/families/gradients.js"
        done = subprocess.run(["node", script, run, results, elements], capture_output=True, text=True)
        if done.returncode:
            raise RefusedError(next((line for line in done.stderr.splitlines() if "Error: " in line), done.stderr))
        outcome = json.loads(results.read_text())
        gradients = split(np.fromfile(elements, np.float32), outcome["dims"])
    loss, expected = gradients_in_torch(module.double(), widened(inputs), target.double())
    _, single = gradients_in_torch(module.float(), inputs, target)
    found = [key for key in expected if key in gradients and gradients[key].shape == expected[key].shape]
    return Comparison(
        parameters=len(expected),
        compared=len(found),
        loss=abs(outcome["loss"] - loss) / abs(loss),
        gradients=distance(gradients, expected, found),
        torch=distance(single, expected, found),
        seconds=outcome["seconds"],
    )


def measure(name: str, exporter: str) -> str:
    """The cells of a model, or why it is refused."""
    try:
        return str(compare(name, exporter))
    except RefusedError as error:
        return f" | | | | | {error}"


def widened(inputs: Tensor) -> Tensor:
    return inputs.double() if inputs.is_floating_point() else inputs


def split(elements: np.ndarray, dims: dict[str, list[int]]) -> dict[str, np.ndarray]:
    ends = np.cumsum([int(np.prod(shape)) for shape in dims.values()])
    parts = np.split(elements, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(dims.items(), parts, strict=True)}


def gradients_in_torch(module: nn.Module, inputs: Tensor, target: Tensor) -> tuple[float, dict[str, np.ndarray]]:
    """The loss of a training step, and the gradients of the parameters that it depends on."""
    module.train()
    module.zero_grad()
    loss = nn.functional.mse_loss(module(inputs), target)
    loss.backward()
    named = module.named_parameters()
    return loss.item(), {name: each.grad.numpy() for name, each in named if each.grad is not None}


def distance(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], names: list[str]) -> float:
    """The norm of the difference of all gradients over the norm of the expected ones."""
    total = sum(float((expected[name] ** 2).sum()) for name in names)
    return (sum(float(((actual[name] - expected[name]) ** 2).sum()) for name in names) / total) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exporter", choices=["dynamo", "torchscript"], default="dynamo")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("| model | parameters | compared | loss | gradients | PyTorch's | artifacts |\n|---|---|---|---|---|---|---|")
    for name in arguments.names or SUBJECTS:
        try:
            with redirect_stdout(io.StringIO()):
                row = measure(name, arguments.exporter)
        except Exception as error:  # a model that the exporter refuses is a row too
            row = f" | | | | | the exporter: {type(error).__name__}: {str(error).splitlines()[0][:120]}"
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
