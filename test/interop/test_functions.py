"""Our model-local functions against onnx: functions of several domains that call each other."""

import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

SCRIPT = Path(__file__).parent / "write-functions.js"


def test_onnx_accepts_functions_that_call_each_other_and_onnx_runtime_runs_them(tmp_path: Path):
    path = tmp_path / "functions.onnx"
    subprocess.run(["node", SCRIPT, path], check=True)
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    onnx.shape_inference.infer_shapes(model, strict_mode=True)
    assert {f.domain for f in model.functions} == {"com.example", "org.example"}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    a, b = (np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32) for seed in (1, 2))
    rounded, total = session.run(["rounded", "sum"], {"a": a, "b": b})
    np.testing.assert_array_equal(rounded, np.round(a))
    np.testing.assert_array_equal(total, a + b)
