"""An image module with graph variants: batch normalization that learns in one and stands still in the other.

Trains on pictures of printed digits in sans-serif faces, publishes the module, and fine-tunes it for serif faces.
Everything happens in a temporary directory and on 127.0.0.1::

    python examples/image_module.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from quiet_tensorflow import tf

import hubplug as hub
from hubplug_hosting import ModuleServer, pack_module

tf1 = tf.compat.v1

DATA = Path(__file__).parent / "data"
SIZE = 20
STEPS = 70


def read_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads the pictures: float32 [faces * 10, SIZE, SIZE, 3] in [0, 1], their digits, and whether the face has serifs."""
    with tf1.Session(graph=tf.Graph()) as session, session.graph.as_default():
        sheet = session.run(tf.io.decode_png((DATA / "digits.png").read_bytes(), channels=3))
    faces = (DATA / "digits.txt").read_text(encoding="utf-8").split()
    tiles = sheet.reshape(len(faces), SIZE, 10, SIZE, 3).swapaxes(1, 2).reshape(-1, SIZE, SIZE, 3)
    serif = np.repeat(["Serif" in face for face in faces], 10)
    return tiles.astype(np.float32) / 255, np.tile(np.arange(10), len(faces)), serif


def digit_module(training: bool) -> None:
    """Builds one graph variant: features float32 [batch, 64] and logits [batch, 10] of images [batch, height, width, 3]."""
    images = tf1.placeholder(tf.float32, [None, None, None, 3])
    net = images * 2 - 1
    for name, channels, stride in (("conv1", 16, 2), ("conv2", 32, 2), ("conv3", 64, 2)):
        with tf1.variable_scope(name):
            net = tf.nn.relu(batch_normalization(convolution(net, channels, stride), training))
    features = tf.reduce_mean(net, [1, 2])
    with tf1.variable_scope("logits"):
        logits = features @ tf1.get_variable("weights", [64, 10], regularizer=decay) + tf1.get_variable(
            "bias", [10], initializer=tf1.zeros_initializer()
        )
    for signature in ("default", "image_feature_vector"):
        hub.add_signature(signature, {"images": images}, {"default": features, "small_cnn/logits": logits})
    hub.add_signature("image_classification", {"images": images}, {"default": logits})

    info = hub.ImageModuleInfo()
    info.default_image_size.height = info.default_image_size.width = SIZE
    hub.attach_image_module_info(info)


def convolution(images: tf.Tensor, channels: int, stride: int) -> tf.Tensor:
    kernel = tf1.get_variable("kernel", [3, 3, images.shape[-1], channels], regularizer=decay)
    return tf.nn.conv2d(images, kernel, stride, "SAME")


def batch_normalization(images: tf.Tensor, training: bool) -> tf.Tensor:
    """Normalizes by the batch, and moves the averages by an update op, if training; else by the moving averages."""
    shape = [images.shape[-1]]
    scale = tf1.get_variable("gamma", shape, initializer=tf1.ones_initializer())
    offset = tf1.get_variable("beta", shape, initializer=tf1.zeros_initializer())
    mean = tf1.get_variable("moving_mean", shape, initializer=tf1.zeros_initializer(), trainable=False)
    variance = tf1.get_variable("moving_variance", shape, initializer=tf1.ones_initializer(), trainable=False)
    if not training:
        return tf.nn.batch_normalization(images, mean, variance, offset, scale, 1e-3)
    batch_mean, batch_variance = tf.nn.moments(images, [0, 1, 2])
    for average, value in ((mean, batch_mean), (variance, batch_variance)):
        tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, tf1.assign_sub(average, 0.3 * (average - value)))
    return tf.nn.batch_normalization(images, batch_mean, batch_variance, offset, scale, 1e-3)


def decay(weights: tf.Tensor) -> tf.Tensor:
    return 1e-3 * tf.nn.l2_loss(weights)


def shifted(images: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """The images, each moved by up to two pixels."""
    return np.stack([np.roll(image, random.randint(-2, 3, 2), (0, 1)) for image in images])


def train(spec: Any, images: np.ndarray, digits: np.ndarray, export_to: Path, rate: float) -> None:
    """Trains the variant for training, update ops and regularization losses included, and exports all variants."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(4)
        batch, target = tf1.placeholder(tf.float32, [None, SIZE, SIZE, 3]), tf1.placeholder(tf.int64, [None])
        module = hub.Module(spec, trainable=True, tags={"train"})
        logits = module(batch, signature="image_classification")
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits))
        loss += tf.add_n(tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES))
        with tf.control_dependencies(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)):
            taken = tf1.train.get_or_create_global_step()
            # In the end the weights hardly move, so that the averages are those of the weights that are exported.
            settling = tf1.train.polynomial_decay(rate, taken, STEPS)
            step = tf1.train.AdamOptimizer(settling).minimize(loss, global_step=taken)
        session.run(tf1.global_variables_initializer())
        random = np.random.RandomState(1)
        for _ in range(STEPS):
            session.run(step, {batch: shifted(images, random), target: digits})
        module.export(str(export_to), session)


def classify(handle: str, images: np.ndarray) -> np.ndarray:
    """Applies the variant for inference: the most likely digit of each image."""
    with tf.Graph().as_default(), tf1.Session() as session:
        logits = hub.Module(handle)(images, signature="image_classification")
        session.run(tf1.global_variables_initializer())
        return session.run(tf.argmax(logits, 1))


def moving_means(handle: str) -> np.ndarray:
    """The moving means of the first layer, as published."""
    with tf.Graph().as_default(), tf1.Session() as session:
        variable = hub.Module(handle).variable_map["conv1/moving_mean"]
        session.run(variable.initializer)
        return session.run(variable)


def print_pictures(images: np.ndarray, guesses: np.ndarray) -> None:
    """Prints images side by side, and the guess below each."""
    for row in images[:, ::2, :, 0].swapaxes(0, 1):
        print("     " + "  ".join("".join(" .:*#"[round(4 * float(pixel))] for pixel in line[3:17]) for line in row))
    print("     " + "  ".join(f"{guess:^14}" for guess in guesses))


def main() -> None:
    images, digits, serif = read_digits()
    fine_tuning, held_out = np.flatnonzero(serif)[:40], np.flatnonzero(serif)[40:]
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        os.environ["TFHUB_CACHE_DIR"] = str(work / "cache")
        os.environ["TFHUB_DOWNLOAD_PROGRESS"] = "1"

        print("1. Define a module with the graph variants {'train'} and {}, and train it on sans-serif digits")
        spec = hub.create_module_spec(
            digit_module, tags_and_args=[(set(), {"training": False}), ({"train"}, {"training": True})]
        )
        train(spec, images[~serif], digits[~serif], work / "exported", rate=0.01)
        sans = np.mean(classify(str(work / "exported"), images[~serif]) == digits[~serif])
        print(f"   {sans:.0%} right on the {np.sum(~serif)} images it was trained on")

        print("2. Pack it and serve it")
        archive = work / "www" / "digits" / "1.tar.gz"
        archive.parent.mkdir(parents=True)
        pack_module(work / "exported", archive)
        with ModuleServer(work / "www") as server:
            handle = f"{server.url}digits/1"
            print(f"   {handle}: {archive.stat().st_size:,} bytes")

            print("3. Resolve that URL into an empty cache, and look at it")
            spec = hub.load_module_spec(handle)
        variants = sorted(sorted(tags) for tags in spec.get_tags())
        print(f"   graph variants {variants}, signatures {', '.join(sorted(spec.get_signature_names()))}")
        print(f"   expected image size {hub.get_expected_image_size(spec)}")

        print("4. Apply the variant {} to digits in serif faces, which it has never seen")
        guesses = classify(handle, images[held_out])
        print_pictures(images[held_out[:5]], guesses[:5])
        print(f"   {np.mean(guesses == digits[held_out]):.0%} right on {len(held_out)} images")

        print("5. Fine-tune the variant {'train'} on serif faces, with its update ops, and export all variants")
        train(spec, images[fine_tuning], digits[fine_tuning], work / "fine-tuned", rate=0.003)

        print("6. Load the fine-tuned module")
        fine_tuned = str(work / "fine-tuned")
        change = np.abs(moving_means(fine_tuned) - moving_means(handle)).max()
        print(f"   {np.mean(classify(fine_tuned, images[held_out]) == digits[held_out]):.0%} right on the same images")
        print(f"   batch normalization followed: moving means changed by up to {change:.2f}")


if __name__ == "__main__":
    main()
