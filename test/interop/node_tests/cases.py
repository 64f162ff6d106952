"""ONNX's backend node tests as `collect.py` leaves them."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, numpy_helper

# their outputs, or what they do to training, are drawn
RANDOM = {"Bernoulli", "Dropout", "Multinomial"}


@dataclass(frozen=True)
class NodeTest:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def model(self) -> ModelProto:
        return onnx.load(self.folder / "model.onnx")

    @cached_property
    def feeds(self) -> dict[str, np.ndarray]:
        return self._tensors("input", list(self.model.graph.input))

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        return self._tensors("output", list(self.model.graph.output))

    @property
    def outputs(self) -> list[str]:
        return [info.name for info in self.model.graph.output]

    @property
    def draws(self) -> bool:
        """Whether its outputs are random."""
        return any(node.op_type in RANDOM or node.op_type.startswith("Random") for node in self.model.graph.node)

    def _tensors(self, kind: str, declared: list[ValueInfoProto]) -> dict[str, np.ndarray]:
        count = len(list(self.folder.glob(f"{kind}_*.pb")))
        arrays = [numpy_helper.to_array(onnx.load_tensor(self.folder / f"{kind}_{i}.pb")) for i in range(count)]
        return {info.name: as_declared(array, info) for info, array in zip(declared, arrays, strict=False)}


def as_declared(array: np.ndarray, info: ValueInfoProto) -> np.ndarray:
    """Older releases write the bits of bfloat16 as a tensor of uint16."""
    is_bfloat16 = info.type.tensor_type.elem_type == TensorProto.BFLOAT16
    return array.view(ml_dtypes.bfloat16) if is_bfloat16 and array.dtype == np.uint16 else array


def load(folder: Path) -> list[NodeTest]:
    return [NodeTest(each.parent) for each in sorted(folder.glob("*/model.onnx"))]


def operators(tests: list[NodeTest]) -> dict[str, str]:
    """The operator that each test is of, by the test's name.

    A test whose name ends in `_expanded` computes with the nodes of the operator's definition what the test before
    it computes with the operator.
    """
    single: dict[str, str] = {}
    for test in tests:
        types = Counter(node.op_type for node in test.model.graph.node)
        others = [each for each in types if each not in ("Constant", "Identity")]
        if len(others) == 1:
            single.setdefault(stem(test), others[0])
        elif len(types) == 1:
            single.setdefault(stem(test), next(iter(types)))
    return {test.name: single.get(unexpanded(test), "several") for test in tests}


def stem(test: NodeTest) -> str:
    return test.name.partition("@")[0]


def unexpanded(test: NodeTest) -> str:
    return re.sub(r"_expanded.*$", "", stem(test))


def is_floating(array: np.ndarray) -> bool:
    return array.dtype in (np.float32, np.float64)


def element_name(number: int) -> str:
    return TensorProto.DataType.Name(number).lower()
