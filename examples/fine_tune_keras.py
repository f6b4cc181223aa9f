"""Fine-tunes a text embedding in TF1 Hub format in a model of Keras, with ``fit``, and saves the model.

The module is that of the quickstart. Runs with Keras 3 and with Keras 2::

    python examples/fine_tune_keras.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from quickstart import DATA, publish, read_sentences
from quiet_tensorflow import tf

import hubplug as hub

keras = tf.keras


def make_model(handle: str, classes: int, trainable: bool) -> keras.Model:
    """A linear classifier of texts, on top of a module."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(shape=(), dtype="string"),
            hub.KerasLayer(handle, trainable=trainable),
            keras.layers.Dense(classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    return model


def main() -> None:
    labels, sentences = read_sentences(DATA / "sentences.tsv")
    chapters, targets = np.unique(labels, return_inverse=True)
    order = np.random.RandomState(0).permutation(len(sentences))
    held_out, training = order[: len(order) // 3], order[len(order) // 3 :]
    texts = tf.constant(sentences)

    with tempfile.TemporaryDirectory() as work:
        print("1. Build a text embedding and export it in TF1 Hub format")
        module = str(publish(Path(work)))

        print("2. Train a classifier of chapters on top, with fit; accuracy on sentences it has not seen")
        for trainable in (False, True):
            model = make_model(module, len(chapters), trainable)
            model.fit(tf.gather(texts, training), targets[training], batch_size=64, epochs=10, verbose=0)
            unseen = tf.gather(texts, held_out)
            _, accuracy = model.evaluate(unseen, targets[held_out], verbose=0)
            print(f"   trainable={trainable}: {accuracy:.0%}")

        print("3. Save the model and load it again: the layer is made from its handle, and has the weights of the file")
        model.save(f"{work}/classifier.keras")
        loaded = keras.models.load_model(f"{work}/classifier.keras")
        _, accuracy = loaded.evaluate(unseen, targets[held_out], verbose=0)
        print(f"   loaded: {accuracy:.0%}")


if __name__ == "__main__":
    main()
