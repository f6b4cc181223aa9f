"""Name scopes for the applications of a module: each has one of its own, in which the graph has no op yet."""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from hubplug_tf1._private_tensorflow.graphs import operations_of


class ApplicationScopes:
    """Reserves ``<module>_apply_<signature>`` in the current graph and name scope, with a number where it is in use.

    A graph counts the names that it gave out; those of an imported graph are not among them. So each op is looked at once.
    """

    def __init__(self, module_name: str) -> None:
        self._stem = f"{module_name}_apply_"
        self._scope = re.compile(rf"(?:(?<=/)|^){re.escape(self._stem)}[^/]*/")
        self._seen: WeakKeyDictionary[Any, tuple[int, set[str]]] = WeakKeyDictionary()

    def reserve(self, signature: str) -> str:
        """A new absolute name scope, with its ``/``."""
        occupied = self._occupied(tf.compat.v1.get_default_graph())
        while True:
            with tf.compat.v1.name_scope(self._stem + signature.replace(":", "_")) as scope:
                pass
            if scope not in occupied:
                return str(scope)

    def _occupied(self, graph: Any) -> set[str]:
        operations = operations_of(graph)
        seen, occupied = self._seen.get(graph, (0, set()))
        for operation in operations[seen:]:
            name = operation.name
            if self._stem in name:
                occupied.update(name[: match.end()] for match in self._scope.finditer(name))
        self._seen[graph] = len(operations), occupied
        return occupied
