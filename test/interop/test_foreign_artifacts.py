"""Artifacts made by Python's `generate_artifacts`, trained by ONNX Runtime 1.19.2 in Python and by our session in Node."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.Checkpoint import Checkpoint
from onnxruntime.training.api import CheckpointState, Module, Optimizer

from foreign_models import CASES, DROPOUT, DROPPED_SCORES, MODELS, Case, generate
from tensors import decode, encode

ROOT = Path(__file__).resolve().parents[2]

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """What is trained on what."""

    folder: Path
    checkpoint: Path
    batches: list[Batch]
    learning_rates: list[float]  # one an optimizer step

    @property
    def accumulate(self) -> int:
        return len(self.batches) // len(self.learning_rates)

    def part(self, steps: slice, checkpoint: Path) -> "Run":
        """Some of its steps, from another checkpoint."""
        batches = slice(steps.start * self.accumulate, steps.stop * self.accumulate)
        return Run(self.folder, checkpoint, self.batches[batches], self.learning_rates[steps])


@dataclass(frozen=True)
class Outcome:
    """The outputs of every training step and of an evaluation after the last, and the checkpoint then."""

    training: list[Batch]
    evaluation: Batch
    checkpoint: Path

    @property
    def losses(self) -> np.ndarray:
        return np.array([next(iter(outputs.values())).item() for outputs in self.training])

    def parameters(self) -> dict[str, np.ndarray]:
        state = CheckpointState.load_checkpoint(self.checkpoint)
        return {name: parameter.data.copy() for name, parameter in state.parameters}

    def optimizer(self) -> tuple[int, dict[str, np.ndarray]]:
        """The step and the moments."""
        group = Checkpoint.GetRootAs(self.checkpoint.read_bytes()).OptimizerGroups(0)
        states = [group.OptimizerStates(i) for i in range(group.OptimizerStatesLength())]
        moments = {
            f"{state.ParamName().decode()}.{state.Momentums(i).Name().decode()}": np.frombuffer(
                state.Momentums(i).RawDataAsNumpy().tobytes(), np.float32
            )
            for state in states
            for i in range(state.MomentumsLength())
        }
        return group.Step(), moments


def random_batches(case: Case, count: int, seed: int) -> list[Batch]:
    """Four batches over and over, so that the loss falls; of two sizes where the batch axis is dynamic."""
    torch.manual_seed(seed)
    model = MODELS[case.model]
    module = model.module().eval()
    batches = []
    for size in (8, 5, 8, 3):
        inputs = model.sample(model.batch or size)
        scores = module(inputs)
        if case.loss == "ce":
            target = {"labels": torch.randint(0, scores.shape[1], scores.shape[:1])}
        else:
            noise = torch.randn_like(scores)
            target = {"target": (noise > 0).float() if case.loss == "bce" else noise}
        batches.append({name: value.numpy() for name, value in ({"input": inputs} | target).items()})
    return [batches[i % len(batches)] for i in range(count)]


def train_in_python(run: Run, checkpoint: Path) -> Outcome:
    state = CheckpointState.load_checkpoint(run.checkpoint)
    module = Module(run.folder / "training_model.onnx", state, run.folder / "eval_model.onnx")
    optimizer = Optimizer(run.folder / "optimizer_model.onnx", module)

    def step(batch: Batch) -> Batch:
        values = module(*(batch[name] for name in module.input_names()))
        values = values if isinstance(values, tuple) else (values,)
        return {name: np.array(value) for name, value in zip(module.output_names(), values, strict=True)}

    training = []
    for i, rate in enumerate(run.learning_rates):
        for batch in run.batches[i * run.accumulate :][: run.accumulate]:
            training.append(step(batch))
        optimizer.set_learning_rate(rate)
        optimizer.step()
        module.lazy_reset_grad()
    module.eval()
    evaluation = step(run.batches[0])
    CheckpointState.save_checkpoint(state, checkpoint, include_optimizer_state=True)
    return Outcome(training, evaluation, checkpoint)


def train_in_ours(run: Run, checkpoint: Path) -> Outcome:
    description = {
        "checkpoint": str(run.checkpoint),
        "learningRates": run.learning_rates,
        "batches": [encode(batch) for batch in run.batches],
        "evaluation": encode(run.batches[0]),
    }
    path, results = checkpoint.with_suffix(".run.json"), checkpoint.with_suffix(".results.json")
    path.write_text(json.dumps(description))
    script = ROOT / "test/interop/train-artifacts.js"
    done = subprocess.run(
        ["node", script, run.folder, path, results, checkpoint], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(results.read_text())
    assert set(outcome["names"]["training"]) == set(run.batches[0])
    assert set(outcome["names"]["evaluation"]) <= set(run.batches[0])
    training = [decode(outputs) for outputs in outcome["training"]]
    return Outcome(training, decode(outcome["evaluation"]), checkpoint)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Callable[..., Run]:
    """A run of a case from its first checkpoint, with a falling learning rate."""
    onnxruntime.set_default_logger_severity(3)
    folders = cache(lambda case: generate(case, tmp_path_factory.mktemp(case.name)))

    def begin(case: Case, steps: int, seed: int = 1, accumulate: int = 1) -> Run:
        rate = 0.002 if "adamw" in case.optimizer else 0.1
        rates = [rate * (1 - i / steps) for i in range(steps)]
        folder = folders(case)
        return Run(folder, folder / "checkpoint", random_batches(case, steps * accumulate, seed), rates)

    return begin


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """By norm, a whole tensor at a time."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    difference = np.linalg.norm((actual - expected).ravel())
    return float(difference / (np.linalg.norm(expected.ravel()) or 1))


def worst(actual: Batch, expected: Batch) -> float:
    assert actual.keys() == expected.keys()
    return max(relative_error(actual[name], expected[name]) for name in expected)


TOLERANCES = {"loss": 1e-5, "outputs": 5e-5, "parameters": 5e-5, "evaluation": 5e-5, "moments": 1e-3}


def errors(actual: Outcome, expected: Outcome) -> dict[str, float]:
    """The worst relative errors of what TOLERANCES lists; running statistics are among the parameters."""
    (step, moments), (expected_step, expected_moments) = actual.optimizer(), expected.optimizer()
    assert step == expected_step
    steps = zip(actual.training, expected.training, strict=True)
    return {
        "loss": float(np.max(np.abs(actual.losses / expected.losses - 1))),
        "outputs": max(worst(ours, theirs) for ours, theirs in steps),
        "parameters": worst(actual.parameters(), expected.parameters()),
        "evaluation": worst(actual.evaluation, expected.evaluation),
        "moments": worst(moments, expected_moments),
    }


def assert_agreement(attempt: Callable[[int], dict[str, float]]) -> None:
    """On one of five sequences of batches everything agrees, and on those before it the losses nearly.

    In some sequences rounding flips a ReLU near zero, and ONNX Runtime does not agree with itself then, its weights
    moved by a rounding (resnet-mse-sgd, seed 1: loss 7e-3, a parameter 0.2). A wrong graph errs in all.
    """
    attempts = []
    for seed in (1, 2, 3, 4, 5):
        found = attempt(seed)
        attempts.append(found)
        assert found["loss"] < 2e-2, attempts
        if all(found[name] < tolerance for name, tolerance in TOLERANCES.items()):
            return
    raise AssertionError(attempts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_twenty_steps_agree(start, tmp_path, case: Case):
    def attempt(seed: int) -> dict[str, float]:
        run = start(case, 20, seed)
        expected = train_in_python(run, tmp_path / "expected")
        assert expected.losses[-4:].mean() < expected.losses[:4].mean()
        return errors(train_in_ours(run, tmp_path / "actual"), expected)

    assert_agreement(attempt)


SOME = [
    Case("mlp", "ce", "adamw"),
    Case("lenet", "ce", "sgd"),
    Case("resnet", "ce", "adamw"),
    Case("transformer", "ce", "adamw"),
]


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_gradients_of_two_batches_are_added(start, tmp_path, case: Case):
    def attempt(seed: int) -> dict[str, float]:
        run = start(case, 10, seed, accumulate=2)
        expected = train_in_python(run, tmp_path / "expected")
        return errors(train_in_ours(run, tmp_path / "actual"), expected)

    assert_agreement(attempt)


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_a_run_goes_from_python_to_ours_and_back(start, tmp_path, case: Case):
    def attempt(seed: int) -> dict[str, float]:
        run = start(case, 12, seed)
        first = train_in_python(run.part(slice(0, 4), run.checkpoint), tmp_path / "first")
        second = train_in_ours(run.part(slice(4, 8), first.checkpoint), tmp_path / "second")
        third = train_in_python(run.part(slice(8, 12), second.checkpoint), tmp_path / "third")
        whole = [*first.training, *second.training, *third.training]
        actual = Outcome(whole, third.evaluation, third.checkpoint)
        return errors(actual, train_in_python(run, tmp_path / "expected"))

    assert_agreement(attempt)


@pytest.mark.parametrize("train", [train_in_python, train_in_ours])
def test_dropout_masks_the_gradient_as_it_masked_the_values(start, tmp_path, train: Callable[[Run, Path], Outcome]):
    """The scores themselves are dropped, so that each step tells its mask, and a bias its gradient."""
    run = replace(start(DROPPED_SCORES, 1, accumulate=100), learning_rates=[1.0])
    outcome = train(run, tmp_path / "outcome")
    gradient = np.zeros(64)
    kept = []
    for batch, outputs in zip(run.batches, outcome.training, strict=True):
        scores = outputs["output"].astype(np.float64)
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        mask = scores != 0
        gradient += ((probabilities - np.eye(64)[batch["labels"]]) * mask / 0.75).mean(axis=0)
        kept.append(mask)
    bias = Outcome([], {}, run.checkpoint).parameters()["0.bias"]
    assert relative_error(bias - gradient, outcome.parameters()["0.bias"].astype(np.float64)) < 1e-5
    masks = np.concatenate(kept)
    assert masks.mean() == pytest.approx(0.75, abs=0.02)
    assert len(np.unique(masks, axis=0)) == len(masks)


def test_dropout_has_the_statistics_of_onnx_runtimes(start, tmp_path):
    """400 masks on the same batches: the losses, and by one step of SGD at a rate of one the sum of the gradients."""
    run = replace(start(DROPOUT, 1, accumulate=400), learning_rates=[1.0])
    before = Outcome([], {}, run.checkpoint).parameters()

    def python(seed: int) -> Outcome:
        # ONNX Runtime takes consecutive seeds for consecutive masks: near seeds would give runs in common
        onnxruntime.set_seed(seed)
        return train_in_python(run, tmp_path / f"python{seed}")

    def update(outcome: Outcome) -> np.ndarray:
        return np.concatenate([(value - before[name]).ravel() for name, value in outcome.parameters().items()])

    expected, again, actual = python(123456789), python(987654321), train_in_ours(run, tmp_path / "actual")
    ours, theirs = (outcome.losses.reshape(-1, 4) for outcome in (actual, expected))
    standard_error = np.sqrt((ours.var(0) + theirs.var(0)) / len(ours))
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * standard_error).all()
    assert (np.abs(np.log(ours.std(0) / theirs.std(0))) < 0.4).all()
    noise = np.linalg.norm(update(again) - update(expected))
    assert noise < 0.1 * np.linalg.norm(update(expected))
    assert np.linalg.norm(update(actual) - update(expected)) < 2 * noise


def test_dropout_is_left_out_of_the_evaluation(start, tmp_path):
    run = replace(start(DROPOUT, 1), learning_rates=[0.0])
    expected = train_in_python(run, tmp_path / "expected")
    actual = train_in_ours(run, tmp_path / "actual")
    assert worst(actual.evaluation, expected.evaluation) < 1e-5
