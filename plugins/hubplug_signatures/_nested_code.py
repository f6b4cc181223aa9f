"""Programs hidden in strings: serialized graphs and functions, and MLIR, in constants and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from hubplug_format import OpRegistry, message_class
from hubplug_signatures._attributes import AttributeReader
from hubplug_signatures._program import Program

_MLIR_BYTECODE = b"ML\xefR"
_MLIR_OP = re.compile(rb"\btf\.([A-Za-z_][A-Za-z0-9_]*)")


def programs_in(data: bytes, reader: AttributeReader, path: str) -> Iterator[Program]:
    """The programs that a string is when it is read as a graph, a function, or a library of functions.

    One counts only if it has a node of an op type that exists: nearly every string can be read as something.
    """
    for kind, wrap in (("GraphDef", _as_it_is), ("FunctionDef", _in_a_library), ("FunctionDefLibrary", _in_a_graph)):
        if _parsed(kind, data) is None:
            continue
        graph, skimmed = _parsed("GraphDef", wrap(data)), _parsed("SkimmedGraph", wrap(data))
        if graph is not None and skimmed is not None and _has_ops(graph):
            yield Program.of(graph, skimmed, reader, path)


def is_mlir_bytecode(data: bytes) -> bool:
    """Whether a string is a compiled MLIR module, which only a compiler can look into."""
    return data.startswith(_MLIR_BYTECODE)


def mlir_ops(data: bytes) -> set[str]:
    """The op types of TensorFlow that a string names as MLIR text does: ``tf.ReadFile``."""
    if b"tf." not in data:
        return set()
    return {name.decode() for name in _MLIR_OP.findall(data)}


def _as_it_is(data: bytes) -> bytes:
    return data


def _in_a_library(data: bytes) -> bytes:
    return _in_a_graph(_field(1, data))


def _in_a_graph(data: bytes) -> bytes:
    return _field(2, data)


def _field(number: int, data: bytes) -> bytes:
    """The encoding of a field that holds a message."""
    size, length = len(data), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + data


def _parsed(kind: str, data: bytes) -> Any | None:
    try:
        return message_class(kind).FromString(data)
    except (DecodeError, ValueError, RecursionError):
        return None


def _has_ops(graph: Any) -> bool:
    known = OpRegistry.bundled()
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(node.op in known for nodes in bodies for node in nodes)
