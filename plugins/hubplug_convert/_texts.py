"""Generated strings: empty, words of the module's own vocabulary and others, long ones, and bytes that are no text."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hubplug_format import GraphVariant

_MOST_WORDS = 400
_LONGEST_WORD = 100
_READ = 1 << 20
_UNKNOWN = ("qzxvjk", "Zyzzyva", "42", "3.14", "hubplug", "!?", "-")
_SEED = 14


def _png(width: int, height: int) -> bytes:
    """A small picture, for what decodes images."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((17 * x + 31 * y) % 256 for x in range(3 * width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def words_of(source: Path, variant: GraphVariant) -> list[bytes]:
    """Words that a module may know: lines of its assets, and strings in its graph."""
    found: dict[bytes, None] = {}
    for asset in variant.assets:
        found.update(dict.fromkeys(_words_of_file(source / "assets" / asset.filename)))
    for node in variant.graph.nodes:
        if node.op == "Const" and len(found) < 2 * _MOST_WORDS:
            found.update(dict.fromkeys(node.attr["value"].tensor.string_val))
    return [word for word in found if 0 < len(word) <= _LONGEST_WORD][:_MOST_WORDS]


def _words_of_file(path: Path) -> Iterable[bytes]:
    try:
        with open(path, "rb") as file:
            lines = file.read(_READ).splitlines()
    except OSError:
        return []
    few = [*lines[: _MOST_WORDS // 2], *lines[-5:]]
    return [word for line in few for word in {line, *line.split(b"\t")[:1], *line.split()[:1]}]


def text_groups(words: Sequence[bytes], records: Sequence[bytes] = ()) -> dict[str, list[bytes]]:
    """By what they are, the strings to be tried, the ordinary first."""
    chosen = random.Random(_SEED)
    known = list(words) or [b"word", b"the", b"a"]
    unknown = [text.encode() for text in _UNKNOWN]
    sentences = [
        b" ".join(chosen.choice(known if chosen.random() < 0.7 else unknown) for _ in range(chosen.randrange(1, 12)))
        for _ in range(20)
    ]
    return {
        **({"records that it parses": list(records)} if records else {}),
        "sentences": [*sentences, b"several words, and a comma.", b"A question?"],
        "words of the vocabulary": chosen.sample(known, min(len(known), 60)),
        "words out of the vocabulary": unknown,
        "empty strings": [b""],
        "spaces and punctuation": [b" ", b"  a\tb\n c ", b"...", b"(1,000.50)", b"'\"\\", b"<br/>", b"a" * 3],
        "other scripts": [text.encode() for text in ("Grüße", "мир", "世界", "🙂 ok", "é", "İ", "ﬁ", "שלום")],
        "long strings": [b"x" * 5000, b" ".join(known * 8)[:20000], "世".encode() * 500],
        "text with a NUL": [b"a\0b", b"\0"],
        "bytes that are not UTF-8": [b"\xff\xfe\x00a", bytes(range(1, 256)), b"\0"],
        "pictures": [_png(5, 3), _png(2, 2)],
    }


def texts(group: Sequence[bytes], shape: Sequence[int]) -> Any:
    """An array with the strings of a group, repeated as often as it takes."""
    array = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
    array[:] = [group[i % len(group)] for i in range(array.size)]
    return array.reshape(tuple(shape))
