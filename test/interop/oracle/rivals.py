"""Measures what other programs differentiate, on the models of write.ts, and writes test/operators/rivals.json.

Needs onnx-ad 0.3.0, onnxruntime-training-cpu 1.19.2 and, without its dependencies, onnxsim 0.8.1; and a folder JAX with
the npm packages @jax-js/jax 0.1.25 and @jax-js/onnx 0.1.2.
    PYTHONPATH=test/interop python test/interop/oracle/rivals.py JAX
    npx biome check --write test/operators && UPDATE_DOCS=1 npx vitest run test/operators
"""

import ast
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import onnx
from onnx import helper, numpy_helper

import compare
from tensors import decode, encode

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "operators" / "rivals.json"
Tried = dict[str, list[int]]


def counted(cases: list[dict], succeeds: Callable[[dict], bool]) -> Tried:
    """For each operator, with how many of its models a program succeeds, and how many there are."""
    counts: Tried = defaultdict(lambda: [0, 0])
    for case in cases:
        counts[case["opType"]][0] += succeeds(case)
        counts[case["opType"]][1] += 1
    return dict(sorted(counts.items()))


def has_operator(folder: Path, case: dict) -> bool:
    return any(node.op_type == case["opType"] for node in onnx.load(folder / case["file"]).graph.node)


def prepared(folder: Path, case: dict) -> tuple[onnx.ModelProto, dict]:
    """The model of a case whose targets are inputs, and all that it is fed."""
    model = onnx.load(folder / case["file"])
    feeds = decode(case["feeds"])
    model = compare.sized(model, feeds, decode(case["seeds"]))
    model, constants = compare.with_inputs(model, list(decode(case["gradients"])))
    return model, {**feeds, **constants}


def with_loss(model: onnx.ModelProto, seeds: dict) -> onnx.ModelProto:
    """The model with one output, loss_: the outputs times their seeds."""
    graph, terms = model.graph, []
    graph.initializer.append(helper.make_tensor("flat_", onnx.TensorProto.INT64, [1], [-1]))
    for name, seed in seeds.items():
        graph.initializer.append(numpy_helper.from_array(seed, f"{name}_seed"))
        graph.node.extend(
            [
                helper.make_node("Mul", [name, f"{name}_seed"], [f"{name}_product"]),
                helper.make_node("Reshape", [f"{name}_product", "flat_"], [f"{name}_flat"]),
                helper.make_node("ReduceSum", [f"{name}_flat"], [f"{name}_sum"], keepdims=0),
            ]
        )
        terms.append(f"{name}_sum")
    total = terms[0]
    for i, term in enumerate(terms[1:]):
        graph.node.append(helper.make_node("Add", [total, term], [f"total_{i}"]))
        total = f"total_{i}"
    graph.node.append(helper.make_node("Identity", [total], ["loss_"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("loss_", onnx.TensorProto.FLOAT, []))
    return model


# the outputs that the gradients of these operators read, which our models leave out; generate_artifacts names them
SAVED = {"Dropout": 2, "LayerNormalization": 3, "SoftmaxCrossEntropyLoss": 2}


def name_saved_outputs(model: onnx.ModelProto) -> None:
    for i, node in enumerate(model.graph.node):
        for j in range(len(node.output), SAVED.get(node.op_type, 0)):
            node.output.append(f"saved_{i}_{j}")


def onnxruntime_builds(folder: Path, case: dict) -> bool:
    """Whether the gradient graph builder of ONNX Runtime 1.19.2, which generate_artifacts used, builds the gradients."""
    from onnxruntime.capi._pybind_state import GradientGraphBuilder

    model, _ = prepared(folder, case)
    name_saved_outputs(model)
    names = set(decode(case["gradients"]))
    bytes_ = with_loss(model, decode(case["seeds"])).SerializeToString()
    try:
        GradientGraphBuilder(bytes_, {"loss_"}, names, "loss_", None).build()
    except Exception:  # noqa: BLE001 - it throws RuntimeError and its own kinds
        return False
    return True


def jax_agrees(folder: Path, cases: list[dict], packages: Path) -> Callable[[dict], bool]:
    """Whether jax-js's gradients agree with ours."""
    for case in cases:
        model = onnx.load(folder / case["file"])
        model, constants = compare.with_inputs(model, list(decode(case["gradients"])))
        (folder / f"jax-{case['file']}").write_bytes(model.SerializeToString())
        case["jax"] = {**case["feeds"], **encode(constants)}
        case["names"] = [each.name for each in model.graph.input]
    (folder / "jax.json").write_text(json.dumps(cases))
    script = (HERE / "jax.js").read_text()
    (packages / "oracle.mjs").write_text(script)
    done = subprocess.run(["node", "oracle.mjs", folder], cwd=packages, capture_output=True, text=True, check=True)
    agreeing = set(json.loads(done.stdout))
    return lambda case: case["file"] in agreeing


def onnxsim_rules() -> list[str]:
    """The operators in the tables of rules of onnxsim's graph_grad.py, which is read and not run."""
    places = find_spec("onnxsim").submodule_search_locations
    tree = ast.parse((Path(places[0]) / "graph_grad.py").read_text())
    tables = {"_RULES", "_PYTHON_ONLY_RULES", "_MULTI_OUTPUT_RULES"}
    found = [
        key.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and node.target.id in tables
        for key in node.value.keys
    ]
    return sorted(found)


def onnx_ad_rules() -> dict[str, list[str]]:
    import onnx_ad.control  # noqa: F401 - registers the rules of If, Loop and Scan
    from onnx_ad import lower, recurrent, rules

    zero = sorted(rules.ZERO_DERIVATIVE)
    written = {*rules.REVERSE, *lower.LOWERINGS, *recurrent.RECURRENT} - set(zero)
    return {"rules": sorted(written), "zero": zero}


def main() -> None:
    packages = Path(sys.argv[1]).resolve()
    data = json.loads(DATA.read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = compare.write(folder)
        verdicts = {case["file"]: compare.verdict(folder, case) for case in cases}
        # a file may write an operator in others, and then says nothing of it
        single = [case for case in cases if has_operator(folder, case)]
        rivals = data["rivals"]
        rivals["onnxsim"]["rules"] = onnxsim_rules()
        rivals["onnx-ad"].update(onnx_ad_rules())
        rivals["onnx-ad"]["tried"] = counted(single, lambda case: verdicts[case["file"]].agrees)
        rivals["ONNX Runtime"]["tried"] = counted(single, lambda case: onnxruntime_builds(folder, case))
        rivals["jax-js"]["tried"] = counted(single, jax_agrees(folder, single, packages))
    found = verdicts.values()
    data["oracle"] = {
        "models": len(cases),
        "agree": sum(each.agrees for each in found),
        "differ": sum(each.error is not None and not each.agrees for each in found),
    }
    data["measured"] = date.today().isoformat()
    DATA.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
