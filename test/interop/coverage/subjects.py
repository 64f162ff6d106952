"""Public models: files that packages carry, and networks of libraries, exported with random weights.

A package is imported where a model of it is made.
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "families"))
from wheels import onnx_in_wheel  # noqa: E402

Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Made:
    """A model and what it is fed. `values` is how many numbers its library trains by the output, where that is known,
    and `left_out` how many others the library has, which no output depends on."""

    model: bytes
    feeds: Feeds
    values: int | None = None
    left_out: int = 0


@dataclass(frozen=True)
class Subject:
    source: str
    make: Callable[[], Made]
    quick: bool = False  # whether the gate has it too
    # whether its gradients are held against PyTorch's in float64, because no step of a difference in float32 fits it
    oracle: bool = False


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def whole(limit: int, *shape: int, kind: type = np.int64) -> np.ndarray:
    return np.random.default_rng(0).integers(1, limit, shape).astype(kind)


def carried(package: str, path: str, feeds: Callable[[], Feeds], **more: bool) -> Subject:
    """A file in a package."""
    return Subject(package, lambda: Made(onnx_in_wheel(package, path), feeds()), **more)


SILERO = "silero-vad==6.2.3"
RAPIDOCR = "rapidocr-onnxruntime==1.4.4"
OCR = "rapidocr_onnxruntime/models/"


def voice() -> Feeds:
    return {"input": 0.1 * normal(2, 512), "state": 0.1 * normal(2, 2, 128), "sr": np.array(16000, np.int64)}


def voice_at_16k() -> Feeds:
    return {"input": 0.1 * normal(1, 576), "state": 0.1 * normal(2, 1, 128)}


def sequence() -> Feeds:
    return {"input": 0.1 * normal(3, 576), "h": 0.1 * normal(1, 1, 128), "c": 0.1 * normal(1, 1, 128)}


def vision(name: str, exporter: str, quick: bool = False) -> Subject:
    """A network of families/public_models.py."""

    def make() -> Made:
        import torch
        from public_models import SUBJECTS, export, numbers_trained, prepared

        torch.manual_seed(0)
        module = prepared(SUBJECTS[name].module()).eval()
        inputs = SUBJECTS[name].inputs()
        return Made(
            export(module, inputs, exporter), {"input": inputs.numpy()}, *numbers_trained(module, inputs)
        )

    library = "transformers" if name in ("bert", "distilbert", "gpt2", "t5 encoder") else "torchvision"
    return Subject(f"{library}, {'dynamo=True' if exporter == 'dynamo' else 'dynamo=False'}", make, quick)


def timm(name: str, size: int = 64, **options) -> Subject:
    def make() -> Made:
        import torch
        from public_models import export, numbers_trained, prepared
        from timm import create_model

        torch.manual_seed(0)
        module = prepared(create_model(name, pretrained=False, num_classes=10, **options)).eval()
        inputs = torch.from_numpy(normal(2, 3, size, size))
        return Made(
            export(module, inputs, "dynamo"), {"input": inputs.numpy()}, *numbers_trained(module, inputs)
        )

    return Subject("timm, dynamo=True", make)


def vision_transformer() -> Subject:
    """transformers' ViT with two layers."""

    def make() -> Made:
        import torch
        import transformers
        from public_models import WIDTH, Scores, export, numbers_trained, prepared

        torch.manual_seed(0)
        sizes = {"image_size": 32, "patch_size": 8, "num_labels": 5}
        config = transformers.ViTConfig(intermediate_size=64, **sizes, **WIDTH)
        module = prepared(Scores(transformers.ViTForImageClassification(config))).eval()
        inputs = torch.from_numpy(normal(2, 3, 32, 32))
        return Made(
            export(module, inputs, "dynamo"), {"input": inputs.numpy()}, *numbers_trained(module, inputs)
        )

    return Subject("transformers, dynamo=True", make)


def keras(build: Callable, feeds: Callable[[], np.ndarray]) -> Subject:
    """A network of Keras, which runs on PyTorch here, by Keras's own exporter."""

    def make() -> Made:
        os.environ["KERAS_BACKEND"] = "torch"
        import keras as library
        import onnx

        library.utils.set_random_seed(0)
        model = build(library)
        inputs = feeds()
        model(inputs)
        random = np.random.default_rng(0)
        model.set_weights([weight + 0.1 * random.random(weight.shape) for weight in model.get_weights()])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            model.export(str(file), format="onnx", verbose=False)
            exported = onnx.load(file)
        names = [each.name for each in exported.graph.input]
        # the exporter folds batch normalisation into other numbers
        layers = [each for each in model.layers if not isinstance(each, library.layers.BatchNormalization)]
        values = sum(weight.size for each in layers for weight in each.get_weights())
        return Made(exported.SerializeToString(), {names[0]: inputs}, values)

    return Subject("keras", make)


def keras_cnn(library):
    layers = library.layers
    return library.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def keras_lstm(library):
    layers = library.layers
    return library.Sequential(
        [layers.Input((12,), dtype="int32"), layers.Embedding(50, 16), layers.LSTM(16), layers.Dense(3)]
    )


def keras_two_directions(library):
    layers = library.layers
    return library.Sequential(
        [
            layers.Input((12,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.Bidirectional(layers.GRU(8, return_sequences=True)),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3),
        ]
    )


def keras_mobilenet(library):
    options = {"alpha": 0.35, "weights": None, "classes": 10, "classifier_activation": None}
    return library.applications.MobileNetV2((32, 32, 3), **options)


def scikit_learn(kind: str, quick: bool = False) -> Subject:
    def make() -> Made:
        from skl2onnx import to_onnx
        from sklearn.linear_model import LinearRegression, LogisticRegression
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        x = normal(64, 12)
        labels = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
        if kind == "MLPRegressor":
            fitted = MLPRegressor(hidden_layer_sizes=(16, 8), max_iter=5, random_state=0).fit(x, x[:, :2])
        elif kind == "MLPClassifier":
            fitted = MLPClassifier(hidden_layer_sizes=(16, 8), max_iter=5, random_state=0).fit(x, labels)
        elif kind == "LinearRegression":
            fitted = LinearRegression().fit(x, x[:, :2])
        else:
            fitted = LogisticRegression().fit(x, labels)
        options = {} if kind.endswith("Regressor") or kind == "LinearRegression" else {"zipmap": False}
        exported = to_onnx(fitted, x[:1], options=options).SerializeToString()
        if kind == "LinearRegression":
            values = fitted.coef_.size + fitted.intercept_.size
        elif kind == "LogisticRegression":  # its exporter writes the row of each of the two classes
            values = 2 * (fitted.coef_.size + fitted.intercept_.size)
        else:
            values = sum(each.size for each in [*fitted.coefs_, *fitted.intercepts_])
        return Made(exported, {"X": x[:8]}, values)

    return Subject("skl2onnx", make, quick)


SUBJECTS = {
    "PP-OCRv4 direction": carried(
        RAPIDOCR, f"{OCR}ch_ppocr_mobile_v2.0_cls_infer.onnx", lambda: {"x": normal(2, 3, 48, 192)}, quick=True
    ),
    "PP-OCRv4 detection": carried(
        RAPIDOCR, f"{OCR}ch_PP-OCRv4_det_infer.onnx", lambda: {"x": normal(1, 3, 64, 64)}
    ),
    "PP-OCRv4 recognition": carried(
        RAPIDOCR, f"{OCR}ch_PP-OCRv4_rec_infer.onnx", lambda: {"x": normal(1, 3, 48, 64)}
    ),
    "Silero VAD": carried(SILERO, "silero_vad/data/silero_vad.onnx", voice),
    "Silero VAD, 16 kHz": carried(SILERO, "silero_vad/data/silero_vad_16k_op15.onnx", voice),
    "Silero VAD, half": carried(SILERO, "silero_vad/data/silero_vad_half.onnx", voice),
    "Silero VAD, one If": carried(SILERO, "silero_vad/data/silero_vad_op18_ifless.onnx", voice),
    "Silero VAD, sequences": carried(SILERO, "silero_vad/data/silero_vad_16k_sequence.onnx", sequence),
    "Silero VAD, OpenVINO": carried(
        SILERO, "silero_vad/data/silero_vad_openvino_16k.onnx", voice_at_16k, quick=True
    ),
    "Basic Pitch": carried(
        "basic-pitch==0.4.0",
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        lambda: {"serving_default_input_2:0": 0.1 * normal(1, 43844, 1)},
        oracle=True,
    ),
    "Magika": carried(
        "magika==1.0.2", "magika/models/standard_v3_3/model.onnx", lambda: {"bytes": whole(256, 2, 2048, kind=np.int32)}
    ),
    "shufflenet_v2_x0_5": vision("shufflenet_v2_x0_5", "torchscript"),
    "resnet18": vision("resnet18", "dynamo"),
    "mobilenet_v3_small": vision("mobilenet_v3_small", "dynamo"),
    "efficientnet_b0": vision("efficientnet_b0", "torchscript"),
    "densenet121": vision("densenet121", "dynamo"),
    "convnext_tiny": vision("convnext_tiny", "torchscript"),
    "vit_b_16": vision("vit_b_16", "dynamo"),
    "swin_t": vision("swin_t", "dynamo"),
    "lraspp_mobilenet_v3_large": vision("lraspp_mobilenet_v3_large", "dynamo"),
    "bert": vision("bert", "dynamo"),
    "gpt2": vision("gpt2", "torchscript"),
    "t5 encoder": vision("t5 encoder", "torchscript"),
    "ghostnet_100": timm("ghostnet_100"),
    "mobilevit_xxs": timm("mobilevit_xxs"),
    "mixer_s16_224": timm("mixer_s16_224", img_size=64),
    "convnext_atto": timm("convnext_atto"),
    "efficientnet_lite0": timm("efficientnet_lite0"),
    "levit_128s": timm("levit_128s", 224),
    "vit": vision_transformer(),
    "Keras CNN": keras(keras_cnn, lambda: normal(2, 16, 16, 3)),
    "Keras LSTM": keras(keras_lstm, lambda: whole(50, 2, 12, kind=np.int32)),
    "Keras GRU, two directions": keras(keras_two_directions, lambda: whole(50, 2, 12, kind=np.int32)),
    "Keras MobileNetV2": keras(keras_mobilenet, lambda: normal(2, 32, 32, 3)),
    "MLPClassifier": scikit_learn("MLPClassifier", quick=True),
    "MLPRegressor": scikit_learn("MLPRegressor"),
    "LogisticRegression": scikit_learn("LogisticRegression", quick=True),
    "LinearRegression": scikit_learn("LinearRegression"),
}
