"""The ort-training target in ONNX Runtime 1.19.2's own Module and Optimizer."""

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from onnxruntime.training.api import CheckpointState, Module, Optimizer

from artifacts import (
    Artifacts,
    gradients,
    random_batch,
    recode,
    relative_error,
    relative_errors,
    resave,
    run,
    statistics,
    torch_optimizer,
    train_step,
)

TOLERANCE = 1e-4  # relative, by norm, a whole tensor at a time


def step(module: Module, batch: dict) -> dict:
    """A training or evaluation step; every output by name."""
    values = module(*(batch[name] for name in module.input_names()))
    return dict(zip(module.output_names(), values, strict=True))


def load(artifacts: Artifacts, checkpoint=None) -> tuple[Module, CheckpointState]:
    state = CheckpointState.load_checkpoint(checkpoint or artifacts.checkpoint)
    return Module(artifacts.training_model, state, artifacts.eval_model), state


def tensors(state: CheckpointState) -> dict:
    return {name: parameter.data for name, parameter in state.parameters}


@pytest.fixture(params=["sgd", "adamw"])
def artifacts(request, build) -> Artifacts:
    return build(8, 8, "ort-training", request.param)


def test_a_training_step_gives_the_loss_of_the_standard_target_and_the_gradients_of_pytorch(
    build, artifacts: Artifacts
):
    standard = build(8, 8, "standard")
    batch = random_batch(artifacts.blocks, 8, seed=5)
    module, state = load(artifacts)
    outputs = step(module, batch)
    expected = run(InferenceSession(standard.training_model), batch | standard.tensors())
    assert outputs["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    assert outputs["correct"].item() == expected["correct"].item()
    net = artifacts.reference()
    train_step(net, batch)
    actual = {name: parameter.grad for name, parameter in state.parameters if parameter.requires_grad}
    assert max(relative_errors(actual, gradients(net)).values()) < TOLERANCE


def test_running_statistics_are_updated_in_the_checkpoint_and_read_by_the_evaluation(artifacts: Artifacts):
    batch = random_batch(artifacts.blocks, 8, seed=6)
    module, state = load(artifacts)
    net = artifacts.reference()
    for _ in range(3):
        step(module, batch)
        module.lazy_reset_grad()
        train_step(net, batch)
    actual = {name: value for name, value in tensors(state).items() if "running" in name}
    assert max(relative_errors(actual, statistics(net)).values()) < TOLERANCE
    logits = net.evaluate(torch.from_numpy(batch["images"]))
    assert relative_error(step(module.eval(), batch)["logits"], logits) < TOLERANCE


def test_gradients_accumulate_until_they_are_reset(artifacts: Artifacts):
    module, state = load(artifacts)
    net = artifacts.reference()
    batches = [random_batch(artifacts.blocks, 8, seed) for seed in (7, 8)]
    total = {name: torch.zeros_like(parameter) for name, parameter in net.named_parameters()}
    for batch in batches:
        step(module, batch)
        train_step(net, batch)
        for name, gradient in gradients(net).items():
            total[name] += gradient
    actual = {name: parameter.grad for name, parameter in state.parameters if parameter.requires_grad}
    assert max(relative_errors(actual, total).values()) < TOLERANCE


def test_three_steps_of_the_stock_optimizer_agree_with_pytorch(artifacts: Artifacts):
    """PyTorch's optimizer gets the same gradients, so that only the update is compared."""
    module, state = load(artifacts)
    optimizer = Optimizer(artifacts.optimizer_model, module)
    net = artifacts.reference()
    reference = torch_optimizer(artifacts, net)
    for group in reference.param_groups:
        group["lr"] = 0.002
    optimizer.set_learning_rate(0.002)
    for seed in (1, 2, 3):
        batch = random_batch(artifacts.blocks, 8, seed)
        net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors(state).items()})
        expected, _ = train_step(net, batch)
        assert step(module, batch)["loss"].item() == pytest.approx(expected, rel=1e-5)
        for name, parameter in net.named_parameters():
            parameter.grad = torch.from_numpy(state.parameters[name].grad).double()
        optimizer.step()
        module.lazy_reset_grad()
        reference.step()
        assert max(relative_errors(tensors(state), net.state_dict()).values()) < 1e-5


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_fused_model_takes_the_steps_of_the_stock_optimizer(build, optimizer: str):
    apart: Artifacts = build(8, 8, "ort-training", optimizer)
    fused: Artifacts = build(8, 8, "ort-training", optimizer, fused=True)
    module, state = load(apart)
    stock = Optimizer(apart.optimizer_model, module)
    fused_module, fused_state = load(fused)
    rate = 0.002
    stock.set_learning_rate(rate)
    for count in (1, 2, 3):
        batch = random_batch(apart.blocks, 8, seed=count)
        expected = step(module, batch)
        stock.step()
        module.lazy_reset_grad()
        own = {"learning_rate": np.array([rate], np.float32), "step": np.array([count])}
        outputs = step(fused_module, batch | own)
        assert outputs["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-5)
        assert outputs["updated"].all()
    actual = tensors(fused_state)
    for name, value in tensors(state).items():
        # AdamW divides by the root of the squared gradient, so rounding grows where gradients are small
        assert np.linalg.norm(actual[name] - value) < 1e-3 * np.linalg.norm(value), name
    logits = step(fused_module.eval(), batch | own)["logits"]
    np.testing.assert_allclose(logits, step(module.eval(), batch)["logits"], rtol=1e-3, atol=1e-3)


def test_a_run_continues_from_a_checkpoint_that_went_through_ours(artifacts: Artifacts, tmp_path):
    module, state = load(artifacts)
    optimizer = Optimizer(artifacts.optimizer_model, module)
    batches = [random_batch(artifacts.blocks, 8, seed) for seed in (1, 2, 3)]

    def train(batch: dict) -> None:
        step(module, batch)
        optimizer.step()
        module.lazy_reset_grad()

    for batch in batches[:2]:
        train(batch)
    path = tmp_path / "saved"
    CheckpointState.save_checkpoint(state, path, include_optimizer_state=True)
    train(batches[2])
    uncut = tensors(state)
    recoded = recode(path)
    assert resave(recoded) == resave(path)
    module, state = load(artifacts, recoded)
    optimizer = Optimizer(artifacts.optimizer_model, module)
    train(batches[2])
    for name, value in tensors(state).items():
        assert (value == uncut[name]).all(), name


@pytest.mark.parametrize("optimizer", ["sgd-nesterov", "sgd", "adamw"])
def test_onnx_accepts_the_models_as_far_as_it_knows_their_operators(build, optimizer: str):
    artifacts: Artifacts = build(8, 4, "ort-training", optimizer)
    for path in (artifacts.training_model, artifacts.eval_model, artifacts.optimizer_model):
        onnx.checker.check_model(path)
    onnx.checker.check_model(artifacts.eval_model, full_check=True)
