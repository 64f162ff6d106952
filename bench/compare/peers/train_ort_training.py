"""Trains our fused training model with onnxruntime-training: train_ort_training.py FOLDER"""

import sys

import numpy as np
import onnxruntime
from onnxruntime import SessionOptions
from onnxruntime.training.api import CheckpointState, Module
from protocol import Setup, serve

setup = Setup(sys.argv[1])
artifacts = setup.folder / "fused"
options = SessionOptions()
options.intra_op_num_threads = setup.threads
module = Module(
    artifacts / "training_model.onnx",
    CheckpointState.load_checkpoint(artifacts / "checkpoint"),
    session_options=options,
)
batch = {"images": setup.images, "labels": setup.labels, "alpha": setup.alpha, "beta": setup.beta}
steps = 0


def step() -> float:
    global steps
    steps += 1
    own = {"learning_rate": np.array([setup.learning_rate], np.float32), "step": np.array([steps])}
    feeds = batch | own
    outputs = module(*(feeds[name] for name in module.input_names()))
    module.lazy_reset_grad()
    return dict(zip(module.output_names(), outputs, strict=True))["loss"].item()


serve(f"onnxruntime-training {onnxruntime.__version__}", step)
