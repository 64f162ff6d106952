"""What of ONNX's node tests is not expected: a line `NAME: STAGE: REASON` each in exclusions.txt.

STAGE is `read` where a test is not read, `right` where what we read or write of it is wrong, and `gradient` where its
gradient is refused or wrong. Every other test is read, right and, where it has a gradient, rightly differentiated.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from verdicts import Verdict

FILE = Path(__file__).with_name("exclusions.txt")
STAGES = ("read", "right", "gradient")

Exclusions = dict[tuple[str, str], str]


def found(verdicts: Mapping[str, Verdict]) -> Exclusions:
    """What the verdicts would exclude."""
    stages = {
        (name, stage): getattr(verdict, stage) for name, verdict in sorted(verdicts.items()) for stage in STAGES
    }
    return {key: general(reason) for key, reason in stages.items() if reason}


def general(reason: str) -> str:
    """A reason without what depends on the machine: places in other programs' sources, and measured numbers."""
    short = re.sub(r"/onnxruntime_src/\S+ .*?(?=Unsupported|Attempting|$)", "ONNX Runtime: ", reason)
    return re.sub(r"-?\d+\.\d+(e[-+]?\d+)?|-?\d+e[-+]?\d+|-?inf|nan", "N", short).strip()


def committed() -> Exclusions:
    exclusions = {}
    for line in FILE.read_text().splitlines():
        name, stage, reason = line.split(": ", 2)
        exclusions[name, stage] = reason
    return exclusions


def commit(exclusions: Exclusions) -> None:
    FILE.write_text("".join(f"{name}: {stage}: {reason}\n" for (name, stage), reason in exclusions.items()))


def differences(verdicts: Mapping[str, Verdict]) -> list[str]:
    """A sentence for each test that is worse, or better, than committed."""
    actual = found(verdicts)
    expected = {key: reason for key, reason in committed().items() if key[0] in verdicts}
    worse = [f"{name} fails ({stage}): {actual[name, stage]}" for name, stage in sorted(actual.keys() - expected.keys())]
    better = [
        f"{name} is excluded ({stage}), and does not fail: run.sh --update removes it"
        for name, stage in sorted(expected.keys() - actual.keys())
    ]
    return worse + better
