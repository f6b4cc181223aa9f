"""Programs hidden in strings: serialized graphs and functions, and MLIR, in constants and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from hubplug_format import OpRegistry, message_class
from hubplug_signatures._program import Program
from hubplug_signatures._unsafe_ops import unsafe_ops

# A shorter string cannot hold a program that does anything.
_SHORTEST = 32
_STRING = 7
_MLIR_BYTECODE = b"ML\xefR"
_MLIR_OP = re.compile(rb"\btf\.([A-Za-z_][A-Za-z0-9_]*)")


def strings_of(attr: Any) -> Iterator[bytes]:
    """Every string in an AttrValue that is long enough to be a program."""
    kind = attr.WhichOneof("value")
    if kind == "s":
        if len(attr.s) > _SHORTEST:
            yield attr.s
    elif kind == "tensor":
        yield from _strings_of_tensor(attr.tensor)
    elif kind == "list":
        for text in attr.list.s:
            if len(text) > _SHORTEST:
                yield text
        for tensor in attr.list.tensor:
            yield from _strings_of_tensor(tensor)
        for func in attr.list.func:
            yield from _strings_of_func(func)
    elif kind == "func":
        yield from _strings_of_func(attr.func)


def programs_in(data: bytes, path: str) -> Iterator[Program]:
    """The programs that a string is when it is read as a graph, a function, or a library of functions.

    One counts only if it has a node of an op type that exists: nearly every string can be read as something.
    """
    graph = _parsed("GraphDef", data)
    if graph is not None and _has_ops(graph.node, graph.library.function):
        yield Program.of(graph.node, graph.library.function, path, _all_names(graph.library.function))
    function = _parsed("FunctionDef", data)
    if function is not None and _has_ops(function.node_def, ()):
        yield Program.of(function.node_def, (), path)
    library = _parsed("FunctionDefLibrary", data)
    if library is not None and _has_ops((), library.function):
        yield Program.of((), library.function, path, _all_names(library.function))


def is_mlir_bytecode(data: bytes) -> bool:
    """Whether a string is a compiled MLIR module, which only a compiler can look into."""
    return data.startswith(_MLIR_BYTECODE)


def mlir_ops(data: bytes) -> set[str]:
    """The op types of TensorFlow that a string names as MLIR text does: ``tf.ReadFile``."""
    if b"tf." not in data:
        return set()
    return {name.decode() for name in _MLIR_OP.findall(data)}


def _strings_of_tensor(tensor: Any) -> Iterator[bytes]:
    if tensor.dtype == _STRING or tensor.string_val:
        for text in tensor.string_val:
            if len(text) > _SHORTEST:
                yield text
    for variant in tensor.variant_val:
        if len(variant.metadata) > _SHORTEST:
            yield variant.metadata
        for inner in variant.tensors:
            yield from _strings_of_tensor(inner)


def _strings_of_func(func: Any) -> Iterator[bytes]:
    for attr in func.attr.values():
        yield from strings_of(attr)


def _parsed(kind: str, data: bytes) -> Any | None:
    try:
        return message_class(kind).FromString(data)
    except (DecodeError, ValueError, RecursionError):
        return None


def _has_ops(nodes: Any, functions: Any) -> bool:
    known, unsafe = OpRegistry.bundled(), unsafe_ops()
    return any(node.op in known or node.op in unsafe for node in nodes) or any(
        node.op in known or node.op in unsafe for function in functions for node in function.node_def
    )


def _all_names(functions: Any) -> frozenset[str]:
    return frozenset(function.signature.name for function in functions)
