"""PyTorch's two exporters, told to keep what training needs: batch normalisation and the parameters' values."""

import io
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import torch
from onnxscript import optimizer
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from registry import BATCHES, Inputs


# the names of the axes of each input whose sizes the file leaves open
Axes = dict[str, dict[int, str]]


def batch_axes(inputs: Inputs) -> Axes:
    return {name: {0: "batch"} for name in inputs}


def export_dynamo(module: nn.Module, inputs: Inputs, axes: Axes, opset: int | None = None) -> bytes:
    """torch.onnx.export(dynamo=True). Its optimizer folds batch normalisation into convolutions, so a network that
    has some is exported without it, and only constants are folded."""
    sizes = {name: torch.export.Dim(name) for named in axes.values() for name in named.values()}
    is_normalised = any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        dynamo=True,
        opset_version=opset,
        optimize=not is_normalised,
        verbose=False,
        input_names=list(inputs),
        output_names=["output"],
        dynamic_shapes=tuple({axis: sizes[size] for axis, size in axes[name].items()} for name in inputs),
    )
    if is_normalised:
        optimizer.inline(program.model)
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    return program.model_proto.SerializeToString()


def export_torchscript(module: nn.Module, inputs: Inputs, axes: Axes) -> bytes:
    """torch.onnx.export(dynamo=False) with TrainingMode.PRESERVE, which keeps batch normalisation apart."""
    file = io.BytesIO()
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        file,
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=17,
        input_names=list(inputs),
        output_names=["output"],
        dynamic_axes=axes,
    )
    return file.getvalue()


def export_scikit_learn(module: nn.Module, inputs: Inputs, axes: Axes) -> bytes:
    """MLPRegressor, or MLPClassifier where the module ends in Softmax, with the module's weights, by skl2onnx."""
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    is_classifier = isinstance(module[-1], nn.Softmax)
    outputs = layers[-1].out_features
    estimator = (MLPClassifier if is_classifier else MLPRegressor)(
        hidden_layer_sizes=tuple(layer.out_features for layer in layers[:-1]),
        activation="tanh" if isinstance(module[1], nn.Tanh) else "relu",
        max_iter=1,
    )
    rows = next(iter(inputs.values())).numpy()
    targets = np.arange(len(rows)) % outputs if is_classifier else np.zeros(len(rows))
    estimator.fit(rows, targets)
    estimator.coefs_ = [layer.weight.detach().numpy().T for layer in layers]
    estimator.intercepts_ = [layer.bias.detach().numpy() for layer in layers]
    options = {id(estimator): {"zipmap": False}} if is_classifier else None
    types = [("x", FloatTensorType([None, rows.shape[1]]))]
    return convert_sklearn(estimator, initial_types=types, options=options).SerializeToString()


def optimized(optimize: Callable[[Path, Path], None], module: nn.Module, inputs: Inputs, axes: Axes) -> bytes:
    """The file of the older exporter, as an optimizer of ONNX Runtime writes it again."""
    with tempfile.TemporaryDirectory() as folder:
        file, fused = Path(folder) / "model.onnx", Path(folder) / "fused.onnx"
        file.write_bytes(export_torchscript(module, inputs, axes))
        optimize(file, fused)
        return fused.read_bytes()


def by_session(file: Path, fused: Path) -> None:
    """What a session of ONNX Runtime runs: layers fused into one operator."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(fused)
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def by_transformers(file: Path, fused: Path) -> None:
    """What onnxruntime.transformers makes of a BERT: Attention and its kin."""
    # it imports a package that it uses for its own command line alone
    sys.modules.setdefault("coloredlogs", ModuleType("coloredlogs"))
    from onnxruntime.transformers.optimizer import optimize_model

    optimize_model(str(file), "bert", num_heads=2, hidden_size=16, opt_level=1).save_model_to_file(str(fused))


EXPORTERS: dict[str, Callable[[nn.Module, Inputs, Axes], bytes]] = {
    "dynamo": export_dynamo,
    "dynamo-23": partial(export_dynamo, opset=23),
    "torchscript": export_torchscript,
    "skl2onnx": export_scikit_learn,
    "onnxruntime": partial(optimized, by_session),
    "transformers": partial(optimized, by_transformers),
}


def export(module: nn.Module, inputs: Inputs, exporter: str, axes: Axes | None = None) -> bytes:
    """The .onnx file of a module for evaluation, with weights, checked by onnx. Without `axes`, the batch is open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = EXPORTERS[exporter](module, inputs, axes or batch_axes(inputs))
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    return file


def example(sample: Callable[[int], Inputs]) -> Inputs:
    return sample(BATCHES[0])
