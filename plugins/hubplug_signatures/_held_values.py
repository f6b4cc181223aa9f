"""What a variable of the graph can hold, where nothing but the graph can have put it there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from hubplug_format import dtype_number
from hubplug_signatures._program import Program, Scope, data_inputs, node_name

_HANDLES = frozenset({dtype_number("resource"), dtype_number("variant")})
_STRING = dtype_number("string")
# Op -> number of its data inputs: those that take the handle, which comes first, and do not hand it on.
_USERS = {"AssignVariableOp": 2, "ReadVariableOp": 1, "VarIsInitializedOp": 1}
# Those that hand on the handles they are given. Others could make one of bytes, a constant for instance.
_CARRIERS = frozenset(
    {
        "Case",
        "Enter",
        "Exit",
        "Identity",
        "IdentityN",
        "If",
        "Merge",
        "NextIteration",
        "PartitionedCall",
        "Placeholder",
        "StatefulPartitionedCall",
        "StatelessCase",
        "StatelessIf",
        "StatelessWhile",
        "Switch",
        "TensorListConcatLists",
        "TensorListFromTensor",
        "TensorListGetItem",
        "TensorListPopBack",
        "TensorListPushBack",
        "TensorListReserve",
        "TensorListSetItem",
        "TensorListStack",
        "While",
    }
)


class HeldValues:
    """Answers what is written to variables."""

    def __init__(self, program: Program, restored: Iterable[str]) -> None:
        """Takes a program, and the names of the variables that are filled from the checkpoint."""
        self._program = program
        self._restored = {node_name(name) for name in restored}

    def written(self, scope: Scope, read: Any) -> list[tuple[str, str]]:
        """The nodes that assign to the variable that a node reads, each with what it assigns.

        Nothing where the value can come from elsewhere: from the checkpoint, from a function, through another handle.
        """
        handle = scope.node_of(data_inputs(read)[0]) if len(data_inputs(read)) == 1 else None
        if (
            handle is None
            or handle.op != "VarHandleOp"
            or scope is not self._program.top
            or handle.name in self._restored
        ):
            return []
        if handle.attr["dtype"].type != _STRING or self._has_made_handles:
            return []
        name = _shared_name(handle)
        if name is None or any(_shared_name(other) in (None, name) for other in self._handles if other is not handle):
            return []
        users = [scope.by_name[user] for user in dict.fromkeys(scope.consumers.get(handle.name, ()))]
        if not all(_only_uses(user, handle.name) for user in users):
            return []
        return [(user.name, data_inputs(user)[1]) for user in users if user.op == "AssignVariableOp"]

    @cached_property
    def _handles(self) -> list[Any]:
        found = []
        for scope in self._program.scopes():
            found += [scope.nodes[at] for at, op in enumerate(scope.ops) if op in ("VarHandleOp", "_VarHandlesOp")]
        return found

    @cached_property
    def _has_made_handles(self) -> bool:
        """Whether a node makes handles of something that no other node gave it."""
        return any(
            node.op not in _CARRIERS and node.op not in self._program.functions and _mentions_handles(node)
            for scope in self._program.scopes()
            for node in scope.nodes
        )


def _mentions_handles(node: Any) -> bool:
    for attr in node.attr.values():
        kind = attr.WhichOneof("value")
        if kind == "placeholder" or (kind == "type" and attr.type in _HANDLES):
            return True
        if kind == "list" and not _HANDLES.isdisjoint(attr.list.type):
            return True
    return False


def _only_uses(user: Any, handle: str) -> bool:
    inputs = data_inputs(user)
    taken = [position for position, name in enumerate(inputs) if node_name(name) == handle]
    if not taken:
        return True  # it only waits
    return len(inputs) == _USERS.get(user.op) and taken == [0]


def _shared_name(node: Any) -> bytes | None:
    """The name by which the variable is found again; None where the node does not say it."""
    if node.op != "VarHandleOp" or node.attr["shared_name"].WhichOneof("value") != "s":
        return None
    return node.attr["shared_name"].s or None
