"""Tables and other resources of a module, each an object that is made, initialized and destroyed, and saved with its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._eager.importing import import_nodes

Provide = Callable[[str], Any]
"""From the full name of a tensor in the module to what stands for it in the current graph; None if it is imported."""


class Resource(tf.saved_model.experimental.TrackableResource):
    """A resource that a state op of a module stands for.

    A SavedModel holds how it is made and initialized, so that it is there again where that is loaded.
    """

    def __init__(self, graph_def: Any, op: str) -> None:
        """Takes a GraphDef of the op alone, whose ``shared_name`` no other resource of the process has."""
        super().__init__()
        self._graph_def = graph_def
        self._op = op
        self._initializers: list[tuple[Any, Sequence[str], Provide]] = []

    def initialize_by(self, graph_def: Any, operations: Sequence[str], provide: Provide) -> None:
        """Adds ops that initialize it, and runs them."""
        object.__setattr__(self, "_initializers", [*self._initializers, (graph_def, tuple(operations), provide)])
        self._run([self._initializers[-1]])

    def _create_resource(self) -> Any:
        def make() -> Any:
            (handle,) = import_nodes(self._graph_def, {}, [f"{self._op}:0"])
            return handle

        return tf.function(make, autograph=False)() if tf.compat.v2.executing_eagerly() else make()

    def _initialize(self) -> None:
        self._run(self._initializers)

    def _destroy_resource(self) -> None:
        handle = self._resource_handle
        # A copy that belongs to a SavedModel which is being written has none of its own.
        if handle is not None and not tf.is_symbolic_tensor(handle):
            tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)

    def _run(self, initializers: Sequence[tuple[Any, Sequence[str], Provide]]) -> None:
        def run() -> None:
            for graph_def, operations, provide in initializers:
                import_nodes(graph_def, provided(graph_def, provide), operations)

        if tf.compat.v2.executing_eagerly():
            tf.function(run, autograph=False)()
        else:
            run()


def provided(graph_def: Any, provide: Provide) -> Mapping[str, Any]:
    """What stands for those tensors that nodes take and that are not among them."""
    from hubplug_tf1._graph.subgraph import tensor_name

    names = {tensor_name(element) for node in graph_def.node for element in node.input if element[0] != "^"}
    found = {name: provide(name) for name in sorted(names)}
    return {name: tensor for name, tensor in found.items() if tensor is not None}
