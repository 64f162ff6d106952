"""The three walks of docs/training-any-model.md: the page's own programs and commands, in the page's order."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image

from artifacts import ROOT, SHAKE
from torchvision_import import import_torchvision

BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
PYTHON = [sys.executable, str(ROOT / "test/interop/torchvision_import.py")]
PROGRAMS = {"python": PYTHON, "node": ["node"], "npx shake": ["node", str(SHAKE)]}


def blocks(title: str) -> Iterator[tuple[str, str, str]]:
    """The file name, language and text of the blocks under a title of the page."""
    page = (ROOT / "docs" / "training-any-model.md").read_text()
    section = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##)", page, re.DOTALL | re.MULTILINE)
    assert section, f"the page has no walk {title!r}"
    return (match.groups() for match in BLOCK.finditer(section.group(1)))


def run(line: str, folder: Path) -> str:
    """What a command of the page prints."""
    start = next(name for name in PROGRAMS if line.startswith(f"{name} "))
    arguments = [*PROGRAMS[start], *shlex.split(line.removeprefix(start))]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def walk(title: str, folder: Path) -> dict[str, str]:
    """Writes the files of a walk and runs its commands. Returns what each command printed."""
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "shakenet").symlink_to(ROOT)
    printed = {}
    for name, language, text in blocks(title):
        if name:
            (folder / name).write_text(text)
        elif language == "sh":
            printed |= {line: run(line, folder) for line in text.strip().splitlines()}
    return printed


def losses(printed: dict[str, str], command: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss (\S+)", printed[command])]


@pytest.fixture
def weights(tmp_path, monkeypatch) -> None:
    """What torchvision would fetch for `weights="DEFAULT"`: a random network whose statistics fit its activations."""
    import_torchvision()
    from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

    torch.manual_seed(0)
    network = mobilenet_v2().train()
    torch.nn.init.normal_(network.classifier[1].bias)  # the exporter drops a bias of zeros
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches
    with torch.no_grad():
        for _ in range(4):
            network(torch.randn(8, 3, 1, 1) + 0.3 * torch.randn(8, 3, 64, 64))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / MobileNet_V2_Weights.DEFAULT.url.split("/")[-1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def draw_pictures(folder: Path) -> None:
    """Five reddish and five bluish pictures with noise."""
    random = np.random.default_rng(0)
    for name, tint in (("cat", [90, 20, 0]), ("dog", [0, 20, 90])):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(1, 6):
            pixels = random.integers(0, 160, (180, 240, 3)) + np.array(tint)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / name / f"{i}.png")


def test_the_head_of_a_mobilenet_learns_ten_pictures_of_two_classes(weights, tmp_path):
    draw_pictures(tmp_path)
    printed = walk("Retrain the head of a MobileNet on ten pictures", tmp_path)
    trained = losses(printed, "node train-pictures.mjs")
    assert len(trained) == 20
    assert trained[-1] < 0.5 * trained[0]
    (predicted,) = (text for line, text in printed.items() if "shake predict" in line)
    assert re.findall(r"(cat|dog)/1\.png +(cat|dog) ", predicted) == [("cat", "cat"), ("dog", "dog")]
    model = onnx.load(tmp_path / "cat-or-dog.onnx")
    onnx.checker.check_model(model, full_check=True)
    before = {tensor.name: tensor for tensor in onnx.load(tmp_path / "mobilenet.onnx").graph.initializer}
    changed = [tensor.name for tensor in model.graph.initializer if tensor != before[tensor.name]]
    assert changed == ["classifier.1.weight", "classifier.1.bias"]


def test_an_encoder_is_fine_tuned_on_sentences(tmp_path):
    printed = walk("Fine-tune an encoder", tmp_path)
    trained = losses(printed, "node train-sentences.mjs")
    assert trained[-1] < 0.1 < trained[0]
    before, after = (onnx.load(tmp_path / name) for name in ("encoder.onnx", "sentiment.onnx"))
    onnx.checker.check_model(after, full_check=True)
    old = {tensor.name: tensor for tensor in before.graph.initializer}
    changed = {tensor.name for tensor in after.graph.initializer if tensor != old[tensor.name]}
    assert "words.weight" not in changed
    assert {"encoder.layers.1.norm1.weight", "head.bias"} <= changed
    assert not any("layers.0" in name for name in changed)


def test_a_regression_of_scikit_learn_is_trained_on_with_new_rows(tmp_path):
    printed = walk("Train a regression of scikit-learn on", tmp_path)
    before, after = losses(printed, "node train-rows.mjs")
    assert after < 0.9 * before
    rows = np.loadtxt(tmp_path / "new-rows.csv", delimiter=",", dtype=np.float32)[:50]
    session = InferenceSession(tmp_path / "diabetes-trained.onnx")
    (predicted,) = session.run(None, {"X": rows[:, :10]})
    assert np.mean((predicted - rows[:, 10:]) ** 2) == pytest.approx(after, abs=1e-3)
