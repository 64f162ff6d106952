"""Collects ONNX's backend node tests: collect.py FOLDER.

They are those of the installed onnx, and those of older releases whose operators have another form. A test is a folder
`NAME@RELEASE` with `model.onnx`, `input_I.pb` and `output_I.pb`, as onnx keeps them. `left-out.json` counts the tests
that are not of tensors of numbers, by reason.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

# each has operators that a later one tests in another form only
OLDER = ["1.18.0", "1.16.2", "1.14.1", "1.12.0"]
WHEEL = ["--no-deps", "--only-binary=:all:", "--python-version=3.10", "--platform=manylinux2014_x86_64"]
NUMBERS = {
    TensorProto.DataType.Value(name)
    for name in "FLOAT DOUBLE FLOAT16 BFLOAT16 INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 BOOL".split()
}
QUANTISED = ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"]


@dataclass(frozen=True)
class NodeTest:
    name: str
    model: ModelProto
    inputs: list[bytes]
    outputs: list[bytes]


def installed() -> Iterator[NodeTest]:
    for case in collect_testcases(None):
        if not case.data_sets:
            continue
        inputs, outputs = case.data_sets[0]
        named = [*zip(inputs, case.model.graph.input), *zip(outputs, case.model.graph.output)]
        if not all(info.type.HasField("tensor_type") for _, info in named):
            yield NodeTest(case.name, case.model, [], [])
            continue
        data = [serialized(value, info.name) for value, info in named]
        yield NodeTest(case.name, case.model, data[: len(inputs)], data[len(inputs) :])


def serialized(value, name: str) -> bytes:
    tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name)
    return tensor.SerializeToString()


def released(version: str, wheels: Path) -> Iterator[NodeTest]:
    """The node tests in the wheel of an older release."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *WHEEL]
    subprocess.run([*command, "--dest", wheels, f"onnx=={version}"], check=True)
    with zipfile.ZipFile(next(wheels.glob(f"onnx-{version}-*.whl"))) as wheel:
        names = set(wheel.namelist())
        for path in sorted(name for name in names if "/test/data/node/" in name and name.endswith("/model.onnx")):
            folder = path.removesuffix("/model.onnx")

            def tensors(kind: str) -> list[bytes]:
                files = [f"{folder}/test_data_set_0/{kind}_{i}.pb" for i in range(64)]
                return [wheel.read(file) for file in files if file in names]

            model = onnx.load_from_string(wheel.read(path))
            yield NodeTest(folder.rpartition("/")[2], model, tensors("input"), tensors("output"))


def all_nodes(model: ModelProto) -> list[NodeProto]:
    return [*model.graph.node, *(node for function in model.functions for node in function.node)]


def reason_to_leave_out(test: NodeTest) -> str | None:
    graph = test.model.graph
    nodes = all_nodes(test.model)
    types = [info.type for info in [*graph.input, *graph.output]]
    if not all(each.HasField("tensor_type") for each in types) or any("Sequence" in node.op_type for node in nodes):
        return "sequences and optionals"
    if any(node.op_type in QUANTISED or node.op_type.startswith("QLinear") for node in nodes):
        return "quantisation"
    if any(each.tensor_type.elem_type == TensorProto.STRING for each in types):
        return "strings"
    if not all(each.tensor_type.elem_type in NUMBERS for each in types):
        return "types of less than a byte, float8 and complex numbers"
    return None


def form(test: NodeTest) -> tuple[str, ...]:
    """What tells a test from one of the same name in another release: the operators' versions and attributes."""
    opsets = {imported.domain: imported.version for imported in test.model.opset_import}

    def version(node: NodeProto) -> int:
        opset = opsets.get(node.domain, 1)
        try:
            return onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
        except onnx.defs.SchemaError:
            return opset

    return (test.name, *(f"{node.op_type} {version(node)} {node.attribute}" for node in test.model.graph.node))


def collect(folder: Path) -> None:
    seen: set[tuple[str, ...]] = set()
    left_out: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as wheels:
        releases = {onnx.__version__: installed(), **{each: released(each, Path(wheels)) for each in OLDER}}
        for release, tests in releases.items():
            for test in tests:
                key = form(test)
                if key in seen:
                    continue
                seen.add(key)
                reason = reason_to_leave_out(test)
                if reason:
                    left_out[reason] += 1
                else:
                    write(test, folder / f"{test.name}@{release}")
    (folder / "left-out.json").write_text(json.dumps(left_out, indent=1))


def write(test: NodeTest, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(test.model.SerializeToString())
    for kind, tensors in (("input", test.inputs), ("output", test.outputs)):
        for i, tensor in enumerate(tensors):
            (folder / f"{kind}_{i}.pb").write_bytes(tensor)


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
