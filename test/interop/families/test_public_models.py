"""A training step of torchvision's models whose shapes and pads are computed in the graph, beside PyTorch's."""

import pytest

from public_models import compare


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize("name", ["fcn_resnet50", "lraspp_mobilenet_v3_large", "swin_t"])
def test_a_step_of_a_public_model_is_pytorchs(name: str, exporter: str):
    step = compare(name, exporter)
    assert step.compared == step.parameters, step
    assert step.loss < 1e-5, step
    assert step.gradients < max(2e-5, 5 * step.torch), step
