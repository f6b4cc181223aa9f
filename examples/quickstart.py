"""The life of a module: published, hosted, resolved, applied, fine-tuned, published again.

Builds a text embedding from the word vectors in ``data/``, which ``make_word_vectors.py`` made from the language
reference of Python. Nothing but 127.0.0.1 is asked, and what is made stays in the directory ``hubplug-quickstart``, made anew
by each run, for you to play with::

    python examples/quickstart.py
"""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
from quiet_tensorflow import tf

import hubplug as hub
from hubplug_hosting import ModuleServer, pack_module

tf1 = tf.compat.v1

DATA = Path(__file__).parent / "data"
KEPT = Path("hubplug-quickstart")
NEXT = [
    f"hubplug show {KEPT}/fine-tuned",
    f"hubplug diff {KEPT}/text-embedding {KEPT}/fine-tuned",
    f"hubplug validate {KEPT}/fine-tuned --profile text-feature-vector --profile safe",
    f"hubplug serve {KEPT}/www --port 8080",
    "hubplug show http://127.0.0.1:8080/docs/text-embedding/1     (in a second terminal)",
]
QUESTIONS = [
    "How do I stop my program at a certain line?",
    "Can I remove leading and trailing whitespace?",
    "How are two objects compared for equality?",
    "Is a list mutable?",
]


def read_word_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """Reads word2vec's text format: the words, and float32 [words, dimensions]."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    words, *_ = zip(*(line.split(" ", 1) for line in lines), strict=True)
    return list(words), np.array([line.split(" ")[1:] for line in lines], np.float32)


def read_sentences(path: Path) -> tuple[list[str], list[str]]:
    """Reads labelled sentences: the labels, and the sentences."""
    lines = path.read_text(encoding="utf-8").splitlines()
    labels, sentences = zip(*(line.split("\t") for line in lines), strict=True)
    return list(labels), list(sentences)


def text_embedding(vocabulary_file: Path, words: int, dimensions: int) -> hub.ModuleSpec:
    """Defines a module that maps sentences, string [batch], to the mean of their word vectors, float32 [batch, dimensions].

    Its vocabulary is an asset, so it travels with the module.
    """

    def module_fn() -> None:
        sentences = tf1.placeholder(tf.string, [None])
        letters = tf.strings.regex_replace(tf.strings.lower(sentences), "[^a-z]+", " ")
        tokens = tf.strings.split(tf.strings.strip(letters)).to_sparse()
        vocabulary = tf.lookup.TextFileInitializer(
            str(vocabulary_file),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        table = tf.lookup.StaticHashTable(vocabulary, default_value=-1)
        ids = tf.SparseTensor(tokens.indices, table.lookup(tokens.values), tokens.dense_shape)
        vectors = tf1.get_variable("word_vectors", [words, dimensions])
        # Unknown words have the id -1, which this function leaves out; a sentence without words gets a zero vector.
        means = tf.nn.safe_embedding_lookup_sparse(vectors, ids, combiner="mean")
        hub.add_signature(inputs=sentences, outputs=means)

    return hub.create_module_spec(module_fn)


def publish(work: Path) -> Path:
    """Exports the text embedding with its pretrained values."""
    words, pretrained = read_word_vectors(DATA / "word_vectors.txt")
    vocabulary_file = work / "vocabulary.txt"
    vocabulary_file.write_text("\n".join(words) + "\n", encoding="utf-8")
    with tf.Graph().as_default(), tf1.Session() as session:
        module = hub.Module(text_embedding(vocabulary_file, *pretrained.shape))
        session.run(tf1.assign(module.variable_map["word_vectors"], pretrained))
        module.export(str(work / "text-embedding"), session)
    print(f"   {len(words):,} words, {pretrained.shape[1]} dimensions")
    return work / "text-embedding"


def embed(handle: str, sentences: list[str]) -> np.ndarray:
    """Applies a module to sentences: float32 [len(sentences), dimensions]."""
    with tf.Graph().as_default(), tf1.Session() as session:
        embeddings = hub.Module(handle)(sentences)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        return session.run(embeddings)


def print_nearest(handle: str, sentences: list[str]) -> None:
    """Prints the sentence that is nearest to each question by the cosine of their embeddings."""
    vectors = embed(handle, [*QUESTIONS, *sentences])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    similarity = vectors[: len(QUESTIONS)] @ vectors[len(QUESTIONS) :].T
    for question, row in zip(QUESTIONS, similarity, strict=True):
        nearest = textwrap.shorten(sentences[row.argmax()], 100, placeholder=" ...")
        print(f"   {question}\n     {row.max():.2f}  {nearest}")


def train_classifier(handle: str, trainable: bool, export_to: Path | None = None) -> float:
    """Trains a linear classifier of chapters on top of a module, and returns its accuracy on sentences it has not seen."""
    labels, sentences = read_sentences(DATA / "sentences.tsv")
    classes, targets = np.unique(labels, return_inverse=True)
    order = np.random.RandomState(0).permutation(len(sentences))
    held_out, training = order[: len(order) // 3], order[len(order) // 3 :]
    texts = np.array(sentences, object)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(0)
        text, target = tf1.placeholder(tf.string, [None]), tf1.placeholder(tf.int64, [None])
        module = hub.Module(handle, trainable=trainable)
        embeddings = module(text)
        weights = tf1.get_variable("weights", [embeddings.shape[1], len(classes)], initializer=tf1.zeros_initializer())
        logits = embeddings @ weights
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits))
        step = tf1.train.AdamOptimizer(0.02).minimize(loss)
        correct = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), target), tf.float32))
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        for _ in range(60):
            session.run(step, {text: texts[training], target: targets[training]})
        if export_to is not None:
            module.export(str(export_to), session)
        return float(session.run(correct, {text: texts[held_out], target: targets[held_out]}))


def main() -> None:
    for name in ("text-embedding", "www", "fine-tuned"):
        shutil.rmtree(KEPT / name, ignore_errors=True)
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        work = KEPT
        os.environ["TFHUB_CACHE_DIR"] = cache
        os.environ["TFHUB_DOWNLOAD_PROGRESS"] = "1"

        print("1. Build a text embedding from word vectors and export it")
        exported = publish(work)

        print("2. Pack it: one archive, the same bytes each time")
        archive = work / "www" / "docs" / "text-embedding" / "1.tar.gz"
        archive.parent.mkdir(parents=True)
        pack_module(exported, archive)
        print(f"   {archive.name}: {archive.stat().st_size:,} bytes")

        with ModuleServer(work / "www") as server:
            handle = f"{server.url}docs/text-embedding/1"
            print(f"3. Serve it: {handle}")

            print("4. Resolve that URL into an empty cache")
            path = hub.resolve(handle)
            started = time.perf_counter()
            assert hub.resolve(handle) == path
            print(f"   now in TFHUB_CACHE_DIR; asking again took {1000 * (time.perf_counter() - started):.1f} ms")

        _, sentences = read_sentences(DATA / "sentences.tsv")
        print("5. Apply it, from the cache: the nearest of", len(sentences), "sentences of the Python reference")
        print_nearest(handle, sentences)

        print("6. Train a classifier of chapters on top; accuracy on sentences it has not seen")
        print(f"   trainable=False: {train_classifier(handle, trainable=False):.0%}")
        fine_tuned = work / "fine-tuned"
        print(f"   trainable=True:  {train_classifier(handle, trainable=True, export_to=fine_tuned):.0%}")

        print("7. Load the fine-tuned module, which was exported on the way")
        change = np.linalg.norm(embed(str(fine_tuned), sentences) - embed(handle, sentences), axis=1).mean()
        print(f"   its embeddings have moved by {change:.2f} on average")
        print(f"   trainable=False: {train_classifier(str(fine_tuned), trainable=False):.0%}")

    print(f"The modules are in {KEPT}; try next, here:")
    for command in NEXT:
        print(f"   {command}")


if __name__ == "__main__":
    main()
