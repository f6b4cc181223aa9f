"""Tables and other resources of a module, each an object that is made, initialized and destroyed, and saved with its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._eager.pieces import Piece, Provide, import_piece


class Resource(tf.saved_model.experimental.TrackableResource):
    """A resource that a state op of a module stands for.

    A SavedModel holds how it is made and initialized, so that it is there again where that is loaded.
    """

    def __init__(self, graph_def: Any, handle: str) -> None:
        """Makes it.

        Args:
            graph_def: A GraphDef of its op alone, with a ``shared_name`` that no other resource of the process has.
            handle: The tensor that is its handle.
        """
        super().__init__()
        self._graph_def = graph_def
        self._handle_name = handle
        self._initializers: list[tuple[Piece, Provide]] = []
        # Now, outside of any function.
        self.resource_handle  # noqa: B018

    def initialize_by(self, piece: Piece, provide: Provide, assets: Mapping[str, Any]) -> None:
        """Adds ops that initialize it, and runs them.

        Args:
            piece: The ops.
            provide: What stands for other tensors.
            assets: The assets that they read, by a name for each: whoever saves the resource saves these.
        """
        for name, asset in assets.items():
            self._track_trackable(asset, name, overwrite=True)
        self._initializers.append((piece, provide))
        self._run(self._initializers[-1:])

    def _create_resource(self) -> Any:
        def make() -> Any:
            return tf.import_graph_def(self._graph_def, return_elements=[self._handle_name])[0]

        return _once(make) if tf.compat.v2.executing_eagerly() else make()

    def _initialize(self) -> None:
        self._run(self._initializers)

    def _destroy_resource(self) -> None:
        handle = self._resource_handle
        # A copy that belongs to a SavedModel which is being written has none of its own.
        if handle is not None and not tf.is_symbolic_tensor(handle):
            tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)

    def _run(self, initializers: Sequence[tuple[Piece, Provide]]) -> None:
        def run() -> None:
            for piece, provide in initializers:
                import_piece(piece, provide)

        if tf.compat.v2.executing_eagerly():
            _once(run)
        else:
            run()


def _once(make: Callable[[], Any]) -> Any:
    # Called as it is, a tf.function of each table would look like one that is traced again and again, and be warned of.
    return tf.function(make, autograph=False).get_concrete_function()()
