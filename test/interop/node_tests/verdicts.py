"""What our compiler makes of the node tests: whether it reads each, computes it and differentiates it rightly."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from children import run_jobs
from cases import NodeTest, element_name, is_floating
from reference import Arrays, Differences, evaluate
from tensors import decode, encode

# inputs that choose what is computed, by operator: no gradient is asked for
CHOOSING = {"OneHot": {1}, "Resize": {1, 2}, "Upsample": {1}}
# steps of central differences with the relative error that they allow; the larger are for references that round
STEPS = [(1e-6, 2e-3), (1e-4, 5e-3), (1e-2, 3e-2)]
DIRECTIONS = 3
VARIES = "not checked: the shape of an output varies with {}"


@dataclass(frozen=True)
class Verdict:
    """Why a test is not read, not right, and has no right gradient; None where nothing is wrong."""

    read: str | None
    right: str | None
    gradient: str | None
    # whether there is a gradient to ask for
    is_differentiable: bool


@dataclass(frozen=True)
class Point:
    """Where the gradients of a test are taken: inputs near those of the test, and what arrives at its outputs, which is
    0 where an output is not finite."""

    feeds: Arrays
    seeds: Arrays
    inputs: list[str]
    # why onnx's reference evaluator cannot tell whether a gradient is right
    no_oracle: str | None


def verdicts(tests: Sequence[NodeTest], folder: Path) -> dict[str, Verdict]:
    points = {test.name: point_of(test) for test in tests}
    results = run_jobs([job(test, points[test.name], folder) for test in tests])
    return {test.name: judge(test, points[test.name], results[test.name], again(test, folder)) for test in tests}


def again(test: NodeTest, folder: Path) -> Path:
    return folder / f"{test.name}.onnx"


def job(test: NodeTest, point: Point | None, folder: Path) -> dict:
    gradient = point and {
        "feeds": encode({**point.feeds, **{f"{name}_grad": seed for name, seed in point.seeds.items()}}),
        "outputs": list(point.seeds),
        "inputs": point.inputs,
    }
    return {
        "name": test.name,
        "model": str(test.folder / "model.onnx"),
        "again": str(again(test, folder)),
        "feeds": encode(test.feeds),
        "gradient": gradient,
    }


def point_of(test: NodeTest) -> Point | None:
    """None where no float output depends on a float input."""
    choosing = {
        node.input[i]
        for node in test.model.graph.node
        for i in CHOOSING.get(node.op_type, ())
        if i < len(node.input)
    }
    inputs = [name for name, x in test.feeds.items() if is_floating(x) and x.size and name not in choosing]
    outputs = [name for name, y in test.expected.items() if is_floating(y) and y.size]
    if test.draws or not inputs or not outputs:
        return None
    rng = np.random.default_rng(zlib.crc32(test.name.encode()))
    no_oracle = differs_from_reference(test)
    feeds = dict(test.feeds)
    for name in [] if no_oracle else inputs:
        # upwards alone where the other direction leaves the domain
        both, upwards = (near(feeds[name], lowest, rng) for lowest in (-1, 0))
        moved = next((each for each in (both, upwards) if keeps_shapes(test, {**feeds, name: each})), feeds[name])
        feeds[name] = moved
    seeds = {name: seed(test.expected[name], rng) for name in outputs}
    return Point(feeds, seeds, inputs, no_oracle)


def near(x: np.ndarray, lowest: float, rng: np.random.Generator) -> np.ndarray:
    return (x * (1 + 0.02 * rng.uniform(lowest, 1, x.shape)) + 0.02 * rng.uniform(lowest, 1, x.shape)).astype(x.dtype)


def seed(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(np.isfinite(y), rng.standard_normal(y.shape), 0).astype(y.dtype)


def differs_from_reference(test: NodeTest) -> str | None:
    try:
        difference = first_difference(evaluate(test.model, test.feeds), test.expected)
    except Exception as error:  # whatever the evaluator lacks
        return f"the reference evaluator: {sentence(error)}"
    return difference and f"the reference evaluator's {difference}"


def keeps_shapes(test: NodeTest, feeds: Arrays) -> bool:
    try:
        outputs = evaluate(test.model, feeds)
    except Exception:  # the evaluator refuses these inputs in its own ways
        return False
    return all(stays(y, outputs[name]) for name, y in test.expected.items())


def stays(expected: np.ndarray, y: np.ndarray) -> bool:
    """Whether an output near an expected one has its shape, and is finite where that is."""
    return expected.shape == y.shape and (np.isfinite(y) | ~np.isfinite(expected)).all()


def judge(test: NodeTest, point: Point | None, result: dict, written: Path) -> Verdict:
    if "died" in result:
        return Verdict(None, result["died"], result["died"], point is not None)
    if result["read"]:
        reason = result["read"].removeprefix(f"{test.name} cannot be used: ")
        return Verdict(reason, None, None, point is not None)
    right = wrong_types(test, result["types"]) or wrong_file(test, result["written"], written)
    return Verdict(None, right, point and wrong_gradient(test, point, result["gradient"]), point is not None)


def wrong_types(test: NodeTest, types: list[dict]) -> str | None:
    for (name, y), type_ in zip(test.expected.items(), types, strict=True):
        shape = type_.get("shape")
        fits = shape is not None and len(shape) == y.ndim
        if not fits or any(isinstance(dim, int) and dim != size for dim, size in zip(shape, y.shape)):
            return f"the shape of {name} is inferred as {shape}, and is {list(y.shape)}"
        declared = next(info for info in test.model.graph.output if info.name == name)
        elem_type = element_name(declared.type.tensor_type.elem_type)
        if type_["elemType"] != elem_type:
            return f"{name} is inferred as {type_['elemType']}, and is {elem_type}"
    return None


def wrong_file(test: NodeTest, result: dict, written: Path) -> str | None:
    """The file that we write: it passes onnx's full check and computes what is expected, in ONNX Runtime or, where that
    does not cover the types, in onnx's reference evaluator."""
    if not written.exists():
        return f"it is not written: {result['error']}"
    try:
        onnx.checker.check_model(written, full_check=True)
    except onnx.checker.ValidationError as error:
        return f"onnx's checker: {sentence(error)}"
    except onnx.shape_inference.InferenceError as error:
        return f"onnx's checker: {sentence(error)}"
    if test.draws:
        return None
    if "error" not in result:
        difference = first_difference(decode(result["outputs"]), test.expected)
        if difference is None:
            return None
    else:
        difference = f"run: {result['error']}"
    try:
        other = first_difference(evaluate(onnx.load(written), test.feeds), test.expected)
    except Exception:  # the evaluator knows no operators of ONNX Runtime
        return difference
    return other and difference


def first_difference(actual: Arrays, expected: Arrays) -> str | None:
    for name, y in expected.items():
        x = actual.get(name)
        if x is None or x.shape != y.shape:
            return f"output {name} has the shape {None if x is None else list(x.shape)}, not {list(y.shape)}"
        tolerance = {"rtol": 2e-2, "atol": 1e-2} if y.dtype.itemsize == 2 and y.dtype.kind in "fV" else TOLERANCE
        if not np.allclose(x.astype(np.float64), y.astype(np.float64), equal_nan=True, **tolerance):
            worst = np.nanmax(np.abs(x.astype(np.float64) - y.astype(np.float64)))
            return f"output {name} is wrong by {worst:.1e}"
    return None


TOLERANCE = {"rtol": 1e-3, "atol": 1e-5}


def wrong_gradient(test: NodeTest, point: Point, result: dict) -> str | None:
    if "error" in result:
        return result["error"]
    if point.no_oracle:
        return f"not checked: {point.no_oracle}"
    outputs = list(decode(result["outputs"]).values())
    differences = Differences(test.model, point.feeds, point.seeds)
    rng = np.random.default_rng(zlib.crc32(test.name.encode()))
    for name, gradient in zip(point.inputs, outputs):
        x = point.feeds[name]
        if gradient.shape != x.shape:
            return f"the gradient of {name} has the shape {list(gradient.shape)}, not {list(x.shape)}"
        for _ in range(DIRECTIONS):
            difference = wrong_direction(name, gradient, rng.standard_normal(x.shape), differences)
            if difference == VARIES.format(name):
                difference = wrong_direction(name, gradient, alike(x, rng), differences)
            if difference:
                return difference
    return None


def wrong_direction(name: str, gradient: np.ndarray, direction: np.ndarray, differences: Differences) -> str | None:
    along = float((gradient.astype(np.float64) * direction).sum())
    try:
        if any(is_near(along, differences.along(name, direction, step), gradient, error) for step, error in STEPS):
            return None
        expected = differences.along(name, direction, STEPS[0][0])
    except ValueError:
        return VARIES.format(name)
    return f"the gradient of {name} along a direction is {along:.4g}, not {expected:.4g}"


def alike(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A direction in which equal elements stay equal: how many there are decides the shape of Unique's output."""
    distinct, places = np.unique(x, return_inverse=True)
    return rng.standard_normal(distinct.shape)[places].reshape(x.shape)


def is_near(along: float, expected: float, gradient: np.ndarray, error: float) -> bool:
    size = max(abs(expected), float(np.linalg.norm(gradient.astype(np.float64).ravel())))
    return abs(along - expected) <= error * size + 1e-4


def sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
