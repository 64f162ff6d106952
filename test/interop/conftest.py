from collections.abc import Callable
from functools import cache

import pytest

from artifacts import Artifacts, build_graph

# has an environment of its own: runtimes/run.sh
collect_ignore = ["runtimes"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by the gate")


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> Callable[..., Artifacts]:
    """`build_graph` into a temporary folder, once for the same settings."""

    @cache
    def build_once(
        depth: int, width: int, target: str, optimizer: str = "sgd-nesterov", fused: bool = False
    ) -> Artifacts:
        return build_graph(tmp_path_factory.mktemp("artifacts"), depth, width, target, optimizer, fused)

    return build_once
