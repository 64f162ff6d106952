"""Our gradients beside those of onnx-ad, whose rules somebody else has written."""

from collections import Counter

import pytest

pytest.importorskip("onnx_ad", reason="onnx-ad is not installed")

from compare import Verdict, verdicts  # noqa: E402

pytestmark = pytest.mark.slow

OF_ZEROS = "onnx-ad divides by an element that is 0"
NO_RULE = "onnx-ad takes the derivative for 0"
PADS = "where the pads of the two ends of an axis differ, onnx-ad mixes them up"
COPIES = "ONNX Runtime 1.19.2 copies what is reduced over no axes, where newer ones take the logarithm"
EXPLAINED = {
    "Pow, exponents 0 and 1 at 0": OF_ZEROS,
    "Pow, a computed exponent that is 0, at 0": OF_ZEROS,
    "ReduceProd, zeros": OF_ZEROS,
    "OneHot, values": NO_RULE,
    "OneHot, a depth of a run": NO_RULE,
    "Det, of stacks": NO_RULE,
    "Det, of numbers": NO_RULE,
    "BatchNormalization, the mean and the variance, for inference": NO_RULE,
    "a convolutional network": "the running mean and variance of BatchNormalization: " + NO_RULE,
    "ReduceMean, no axes means all": "onnx-ad takes an empty list of axes for no axes",
    "Conv, unlike pads": PADS,
    "Conv, pads wider than the kernel": PADS,
    "Conv, three axes": PADS,
    "Conv, the shifted 1x1 of a shortcut": PADS,
    "AveragePool, padding counted": PADS,
    "AveragePool, one axis": PADS,
    "AveragePool, dilation, padding not counted": PADS,
    "AveragePool, any size, padding not counted": PADS,
    "LpPool of opset 11, p 3, pads": PADS,
    "Resize, linear, of a region": "onnx-ad does not read the region",
    "Clip, a lower end above the upper one": "onnx-ad counts what lies between the two ends twice",
    "Softmax, a row in which everything is masked": "onnx-ad multiplies 0 by NaN",
    "ReduceLogSum, no axes means none": COPIES,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[Verdict]:
    return verdicts(tmp_path_factory.mktemp("oracle"))


def test_the_gradients_agree_but_where_the_reason_is_known(found):
    different = {each.label for each in found if each.error is not None and not each.agrees}
    assert different <= set(EXPLAINED)


def test_central_differences_agree_with_ours_where_the_two_differ(found):
    wrong = [each.label for each in found if each.ours_is_right is False]
    assert [label for label in wrong if EXPLAINED.get(label) != COPIES] == []


def test_most_models_are_compared(found):
    agreeing = Counter(each.operator for each in found if each.agrees)
    assert sum(agreeing.values()) >= 330
    assert len(agreeing) >= 115
