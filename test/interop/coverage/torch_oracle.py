"""A model's nodes as PyTorch's functions: gradients that nothing of ours has computed.

It has the operators of the models that subjects.py holds against it, at their opsets.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor

Value = Tensor | None
Attributes = dict[str, object]


@contextmanager
def in_precision(kind: torch.dtype) -> Iterator[None]:
    """Computes in that type, whatever floating type the file has."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def gradients(
    model: bytes, feeds: dict[str, np.ndarray], output: str, target: np.ndarray, names: Iterable[str]
) -> dict[str, np.ndarray]:
    """The gradients of some initializers for the mean squared error of an output."""
    loaded = onnx.load(io.BytesIO(model))
    values: dict[str, Value] = {"": None}
    for tensor in loaded.graph.initializer:
        values[tensor.name] = in_type(torch.from_numpy(numpy_helper.to_array(tensor).copy()))
    for name, value in feeds.items():
        values[name] = in_type(torch.from_numpy(value))
    parameters = {name: values[name].requires_grad_() for name in names}
    for node in loaded.graph.node:
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        results = OPERATORS[node.op_type]([values[name] for name in node.input], attributes)
        results = results if isinstance(results, tuple) else (results,)
        values.update(zip(node.output, results, strict=False))
    loss = F.mse_loss(values[output], in_type(torch.from_numpy(target)))
    found = torch.autograd.grad(loss, list(parameters.values()))
    return {name: each.numpy() for name, each in zip(parameters, found, strict=True)}


def in_type(value: Tensor) -> Tensor:
    return value.to(torch.get_default_dtype()) if value.is_floating_point() else value


def whole(value: Tensor) -> list[int]:
    return [int(each) for each in value.flatten()]


def pads_of(attributes: Attributes, axes: int) -> list[int]:
    """PyTorch's list: the last axis first, begin and end of each."""
    pads = list(attributes.get("pads", [0] * 2 * axes))
    return [pads[end * axes + axis] for axis in reversed(range(axes)) for end in (0, 1)]


def convolution(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, weight, bias = [*inputs, None][:3]
    axes = weight.dim() - 2
    strides = list(attributes.get("strides", [1] * axes))
    dilations = list(attributes.get("dilations", [1] * axes))
    padding = attributes.get("auto_pad", b"NOTSET").decode()
    if padding in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for axis in reversed(range(axes)):
            size, kernel = x.shape[2 + axis], (weight.shape[2 + axis] - 1) * dilations[axis] + 1
            total = max(0, (-(-size // strides[axis]) - 1) * strides[axis] + kernel - size)
            small = total // 2
            pads += [small, total - small] if padding == "SAME_UPPER" else [total - small, small]
    else:
        pads = pads_of(attributes, axes)
    function = [F.conv1d, F.conv2d, F.conv3d][axes - 1]
    return function(F.pad(x, pads), weight, bias, strides, 0, dilations, attributes.get("group", 1))


def normalized(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, scale, bias, mean, variance = inputs
    shape = [1, -1] + [1] * (x.dim() - 2)
    scale, bias, mean, variance = (each.reshape(shape) for each in (scale, bias, mean, variance))
    return (x - mean) / torch.sqrt(variance + attributes.get("epsilon", 1e-5)) * scale + bias


def padded(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, pads, value = [*inputs, None, None][:3]
    amounts = whole(pads) if pads is not None else list(attributes["pads"])
    mode = attributes.get("mode", b"constant").decode()
    rank = x.dim()
    if mode == "reflect":
        for axis in range(rank):
            places = np.pad(np.arange(x.shape[axis]), (amounts[axis], amounts[rank + axis]), mode="reflect")
            x = x.index_select(axis, torch.from_numpy(places))
        return x
    assert mode == "constant", mode
    constant = float(value) if value is not None else attributes.get("value", 0.0)
    return F.pad(x, [amounts[end * rank + axis] for axis in reversed(range(rank)) for end in (0, 1)], value=constant)


def sliced(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, starts, ends, axes, steps = [*inputs, None, None, None, None][:5]
    starts = whole(starts) if starts is not None else list(attributes["starts"])
    ends = whole(ends) if ends is not None else list(attributes["ends"])
    given = whole(axes) if axes is not None else attributes.get("axes")
    axes = list(range(len(starts))) if given is None else list(given)
    steps = whole(steps) if steps is not None else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = np.arange(x.shape[axis])[slice(start, None if step < 0 and end < -x.shape[axis] else end, step)]
        x = x.index_select(axis, torch.from_numpy(places.copy()))
    return x


def reshaped(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, shape = inputs
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(whole(shape))])


def reduction(function: Callable[..., Tensor]) -> Callable[[list[Value], Attributes], Tensor]:
    def reduce(inputs: list[Value], attributes: Attributes) -> Tensor:
        axes = whole(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else attributes.get("axes")
        axes = list(range(inputs[0].dim())) if axes is None else list(axes)
        return function(inputs[0], axes, keepdim=bool(attributes.get("keepdims", 1)))

    return reduce


def of_each(function: Callable[..., Tensor]) -> Callable[[list[Value], Attributes], Tensor]:
    return lambda inputs, _: function(*inputs)


def axes_of(inputs: list[Value], attributes: Attributes) -> list[int]:
    return whole(inputs[1]) if len(inputs) > 1 else list(attributes.get("axes", []))


def squeezed(inputs: list[Value], attributes: Attributes) -> Tensor:
    axes = axes_of(inputs, attributes)
    return inputs[0].squeeze(axes) if axes else inputs[0].squeeze()


def unsqueezed(inputs: list[Value], attributes: Attributes) -> Tensor:
    x = inputs[0]
    axes = axes_of(inputs, attributes)
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def cast(inputs: list[Value], attributes: Attributes) -> Tensor:
    kind = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
    return in_type(inputs[0].to(torch.from_numpy(np.zeros(1, kind)).dtype))


def gathered(inputs: list[Value], attributes: Attributes) -> Tensor:
    x, indices = inputs
    axis = attributes.get("axis", 0) % x.dim()
    places = indices.flatten() % x.shape[axis]
    shape = [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]]
    return x.index_select(axis, places).reshape(shape)


def constant(_: list[Value], attributes: Attributes) -> Tensor:
    return in_type(torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy()))


OPERATORS: dict[str, Callable[[list[Value], Attributes], Tensor | tuple[Tensor, ...]]] = {
    "Add": of_each(torch.add),
    "And": of_each(torch.logical_and),
    "BatchNormalization": normalized,
    "Cast": cast,
    "Concat": lambda inputs, attributes: torch.cat(inputs, attributes["axis"]),
    "Constant": constant,
    "Conv": convolution,
    "Div": of_each(lambda a, b: a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")),
    "Equal": of_each(torch.eq),
    "Expand": of_each(lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, whole(shape)))),
    "Gather": gathered,
    "Greater": of_each(torch.gt),
    "Identity": of_each(lambda x: x),
    "Less": of_each(torch.lt),
    "Log": of_each(torch.log),
    "MatMul": of_each(torch.matmul),
    "Max": of_each(torch.maximum),
    "Min": of_each(torch.minimum),
    "Mul": of_each(torch.mul),
    "Neg": of_each(torch.neg),
    "Not": of_each(torch.logical_not),
    "Pad": padded,
    "Pow": of_each(torch.pow),
    "ReduceMax": reduction(torch.amax),
    "ReduceMean": reduction(torch.mean),
    "ReduceMin": reduction(torch.amin),
    "ReduceSum": reduction(torch.sum),
    "Relu": of_each(torch.relu),
    "Reshape": reshaped,
    "Shape": of_each(lambda x: torch.tensor(x.shape)),
    "Sigmoid": of_each(torch.sigmoid),
    "Slice": sliced,
    "Sqrt": of_each(torch.sqrt),
    "Squeeze": squeezed,
    "Sub": of_each(torch.sub),
    "Tile": of_each(lambda x, repeats: x.repeat(whole(repeats))),
    "Transpose": lambda inputs, attributes: inputs[0].permute(tuple(attributes["perm"])),
    "Unsqueeze": unsqueezed,
    "Where": of_each(torch.where),
}
