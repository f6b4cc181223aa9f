"""Following a string back to where it comes from: to constants, to arguments, out of a function to its callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hubplug_signatures._constants import strings_of_tensor
from hubplug_signatures._held_values import HeldValues
from hubplug_signatures._program import Program, Scope, binds_arguments, data_inputs
from hubplug_signatures._runners import Runners

_MOST_WAYS = 10_000


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        kind: ``node``: the first output of a Const or Placeholder node of the graph itself; ``asset``: an asset that the
            object graph binds; ``other``: anything else.
        text: What a person may be shown of it.
        node: The node, or None.
        users: The nodes of the graph itself that take the value on its way; whoever runs one of them reads it.
    """

    kind: Literal["node", "asset", "other"]
    text: str
    node: Any = None
    users: frozenset[str] = frozenset()


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


class Tracer:
    """Finds the origins of inputs in one program."""

    def __init__(self, program: Program, captures: Captures, runners: Runners, held: HeldValues) -> None:
        self._program = program
        self._captures = captures
        self._runners = runners
        self._held = held

    def origins(self, scope: Scope, node: Any, input_name: str) -> Iterator[Origin]:
        """Every origin of an input of a node, through Identity nodes, calls, and variables that only assets are put into.

        Through variables, because a TF2 SavedModel keeps the path of an asset in one when it is saved.
        """
        # A graph may have rings, and paths without number: each input is followed once for the same users.
        seen: set[tuple[str | None, str, frozenset[str]]] = set()
        waiting = [(scope, input_name, frozenset({node.name} if scope.function is None else ()))]
        while waiting:
            here, name, users = waiting.pop()
            if (here.function, name, users) in seen:
                continue
            seen.add((here.function, name, users))
            if len(seen) > _MOST_WAYS:
                yield Origin("other", f"one of more than {_MOST_WAYS} values")
                return
            argument = here.argument_of(name)
            source = here.node_of(name)
            if argument is not None:
                for found in self._given(here, argument):
                    if isinstance(found, Origin):
                        yield found
                    else:
                        caller, calling, given = found
                        waiting.append((caller, given, users if caller.function else users | {calling}))
            elif source is None:
                yield Origin("other", f"{name!r}, which is not in the graph")
            elif source.op in ("Const", "Placeholder") and here is self._program.top and name in _first(source.name):
                yield Origin("node", literal(source), source, users)
            elif source.op == "Identity" and len(inputs := data_inputs(source)) == 1:
                waiting.append((here, inputs[0], users))
            elif source.op == "ReadVariableOp" and (written := self._held.written(here, source)):
                waiting += [(here, value, users | {source.name, assign}) for assign, value in written]
            elif source.op in ("Const", "Placeholder"):
                yield Origin("other", literal(source))
            else:
                yield Origin("other", f"the output of {source.op} {source.name!r}")

    def _given(self, scope: Scope, argument: int) -> Iterator[Origin | tuple[Scope, str, str]]:
        """What the callers of a function give for one of its arguments."""
        assert scope.function is not None
        name = scope.arguments[argument]
        if scope.has_lists or self._runners.is_swapped(scope.function):
            yield Origin("other", f"the argument {name!r}, whose value is not known for certain")
            return
        sites = self._program.calls_of(scope.function)
        for site in sites:
            inputs = data_inputs(site.node)
            if binds_arguments(site.node, scope.function) and argument < len(inputs):
                yield site.scope, site.node.name, inputs[argument]
            else:
                yield Origin("other", f"an argument from {site.node.op} {site.node.name!r}")
        bound = self._captures.bound.get(scope.function)
        if bound is not None:
            position = argument - (len(scope.arguments) - len(bound))
            if position >= 0 and len(bound) <= len(scope.arguments):
                yield self._bound_origin(bound[position])
            else:
                yield Origin("other", f"the argument {name!r}, which the caller gives")
        elif not sites or self._runners.is_an_object(scope.function):
            yield Origin("other", f"the argument {name!r} of a function that the graph does not call")

    def _bound_origin(self, number: int) -> Origin:
        objects, assets = self._captures.objects, self._captures.assets
        if 0 <= number < len(objects):
            bound = objects[number]
            kind = bound.WhichOneof("kind")
            if kind == "asset" and not bound.registered_name and 0 <= bound.asset.asset_file_def_index < len(assets):
                return Origin("asset", assets[bound.asset.asset_file_def_index])
            node = self._program.top.by_name.get(bound.constant.operation) if kind == "constant" else None
            if node is not None:
                return Origin("other", f"{literal(node)}, a constant that TensorFlow takes as it stands")
        return Origin("other", f"object {number} of the object graph")


def _first(name: str) -> tuple[str, str]:
    return name, f"{name}:0"


def literal(node: Any) -> str:
    """The value of a Const node as a person may be shown it."""
    if node.op != "Const":
        return f"whatever {node.op} {node.name!r} is fed"
    strings = strings_of_tensor(node.attr["value"].tensor)
    if strings is None:
        return f"the constant {node.name!r}"
    if len(strings) == 1:
        return ascii(min(strings).decode(errors="backslashreplace"))[:200]
    return f"{len(strings)} strings"
