"""Attention and its gradients beside PyTorch's scaled_dot_product_attention in float64."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from single_node import Node, compute

BATCH, HEADS, QUERIES, KEYS, SIZE, WIDTH = 2, 3, 4, 6, 8, 5


@dataclass(frozen=True)
class Case:
    """Sizes and attributes of an Attention. `mask` makes the mask from a shape, `past` is how many keys of earlier
    steps there are, `flat` whether the heads lie side by side, `modes` which scores are an output."""

    heads: int = HEADS
    kv_heads: int = HEADS
    queries: int = QUERIES
    keys: int = KEYS
    flat: bool = False
    mask: str = ""
    shape: tuple[int, ...] = ()
    past: int = 0
    attributes: dict = field(default_factory=dict)
    symbolic: bool = False
    refused: bool = False  # whether ONNX Runtime's kernel takes no such mask


BOTH = ["bool", "float", "infinite"]
SHAPES = [
    (QUERIES, KEYS),
    (1, KEYS),
    (HEADS, QUERIES, KEYS),
    (1, 1, QUERIES, KEYS),
    (BATCH, 1, QUERIES, KEYS),
    (BATCH, 1, 1, KEYS),
    (1, HEADS, QUERIES, KEYS),
    (BATCH, HEADS, QUERIES, KEYS),
]
CASES = {
    "heads apart": Case(),
    "heads side by side": Case(flat=True),
    "one query": Case(queries=1),
    "a scale": Case(attributes={"scale": 0.37}),
    "causal": Case(attributes={"is_causal": 1}),
    "causal, as many queries as keys": Case(queries=KEYS, attributes={"is_causal": 1}),
    "causal, more queries than keys": Case(queries=7, keys=3, attributes={"is_causal": 1}),
    "causal, side by side": Case(flat=True, attributes={"is_causal": 1}),
    **{
        f"a {kind} mask {list(shape)}": Case(mask=kind, shape=shape, refused=shape[-2] == 1)
        for kind in BOTH
        for shape in SHAPES
    },
    **{
        f"causal with a {kind} mask": Case(mask=kind, shape=(QUERIES, KEYS), attributes={"is_causal": 1})
        for kind in BOTH
    },
    **{
        f"a query that may attend no key, {kind}": Case(mask=f"empty {kind}", shape=(BATCH, 1, QUERIES, KEYS))
        for kind in ("bool", "float")
    },
    "a mask that ends before the last key": Case(mask="float", shape=(QUERIES, KEYS - 2), refused=True),
    "a bool mask that ends before the last key": Case(mask="bool", shape=(QUERIES, KEYS - 2), refused=True),
    "grouped heads": Case(heads=6, kv_heads=2),
    "one head of keys for all": Case(heads=4, kv_heads=1),
    "grouped heads, side by side, causal": Case(heads=6, kv_heads=2, flat=True, attributes={"is_causal": 1}),
    "grouped heads with a mask": Case(heads=6, kv_heads=2, mask="float", shape=(BATCH, 6, QUERIES, KEYS)),
    "earlier keys": Case(past=3),
    "earlier keys, causal": Case(past=3, queries=4, keys=4, attributes={"is_causal": 1}),
    "earlier keys, one query, causal": Case(past=3, queries=1, keys=1, attributes={"is_causal": 1}),
    "earlier keys, grouped, side by side, causal": Case(
        heads=6, kv_heads=2, past=3, queries=4, keys=4, flat=True, attributes={"is_causal": 1}
    ),
    "earlier keys with a mask": Case(past=2, mask="float", shape=(QUERIES, KEYS + 2)),
    "a cap": Case(attributes={"softcap": 1.5}),
    "a cap, causal": Case(attributes={"softcap": 1.5, "is_causal": 1}),
    "a cap and a mask": Case(mask="infinite", shape=(QUERIES, KEYS), attributes={"softcap": 1.5}),
    "softmax in double": Case(attributes={"softmax_precision": 11}),
    **{
        f"scores of mode {mode}": Case(
            mask="float", shape=(QUERIES, KEYS), attributes={"softcap": 1.5, "qk_matmul_output_mode": mode}
        )
        for mode in range(4)
    },
    **{
        f"scores of mode {mode}, grouped heads": Case(
            heads=6, kv_heads=2, attributes={"qk_matmul_output_mode": mode}
        )
        for mode in range(4)
    },
    "symbolic sizes": Case(symbolic=True, mask="float", shape=(BATCH, 1, QUERIES, KEYS)),
    "symbolic sizes, side by side, causal": Case(symbolic=True, flat=True, attributes={"is_causal": 1}),
    "symbolic sizes, grouped, earlier keys": Case(symbolic=True, heads=6, kv_heads=2, past=3),
}


def inputs_of(case: Case) -> dict[str, np.ndarray | None]:
    draw = np.random.default_rng(3)

    def normal(heads: int, length: int, size: int, flat: bool = case.flat) -> np.ndarray:
        drawn = draw.standard_normal((BATCH, heads, length, size)).astype(np.float32)
        return drawn.transpose(0, 2, 1, 3).reshape(BATCH, length, -1) if flat else drawn

    past = [normal(case.kv_heads, case.past, size, False) if case.past else None for size in (SIZE, WIDTH)]
    return {
        "Q": normal(case.heads, case.queries, SIZE),
        "K": normal(case.kv_heads, case.keys, SIZE),
        "V": normal(case.kv_heads, case.keys, WIDTH),
        "mask": mask_of(case, draw),
        "past_key": past[0],
        "past_value": past[1],
    }


def mask_of(case: Case, draw: np.random.Generator) -> np.ndarray | None:
    """A mask that lets every query attend the first key, unless it is an empty one."""
    if not case.mask:
        return None
    allowed = draw.random(case.shape) < 0.6
    allowed[..., 0] = True
    if case.mask.startswith("empty"):
        allowed[0, :, 1] = False
    if case.mask.endswith("bool"):
        return allowed
    numbers = draw.standard_normal(case.shape).astype(np.float32)
    return numbers if case.mask == "float" else np.where(allowed, numbers, np.float32(-np.inf))


def symbols_of(case: Case) -> dict[str, dict[int, str]]:
    if not case.symbolic:
        return {}
    axis = 1 if case.flat else 2
    lengths = {"Q": "queries", "K": "keys", "V": "keys", "past_key": "past", "past_value": "past"}
    names = {name: {0: "batch", (2 if "past" in name else axis): length} for name, length in lengths.items()}
    return {**names, "mask": {0: "batch", 2: "queries", 3: "all_keys"}}


def attention_in_torch(case: Case, given: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """The four outputs. PyTorch has no softcap and does not return scores: those are computed by their definition."""

    def apart(value: Tensor, heads: int) -> Tensor:
        return value.unflatten(-1, (heads, -1)).transpose(1, 2) if case.flat else value

    q, k, v = (
        apart(given[name], heads)
        for name, heads in (("Q", case.heads), ("K", case.kv_heads), ("V", case.kv_heads))
    )
    if case.past:
        k, v = torch.cat((given["past_key"], k), 2), torch.cat((given["past_value"], v), 2)
    attributes = case.attributes
    scale = attributes.get("scale", 1 / math.sqrt(SIZE))
    bias = bias_in_torch(case, given["mask"], k.shape[2])
    repeated = k.repeat_interleave(case.heads // case.kv_heads, 1)
    scores = scale * q @ repeated.transpose(2, 3)
    cap = attributes.get("softcap", 0)
    capped = cap * torch.tanh(scores / cap) if cap else scores
    if cap:
        attended = torch.softmax(capped + bias, -1) @ v.repeat_interleave(case.heads // case.kv_heads, 1)
    else:
        with sdpa_kernel(SDPBackend.MATH):
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale, enable_gqa=True)
    stages = [scores, capped, capped + bias, torch.softmax(capped + bias, -1)]
    return {
        "Y": attended.transpose(1, 2).flatten(2) if case.flat else attended,
        "present_key": k,
        "present_value": v,
        "scores": stages[attributes.get("qk_matmul_output_mode", 0)],
    }


def bias_in_torch(case: Case, mask: Tensor | None, keys: int) -> Tensor:
    """The mask and the causal mask, to add to the scores."""
    bias = torch.zeros(case.queries, keys, dtype=torch.float64)
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -math.inf)
        bias = bias + F.pad(mask, (0, keys - mask.shape[-1]), value=-math.inf)
    if case.attributes.get("is_causal"):
        later = torch.arange(keys) > torch.arange(case.queries)[:, None] + case.past
        bias = bias.masked_fill(later, -math.inf)
    return bias


def outputs_of(case: Case) -> list[str]:
    """Their names; those that a case is not about are left out."""
    names = ["Y", "present_key" if case.past else "", "present_value" if case.past else ""]
    return [*names, "scores"] if "qk_matmul_output_mode" in case.attributes else names


@pytest.mark.parametrize("name", CASES)
def test_attention_and_its_gradients_are_pytorchs(name: str):
    case = CASES[name]
    inputs = inputs_of(case)
    heads = {"q_num_heads": case.heads, "kv_num_heads": case.kv_heads} if case.flat else {}
    node = Node("Attention", 23, inputs, outputs_of(case), {**case.attributes, **heads}, symbols_of(case))
    given = {
        key: None if value is None else torch.from_numpy(value if value.dtype == bool else value.astype(np.float64))
        for key, value in inputs.items()
    }
    floats = [key for key, value in given.items() if value is not None and value.is_floating_point()]
    for key in floats:
        given[key].requires_grad_()
    expected = {key: value for key, value in attention_in_torch(case, given).items() if key in node.outputs}
    draw = np.random.default_rng(4)
    seeds = {key: draw.standard_normal(value.shape).astype(np.float32) for key, value in expected.items()}
    finite = {key: torch.where(torch.isfinite(value), value, 0.0) for key, value in expected.items()}
    total = sum((finite[key] * torch.from_numpy(seed).double()).sum() for key, seed in seeds.items())
    gradients = torch.autograd.grad(total, [given[key] for key in floats])

    actual = compute(node, seeds)
    for key, value in expected.items():
        np.testing.assert_allclose(actual.outputs[key], value.detach(), rtol=1e-5, atol=1e-5, err_msg=key)
    assert isinstance(actual.kernel, str) == case.refused, actual.kernel
    for key, value in () if case.refused else expected.items():
        np.testing.assert_allclose(actual.kernel[key], value.detach(), rtol=1e-5, atol=1e-5, err_msg=f"kernel: {key}")
    for key, gradient in zip(floats, gradients, strict=True):
        np.testing.assert_allclose(
            actual.gradients[key], gradient, rtol=2e-5, atol=2e-5, err_msg=f"gradient of {key}"
        )
