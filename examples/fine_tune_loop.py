"""Fine-tunes a text embedding in TF1 Hub format in a training loop of your own, and exports it again.

The module is that of the quickstart; it is applied under eager execution, without Keras, graphs or sessions::

    python examples/fine_tune_loop.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from quickstart import DATA, publish, read_sentences
from quiet_tensorflow import tf

import hubplug as hub


def main() -> None:
    labels, sentences = read_sentences(DATA / "sentences.tsv")
    chapters, targets = np.unique(labels, return_inverse=True)
    order = np.random.RandomState(0).permutation(len(sentences))
    held_out, training = order[: len(order) // 3], order[len(order) // 3 :]
    texts, wanted = tf.constant(sentences), tf.constant(targets)

    with tempfile.TemporaryDirectory() as work:
        print("1. Build a text embedding and export it in TF1 Hub format")
        handle = str(publish(Path(work)))

        print("2. Train it, with a linear classifier of chapters on top")
        module = hub.Module(handle, trainable=True)
        head = tf.Variable(tf.zeros([module.variables[0].shape[-1], len(chapters)]))
        trained = [head, *module.trainable_variables]
        batches = tf.data.Dataset.from_tensor_slices((tf.gather(texts, training), tf.gather(wanted, training))).batch(
            64
        )

        @tf.function
        def step(batch: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                logits = module(batch, training=True) @ head
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits)
                loss = tf.reduce_mean(losses) + tf.add_n([0.0, *module.losses])
            for variable, slope in zip(trained, tape.gradient(loss, trained), strict=True):
                variable.assign_sub(5.0 * tf.convert_to_tensor(slope))
            return loss

        def accuracy(of: hub.Module) -> float:
            logits = of(tf.gather(texts, held_out)) @ head
            return float(tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == tf.gather(wanted, held_out), tf.float32)))

        print(f"   before:  {accuracy(module):.0%} of the sentences it has not seen")
        for _ in range(40):
            for batch, classes in batches:
                step(batch, classes)
        print(f"   after:   {accuracy(module):.0%}")

        print("3. Export the module with what it has learnt, and apply it")
        module.export(f"{work}/fine-tuned")
        print(f"   applied: {accuracy(hub.Module(f'{work}/fine-tuned')):.0%}")


if __name__ == "__main__":
    main()
