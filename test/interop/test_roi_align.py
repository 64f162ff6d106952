"""RoiAlign and its gradients beside torchvision's roi_align in float64."""

import sys

import numpy as np
import pytest
import torch

from single_node import Node, compute
from torchvision_import import import_torchvision

import_torchvision()
from torchvision.ops import roi_align as module  # noqa: E402

# its form in tensors, not compiled: autograd goes through it, to the corners too. It reads the border where a sample
# lies outside of the picture; torchvision's kernels and ONNX read 0 there, so all samples lie inside.
roi_align = sys.modules[module.__module__]._roi_align.__wrapped__
CORNERS = [
    [0.37, 0.57, 4.83, 5.29],
    [-0.31, 2.13, 3.47, 8.11],
    [2.71, 1.19, 2.93, 1.58],
    [3.3, 4.4, 5.9, 6.7],
    [0.2, 0.4, 9.3, 7.7],
]
PICTURES = [2, 0, 1, 0, 2]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_align_and_its_gradients_are_torchvisions(aligned: bool, ratio: int, scale: float):
    draw = np.random.default_rng(5)
    pictures = draw.standard_normal((3, 4, 8, 9)).astype(np.float32)
    corners = np.array(CORNERS, np.float32)
    attributes = {
        "coordinate_transformation_mode": "half_pixel" if aligned else "output_half_pixel",
        "output_height": 3,
        "output_width": 2,
        "sampling_ratio": ratio,
        "spatial_scale": scale,
    }
    inputs = {"X": pictures, "rois": corners, "batch_indices": np.array(PICTURES, np.int64)}
    symbols = {"X": {0: "batch", 2: "height", 3: "width"}, "rois": {0: "regions"}, "batch_indices": {0: "regions"}}
    node = Node("RoiAlign", 16, inputs, ["Y"], attributes, symbols)
    X = torch.from_numpy(pictures).double().requires_grad_()
    rois = torch.from_numpy(corners).double().requires_grad_()
    rows = torch.cat((torch.tensor(PICTURES).double()[:, None], rois), 1)
    expected = roi_align(X, rows, scale, 3, 2, ratio, aligned)
    seed = draw.standard_normal(expected.shape).astype(np.float32)
    gradients = torch.autograd.grad((expected * torch.from_numpy(seed)).sum(), [X, rois])

    actual = compute(node, {"Y": seed})
    assert isinstance(actual.kernel, dict), actual.kernel
    np.testing.assert_allclose(actual.kernel["Y"], expected.detach(), rtol=1e-5, atol=1e-5, err_msg="kernel")
    np.testing.assert_allclose(actual.outputs["Y"], expected.detach(), rtol=1e-5, atol=1e-5)
    for name, gradient in zip(("X", "rois"), gradients, strict=True):
        np.testing.assert_allclose(actual.gradients[name], gradient, rtol=1e-4, atol=1e-4, err_msg=name)
