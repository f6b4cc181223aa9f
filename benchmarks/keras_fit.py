"""Measures ``fit`` of the model of examples/fine_tune_keras.py against the same model made of Keras's own layers.

Both models begin with the same word vectors and train them. Epochs run in turns, in one process, and the ratio is the median over the
turns: so a machine that is busy now and then disturbs both sides alike::

    python benchmarks/keras_fit.py --turns 15
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import numpy as np
from fine_tune_keras import make_model
from quickstart import DATA, publish, read_sentences, read_word_vectors
from quiet_tensorflow import tf

keras = tf.keras


def make_native_model(classes: int) -> Any:
    """The model with a TextVectorization, an Embedding and a mean in the place of the module."""
    keras.utils.set_random_seed(0)
    words, vectors = read_word_vectors(DATA / "word_vectors.txt")
    # Its first ids stand for padding, which is left out of the mean, and for words that are not known, a vector of zeros.
    vectorize = keras.layers.TextVectorization(
        vocabulary=words,
        standardize=lambda texts: tf.strings.regex_replace(tf.strings.lower(texts), "[^a-z]+", " "),
    )
    embedding = keras.layers.Embedding(len(words) + 2, vectors.shape[1], mask_zero=True)
    model = keras.Sequential(
        [
            keras.Input(shape=(), dtype="string"),
            vectorize,
            embedding,
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(classes),
        ]
    )
    embedding.set_weights([np.concatenate([np.zeros((2, vectors.shape[1]), np.float32), vectors])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=2, help="epochs in a turn")
    options = parser.parse_args()
    labels, sentences = read_sentences(DATA / "sentences.tsv")
    classes, targets = np.unique(labels, return_inverse=True)
    texts = tf.constant(sentences)
    with tempfile.TemporaryDirectory() as work:
        models = {
            "KerasLayer": make_model(str(publish(Path(work))), len(classes), trainable=True),
            "native layers": make_native_model(len(classes)),
        }
        times: dict[str, list[float]] = {name: [] for name in models}
        accuracy: dict[str, float] = {}
        for turn in range(options.turns + 1):
            for name in list(models) if turn % 2 else reversed(models):
                started = time.perf_counter()
                history = models[name].fit(texts, targets, batch_size=64, epochs=options.epochs, verbose=0)
                if turn:  # the first one makes the functions
                    times[name].append((time.perf_counter() - started) / options.epochs)
                accuracy[name] = history.history["accuracy"][-1]
    package = keras.Model.__module__.partition(".")[0]
    print(
        f"TensorFlow {tf.__version__}, {package} {import_module(package).__version__}, {len(sentences)} sentences, batches of 64"
    )
    for name, found in times.items():
        print(f"  {name:16}{min(found) * 1e3:9.1f} ms an epoch, accuracy in training {accuracy[name]:.1%}")
    pairs = zip(times["KerasLayer"], times["native layers"], strict=True)
    print(f"  ratio: {statistics.median(ours / theirs for ours, theirs in pairs):.2f}")


if __name__ == "__main__":
    main()
