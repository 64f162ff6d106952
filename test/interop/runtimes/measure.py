"""Measurements of a runtime, each in a process of its own: their libraries do not bear each other."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from runtimes import RUNTIMES, Classifier

Result = TypeVar("Result")


def in_a_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function of a module returns or throws; throws BrokenProcessPool where the process dies."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def classify(name: str, model: Path, pixels: np.ndarray, batch: int) -> tuple[np.ndarray, float]:
    """Logits [images, classes] of uint8 pixels, and the median of the milliseconds an image after two calls."""
    parts = [np.ascontiguousarray(part, np.float32) for part in np.split(pixels, len(pixels) // batch)]
    outputs, times = [], []
    with RUNTIMES[name].open(model, batch) as run:
        for part in parts[:2]:
            run(part)
        for part in parts:
            start = time.perf_counter()
            # the next call may write where this one did
            outputs.append(np.array(run(part)))
            times.append((time.perf_counter() - start) * 1000 / batch)
    return np.concatenate(outputs), median(times)


def race(name: str, models: dict[str, Path], pixels: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Milliseconds an image of every model in every round, all images in a call; rounds go back and forth."""
    images = np.ascontiguousarray(pixels, np.float32)
    with ExitStack() as stack:
        opened = RUNTIMES[name].open
        runs = {form: stack.enter_context(opened(path, len(images))) for form, path in models.items()}
        slowest = max(milliseconds(run, images, 2) for run in runs.values()) * len(images)
        calls = max(3, min(40, int(100 / slowest)))
        times: dict[str, list[float]] = {form: [] for form in runs}
        for turn in range(rounds):
            for form in list(runs)[:: 1 if turn % 2 == 0 else -1]:
                times[form].append(milliseconds(runs[form], images, calls))
    return times


def milliseconds(run: Classifier, images: np.ndarray, calls: int) -> float:
    """The median of some calls after one that is not counted, an image."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        run(images)
        times.append(time.perf_counter() - start)
    return median(times[1:]) * 1000 / len(images)
