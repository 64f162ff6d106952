"""The exported file in other people's runtimes, against PyTorch in float64."""

import time
from statistics import median

import numpy as np
import pytest

from runtimes import RUNTIMES, Classifier, MissingRuntime

TOLERANCE = 1e-3  # of a logit


def measure(classify: Classifier, pixels: np.ndarray, batch: int) -> tuple[np.ndarray, float]:
    """Logits [images, classes], and the median of the milliseconds an image after two calls."""
    parts = [np.ascontiguousarray(part, np.float32) for part in np.split(pixels, len(pixels) // batch)]
    for part in parts[:2]:
        classify(part)
    outputs, times = [], []
    for part in parts:
        start = time.perf_counter()
        # the next call may write where this one did
        outputs.append(np.array(classify(part)))
        times.append((time.perf_counter() - start) * 1000 / batch)
    return np.concatenate(outputs), median(times)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_gives_the_logits_of_pytorch(name, subject, tables):
    runtime = RUNTIMES[name]
    counts = {1: 100, 100: 1000} if runtime.takes_batches else {1: 1000}
    try:
        versions = runtime.versions()
        error, same, times = 0.0, 0, {}
        for batch, images in counts.items():
            with runtime.open(subject.model, batch) as classify:
                logits, times[batch] = measure(classify, subject.pixels[:images], batch)
            truth = subject.logits[:images]
            error = max(error, float(np.abs(logits - truth).max()))
            same = int((logits.argmax(1) == truth.argmax(1)).sum())
    except MissingRuntime as missing:
        tables["runtimes"].append([runtime.name, f"skipped: {missing}"])
        pytest.skip(str(missing))
    speeds = [f"{times[batch]:.2f}" if batch in times else "takes one" for batch in (1, 100)]
    tables["runtimes"].append([runtime.name, versions, f"{error:.1e}", f"{same} of {len(truth)}", *speeds])
    assert error < TOLERANCE
    assert same == len(truth) == len(subject.pixels)
