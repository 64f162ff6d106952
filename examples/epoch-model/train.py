"""Trains a network with ONNX Runtime alone: several steps are one run of a plain model.

    npx shake build-graph --data cifar10 --target standard --chunk --out artifacts
    pip install numpy onnx onnxruntime
    python train.py artifacts cifar-10-batches-bin/data_batch_1.bin trained.onnx
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import InferenceSession

BATCH = 100
STEPS_PER_CALL = 10
EPOCHS = 2
LEARNING_RATE = 0.05


def read_cifar10(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [N, 3, 32, 32] and labels int64 [N]; a record is a label and the bytes of a picture."""
    records = np.fromfile(path, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def initial_state(folder: Path) -> dict[str, np.ndarray]:
    """The parameters, statistics and moments before the first step."""
    session = InferenceSession(folder / "initial_state.onnx")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {})))


def calls(order: np.ndarray):
    """The picture numbers of each call, [steps, batch]."""
    steps = iter(order[: len(order) // BATCH * BATCH].reshape(-1, BATCH))
    while call := list(islice(steps, STEPS_PER_CALL)):
        yield np.stack(call)


def save_trained(folder: Path, state: dict[str, np.ndarray], path: str) -> None:
    """Puts the trained tensors into the evaluation model: pictures and labels in, loss and scores out."""
    model = onnx.load(folder / "eval_model.onnx")
    inputs = [value for value in model.graph.input if value.name not in state]
    read = {value.name for value in model.graph.input} - {value.name for value in inputs}
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(state[name], name) for name in sorted(read))
    onnx.save(model, path)


def main(folder: Path, data: str, out: str) -> None:
    images, labels = read_cifar10(data)
    epoch = InferenceSession(folder / "epoch_model.onnx")
    outputs = [output.name for output in epoch.get_outputs()]
    # the mixing weights of Shake-Shake, drawn anew for every picture of every step
    weights = {i.name: i.shape[1] for i in epoch.get_inputs() if i.name in ("alpha", "beta")}
    state = initial_state(folder)
    random = np.random.default_rng(1)
    for number in range(1, EPOCHS + 1):
        losses = []
        for rows in calls(random.permutation(len(labels))):
            steps = len(rows)
            feeds = {
                "images": images[rows],
                "labels": labels[rows],
                "learning_rate": np.full((steps, 1), LEARNING_RATE, np.float32),
                **{
                    name: random.random((steps, blocks, BATCH), np.float32)
                    for name, blocks in weights.items()
                },
            }
            results = dict(zip(outputs, epoch.run(outputs, state | feeds)))
            state |= {name: results[f"{name}_next"] for name in state if f"{name}_next" in results}
            losses.extend(results["loss"])
        print(f"epoch {number}: loss {np.mean(losses):.4f}")
    save_trained(folder, state, out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("python train.py ARTIFACTS DATA_BATCH.bin OUT.onnx")
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
