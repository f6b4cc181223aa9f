"""Makes the word vectors and the labelled sentences of quickstart.py from the language reference that Python ships.

The text is real: the topics behind ``help("topic")`` in ``pydoc_data``, some 46,000 words. A word's vector comes from
counting which words stand near it: positive pointwise mutual information, reduced by a singular value decomposition
(Levy, Goldberg and Dagan 2015, with their context distribution smoothing of 0.75). Its length falls with the word's
frequency (Arora, Liang and Ma 2017), so that a mean over a sentence is not drowned by "the" and "of".

Needs NumPy only, takes a few seconds, and writes the same bytes each time it runs on one version of Python::

    python examples/make_word_vectors.py
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

DATA = Path(__file__).parent / "data"
WINDOW = 5
SMOOTHING = 0.75
RARITY = 1e-3
CHAPTERS = {
    "control flow": ["compound"],
    "debugger": ["debugger"],
    "special methods": ["specialnames"],
    "text": ["strings", "string-methods", "formatstrings", "typesseq"],
}


def paragraphs(topic: str) -> list[str]:
    """The prose of a topic: indented blocks are mostly code, lines of symbols are headings."""
    blocks = re.split(r"\n\s*\n", topics[topic])
    prose = [" ".join(block.split()) for block in blocks if not re.search(r">>>|^\s*[*=\-~\"+|]{4}|::=", block, re.M)]
    return [" ".join(re.sub(r"[*\"`|]|\(\)|\[\d+\]", "", block).replace("_", " ").split()) for block in prose]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def sentences(chapter: str) -> list[str]:
    """Whole sentences of a chapter, each once."""
    found: dict[str, None] = {}
    for topic in CHAPTERS[chapter]:
        for paragraph in paragraphs(topic):
            for sentence in re.split(r"(?<=[a-z]\.) (?=[A-Z])", paragraph):
                if 8 <= len(words(sentence)) <= 30 and re.fullmatch(r"[A-Z][\w ,;:'/()-]+\.", sentence):
                    found[sentence] = None
    return list(found)


def word_vectors(text: list[list[str]], least: int, dimensions: int) -> tuple[list[str], np.ndarray]:
    """The words that occur at least ``least`` times, the most frequent first, and float64 [words, dimensions]."""
    frequency = Counter(word for paragraph in text for word in paragraph)
    vocabulary = sorted((word for word in frequency if frequency[word] >= least), key=lambda w: (-frequency[w], w))
    index = {word: number for number, word in enumerate(vocabulary)}
    together = np.zeros((len(vocabulary), len(vocabulary)))
    for paragraph in text:
        ids = [index[word] for word in paragraph if word in index]
        for distance in range(1, WINDOW + 1):
            np.add.at(together, (ids[:-distance], ids[distance:]), 1 / distance)
    together += together.T
    context = together.sum(0) ** SMOOTHING
    expected = np.outer(together.sum(1), context / context.sum())
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(together / expected), 0)
    left, strengths, _ = np.linalg.svd(information, full_matrices=False)
    signs = np.sign(left[np.abs(left).argmax(0), range(left.shape[1])])  # an SVD leaves them open
    vectors = (left * signs * np.sqrt(strengths))[:, :dimensions]
    share = np.array([frequency[word] for word in vocabulary]) / sum(frequency.values())
    vectors *= (RARITY / (RARITY + share) / np.linalg.norm(vectors, axis=1))[:, None]
    return vocabulary, vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--least", type=int, default=6, help="how often a word has to occur")
    options = parser.parse_args()

    text = [words(paragraph) for topic in sorted(topics) for paragraph in paragraphs(topic)]
    unique = [list(paragraph) for paragraph in dict.fromkeys(map(tuple, text))]
    vocabulary, vectors = word_vectors(unique, options.least, options.dimensions)
    with (DATA / "word_vectors.txt").open("w", encoding="utf-8") as file:
        file.write(f"{len(vocabulary)} {options.dimensions}\n")
        for word, vector in zip(vocabulary, vectors, strict=True):
            file.write(" ".join([word, *(f"{value:.3f}" for value in vector)]) + "\n")
    with (DATA / "sentences.tsv").open("w", encoding="utf-8") as file:
        for chapter in CHAPTERS:
            file.writelines(f"{chapter}\t{sentence}\n" for sentence in sentences(chapter))
    print(f"{sum(map(len, unique)):,} words of Python {sys.version.split()[0]}: {len(vocabulary):,} vectors")


if __name__ == "__main__":
    main()
