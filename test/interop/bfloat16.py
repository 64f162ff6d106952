"""Runs a model that computes in bfloat16 where there are no kernels of bfloat16."""

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

FLOAT, BFLOAT16 = TensorProto.FLOAT, TensorProto.BFLOAT16


def rounded_after_every_node(model: ModelProto) -> ModelProto:
    """The model in float32, with the result of every node in bfloat16 rounded to bfloat16, as kernels do that keep
    their sums in float32. ONNX's own type inference says what is bfloat16."""
    typed = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=False)
    widened = ModelProto()
    widened.CopyFrom(typed)
    widen(widened.graph)
    # no operator of bfloat16 is left, and ONNX Runtime 1.19 knows opset 21
    for opset in widened.opset_import:
        if opset.domain == "":
            opset.version = 21
    return widened


def widen(graph: GraphProto) -> None:
    values = [*graph.value_info, *graph.input, *graph.output]
    half = {value.name for value in values if value.type.tensor_type.elem_type == BFLOAT16}
    for tensor in graph.initializer:
        if tensor.data_type == BFLOAT16:
            half.add(tensor.name)
            tensor.CopyFrom(numpy_helper.from_array(bfloat16_numbers(tensor), tensor.name))
    constants = {tensor.name for tensor in graph.initializer}
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                widen(attribute.g)
        if node.op_type == "Cast":
            graph.node.append(node)
            continue
        graph.node.extend(wide(node, half, constants))


def wide(node: NodeProto, half: set[str], constants: set[str]) -> list[NodeProto]:
    """The node in float32 between casts."""
    before, after = [], []
    for i, name in enumerate(node.input):
        if name in half and name not in constants:
            node.input[i] = f"{node.name}.in{i}"
            before.append(helper.make_node("Cast", [name], [node.input[i]], to=FLOAT))
    for i, name in enumerate(node.output):
        if name in half:
            node.output[i] = f"{node.name}.out{i}"
            after.append(helper.make_node("Cast", [node.output[i]], [name], to=BFLOAT16))
    return [*before, node, *after]


def bfloat16_numbers(tensor: TensorProto) -> np.ndarray:
    """A bfloat16 is the upper half of a float."""
    halves = np.frombuffer(tensor.raw_data, "<u2").astype("<u4")
    return (halves << 16).view("<f4").reshape(tensor.dims)


def nodes_in(graph: GraphProto) -> list[NodeProto]:
    """Those of inner graphs too."""
    inner = [a.g for node in graph.node for a in node.attribute if a.type == AttributeProto.GRAPH]
    return [*graph.node, *(node for each in inner for node in nodes_in(each))]
