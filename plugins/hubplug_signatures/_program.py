"""A graph and its function library as a scanner sees them: scopes of nodes, and who calls which function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hubplug_signatures._attributes import AttributeReader, Facts, facts_of

# Those that bind their data inputs to the arguments of the function, in order.
CALL_OPS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@dataclass(frozen=True, eq=False)
class Scope:
    """The nodes of the graph itself, or of the body of one function.

    Attributes:
        nodes: In order.
        skimmed: The same nodes, as SkimmedNode messages.
        reader: What reads their attributes.
        function: Name of the function; None for the graph itself.
        arguments: Names of the function's arguments.
        path: What a person calls it; empty for the graph itself.
        strings: Those in attributes of the function that are long enough to be programs.
        has_lists: Whether an argument is a list of tensors, so that positions do not say which input is which argument.
    """

    nodes: Sequence[Any]
    skimmed: Sequence[Any]
    reader: AttributeReader
    function: str | None = None
    arguments: tuple[str, ...] = ()
    path: str = ""
    strings: tuple[bytes, ...] = ()
    has_lists: bool = False

    @cached_property
    def ops(self) -> list[str]:
        """The op type of each node."""
        return [node.op for node in self.skimmed]

    @cached_property
    def facts(self) -> dict[int, Facts]:
        """Position of a node -> what its attributes say, for those whose attributes say something."""
        read = self.reader.read
        return {position: found for position, node in enumerate(self.skimmed) if (found := read(node.attr)) is not None}

    @cached_property
    def by_name(self) -> dict[str, Any]:
        return {node.name: node for node in self.nodes}

    def node_of(self, input_name: str) -> Any | None:
        """The node that an input of another node names; None for an argument of the function."""
        return self.by_name.get(node_name(input_name))

    def argument_of(self, input_name: str) -> int | None:
        """The position of the argument that an input names; None if it does not name one."""
        name = node_name(input_name)
        return self.arguments.index(name) if name in self.arguments and name not in self.by_name else None

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        """Node -> the nodes that take an output of it or wait for it."""
        found: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                found[node_name(name)].append(node.name)
        return found


@dataclass(frozen=True, eq=False)
class CallSite:
    """A node that names a function."""

    scope: Scope
    node: Any


@dataclass(eq=False)
class Program:
    """A graph with its functions.

    Attributes:
        top: The graph itself.
        bodies: Of its functions, in order; a damaged library may have two of one name.
        path: Where a nested program was found; empty for the module's own.
    """

    top: Scope
    bodies: tuple[Scope, ...]
    path: str = ""

    @classmethod
    def of(cls, graph: Any, skimmed: Any, reader: AttributeReader, path: str = "") -> Program:
        """A program from a GraphDef message and a SkimmedGraph message of the same bytes."""
        bodies = []
        for function, skim in zip(graph.library.function, skimmed.library.function, strict=True):
            name = function.signature.name
            arguments = tuple(arg.name for arg in function.signature.input_arg)
            where = f"{path}function {name!r}, "
            values = [*function.attr.values(), *(attr.default_value for attr in function.signature.attr)]
            strings = tuple(text for value in values if (facts := facts_of(value)) for text in facts.strings)
            lists = any(arg.number_attr or arg.type_list_attr for arg in function.signature.input_arg)
            bodies.append(Scope(function.node_def, skim.node_def, reader, name, arguments, where, strings, lists))
        return cls(Scope(graph.node, skimmed.node, reader, path=path), tuple(bodies), path)

    @cached_property
    def functions(self) -> dict[str, Scope]:
        """Name -> body."""
        return {scope.function: scope for scope in self.bodies if scope.function is not None}

    def scopes(self) -> Iterator[Scope]:
        """The graph itself, then the functions."""
        yield self.top
        yield from self.bodies

    def calls_of(self, function: str) -> list[CallSite]:
        """Every node that names a function: calls it, maps it over a dataset, branches into it."""
        return self._calls.get(function, [])

    @cached_property
    def _calls(self) -> dict[str, list[CallSite]]:
        found: dict[str, list[CallSite]] = defaultdict(list)
        for scope in self.scopes():
            for position, name in self._names_in(scope):
                found[name].append(CallSite(scope, scope.nodes[position]))
        return found

    def _names_in(self, scope: Scope) -> Iterator[tuple[int, str]]:
        """Positions of the nodes that name functions, and the functions they name."""
        if not self.functions:
            return
        for position, op in enumerate(scope.ops):
            if op in self.functions:
                yield position, op
        for position, facts in scope.facts.items():
            for name in facts.names:
                if name in self.functions:
                    yield position, name


def node_name(input_name: str) -> str:
    """``x`` of ``x:0``, ``^x``, ``x:output:0`` and ``x``."""
    return input_name.removeprefix("^").partition(":")[0]


def tensor_name(name: str) -> str:
    """``x:0`` of ``x``, and ``x:1`` of ``x:1``, for a tensor of the graph itself."""
    return name if ":" in name else f"{name}:0"


def data_inputs(node: Any) -> list[str]:
    """The inputs of a node that are tensors; the rest is only waited for."""
    return [name for name in node.input if not name.startswith("^")]


def binds_arguments(node: Any, function: str) -> bool:
    """Whether a node calls a function with its own inputs as arguments, in order.

    A node that names a function deeper down hands it to another one, which calls it with arguments of its own.
    """
    if node.op == function:
        return True
    called = node.attr.get("f")
    return (
        node.op in CALL_OPS
        and called is not None
        and called.WhichOneof("value") == "func"
        and called.func.name == function
    )
