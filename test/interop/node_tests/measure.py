"""Prints a row of a Markdown table for each operator: what our compiler makes of ONNX's node tests.

FOLDER is what collect.py leaves, and PART chooses the tests whose names contain it. Ends with 1 where a test is worse or
better than exclusions.txt says.
    measure.py FOLDER [PART] [--sample N] [--reasons] [--update]
"""

import argparse
import random
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import exclusions
from cases import NodeTest, load, operators
from verdicts import Verdict, verdicts

HEADS = ["operator", "tests", "read", "right", "with a gradient", "gradient right"]
PAGE = Path(__file__).parents[3] / "docs" / "node-tests.md"
START = "<!-- test/interop/node_tests/run.sh --update writes what follows -->\n"
SEED = 1


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


def table(tests: list[NodeTest], found: dict[str, Verdict]) -> list[str]:
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for name, operator in operators(tests).items():
        groups[operator].append(found[name])
    rows = [row([operator, *counts(groups[operator])]) for operator in sorted(groups)]
    return [row(HEADS), row(["---"] * len(HEADS)), *rows, row(["all", *counts(list(found.values()))])]


def excluded() -> list[str]:
    """How many tests are excluded for each reason."""
    reasons = Counter((stage, reason) for (_, stage), reason in exclusions.committed().items())
    rows = [row([count, stage, f"`{reason}`"]) for (stage, reason), count in reasons.most_common()]
    return [row(["tests", "not", "reason"]), row(["---"] * 3), *rows]


def sampled(tests: list[NodeTest], count: int) -> list[NodeTest]:
    return sorted(random.Random(SEED).sample(tests, min(count, len(tests))), key=lambda test: test.name)


def update(tests: list[NodeTest], found: dict[str, Verdict]) -> None:
    """Writes exclusions.txt and the tables of docs/node-tests.md."""
    exclusions.commit(exclusions.found(found))
    introduction = PAGE.read_text().partition(START)[0]
    parts = [START, *table(tests, found), "", "## What is excluded", "", *excluded()]
    PAGE.write_text(introduction + "\n".join(parts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--sample", type=int, help="a seeded sample of so many tests")
    parser.add_argument("--reasons", action="store_true", help="say what is wrong with each test")
    parser.add_argument("--update", action="store_true", help="write exclusions.txt and docs/node-tests.md anew")
    arguments = parser.parse_args()
    tests = [test for test in load(arguments.folder) if arguments.part in test.name]
    if arguments.sample:
        tests = sampled(tests, arguments.sample)
    with tempfile.TemporaryDirectory() as written:
        found = verdicts(tests, Path(written))
    print(*table(tests, found), sep="\n")
    for (name, stage), reason in exclusions.found(found).items() if arguments.reasons else ():
        print(f"{name}: {stage}: {reason}")
    if arguments.update:
        if arguments.part or arguments.sample:
            sys.exit("--update needs all tests")
        update(tests, found)
    wrong = exclusions.differences(found)
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
