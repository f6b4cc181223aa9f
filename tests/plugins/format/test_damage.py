"""Truncated and flipped files: a FormatError or a module read, never another exception."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hubplug.errors import FormatError
from hubplug_format import CheckpointIndex, SavedModelFile, check_complete, read_module_def


def read_everything(directory: Path) -> object:
    model = SavedModelFile.read(directory)
    for variant in model.variants.values():
        _ = (
            variant.tags,
            variant.signatures,
            variant.attachments,
            variant.collections,
            variant.assets,
            variant.variables,
        )
        _ = (variant.stripped_ops, variant.saver, variant.method_names, variant.has_object_graph)
        _ = [node.op for node in variant.graph.nodes]
    return set(model.variants)


READERS: dict[str, Callable[[Path], object]] = {
    "saved_model.pb": read_everything,
    "tfhub_module.pb": read_module_def,
    "variables/variables.index": lambda directory: CheckpointIndex.read(directory / "variables/variables").entries,
}


def variations(data: bytes) -> Iterator[bytes]:
    for length in range(len(data)):
        yield data[:length]
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            yield data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]


def check(directory: Path, name: str, damaged: list[bytes]) -> int:
    refused = 0
    for data in damaged:
        (directory / name).write_bytes(data)
        try:
            READERS[name](directory)
        except FormatError:
            refused += 1
        check_complete(directory)
    return refused


@pytest.mark.parametrize("name", READERS)
def test_a_sample_of_all_damages_is_refused_or_read(small_module: Path, name: str) -> None:
    damaged = list(variations((small_module / name).read_bytes()))
    sample = random.Random(7).sample(damaged, min(400, len(damaged)))
    assert check(small_module, name, sample) > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", READERS)
def test_all_damages_are_refused_or_read(small_module: Path, name: str) -> None:
    assert check(small_module, name, list(variations((small_module / name).read_bytes()))) > 0


def test_every_damage_of_an_index_is_noticed_or_changes_nothing(small_module: Path) -> None:
    name = "variables/variables.index"
    good = CheckpointIndex.read(small_module / "variables/variables").entries
    for data in random.Random(3).sample(list(variations((small_module / name).read_bytes())), 300):
        (small_module / name).write_bytes(data)
        with suppress(FormatError):
            assert CheckpointIndex.read(small_module / "variables/variables").entries == good


def test_deeply_nested_messages_are_refused(tmp_path: Path) -> None:
    # NameAttrList inside AttrValue inside NameAttrList, ten thousand deep, as a hostile graph could be.
    data = b""
    for _ in range(10_000):
        data = b"\x52" + _sized(b"\x12" + _sized(b"\x0a\x01f\x12" + _sized(data)))
        if len(data) > 1 << 20:
            break
    node = b"\x0a\x01n\x2a" + _sized(b"\x0a\x01a\x12" + _sized(data))
    graph = b"\x0a" + _sized(node)
    (tmp_path / "saved_model.pb").write_bytes(b"\x12" + _sized(b"\x12" + _sized(graph)))
    with pytest.raises(FormatError, match="is damaged"):
        read_everything(tmp_path)


def _sized(data: bytes) -> bytes:
    out, size = bytearray(), len(data)
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes([size]) + data
