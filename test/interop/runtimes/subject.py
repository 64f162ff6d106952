"""The network that the runtimes are given: its files, its images, and what PyTorch in float64 says of them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from runtimes import ROOT
from shakenet_torch import ShakeNet


def shake(*arguments: object) -> None:
    command = ["node", ROOT / "dist/cli/main.js", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def train(folder: Path) -> Path:
    """A run of a few seconds on shapes."""
    flags = {"depth": 8, "width": 8, "train-limit": 400, "test-limit": 1000, "epochs": 1}
    shake("train", "--run-dir", folder, *(f"--{name}={value}" for name, value in flags.items()))
    return folder


class Even(torch.nn.Module):
    """A network in use: 0.5 for every coefficient."""

    def __init__(self, net: ShakeNet, blocks: int):
        super().__init__()
        self.net, self.blocks = net, blocks

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        half = torch.full((self.blocks, 1), 0.5, dtype=self.net.fc.weight.dtype)
        return self.net(images, half, half)


@dataclass(frozen=True)
class Subject:
    folder: Path

    @staticmethod
    def of_run(run: Path, folder: Path) -> "Subject":
        """Exports a run into a folder, as `shake export` does and layer by layer."""
        subprocess.run(["node", Path(__file__).with_name("prepare.js"), run, folder], check=True, cwd=ROOT)
        shake("export", run, "--out", folder / "model.onnx")
        return Subject(folder)

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def unfolded(self) -> Path:
        return self.folder / "unfolded.onnx"

    @cached_property
    def settings(self) -> dict:
        return json.loads((self.folder / "settings.json").read_text())

    @property
    def name(self) -> str:
        return f"{self.settings['depth']} 2x{self.settings['width']}d on {self.settings['data']}"

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [images, 3, 32, 32]"""
        return np.fromfile(self.folder / "images.bin", np.uint8).reshape(-1, 3, 32, 32)

    def network(self) -> Even:
        """The network in PyTorch with the tensors that the unfolded file has under their names."""
        settings = self.settings
        depth = settings["depth"]
        net = ShakeNet(
            depth, settings["width"], settings["classes"], mean=settings["mean"], std=settings["std"]
        )
        tensors = {tensor.name: tensor for tensor in onnx.load(self.unfolded).graph.initializer}
        state = {name: torch.from_numpy(numpy_helper.to_array(tensors[name]).copy()) for name in net.state_dict()}
        net.load_state_dict(state)
        return Even(net, (depth - 2) // 2).eval()

    @cached_property
    def logits(self) -> np.ndarray:
        """float64 [images, classes]"""
        net = self.network().double()
        with torch.inference_mode():
            return torch.cat([net(part) for part in torch.from_numpy(self.pixels).split(100)]).numpy()

    @cached_property
    def torch_export(self) -> Path:
        """The same network by PyTorch's own exporter."""
        path = self.folder / "torch.onnx"
        torch.onnx.export(
            self.network(),
            (torch.zeros(2, 3, 32, 32),),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return path
