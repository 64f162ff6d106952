"""The gradients of onnx-ad, held against ours, for the models that write.ts writes."""

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, shape_inference

from tensors import Tensors, decode

ROOT = Path(__file__).parents[3]
CONFIG = "test/interop/oracle/vitest.config.ts"
NEWEST_RUN = 21  # the newest opset of ONNX Runtime 1.19.2
TOLERANCE = 1e-4
STEP = 2.0**-6


@dataclass(frozen=True)
class Verdict:
    """`error` is the largest difference by the size of our gradient; `refused` says why there is none.

    `ours_is_right` says, where the two differ, whether central differences of the model agree with ours.
    """

    label: str
    operator: str
    error: float | None = None
    refused: str | None = None
    ours_is_right: bool | None = None

    @property
    def agrees(self) -> bool:
        return self.error is not None and self.error <= TOLERANCE


def write(folder: Path) -> list[dict]:
    command = ["node_modules/.bin/vitest", "run", "--config", CONFIG]
    environment = {**os.environ, "OUT": str(folder)}
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment)
    return json.loads((folder / "cases.json").read_text())


def sized(model: onnx.ModelProto, feeds: Tensors, seeds: Tensors) -> onnx.ModelProto:
    """The model with the sizes that it is fed: many of onnx-ad's rules need them."""
    for values, tensors in (model.graph.input, feeds), (model.graph.output, seeds):
        for each in values:
            if each.name in tensors:
                tensor = tensors[each.name]
                kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
                each.CopyFrom(helper.make_tensor_value_info(each.name, kind, tensor.shape))
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, data_prop=True)


def with_inputs(model: onnx.ModelProto, names: list[str]) -> tuple[onnx.ModelProto, Tensors]:
    """The model with constants of these names as inputs, which onnx-ad differentiates, and their tensors."""
    graph, tensors = model.graph, {}
    for initializer in [each for each in graph.initializer if each.name in names]:
        tensors[initializer.name] = numpy_helper.to_array(initializer)
        graph.initializer.remove(initializer)
        kind = helper.make_tensor_type_proto(initializer.data_type, initializer.dims)
        graph.input.append(helper.make_value_info(initializer.name, kind))
    return model, tensors


def derivative(model: onnx.ModelProto, case: dict) -> Tensors:
    """What onnx-ad's reverse mode computes: the gradients by the names of the inputs."""
    from onnx_ad import reverse

    feeds, seeds, ours = (decode(case[key]) for key in ("feeds", "seeds", "gradients"))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    model, constants = with_inputs(sized(copy, feeds, seeds), list(ours))
    # the last axis of a seed counts the directions
    adjoint = reverse(model, inputs=list(ours), outputs=list(seeds), layout="onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # its GatherSliceToSplitFusion gives two nodes one name
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(adjoint.SerializeToString(), options, ["CPUExecutionProvider"])
    given = {**feeds, **constants, **{f"adj_{name}": seed[..., None] for name, seed in seeds.items()}}
    wanted = {each.name for each in session.get_inputs()}
    results = session.run([f"adj_{name}" for name in ours], {k: v for k, v in given.items() if k in wanted})
    return {name: result[..., 0] for name, result in zip(ours, results)}


def verdict(folder: Path, case: dict) -> Verdict:
    from onnx_ad import UnsupportedOperator

    about = {"label": case["label"], "operator": case["opType"]}
    model = onnx.load(folder / case["file"])
    opset = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if opset > NEWEST_RUN:
        return Verdict(**about, refused=f"opset {opset} is not in ONNX Runtime 1.19.2")
    ours = decode(case["gradients"])
    try:
        theirs = derivative(model, case)
    except UnsupportedOperator as error:
        return Verdict(**about, refused=f"onnx-ad: {error}")
    except Exception as error:  # noqa: BLE001 - what a program of others throws is a part of the answer
        return Verdict(**about, refused=f"{type(error).__name__}: {error}".splitlines()[0])
    errors = {name: difference(ours[name], theirs[name]) for name in ours}
    error = max(errors.values(), default=0)
    if error <= TOLERANCE:
        return Verdict(**about, error=error)
    far = [name for name, each in errors.items() if each > TOLERANCE]
    is_right = all(slopes_agree(model, case, name, ours[name]) for name in far)
    return Verdict(**about, error=error, ours_is_right=is_right)


def slopes_agree(model: onnx.ModelProto, case: dict, target: str, gradient: np.ndarray) -> bool:
    """Whether our gradient and central differences of the model agree along a random direction."""
    feeds, seeds = decode(case["feeds"]), decode(case["seeds"])
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    moving, constants = with_inputs(copy, list(decode(case["gradients"])))
    session = onnxruntime.InferenceSession(moving.SerializeToString(), providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    at = {name: value for name, value in {**feeds, **constants}.items() if name in names}
    along = np.clip(np.random.default_rng(0).standard_normal(at[target].shape), -1, 1)

    def loss(step: float) -> float:
        moved = np.asarray(at[target] + step * along, np.float32)
        results = session.run(list(seeds), {**at, target: moved})
        return sum(float((result.astype(np.float64) * seed).sum()) for result, seed in zip(results, seeds.values()))

    numeric = (loss(STEP) - loss(-STEP)) / (2 * STEP)
    slope = float((gradient.astype(np.float64) * along).sum())
    return abs(numeric - slope) <= 5e-2 * max(1, abs(numeric))


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    size = max(1.0, float(np.abs(ours).max(initial=0)))
    with np.errstate(invalid="ignore"):
        far = np.abs(ours.astype(np.float64) - theirs) / size
    return float(np.where(np.isnan(ours) & np.isnan(theirs), 0, np.nan_to_num(far, nan=np.inf)).max(initial=0))


@cache
def verdicts(folder: Path) -> list[Verdict]:
    return [verdict(folder, case) for case in write(folder)]
