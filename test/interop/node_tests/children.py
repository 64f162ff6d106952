"""Runs jobs in node processes whose memory is limited, so that a model that takes all of it fails alone."""

import json
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCRIPT = Path(__file__).with_name("run-tests.js")
GROUP = 40
WORKERS = 2
MEMORY = 4 << 30
SECONDS = 120


def run_jobs(jobs: Sequence[dict]) -> dict[str, dict]:
    """The results of the jobs by their names."""
    groups = [jobs[i : i + GROUP] for i in range(0, len(jobs), GROUP)]
    with ThreadPoolExecutor(WORKERS) as pool:
        return {result["name"]: result for results in pool.map(run_group, groups) for result in results}


def run_group(jobs: Sequence[dict]) -> list[dict]:
    results: list[dict] = []
    while len(results) < len(jobs):
        left = jobs[len(results) :]
        done, reason = _run_child(left)
        results += done
        if len(done) < len(left):
            results.append({"name": left[len(done)]["name"], "died": reason})
    return results


def _run_child(jobs: Sequence[dict]) -> tuple[list[dict], str]:
    """The results up to the end of the process, and how it ended."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(list(jobs), file)
        file.flush()
        command = ["node", str(SCRIPT), file.name]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, preexec_fn=_limit_memory, check=False
            )
            output, reason = done.stdout, f"the process ended with {done.returncode}: {_last_line(done.stderr)}"
        except subprocess.TimeoutExpired as error:
            output = (error.stdout or b"").decode()
            reason = f"the process took more than {SECONDS} s"
    return list(_whole_lines(output)), reason


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _whole_lines(output: str) -> Iterator[dict]:
    for line in output.split("\n")[:-1]:
        yield json.loads(line)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""
