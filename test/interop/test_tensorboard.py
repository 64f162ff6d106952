"""The event files of `shake train --tensorboard`, read by TensorBoard itself."""

import json
import subprocess

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from artifacts import ROOT, SHAKE

FLAGS = "--width 2 --train-limit 96 --test-limit 40 --batch-size 16 --epochs 3 --threads 1".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was ended in its first epoch and resumed."""
    folder = tmp_path_factory.mktemp("tensorboard") / "run"
    start = ["node", SHAKE, "train"]
    subprocess.run(
        [*start, *FLAGS, "--tensorboard", "--max-time", "0.01", "--run-dir", folder], check=True, cwd=ROOT
    )
    subprocess.run([*start, "--resume", folder], check=True, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def events(run):
    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return accumulator.Reload()


def test_scalars_are_those_of_the_metrics(run, events):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for tag, field in {
        "loss/train": "train_loss",
        "loss/test": "test_loss",
        "accuracy/train": "train_accuracy",
        "accuracy/test": "test_accuracy",
        "epoch/learning_rate": "learning_rate",
        "epoch/seconds": "seconds",
    }.items():
        found = [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]
        assert found == [(record["step"], pytest.approx(record[field])) for record in records], tag


def test_every_step_is_there_once(events):
    for tag in ["step/loss", "step/learning_rate", "step/images_per_second"]:
        assert [scalar.step for scalar in events.Scalars(tag)] == list(range(1, 19))


def test_curves_are_a_picture(events):
    (image,) = events.Images("curves")
    assert image.step == 18
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert image.width > 500 and image.height > 200


def test_graph_is_the_network(events):
    nodes = {node.name: node for node in events.Graph().node}
    assert list(nodes["head/Gemm_0"].input) == ["head/Flatten_0", "fc/weight", "fc/bias"]
    assert nodes["stage1/block0/branch1/Conv_0"].op == "Conv"
    for node in nodes.values():
        assert all(name.split(":")[0] in nodes for name in node.input), node.name
