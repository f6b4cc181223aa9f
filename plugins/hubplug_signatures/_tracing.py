"""Following a string back to where it comes from: to constants, to arguments, out of a function to its callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hubplug_signatures._program import CALL_OPS, Program, Scope

_HARMLESS_USERS = frozenset({"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"})


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        kind: ``node``: a Const or Placeholder node, of the graph itself or of a function; ``asset``: an asset that the
            object graph binds; ``other``: anything else.
        node: The node, or None.
        scope: Where it stands.
        text: What a person may be shown of it.
    """

    kind: Literal["node", "asset", "other"]
    node: Any = None
    scope: Scope | None = None
    text: str = ""


@dataclass(frozen=True, eq=False)
class Captures:
    """What the object graph of a TF2 SavedModel binds to the last arguments of a function.

    Attributes:
        bound: Function -> object numbers.
        objects: The SavedObject messages.
        assets: File names, by number.
    """

    bound: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    objects: tuple[Any, ...] = ()
    assets: tuple[str, ...] = ()


def origins(program: Program, captures: Captures, scope: Scope, input_name: str) -> Iterator[Origin]:
    """Every origin of an input, through Identity nodes, calls, and variables that hold one value for ever.

    Through variables, because a TF2 SavedModel keeps the path of an asset in one when it is saved.
    """
    # A graph may have rings, and paths without number: each input is followed once.
    seen: set[tuple[str | None, str]] = set()
    waiting = [(scope, input_name)]
    while waiting:
        here, name = waiting.pop()
        if (here.function, name) in seen:
            continue
        seen.add((here.function, name))
        argument = here.argument_of(name)
        node = here.node_of(name)
        if argument is not None:
            for found in _given(program, captures, here, argument):
                if isinstance(found, Origin):
                    yield found
                else:
                    waiting.append(found)
        elif node is None:
            yield Origin("other", text=f"{name!r}, which is not in the graph")
        elif node.op in ("Const", "Placeholder"):
            yield Origin("node", node, here, literal(node))
        elif node.op == "Identity" and node.input:
            waiting.append((here, node.input[0]))
        elif node.op == "ReadVariableOp" and (written := written_to(program, here, node)):
            waiting += [(here, value) for value in written]
        else:
            yield Origin("other", node, here, f"the output of {node.op} {node.name!r}")


def written_to(program: Program, scope: Scope, read: Any) -> list[str]:
    """What is assigned to the variable that a node reads; nothing where somebody else may write to it as well."""
    handle = scope.node_of(read.input[0]) if read.input else None
    if handle is None or handle.op != "VarHandleOp" or scope is not program.top:
        return []
    same = [
        node
        for other in program.scopes()
        for node in other.nodes
        if node.op == "VarHandleOp" and _shared_name(node) == _shared_name(handle)
    ]
    users = [scope.by_name[name] for name in scope.consumers.get(handle.name, ())]
    if len(same) != 1 or any(user.op not in _HARMLESS_USERS for user in users):
        return []
    return [user.input[1] for user in users if user.op == "AssignVariableOp" and len(user.input) > 1]


def _shared_name(node: Any) -> bytes:
    shared: bytes = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return shared or node.name.encode()


def literal(node: Any) -> str:
    """The value of a Const node as a person may be shown it."""
    if node.op != "Const":
        return f"whatever {node.op} {node.name!r} is fed"
    tensor = node.attr["value"].tensor
    if len(tensor.string_val) == 1:
        return ascii(tensor.string_val[0].decode(errors="backslashreplace"))[:200]
    if tensor.string_val:
        return f"{len(tensor.string_val)} strings"
    return f"the constant {node.name!r}"


def _given(program: Program, captures: Captures, scope: Scope, argument: int) -> Iterator[Origin | tuple[Scope, str]]:
    """What the callers of a function give for one of its arguments."""
    assert scope.function is not None
    sites = program.calls_of(scope.function)
    for site in sites:
        inputs = [name for name in site.node.input if not name.startswith("^")]
        if (site.node.op in CALL_OPS or site.node.op == scope.function) and argument < len(inputs):
            yield site.scope, inputs[argument]
        else:
            yield Origin("other", site.node, site.scope, f"an argument from {site.node.op} {site.node.name!r}")
    bound = captures.bound.get(scope.function)
    if bound is not None:
        position = argument - (len(scope.arguments) - len(bound))
        if position >= 0:
            yield _bound_origin(program, captures, bound[position])
        else:
            yield Origin("other", text=f"the argument {scope.arguments[argument]!r}, which whoever calls it gives")
    elif not sites:
        yield Origin("other", text=f"the argument {scope.arguments[argument]!r} of a function that nobody calls")


def _bound_origin(program: Program, captures: Captures, number: int) -> Origin:
    if 0 <= number < len(captures.objects):
        bound = captures.objects[number]
        kind = bound.WhichOneof("kind")
        if kind == "asset" and 0 <= bound.asset.asset_file_def_index < len(captures.assets):
            return Origin("asset", text=captures.assets[bound.asset.asset_file_def_index])
        if kind == "constant" and (node := program.top.by_name.get(bound.constant.operation)) is not None:
            return Origin("node", node, program.top, literal(node))
    return Origin("other", text=f"object {number} of the object graph")
