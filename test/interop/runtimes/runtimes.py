"""Programs that run ONNX, each behind one interface: a model's path and the images of a call to a function of pixels."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent

Classifier = Callable[[np.ndarray], np.ndarray]
"""float32 pixels [batch, 3, 32, 32] to logits [batch, classes]"""


class MissingRuntime(Exception):
    """A runtime that this machine does not have."""


@dataclass(frozen=True)
class Runtime:
    name: str
    packages: tuple[str, ...]
    """What it is made of, by their names in PyPI or npm, the one that runs the network first."""
    open: Callable[[Path, int], AbstractContextManager[Classifier]]
    takes_batches: bool = True

    def versions(self) -> str:
        """Throws MissingRuntime where a package is not installed."""
        return ", ".join(f"{package} {installed(package)}" for package in self.packages)


def installed(package: str) -> str:
    if package == "onnxruntime-web":
        return json.loads((ROOT / "node_modules" / package / "package.json").read_text())["version"]
    try:
        return version(package)
    except PackageNotFoundError:
        raise MissingRuntime(f"{package} is not installed: pip found none for this machine") from None


RUNTIMES: dict[str, Runtime] = {}


def runtime(name: str, *packages: str, takes_batches: bool = True):
    """Registers a function of a model's path and a call's images, which yields a classifier."""

    def register(function: Callable[[Path, int], Iterator[Classifier]]):
        RUNTIMES[function.__name__] = Runtime(name, packages, contextmanager(function), takes_batches)
        return function

    return register


@runtime("ONNX Runtime", "onnxruntime")
def onnxruntime(model: Path, batch: int) -> Iterator[Classifier]:
    from onnxruntime import InferenceSession

    session = InferenceSession(model)
    yield lambda images: session.run(None, {"images": images})[0]


@runtime("ONNX's reference evaluator", "onnx")
def reference(model: Path, batch: int) -> Iterator[Classifier]:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(model))
    yield lambda images: evaluator.run(None, {"images": images})[0]


@runtime("OpenCV DNN", "opencv-python-headless")
def opencv(model: Path, batch: int) -> Iterator[Classifier]:
    import cv2

    net = cv2.dnn.readNetFromONNX(str(model))

    def classify(images: np.ndarray) -> np.ndarray:
        net.setInput(images)
        return net.forward()

    yield classify


@runtime("OpenVINO", "openvino")
def openvino(model: Path, batch: int) -> Iterator[Classifier]:
    import openvino as ov

    # where the processor has bfloat16 it would compute in it
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    yield lambda images: compiled(images)[0]


@runtime("ncnn", "ncnn", "pnnx", takes_batches=False)
def ncnn(model: Path, batch: int) -> Iterator[Classifier]:
    import ncnn as library

    # without these it computes in float16
    subprocess.run(
        [BIN / "pnnx", model, f"inputshape=[{batch},3,32,32]", "fp16=0"], check=True, stdout=subprocess.DEVNULL
    )
    with library.Net() as net:
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.load_param(str(model.with_suffix(".ncnn.param")))
        net.load_model(str(model.with_suffix(".ncnn.bin")))

        def classify(images: np.ndarray) -> np.ndarray:
            with net.create_extractor() as extractor:
                extractor.input("in0", library.Mat(images[0]))
                return np.array(extractor.extract("out0")[1])[None]

        yield classify


@runtime("tract", "tract")
def tract(model: Path, batch: int) -> Iterator[Classifier]:
    import tract as library

    runnable = library.onnx().load(str(model)).into_model().into_runnable()
    yield lambda images: runnable.run([images])[0].to_numpy()


@runtime("TVM", "apache-tvm")
def tvm(model: Path, batch: int) -> Iterator[Classifier]:
    import onnx
    import tvm as library
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    target = library.target.Target({"kind": "llvm", "mcpu": library.target.codegen.llvm_get_system_cpu()})
    module = from_onnx(onnx.load(model), shape_dict={"images": [batch, 3, 32, 32]})
    compiled = library.compile(relax.get_pipeline("zero")(module), target=target)
    machine = relax.VirtualMachine(compiled, library.cpu())
    yield lambda images: machine["main"](library.runtime.tensor(images)).numpy()


@runtime("tinygrad", "tinygrad", "ziglang")
def tinygrad(model: Path, batch: int) -> Iterator[Classifier]:
    # it compiles with Clang, which Zig brings along
    os.environ.update(DEV="CPU", CC=str(zig_clang()))
    from tinygrad import Tensor, TinyJit
    from tinygrad.nn.onnx import OnnxRunner

    runner = OnnxRunner(model)
    run = TinyJit(lambda images: runner({"images": images})["logits"].realize())
    yield lambda images: run(Tensor(images).realize()).numpy()


def zig_clang() -> Path:
    import ziglang

    wrapper = BIN / "zig-clang"
    wrapper.write_text(f'#!/bin/sh\nexec "{Path(ziglang.__file__).with_name("zig")}" clang "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


@runtime("PyTorch through onnx2torch", "torch", "onnx2torch")
def onnx2torch(model: Path, batch: int) -> Iterator[Classifier]:
    import torch

    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from torchvision_import import import_torchvision

    import_torchvision()  # onnx2torch imports it for operators that a classifier has none of
    import onnx2torch as library

    module = library.convert(model).eval()
    with torch.inference_mode():
        yield lambda images: module(torch.from_numpy(images)).numpy()


def onnxruntime_web(model: Path, device: str) -> Iterator[Classifier]:
    """A session in Node or in Chromium at the end of a pipe."""
    command = ["node", Path(__file__).with_name("onnxruntime-web.js"), model, device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if process.stdout.readline() == b"":
            raise RuntimeError(process.stderr.read().decode())

        def classify(images: np.ndarray) -> np.ndarray:
            process.stdin.write(struct.pack("<I", images.nbytes) + images.tobytes())
            process.stdin.flush()
            (size,) = struct.unpack("<I", process.stdout.read(4))
            return np.frombuffer(process.stdout.read(size), np.float32).reshape(len(images), -1)

        yield classify
        process.stdin.close()


@runtime("onnxruntime-web, WebAssembly", "onnxruntime-web")
def wasm(model: Path, batch: int) -> Iterator[Classifier]:
    yield from onnxruntime_web(model, "wasm")


@runtime("onnxruntime-web, WebGPU", "onnxruntime-web")
def webgpu(model: Path, batch: int) -> Iterator[Classifier]:
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        raise MissingRuntime(f'there is no Chromium at {chromium}: "apt install chromium"')
    yield from onnxruntime_web(model, "webgpu")
