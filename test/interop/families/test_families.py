"""Small networks of every family, exported by PyTorch's two exporters: twenty steps in PyTorch and in ours."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from exporters import example, export
from registry import FAMILIES, Family
from training import RULES, batches, in_order_of, make, train_in_ours, train_in_torch


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Callable[[str, str], Path]:
    """The .onnx file of a family by an exporter."""

    @cache
    def export_once(family: str, exporter: str) -> Path:
        file = tmp_path_factory.mktemp(f"{family}-{exporter}") / "model.onnx"
        file.write_bytes(export(make(FAMILIES[family]), example(FAMILIES[family].sample), exporter))
        return file

    return export_once


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm((actual - expected).ravel()) / np.linalg.norm(expected.ravel()))


def case(name: str, exporter: str, family: Family):
    """Expected to fail where an operator is not covered yet; slow where the gate leaves it out."""
    marks = [] if family.quick else [pytest.mark.slow]
    operator = family.uncovered.get(exporter)
    if operator:
        marks.append(pytest.mark.xfail(reason=f"{operator} has no gradient", raises=AssertionError, strict=True))
    return pytest.param(name, exporter, marks=marks)


CASES = [case(name, exporter, family) for name, family in FAMILIES.items() for exporter in family.exporters]


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_twenty_steps_are_pytorchs(name: str, exporter: str, optimizer: str, exported):
    family = FAMILIES[name]
    file = exported(name, exporter)
    steps = batches(family, make(family))
    expected = train_in_torch(family, make(family), optimizer, steps)
    actual = train_in_ours(family, file, optimizer, steps)
    truth = in_order_of(actual, expected)
    np.testing.assert_allclose(actual.losses, expected.losses, rtol=1e-4, atol=1e-4)
    errors = {parameter: relative_error(actual.trained[parameter], truth[parameter]) for parameter in truth}
    worst = max(errors, key=errors.__getitem__)
    assert errors[worst] < 1e-3, f"{worst}: {errors[worst]:.1e}"
    assert relative_error(actual.output, expected.output) < 1e-3
