"""Trains with TensorFlow: train_tensorflow.py FOLDER"""

import sys

import tensorflow as tf
from protocol import Setup, serve

setup = Setup(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(setup.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)


@tf.custom_gradient
def shake(branch1, branch2, alpha, beta):
    return alpha * branch1 + (1 - alpha) * branch2, lambda grad: (beta * grad, (1 - beta) * grad, None, None)


# TensorFlow's layouts: NHWC for images, HWIO for filters
variables = {
    name: tf.Variable(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array, trainable=".running_" not in name)
    for name, array in setup.arrays.items()
}
parameters = {name: variable for name, variable in variables.items() if variable.trainable}
momenta = {name: tf.Variable(tf.zeros_like(variable)) for name, variable in parameters.items()}
images, labels, alpha, beta = (
    tf.constant(array)
    for array in (setup.images.transpose(0, 2, 3, 1), setup.labels, setup.alpha, setup.beta)
)


def conv(name, x, stride=1):
    weight = variables[f"{name}.weight"]
    pad = [weight.shape[0] // 2] * 2
    return tf.nn.conv2d(x, weight, stride, [[0, 0], pad, pad, [0, 0]])


def batch_norm(name, x):
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, variables[f"{name}.weight"], variables[f"{name}.bias"], epsilon=1e-5, is_training=True
    )
    for leaf, value in (("running_mean", mean), ("running_var", variance)):
        running = variables[f"{name}.{leaf}"]
        running.assign(0.9 * running + 0.1 * value)
    return y


def branch(path, x, stride):
    x = tf.nn.relu(batch_norm(f"{path}.bn1", conv(f"{path}.conv1", x, stride)))
    return batch_norm(f"{path}.bn2", conv(f"{path}.conv2", x))


def shortcut(path, x, stride):
    shifted = tf.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]])[:, :-1:stride, :-1:stride]
    paths = [conv(f"{path}.conv1", x[:, ::stride, ::stride]), conv(f"{path}.conv2", shifted)]
    return batch_norm(f"{path}.bn", tf.concat(paths, 3))


def loss_of():
    x = (tf.cast(images, tf.float32) - setup.mean) / setup.std
    x = batch_norm("stem.bn", conv("stem.conv", x))
    for i, (path, inputs, outputs, stride) in enumerate(setup.blocks()):
        activated = tf.nn.relu(x)
        branches = [branch(f"{path}.branch{b}", activated, stride) for b in (1, 2)]
        mixed = shake(*branches, tf.reshape(alpha[i], (-1, 1, 1, 1)), tf.reshape(beta[i], (-1, 1, 1, 1)))
        x = (x if inputs == outputs else shortcut(f"{path}.shortcut", activated, stride)) + mixed
    features = tf.reduce_mean(tf.nn.relu(x), (1, 2))
    logits = tf.matmul(features, variables["fc.weight"], transpose_b=True) + variables["fc.bias"]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


@tf.function
def train():
    with tf.GradientTape() as tape:
        loss = loss_of()
    for name, grad in tape.gradient(loss, parameters).items():
        parameter, momentum = parameters[name], momenta[name]
        grad += setup.weight_decay * parameter
        momentum.assign(setup.momentum * momentum + grad)
        parameter.assign_sub(setup.learning_rate * (grad + setup.momentum * momentum))
    return loss


serve(f"TensorFlow {tf.__version__}", lambda: float(train().numpy()))
