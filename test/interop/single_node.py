"""Models of one node: what ONNX Runtime computes of the file, and what our operators and gradients compute of it."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import helper

from tensors import Tensors, decode, encode

SCRIPT = Path(__file__).parent / "node_tests/run-tests.js"


@dataclass(frozen=True)
class Node:
    """A node with its inputs, None for one that is left out. `symbols` names axes whose size the file does not tell:
    {"Q": {0: "batch"}}."""

    operator: str
    opset: int
    inputs: Mapping[str, np.ndarray | None]
    outputs: Sequence[str]
    attributes: Mapping[str, object]
    symbols: Mapping[str, Mapping[int, str]]

    def given(self) -> Tensors:
        return {name: value for name, value in self.inputs.items() if value is not None}

    def model(self) -> bytes:
        node = helper.make_node(
            self.operator,
            [name if value is not None else "" for name, value in self.inputs.items()],
            list(self.outputs),
            name="node",
            **self.attributes,
        )
        inputs = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(value.dtype),
                [self.symbols.get(name, {}).get(axis, size) for axis, size in enumerate(value.shape)],
            )
            for name, value in self.given().items()
        ]
        outputs = [helper.make_tensor_value_info(name, 1, None) for name in self.outputs if name]
        graph = helper.make_graph([node], "single", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        return model.SerializeToString()


@dataclass(frozen=True)
class Computed:
    """`kernel` has the outputs by ONNX Runtime's own kernel, or is the reason why it refuses the node; `outputs` are
    those by our operators, `gradients` those of the float inputs."""

    kernel: Tensors | str
    outputs: Tensors
    gradients: Tensors


def compute(node: Node, seeds: Mapping[str, np.ndarray]) -> Computed:
    """`seeds` are the gradients that arrive at outputs."""
    feeds = node.given()
    floats = [name for name, value in feeds.items() if value.dtype == np.float32]
    arriving = {f"{name}_grad": seed for name, seed in seeds.items()}
    with tempfile.TemporaryDirectory() as folder:
        model, jobs = Path(folder) / "model.onnx", Path(folder) / "jobs.json"
        model.write_bytes(node.model())
        gradient = {"feeds": encode({**feeds, **arriving}), "outputs": list(seeds), "inputs": floats}
        job = {"name": "node", "model": str(model), "again": str(Path(folder) / "again.onnx")}
        jobs.write_text(json.dumps([{**job, "feeds": encode(feeds), "gradient": gradient}]))
        done = subprocess.run(["node", str(SCRIPT), str(jobs)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    result = json.loads(done.stdout)
    error = result["read"] or result["gradient"].get("error")
    assert not error, error
    derived = decode(result["gradient"]["outputs"])
    kernel = result["written"]
    return Computed(
        kernel=kernel.get("error") or decode(kernel["outputs"]),
        outputs={name: derived[name] for name in seeds},
        gradients={name: derived[f"{name}_grad"] for name in floats},
    )
