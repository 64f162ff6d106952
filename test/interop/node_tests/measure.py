"""Prints a row of a Markdown table for each operator: what our compiler makes of ONNX's node tests.

Not a test, and not in the gate: run.sh runs it. FOLDER is what collect.py leaves, and PART chooses the tests whose
names contain it.
    measure.py FOLDER [PART] [--reasons]
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

from cases import load, operators
from verdicts import Verdict, verdicts

HEADS = ["operator", "tests", "read", "right", "with a gradient", "gradient right"]


def counts(verdicts: list[Verdict]) -> list[int]:
    read = [each for each in verdicts if each.read is None]
    differentiable = [each for each in verdicts if each.is_differentiable]
    return [
        len(verdicts),
        len(read),
        sum(each.right is None for each in read),
        len(differentiable),
        sum(each.read is None and each.gradient is None for each in differentiable),
    ]


def row(cells: list) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--reasons", action="store_true", help="say what is wrong with each test")
    arguments = parser.parse_args()
    tests = [test for test in load(arguments.folder) if arguments.part in test.name]
    with tempfile.TemporaryDirectory() as written:
        found = verdicts(tests, Path(written))
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for name, operator in operators(tests).items():
        groups[operator].append(found[name])
    print(row(HEADS), row(["---"] * len(HEADS)), sep="\n")
    for operator in sorted(groups):
        print(row([operator, *counts(groups[operator])]))
    print(row(["all", *counts(list(found.values()))]))
    for name, verdict in found.items() if arguments.reasons else ():
        for what in ("read", "right", "gradient"):
            reason = getattr(verdict, what)
            if reason:
                print(f"{name}: {what}: {reason}")


if __name__ == "__main__":
    main()
