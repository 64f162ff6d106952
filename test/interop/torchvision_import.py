"""Imports torchvision beside a PyTorch without CUDA: torchvision_import.py PROGRAM runs a program that needs it."""

import runpy
import sys
from pathlib import Path


def import_torchvision() -> None:
    """PyPI's torchvision is built for CUDA. Beside another PyTorch its own operators do not load, which none of our
    networks has."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for operator in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", signature)
        import torchvision  # noqa: F401


if __name__ == "__main__":
    program = sys.argv[1]
    if "torchvision" in Path(program).read_text():
        import_torchvision()
    runpy.run_path(program, run_name="__main__")
