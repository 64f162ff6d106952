"""The exported file against the same network layer by layer and by PyTorch's own exporter, in the same runtime."""

from statistics import median

import numpy as np
import pytest

from measure import in_a_process, race
from runtimes import RUNTIMES, MissingRuntime

ROUNDS = 9
# what takes all three files: tract dies on PyTorch's, and onnx2torch lacks its Pad
CASES = [("onnxruntime", 1), ("onnxruntime", 64), ("opencv", 1), ("openvino", 1), ("tvm", 1), ("wasm", 1)]


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_speed_of_the_folded_network(name, batch, subject, tables):
    runtime = RUNTIMES[name]
    models = {"folded": subject.model, "unfolded": subject.unfolded, "torch": subject.torch_export}
    try:
        runtime.versions()
        times = in_a_process(race, name, models, subject.pixels[:batch], ROUNDS)
    except MissingRuntime as missing:
        pytest.skip(str(missing))
    ratios = {form: np.divide(times[form], times["folded"]) for form in ("unfolded", "torch")}
    row = [runtime.name, str(batch), f"{median(times['folded']):.2f}"]
    for values in ratios.values():
        low, middle, high = np.percentile(values, [25, 50, 75])
        row.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
    tables["speed"].append(row)
    assert all(len(values) == ROUNDS and min(values) > 0 for values in times.values())
