"""What `shake inspect MODEL --training` says of public models, held against training them.

Run it with a Python that has the packages of requirements.txt beside it. It prints a row of a Markdown table for each
model, and what is not true of it. With --page it puts the rows of the models of which everything is true into the
table of docs/coverage.md, in place of older ones.
    python test/interop/coverage/verdicts.py [--page] [NAME...]
"""

import argparse
import io
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

from subjects import SUBJECTS, Made
from tensors import Tensors, decode, encode

PAGE = Path(__file__).resolve().parents[3] / "docs/coverage.md"
TOLERANCE = 2e-2  # as in check-coverage.js
HEAD = [
    "| model | from | trainable, of the parameters | numbers | not in the file | obstacles | difference | run on |",
    "|---|---|---|---|---|---|---|---|",
]


def versioned(source: str) -> str:
    """A source with the versions of its packages: `torchvision 0.29.1, torch 2.14.1 dynamo=True`."""

    def part(text: str) -> str:
        if "==" in text:
            return text.replace("==", " ")
        return f"torch {version('torch').split('+')[0]} {text}" if "=" in text else f"{text} {version(text)}"

    return ", ".join(part(each) for each in source.split(", "))


@dataclass(frozen=True)
class Verdict:
    """What the report says, how many numbers of the library are not in the file, and `wrong`: a sentence for each
    claim that is not true."""

    report: dict
    left_out: int
    wrong: list[str]

    def row(self, name: str) -> str:
        report = self.report
        obstacles = {each["operator"].removeprefix("ai.onnx.") for each in report["obstacles"]}
        cells = [
            name,
            versioned(SUBJECTS[name].source),
            f"{report['trainable']} of {report['parameters']}",
            f"{report['trainable_values']:,}",
            f"{self.left_out:,}" if self.left_out else "",
            ", ".join(sorted(obstacles)),
            f"{report['difference']:.0e}" if report["trainable"] else "",
            date.today().isoformat(),
        ]
        return f"| {' | '.join(cells)} |"


def verdict(name: str) -> Verdict:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        made = SUBJECTS[name].make()
    report = check(made, SUBJECTS[name].oracle)
    wrong = report.pop("wrong")
    if made.values is not None and made.values != report["trainable_values"]:
        wrong.append(f"its library trains {made.values} numbers, and the report says {report['trainable_values']}")
    return Verdict(report, made.left_out, wrong)


def check(made: Made, has_oracle: bool) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        model, run = Path(folder) / "model.onnx", Path(folder) / "run.json"
        model.write_bytes(made.model)
        run.write_text(json.dumps({"feeds": encode(made.feeds), "hasOracle": has_oracle}))
        script = Path(__file__).parent / "check-coverage.js"
        done = subprocess.run(["node", script, model, run], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    report = json.loads(done.stdout)
    for output, step in report.pop("steps").items():
        difference, own = distances_to_oracle(made, output, step)
        report["difference"] = max(report["difference"], difference)
        if not difference < max(TOLERANCE, 10 * own):
            errors = f"off by {difference:.1e} of PyTorch's in float64, and PyTorch's in float32 by {own:.1e}"
            report["wrong"].append(f"the gradient of a loss on {output} is {errors}")
    return report


def distances_to_oracle(made: Made, output: str, step: dict) -> tuple[float, float]:
    """The largest relative error of a parameter's gradient, by the norms, beside PyTorch in float64: ours, and that of
    PyTorch in float32."""
    import torch
    from torch_oracle import gradients, in_precision

    ours, (target,) = decode(step["gradients"]), decode({"target": step["target"]}).values()

    def by_torch(kind: torch.dtype) -> Tensors:
        with in_precision(kind):
            return gradients(made.model, made.feeds, output, target, list(ours))

    expected, single = by_torch(torch.float64), by_torch(torch.float32)
    norm = np.linalg.norm

    def largest(found: Tensors) -> float:
        return max(float(norm(found[name] - each) / norm(each)) for name, each in expected.items())

    return largest(ours), largest(single)


def write_row(name: str, row: str) -> None:
    """Puts a row into the page's table, where SUBJECTS has its model."""
    before, table = PAGE.read_text().split(HEAD[0])
    rows = dict.fromkeys(SUBJECTS, "") | {line.split(" | ")[0][2:]: line for line in table.splitlines()[2:]}
    rows[name] = row
    lines = [*HEAD, *(rows[each] for each in SUBJECTS if rows[each])]
    PAGE.write_text(before + "\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("\n".join(HEAD))
    for name in arguments.names or SUBJECTS:
        found = verdict(name)
        print(found.row(name), flush=True)
        for each in found.wrong:
            print(f"wrong: {each}", file=sys.stderr, flush=True)
        if arguments.page and not found.wrong:
            write_row(name, found.row(name))


if __name__ == "__main__":
    main()
