"""Trains a foreign model with onnxruntime-training's own artifacts of it: train_ort_model.py FOLDER"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime import SessionOptions
from onnxruntime.training import artifacts, onnxblock
from onnxruntime.training.api import CheckpointState, Module, Optimizer
from protocol import Workload, serve


def generate(path: Path, folder: Path) -> None:
    model = onnx.load(path)
    for node in model.graph.node:
        # generate_artifacts reads outputs that PyTorch's exporter leaves out
        if node.op_type == "LayerNormalization" and len(node.output) == 1:
            node.output.extend(f"{node.output[0]}_{name}" for name in ("mean", "inv_std_dev"))
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    statistics = [tensor.name for tensor in weights if "running_" in tensor.name]
    artifacts.generate_artifacts(
        model,
        requires_grad=[tensor.name for tensor in weights if tensor.name not in statistics],
        frozen_params=statistics,
        loss=artifacts.LossType.CrossEntropyLoss,
        optimizer=onnxblock.optim.AdamW(eps=1e-8, weight_decay=0.01),
        artifact_directory=folder,
    )


workload = Workload(sys.argv[1])
options = SessionOptions()
options.intra_op_num_threads = workload.threads
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    generate(workload.folder / "model.onnx", folder)
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, session_options=options)
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
optimizer.set_learning_rate(workload.learning_rate)
feeds = {"input": workload.arrays["input"], "labels": workload.arrays["labels"].astype(np.int64)}
module.train()


def step() -> float:
    loss = module(*(feeds[name] for name in module.input_names()))
    optimizer.step()
    module.lazy_reset_grad()
    return loss.item()


serve(f"onnxruntime-training {onnxruntime.__version__}", step)
