"""A graph and its function library as a scanner sees them: scopes of nodes, and who calls which function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

# Those that bind their data inputs to the arguments of the function, in order.
CALL_OPS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@dataclass(frozen=True, eq=False)
class Scope:
    """The nodes of the graph itself, or of the body of one function.

    Attributes:
        nodes: In order.
        function: Name of the function; None for the graph itself.
        arguments: Names of the function's arguments.
        path: What a person calls it; empty for the graph itself.
    """

    nodes: Sequence[Any]
    function: str | None = None
    arguments: tuple[str, ...] = ()
    path: str = ""

    @cached_property
    def by_name(self) -> dict[str, Any]:
        return {node.name: node for node in self.nodes}

    def node_of(self, input_name: str) -> Any | None:
        """The node that an input of another node names; None for an argument of the function."""
        return self.by_name.get(node_name(input_name))

    def argument_of(self, input_name: str) -> int | None:
        """The position of the argument that an input names; None where it is none."""
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
        functions: Name -> body.
        path: Where a nested program was found; empty for the module's own.
        roots: Functions that are called from outside the graph.
    """

    top: Scope
    functions: dict[str, Scope]
    path: str = ""
    roots: frozenset[str] = frozenset()
    _calls: dict[str, list[CallSite]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, nodes: Sequence[Any], functions: Iterable[Any], path: str = "", roots: frozenset[str] = frozenset()
    ) -> Program:
        """A program from NodeDef and FunctionDef messages."""
        bodies = {}
        for function in functions:
            name = function.signature.name
            arguments = tuple(arg.name for arg in function.signature.input_arg)
            bodies[name] = Scope(function.node_def, name, arguments, f"{path}function {name!r}, ")
        return cls(Scope(nodes, path=path), bodies, path, roots)

    def scopes(self) -> Iterator[Scope]:
        """The graph itself, then the functions."""
        yield self.top
        yield from self.functions.values()

    def calls_of(self, function: str) -> list[CallSite]:
        """Every node that names a function: calls it, maps it over a dataset, branches into it."""
        if not self._calls and self.functions:
            found: dict[str, list[CallSite]] = defaultdict(list)
            for scope in self.scopes():
                for node in scope.nodes:
                    for name in self._named_by(node):
                        found[name].append(CallSite(scope, node))
            self._calls = dict(found) or {"": []}
        return self._calls.get(function, [])

    def reachable(self, gradients: Iterable[tuple[str, str]] = ()) -> frozenset[str]:
        """The functions that the graph, or somebody outside, can get to.

        Args:
            gradients: Pairs of a function and its gradient function, which is within reach when the first one is.
        """
        pairs = list(gradients)
        seen = set(self.roots & self.functions.keys())
        waiting = [self.top, *(self.functions[name] for name in seen)]
        while waiting:
            scope = waiting.pop()
            names = {name for node in scope.nodes for name in self._named_by(node)}
            names |= {gradient for of, gradient in pairs if of == scope.function}
            fresh = (names & self.functions.keys()) - seen
            seen |= fresh
            waiting += [self.functions[name] for name in fresh]
        return frozenset(seen)

    def _named_by(self, node: Any) -> Iterator[str]:
        if not self.functions:
            return
        if node.op in self.functions:
            yield node.op
        for attr in node.attr.values():
            for name in _function_names(attr):
                if name in self.functions:
                    yield name


def node_name(input_name: str) -> str:
    """``x`` of ``x:0``, ``^x``, ``x:output:0`` and ``x``."""
    return input_name.removeprefix("^").partition(":")[0]


def _function_names(attr: Any) -> Iterator[str]:
    kind = attr.WhichOneof("value")
    if kind == "func":
        yield from _names_in(attr.func)
    elif kind == "list":
        for func in attr.list.func:
            yield from _names_in(func)
        for text in attr.list.s:
            yield text.decode(errors="replace")
    elif kind == "s" and len(attr.s) < 1024:
        yield attr.s.decode(errors="replace")


def _names_in(func: Any) -> Iterator[str]:
    yield func.name
    for attr in func.attr.values():
        yield from _function_names(attr)
