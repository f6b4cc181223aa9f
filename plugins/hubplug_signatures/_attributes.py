"""What the attributes of a node say to a scanner: which functions they name, and which strings could be programs.

In a graph of a million nodes nearly all attributes are alike (``T``, ``_output_shapes``): each encoding is parsed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hubplug_format import message_class
from hubplug_signatures._constants import strings_of_tensor

# A shorter string cannot hold a program that does anything.
SHORTEST_PROGRAM = 32
# Longer attributes are seldom alike.
_REMEMBERED = 512
_LONGEST_NAME = 1024


@dataclass(frozen=True)
class Facts:
    """What attributes say.

    Attributes:
        names: Of functions, and strings that may be such names.
        strings: Those that are long enough to be programs.
    """

    names: tuple[str, ...] = ()
    strings: tuple[bytes, ...] = ()


class AttributeReader:
    """Reads encoded entries of the map of attributes of a node."""

    def __init__(self) -> None:
        self._known: dict[bytes, Facts | None] = {}
        self._entry = message_class("AttrEntry")

    def read(self, entries: Iterable[bytes]) -> Facts | None:
        """What the entries of one node say; None where they say nothing."""
        found: Facts | None = None
        known = self._known
        for entry in entries:
            if entry in known:
                facts = known[entry]
            else:
                facts = facts_of(self._entry.FromString(entry).value)
                if len(entry) <= _REMEMBERED:
                    known[entry] = facts
            if facts is not None:
                found = facts if found is None else Facts(found.names + facts.names, found.strings + facts.strings)
        return found


def facts_of(attr: Any) -> Facts | None:
    """What an AttrValue message says."""
    names = tuple(_names(attr))
    strings = tuple(_strings(attr))
    return Facts(names, strings) if names or strings else None


def _names(attr: Any) -> Iterator[str]:
    kind = attr.WhichOneof("value")
    if kind == "func":
        yield from _names_of_func(attr.func)
    elif kind == "list":
        for func in attr.list.func:
            yield from _names_of_func(func)
        for text in attr.list.s:
            if len(text) <= _LONGEST_NAME:
                yield text.decode(errors="replace")
    elif kind == "s" and len(attr.s) <= _LONGEST_NAME:
        yield attr.s.decode(errors="replace")


def _names_of_func(func: Any) -> Iterator[str]:
    yield func.name
    for attr in func.attr.values():
        yield from _names(attr)


def _strings(attr: Any) -> Iterator[bytes]:
    kind = attr.WhichOneof("value")
    if kind == "s":
        if len(attr.s) > SHORTEST_PROGRAM:
            yield attr.s
    elif kind == "tensor":
        yield from _strings_of_tensor(attr.tensor)
    elif kind == "list":
        for text in attr.list.s:
            if len(text) > SHORTEST_PROGRAM:
                yield text
        for tensor in attr.list.tensor:
            yield from _strings_of_tensor(tensor)
        for func in attr.list.func:
            yield from _strings_of_func(func)
    elif kind == "func":
        yield from _strings_of_func(attr.func)


def _strings_of_func(func: Any) -> Iterator[bytes]:
    for attr in func.attr.values():
        yield from _strings(attr)


def _strings_of_tensor(tensor: Any) -> Iterator[bytes]:
    encoded = strings_of_tensor(tensor) if tensor.tensor_content else None
    for text in (*tensor.string_val, *sorted(encoded or ())):
        if len(text) > SHORTEST_PROGRAM:
            yield text
    for variant in tensor.variant_val:
        if len(variant.metadata) > SHORTEST_PROGRAM:
            yield variant.metadata
        for inner in variant.tensors:
            yield from _strings_of_tensor(inner)
