"""Who runs a node: a signature, an initializer, the saver, the object graph of a TF2 SavedModel, or none of these.

TensorFlow runs what a fetched node takes or waits for, so a node is run by each of the ends that it leads to; and all of a
function's body when the function is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import Any, Literal

from google.protobuf.message import DecodeError

from hubplug_format import GraphVariant, message_class
from hubplug_signatures._attributes import facts_of
from hubplug_signatures._program import Program, Scope, node_name

# init: what every loader runs and feeds the paths of the assets. tables: what some do, and others leave to the program, which
# feeds nothing. scaffold: initializers of training programs. objects: functions that TensorFlow or a program can call.
# nobody: no known end, so only a program that asks for the node by its name.
Runner = Literal[
    "init", "tables", "scaffold", "signature", "save", "restore", "variable", "collection", "objects", "nobody"
]

# Loaders run the first of these that is there: a signature, and two collections.
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_TABLES = "table_initializer"
# Scaffolds of TensorFlow 1 keep their initializers and savers here; no loader of SavedModels runs them.
_SCAFFOLD_COLLECTIONS = frozenset({"init_op", "local_init_op"})
_SAVERS = "savers"


class Runners:
    """Answers who runs a node of a graph variant's own program."""

    def __init__(self, program: Program, variant: GraphVariant) -> None:
        self._program = program
        self._variant = variant
        self._found: dict[Runner, set[str]] | None = None
        self._functions: dict[str, frozenset[Runner]] = {}

    def of(self, scope: Scope, node: Any) -> frozenset[Runner]:
        """All runners of a node."""
        return self.of_top(node.name) if scope.function is None else self.of_function(scope.function)

    def of_top(self, name: str) -> frozenset[Runner]:
        """All runners of a node of the graph itself."""
        if self._found is None:
            self._found = {runner: self._ancestors(ends) for runner, ends in self._ends().items()}
        return frozenset(runner for runner, names in self._found.items() if name in names) or frozenset({"nobody"})

    def of_function(self, function: str) -> frozenset[Runner]:
        """All runners that call a function, directly or through others."""
        if function not in self._functions:
            functions, nodes = self._callers(function)
            found: set[Runner] = {"objects"} if any(map(self._is_named_elsewhere, functions)) else set()
            self._functions[function] = frozenset(found.union(*map(self.of_top, nodes)))
        return self._functions[function]

    def is_an_object(self, function: str) -> bool:
        """Whether the object graph names a function, so that whoever loads it can call it."""
        return function.encode(errors="surrogatepass") in self._object_graph

    def is_swapped(self, function: str) -> bool:
        """Whether TensorFlow may put another function in the place of one, or it in the place of another."""
        return function in self._named_by_functions

    def is_in_a_definition(self, scope: Scope, node: Any) -> bool:
        """Whether a definition in a collection, of a queue runner say, names something that a node leads to."""
        nodes = {node.name} if scope.function is None else self._callers(scope.function)[1]
        names = set().union(*map(self._descendants, nodes))
        return any(name.encode(errors="surrogatepass") in self._definitions for name in names)

    def _ends(self) -> dict[Runner, list[str]]:
        variant = self._variant
        found: dict[Runner, list[str]] = {
            "init": [],
            "tables": [],
            "scaffold": [],
            "signature": [],
            "save": [],
            "restore": [],
            "variable": [],
            "collection": [],
        }
        first = next((name for name in _INIT_COLLECTIONS if name in variant.collections), None)
        if _INIT_SIGNATURE in variant.signature_tensors:
            first = _INIT_SIGNATURE
        kinds: dict[str, Runner] = dict.fromkeys((*_INIT_COLLECTIONS, _TABLES), "tables")
        kinds.update((name, "scaffold") for name in _SCAFFOLD_COLLECTIONS)
        if first is not None:
            kinds[first] = "init"
        initializer = variant.signatures.get(_INIT_SIGNATURE)
        if initializer is not None and (initializer.inputs or initializer.outputs.keys() != {_INIT_SIGNATURE}):
            # Loaders run that one output; what else there is, only a program asks for.
            kinds[_INIT_SIGNATURE] = "signature"
        for name, tensors in variant.signature_tensors.items():
            found[kinds.get(name, "signature")] += tensors
        for name, about in variant.collections.items():
            if about.kind == "node_list":
                found[kinds.get(name, "collection")] += variant.collection(name)
        for variable in variant.variables:
            found["variable"] += [variable.initializer_name, variable.initial_value_name, variable.snapshot_name]
        if variant.saver:
            found["save"].append(variant.saver.save_tensor_name)
            found["restore"].append(variant.saver.restore_op_name)
        found["scaffold"] += self._other_restore_ops()
        return found

    def _other_restore_ops(self) -> list[str]:
        """The restore ops of savers that training programs take from a collection, but for that of the graph variant's own."""
        about, own = self._variant.collections.get(_SAVERS), self._variant.saver
        packed = self._variant.collection(_SAVERS) if about and about.kind == "bytes_list" else ()
        found = []
        for data in packed:
            with suppress(DecodeError):  # no program can take such a saver either
                found.append(message_class("SaverDef").FromString(data).restore_op_name)
        return [name for name in found if own is None or name != own.restore_op_name]

    def _callers(self, function: str) -> tuple[set[str], set[str]]:
        """The functions that call a function, itself among them, and the nodes of the graph that call one of those."""
        functions, nodes = {function}, set()
        waiting = [function]
        while waiting:
            for site in self._program.calls_of(waiting.pop()):
                if site.scope.function is None:
                    nodes.add(site.node.name)
                elif site.scope.function not in functions:
                    functions.add(site.scope.function)
                    waiting.append(site.scope.function)
        return functions, nodes

    def _is_named_elsewhere(self, function: str) -> bool:
        """Whether something other than a node names a function: the object graph, a gradient, another function."""
        return self.is_swapped(function) or self.is_an_object(function)

    @cached_property
    def _named_by_functions(self) -> frozenset[str]:
        graph = self._variant.graph
        found = {*graph.gradients, *graph.gradients.values(), *graph.registered_gradients}
        for function in graph.functions:
            attrs = [*function.attr.values(), *(attr.default_value for attr in function.signature.attr)]
            found |= {name for attr in attrs if (facts := facts_of(attr)) for name in facts.names}
            if "api_implements" in function.attr:  # TensorFlow swaps one of these for another
                found.add(function.signature.name)
        return frozenset(found)

    @cached_property
    def _object_graph(self) -> bytes:
        # Searched as bytes, so that a name counts in fields that only newer TensorFlows know.
        return bytes(self._variant.object_graph.SerializeToString()) if self._variant.has_object_graph else b""

    @cached_property
    def _definitions(self) -> bytes:
        found: list[bytes] = []
        for name, about in self._variant.collections.items():
            items = () if name == _SAVERS else self._variant.collection(name)
            if about.kind == "bytes_list":
                found += items
            elif about.kind == "any_list":
                found += [value for _, value in items]
        return b"\n".join(found)

    def _ancestors(self, names: Iterable[str]) -> set[str]:
        by_name = self._program.top.by_name
        seen: set[str] = set()
        waiting = [node_name(name) for name in names]
        while waiting:
            name = waiting.pop()
            if name not in seen and name in by_name:
                seen.add(name)
                waiting.extend(node_name(given) for given in by_name[name].input)
        return seen

    def _descendants(self, name: str) -> set[str]:
        consumers = self._program.top.consumers
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting.extend(consumers.get(current, ()))
        return seen
