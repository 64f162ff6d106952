"""The exported file in other people's runtimes, against PyTorch in float64."""

import numpy as np
import pytest

from measure import classify, in_a_process
from runtimes import RUNTIMES, MissingRuntime

TOLERANCE = 1e-3  # of a logit


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_gives_the_logits_of_pytorch(name, subject, tables):
    runtime = RUNTIMES[name]
    counts = {1: 100, 100: 1000} if runtime.takes_batches else {1: 1000}
    error, same, times = 0.0, 0, {}
    try:
        versions = runtime.versions()
        for batch, images in counts.items():
            logits, times[batch] = in_a_process(classify, name, subject.model, subject.pixels[:images], batch)
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
