"""What the Python peers share: the workload, and the protocol with the comparison."""

import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


class Workload:
    """A workload: settings, and arrays by name (those of the batch, and parameters and statistics where it has them)."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        self.settings = json.loads((self.folder / "workload.json").read_text())
        self.threads: int = self.settings["threads"]
        self.learning_rate: float = self.settings["learningRate"]
        values = np.fromfile(self.folder / "tensors.bin", "<f4")
        self.arrays = {}
        for name, dims in self.settings["tensors"]:
            count = int(np.prod(dims))
            self.arrays[name], values = values[:count].reshape(dims), values[count:]


class Setup(Workload):
    """The workload of our network. Its batch is apart from the other arrays."""

    def __init__(self, folder: str):
        super().__init__(folder)
        self.depth: int = self.settings["depth"]
        self.width: int = self.settings["width"]
        self.mean: list[float] = self.settings["mean"]
        self.std: list[float] = self.settings["std"]
        self.momentum: float = self.settings["momentum"]
        self.weight_decay: float = self.settings["weightDecay"]
        self.images = self.arrays.pop("images").astype(np.uint8)
        self.labels = self.arrays.pop("labels").astype(np.int64)
        self.alpha = self.arrays.pop("alpha")
        self.beta = self.arrays.pop("beta")

    def blocks(self) -> list[tuple[str, int, int, int]]:
        """The name, input channels, output channels and stride of each residual block."""
        blocks, channels = [], 16
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append((f"stage{stage + 1}.block{block}", channels, self.width * 2**stage, stride))
                channels = self.width * 2**stage
        return blocks


def serve(version: str, step: Callable[[], float]) -> None:
    """
    Prints the version. Then reads a number of steps from each line of standard input, trains them, and prints a
    line of JSON. `step` trains one step and returns the loss when it is done.
    """
    tell({"version": version})
    for line in sys.stdin:
        times, losses = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(step())
            times.append(1000 * (time.perf_counter() - start))
        tell({"ms": times, "losses": losses, "peak_rss_mb": peak_rss_mb()})


def tell(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def peak_rss_mb() -> float:
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
