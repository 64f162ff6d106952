"""The .onnx files that packages on PyPI carry."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

FOLDER = Path(__file__).resolve().parents[3] / ".venv/wheels"


def onnx_in_wheel(package: str, path: str) -> bytes:
    """A file of a package, such as `silero-vad==6.2.3`; its wheel is downloaded once, and not installed."""
    name, version = package.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(FOLDER.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", FOLDER, package], check=True, capture_output=True)
    (wheel,) = FOLDER.glob(pattern)
    return ZipFile(wheel).read(path)
