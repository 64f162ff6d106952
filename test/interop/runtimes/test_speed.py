"""The exported file against the same network layer by layer and by PyTorch's own exporter, in the same runtime."""

import time
from contextlib import ExitStack
from statistics import median

import numpy as np
import pytest

from runtimes import RUNTIMES, Classifier, MissingRuntime

ROUNDS = 9
BATCHES = {"onnxruntime": (1, 64), "wasm": (1,), "opencv": (1,), "openvino": (1,), "tract": (1,), "tvm": (1,), "pytorch": (1,)}


def milliseconds(classify: Classifier, images: np.ndarray, calls: int) -> float:
    """The median of some calls after one that is not counted, an image."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        classify(images)
        times.append(time.perf_counter() - start)
    return median(times[1:]) * 1000 / len(images)


def interleaved(classifiers: dict[str, Classifier], images: np.ndarray) -> dict[str, list[float]]:
    """Milliseconds an image of every classifier in every round; rounds go back and forth."""
    first = {name: milliseconds(classify, images, 2) for name, classify in classifiers.items()}
    calls = max(3, min(40, int(60 / max(first.values()) / len(images))))
    times: dict[str, list[float]] = {name: [] for name in classifiers}
    for turn in range(ROUNDS):
        for name in list(classifiers)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(milliseconds(classifiers[name], images, calls))
    return times


@pytest.mark.parametrize(("name", "batch"), [(name, batch) for name in BATCHES for batch in BATCHES[name]])
def test_speed_of_the_folded_network(name, batch, subject, tables):
    runtime = RUNTIMES[name]
    images = np.ascontiguousarray(subject.pixels[:batch], np.float32)
    with ExitStack() as stack:
        try:
            runtime.versions()
            files = {"folded": subject.model, "unfolded": subject.unfolded, "torch": subject.torch_export}
            opened = {form: stack.enter_context(runtime.open(path, batch)) for form, path in files.items()}
        except MissingRuntime as missing:
            pytest.skip(str(missing))
        times = interleaved(opened, images)
    ratios = {form: np.divide(times[form], times["folded"]) for form in ("unfolded", "torch")}
    row = [runtime.name, str(batch), f"{median(times['folded']):.2f}"]
    for values in ratios.values():
        low, middle, high = np.percentile(values, [25, 50, 75])
        row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
    tables["speed"].append(row)
    assert all(np.median(values) > 1 for values in ratios.values())
