"""Tensors in JSON: { type, dims, data }, data being the bytes in base64; tensors.js is the other end."""

import base64
from collections.abc import Mapping

import numpy as np

Tensors = dict[str, np.ndarray]


def encode(tensors: Mapping[str, np.ndarray]) -> dict:
    return {
        name: {
            "type": str(value.dtype),
            "dims": value.shape,
            "data": base64.b64encode(value.tobytes()).decode(),
        }
        for name, value in tensors.items()
    }


def decode(described: Mapping[str, dict]) -> Tensors:
    return {
        name: np.frombuffer(base64.b64decode(tensor["data"]), tensor["type"]).reshape(tensor["dims"])
        for name, tensor in described.items()
    }
