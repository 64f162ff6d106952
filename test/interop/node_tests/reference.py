"""What onnx's reference evaluator computes of a model, and its derivatives by central differences in float64."""

import warnings
from collections.abc import Mapping

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

Arrays = dict[str, np.ndarray]


def evaluate(model: ModelProto, feeds: Mapping[str, np.ndarray]) -> Arrays:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        evaluator = ReferenceEvaluator(model)
        names = set(evaluator.input_names)
        results = evaluator.run(None, {name: value for name, value in feeds.items() if name in names})
    return dict(zip(evaluator.output_names, [np.asarray(each) for each in results], strict=True))


def widened(model: ModelProto) -> ModelProto:
    """The model with double in place of float."""
    copy = ModelProto()
    copy.CopyFrom(model)
    _widen_graph(copy.graph)
    for function in copy.functions:
        for node in function.node:
            _widen_node(node)
    return copy


def _widen_graph(graph: GraphProto) -> None:
    for info in [*graph.input, *graph.output, *graph.value_info]:
        _widen_type(info.type)
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for node in graph.node:
        _widen_node(node)


def _widen_type(type_: TypeProto) -> None:
    if type_.tensor_type.elem_type == TensorProto.FLOAT:
        type_.tensor_type.elem_type = TensorProto.DOUBLE


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _widen_node(node: NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype", "stash_type", "softmax_precision") and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
        if attribute.type == AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        for graph in [attribute.g, *attribute.graphs]:
            _widen_graph(graph)
        if node.op_type == "Constant" and attribute.type in (AttributeProto.FLOAT, AttributeProto.FLOATS):
            value = attribute.f if attribute.type == AttributeProto.FLOAT else list(attribute.floats)
            attribute.Clear()
            attribute.name, attribute.type = "value", AttributeProto.TENSOR
            attribute.t.CopyFrom(numpy_helper.from_array(np.array(value, np.float64)))


class Differences:
    """Directional derivatives of sum(seeds * outputs) at a point, in float64, or in float32 where the evaluator cannot
    compute the model with doubles."""

    def __init__(self, model: ModelProto, point: Mapping[str, np.ndarray], seeds: Mapping[str, np.ndarray]):
        self._seeds = seeds
        self._model, self._point = widened(model), {name: _wide(value) for name, value in point.items()}
        try:
            self.value({})
        except Exception:  # a definition that mixes the two types
            self._model, self._point = model, dict(point)

    def value(self, moved: Mapping[str, np.ndarray]) -> float:
        feeds = {**self._point, **{name: value.astype(self._point[name].dtype) for name, value in moved.items()}}
        outputs = evaluate(self._model, feeds)
        return float(sum(_weighted(outputs[name], seed) for name, seed in self._seeds.items()))

    def along(self, name: str, direction: np.ndarray, step: float) -> float:
        """The derivative with respect to an input along a direction."""
        x = self._point[name]
        ahead, behind = (self.value({name: x + sign * step * direction}) for sign in (1, -1))
        return (ahead - behind) / (2 * step)


def _weighted(output: np.ndarray, seed: np.ndarray) -> float:
    """sum(output * seed), where a seed of 0 takes an output out that is not finite."""
    return (np.where(seed == 0, 0, output.astype(np.float64)) * seed).sum()


def _wide(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float64) if value.dtype == np.float32 else value
