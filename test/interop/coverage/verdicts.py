"""What `shake inspect MODEL --training` says of public models, held against training them.

Run it with a Python that has the packages of ../requirements.txt, and timm, transformers and keras. It prints a row
of a Markdown table for each model.
    python test/interop/coverage/verdicts.py [NAME...]
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
from pathlib import Path

from subjects import SUBJECTS, Made
from tensors import encode


@dataclass(frozen=True)
class Verdict:
    """What the report says, and `wrong`: a sentence for each claim that is not true."""

    report: dict
    wrong: list[str]

    def row(self, name: str) -> str:
        report = self.report
        obstacles = {each["operator"].removeprefix("ai.onnx.") for each in report["obstacles"]}
        cells = [
            name,
            SUBJECTS[name].source,
            f"{report['trainable']} of {report['parameters']}",
            f"{report['trainable_values']:,}",
            ", ".join(sorted(obstacles)),
            f"{report['difference']:.0e}" if report["trainable"] else "",
        ]
        return f"| {' | '.join(cells)} |\n"


def verdict(name: str) -> Verdict:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        made = SUBJECTS[name].make()
    report = check(made)
    wrong = report.pop("wrong")
    if made.values is not None and made.values != report["trainable_values"]:
        wrong.append(f"its library trains {made.values} numbers, and the report says {report['trainable_values']}")
    return Verdict(report, wrong)


def check(made: Made) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        model, run = Path(folder) / "model.onnx", Path(folder) / "run.json"
        model.write_bytes(made.model)
        run.write_text(json.dumps({"feeds": encode(made.feeds)}))
        script = Path(__file__).parent / "check-coverage.js"
        done = subprocess.run(["node", script, model, run], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("| model | from | trainable, of the parameters | values | obstacles | largest difference |")
    print("|---|---|---|---|---|---|")
    for name in arguments.names or SUBJECTS:
        found = verdict(name)
        print(found.row(name), end="", flush=True)
        for each in found.wrong:
            print(f"wrong: {each}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
