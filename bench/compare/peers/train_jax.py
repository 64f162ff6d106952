"""Trains with JAX: train_jax.py FOLDER"""

import os
import sys

from protocol import Setup, serve

setup = Setup(sys.argv[1])
# the number of threads of XLA's pools
os.environ["NPROC"] = str(setup.threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402


@jax.custom_vjp
def shake(branch1, branch2, alpha, beta):
    return alpha * branch1 + (1 - alpha) * branch2


shake.defvjp(
    lambda branch1, branch2, alpha, beta: (shake(branch1, branch2, alpha, beta), beta),
    lambda beta, grad: (beta * grad, (1 - beta) * grad, None, None),
)


def conv(x, weight, stride=1):
    pad = weight.shape[0] // 2
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, weight, (stride, stride), [(pad, pad)] * 2, dimension_numbers=layout)


def batch_norm(tensors, moments, name, x):
    mean = x.mean((0, 1, 2))
    variance = (x * x).mean((0, 1, 2)) - mean * mean
    moments[name] = (mean, variance)
    gain = tensors[f"{name}.weight"] * lax.rsqrt(variance + 1e-5)
    return x * gain + (tensors[f"{name}.bias"] - mean * gain)


def shortcut(tensors, moments, path, x, stride):
    shifted = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))[:, :-1:stride, :-1:stride]
    paths = [
        conv(x[:, ::stride, ::stride], tensors[f"{path}.conv1.weight"]),
        conv(shifted, tensors[f"{path}.conv2.weight"]),
    ]
    return batch_norm(tensors, moments, f"{path}.bn", jnp.concatenate(paths, 3))


def loss_of(tensors, images, labels, alpha, beta):
    moments = {}

    def branch(path, x, stride):
        x = conv(x, tensors[f"{path}.conv1.weight"], stride)
        x = jax.nn.relu(batch_norm(tensors, moments, f"{path}.bn1", x))
        return batch_norm(tensors, moments, f"{path}.bn2", conv(x, tensors[f"{path}.conv2.weight"]))

    x = (images.astype(jnp.float32) - jnp.array(setup.mean)) / jnp.array(setup.std)
    x = batch_norm(tensors, moments, "stem.bn", conv(x, tensors["stem.conv.weight"]))
    for i, (path, inputs, outputs, stride) in enumerate(setup.blocks()):
        activated = jax.nn.relu(x)
        branches = [branch(f"{path}.branch{b}", activated, stride) for b in (1, 2)]
        mixed = shake(*branches, alpha[i].reshape(-1, 1, 1, 1), beta[i].reshape(-1, 1, 1, 1))
        skip = x if inputs == outputs else shortcut(tensors, moments, f"{path}.shortcut", activated, stride)
        x = skip + mixed
    features = jax.nn.relu(x).mean((1, 2))
    logits = features @ tensors["fc.weight"].T + tensors["fc.bias"]
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -picked.mean(), moments


def update(parameters, statistics, momenta, batch):
    (loss, moments), grads = jax.value_and_grad(loss_of, has_aux=True)(parameters, *batch)
    for name, (mean, variance) in moments.items():
        for leaf, value in (("running_mean", mean), ("running_var", variance)):
            statistics[f"{name}.{leaf}"] = 0.9 * statistics[f"{name}.{leaf}"] + 0.1 * value
    for name, parameter in parameters.items():
        grad = grads[name] + setup.weight_decay * parameter
        momenta[name] = setup.momentum * momenta[name] + grad
        parameters[name] = parameter - setup.learning_rate * (grad + setup.momentum * momenta[name])
    return loss, parameters, statistics, momenta


arrays = {
    name: jnp.array(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array)
    for name, array in setup.arrays.items()
}
statistics = {name: array for name, array in arrays.items() if ".running_" in name}
parameters = {name: array for name, array in arrays.items() if name not in statistics}
momenta = {name: jnp.zeros_like(array) for name, array in parameters.items()}
state = (parameters, statistics, momenta)
batch = tuple(
    jnp.array(array)
    for array in (setup.images.transpose(0, 2, 3, 1), setup.labels, setup.alpha, setup.beta)
)
compiled = jax.jit(update, donate_argnums=(0, 1, 2))


def step() -> float:
    global state
    loss, *state = compiled(*state, batch)
    jax.block_until_ready(state)
    return float(loss)


serve(f"JAX {jax.__version__}", step)
