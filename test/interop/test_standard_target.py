"""The standard target against PyTorch in float64: a training step in ai.onnx alone, run by ONNX Runtime."""

import statistics as summary

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from artifacts import (
    Artifacts,
    gradients,
    outputs_named,
    random_batch,
    relative_error,
    relative_errors,
    run,
    statistics,
    torch_optimizer,
    train_step,
)

SMALL = [(8, 4), (8, 8)]
TOLERANCE = 1e-4  # relative, by norm, a whole tensor at a time


@pytest.fixture(params=SMALL, ids=lambda size: "{} 2x{}d".format(*size))
def small(request, build) -> Artifacts:
    return build(*request.param, "standard")


def test_a_training_step_agrees(small: Artifacts):
    batch = random_batch(small.blocks, 8, seed=2)
    outputs = run(InferenceSession(small.training_model), batch | small.tensors())
    net = small.reference()
    loss, correct = train_step(net, batch)
    assert outputs["loss"].item() == pytest.approx(loss, rel=1e-5)
    assert outputs["correct"].item() == correct
    assert max(relative_errors(outputs_named(outputs, "_grad"), gradients(net)).values()) < TOLERANCE
    assert max(relative_errors(outputs_named(outputs, "_next"), statistics(net)).values()) < TOLERANCE


def test_the_evaluation_agrees(small: Artifacts):
    batch = random_batch(small.blocks, 8, seed=3)
    net = small.reference()
    for _ in range(3):
        train_step(net, batch)
    feeds = small.tensors() | {name: value.float().numpy() for name, value in statistics(net).items()}
    outputs = run(InferenceSession(small.eval_model), batch | feeds)
    logits = net.evaluate(torch.from_numpy(batch["images"]))
    labels = torch.from_numpy(batch["labels"])
    assert relative_error(outputs["logits"], logits) < TOLERANCE
    assert outputs["loss"].item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5
    )
    assert outputs["correct"].item() == (logits.argmax(1) == labels).sum().item()


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd-nesterov", 0.1), ("sgd", 0.1), ("adamw", 0.001)])
def test_three_optimizer_steps_agree(build, optimizer: str, rate: float):
    """PyTorch's optimizer gets our gradients: where one is near zero, AdamW would make a whole step of its rounding."""
    artifacts = build(8, 8, "standard", optimizer)
    training, update = InferenceSession(artifacts.training_model), InferenceSession(artifacts.optimizer_model)
    start = artifacts.tensors()
    state = start | {
        value.name: np.zeros(value.shape, np.float32)
        for value in update.get_inputs()
        if ".momentum" in value.name
    }
    net = artifacts.reference()
    reference = torch_optimizer(artifacts, net)
    for step, learning_rate in enumerate([rate, rate / 2, rate / 5], start=1):
        batch = random_batch(artifacts.blocks, 8, seed=step)
        net.load_state_dict({name: torch.from_numpy(state[name]) for name in start})
        outputs = run(training, batch | state)
        loss, _ = train_step(net, batch)
        ours = outputs_named(outputs, "_grad")
        assert outputs["loss"].item() == pytest.approx(loss, rel=1e-5)
        errors = relative_errors(ours, gradients(net)).values()
        assert summary.median(errors) < 1e-5 and max(errors) < 0.02
        state |= outputs_named(outputs, "_next")
        scalars = {"learning_rate": np.float32([learning_rate]), "step": np.int64([step])}
        state |= outputs_named(run(update, scalars | outputs | state), "_next")
        for name, parameter in net.named_parameters():
            parameter.grad = torch.from_numpy(ours[name]).double()
        for group in reference.param_groups:
            group["lr"] = learning_rate
        reference.step()
        stepped = {name: state[name] for name in start}
        assert max(relative_errors(stepped, net.state_dict()).values()) < 1e-5


def test_26_2x32d_agrees_in_the_median_over_its_tensors(build):
    """Rounding flips a ReLU near zero in some batches, in PyTorch too; a wrong graph errs in all."""
    artifacts = build(26, 32, "standard")
    session = InferenceSession(artifacts.training_model)
    medians = []
    for seed in range(5):
        batch = random_batch(artifacts.blocks, 4, seed)
        outputs = run(session, batch | artifacts.tensors())
        net = artifacts.reference()
        loss, _ = train_step(net, batch)
        errors = relative_errors(outputs_named(outputs, "_grad"), gradients(net)).values()
        medians.append(summary.median(errors))
        assert outputs["loss"].item() == pytest.approx(loss, rel=1e-5)
        assert max(relative_errors(outputs_named(outputs, "_next"), statistics(net)).values()) < TOLERANCE
        assert max(errors) < 0.1
    assert min(medians) < 1e-5, medians


@pytest.mark.parametrize("size", [(8, 4), (26, 32)], ids=lambda size: "{} 2x{}d".format(*size))
@pytest.mark.parametrize("model", ["training_model", "eval_model", "optimizer_model"])
def test_onnx_accepts_every_model(build, model: str, size: tuple[int, int]):
    path = getattr(build(*size, "standard"), model)
    onnx.checker.check_model(path, full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, check_type=True)
