"""What the paths of a saver's ops come to, computed as TensorFlow computes them."""

from __future__ import annotations

import re
from itertools import product

from hubplug_signatures._constants import strings_of
from hubplug_signatures._program import Program, Scope, binds_arguments, data_inputs, tensor_name

# A path is made of a few pieces, each of which is one of a few.
_MOST_VALUES = 64
_LONGEST = 4096
_DEEPEST = 64
_PLAIN = re.compile(rb"[A-Za-z0-9_./-]*")

# Whether a string begins with the saver's path, and what comes then.
Value = tuple[bool, bytes]
Values = frozenset[Value]


class PathValues:
    """Computes the values that an input can have, in terms of one tensor of the graph: the saver's path."""

    def __init__(self, program: Program, start: str) -> None:
        """Takes the name of that tensor, ``save/Const:0``."""
        self._program = program
        self._start = tensor_name(start)
        # Answers so far; one that is still open is unknown, so a ring is.
        self._known: dict[tuple[str | None, str], Values | None] = {}

    def of(self, scope: Scope, input_name: str, depth: int = 0) -> Values | None:
        """All values that an input can have; None where that is not known."""
        question = (scope.function, input_name)
        if question not in self._known:
            self._known[question] = None
            found = self._computed(scope, input_name, depth + 1) if depth < _DEEPEST else None
            if found is not None and (len(found) > _MOST_VALUES or any(len(text) > _LONGEST for _, text in found)):
                found = None
            self._known[question] = found
        return self._known[question]

    def _computed(self, scope: Scope, input_name: str, depth: int) -> Values | None:
        argument = scope.argument_of(input_name)
        if argument is not None:
            return self._given(scope, argument, depth)
        node = scope.node_of(input_name)
        if node is None:
            return None
        if scope.function is None and tensor_name(input_name) == self._start:
            return frozenset([(True, b"")])
        inputs = data_inputs(node)
        if node.op == "Const":
            texts = strings_of(node)
            return None if texts is None else frozenset((False, text) for text in texts)
        if node.op == "Identity" and len(inputs) == 1:
            return self.of(scope, inputs[0], depth)
        if node.op == "Pack":
            return self._any_of(scope, inputs, depth)
        if node.op in ("Select", "SelectV2") and len(inputs) == 3:
            return self._any_of(scope, inputs[1:], depth)
        if node.op == "ShardedFilename" and len(inputs) == 3:
            # Its numbers are digits, whatever they are.
            return self._joined([self.of(scope, inputs[0], depth), frozenset([(False, b"-00000-of-00001")])], b"")
        if node.op == "StringJoin":
            separator = node.attr.get("separator")
            if separator is not None and separator.WhichOneof("value") != "s":  # whoever calls the function gives it
                return None
            pieces = [self.of(scope, name, depth) for name in inputs]
            return self._joined(pieces, separator.s if separator is not None else b"")
        return None

    def _any_of(self, scope: Scope, inputs: list[str], depth: int) -> Values | None:
        found = [self.of(scope, name, depth) for name in inputs]
        return None if not found or None in found else frozenset().union(*(values for values in found if values))

    def _joined(self, pieces: list[Values | None], separator: bytes) -> Values | None:
        found: set[Value] = {(False, b"")}
        for number, values in enumerate(pieces):
            # Only a path that begins with the saver's has a place in the answer.
            if values is None or (number and any(starts for starts, _ in values)):
                return None
            between = separator if number else b""
            found = {
                (before[0] or piece[0], before[1] + between + piece[1]) for before, piece in product(found, values)
            }
            if len(found) > _MOST_VALUES or any(len(text) > _LONGEST for _, text in found):
                return None
        return frozenset(found)

    def _given(self, scope: Scope, argument: int, depth: int) -> Values | None:
        assert scope.function is not None
        if scope.has_lists:
            return None
        found: set[Value] = set()
        sites = self._program.calls_of(scope.function)
        for site in sites:
            inputs = data_inputs(site.node)
            called = binds_arguments(site.node, scope.function)
            values = self.of(site.scope, inputs[argument], depth) if called and argument < len(inputs) else None
            if values is None:
                return None
            found |= values
        return frozenset(found) if sites else None


def are_plain_endings(values: Values | None) -> bool:
    """Whether values are known, and all of them are the saver's path with an ending that does not lead elsewhere."""
    return bool(values) and all(
        starts and _PLAIN.fullmatch(text) is not None and b".." not in text for starts, text in values or ()
    )


def are_plain_names(texts: frozenset[bytes] | None) -> bool:
    """Whether strings are known, and none of them leads out of the current directory."""
    return texts is not None and all(
        _PLAIN.fullmatch(text) is not None and b".." not in text and not text.startswith(b"/") for text in texts
    )
