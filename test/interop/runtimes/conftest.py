"""`--run DIR`, and the tables that a session ends with."""

from pathlib import Path

import pytest

from runtimes import ROOT
from subject import Subject, train

TABLES = {
    "runtimes": [
        "runtime", "packages", "max logit error", "same class", "ms an image, one a call", "ms an image, 100 a call"
    ],
    "speed": ["runtime", "images a call", "folded, ms an image", "unfolded / folded", "PyTorch's export / folded"],
}

Row = list[str]
rows: dict[str, list[Row]] = {name: [] for name in TABLES}
subjects: list[Subject] = []


def pytest_addoption(parser):
    parser.addoption("--run", type=Path, help="the folder of a run (otherwise a small one is trained)")


@pytest.fixture(scope="session")
def subject(request, tmp_path_factory) -> Subject:
    run = request.config.getoption("--run") or train(tmp_path_factory.mktemp("run") / "run")
    subjects.append(Subject.of_run(run.resolve(), tmp_path_factory.mktemp("subject")))
    return subjects[-1]


@pytest.fixture(scope="session")
def tables() -> dict[str, list[Row]]:
    """The rows of what was measured, by table."""
    return rows


def markdown(heads: list[str], body: list[Row]) -> str:
    lines = [heads, ["---"] * len(heads), *(row + [""] * (len(heads) - len(row)) for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def pytest_terminal_summary(terminalreporter):
    for name, body in rows.items():
        if not body:
            continue
        images = f"{len(subjects[0].pixels)} test images of {subjects[0].name}\n\n" if subjects else ""
        text = f"{images}{markdown(TABLES[name], body)}\n"
        path = ROOT / "build" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        terminalreporter.write_line(f"\n{text}\n{path.relative_to(ROOT)}")
