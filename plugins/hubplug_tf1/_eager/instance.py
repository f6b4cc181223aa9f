"""A module under eager execution: its state, and the functions of its signatures over that state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hubplug.spec import ExportRequest
from hubplug_tf1._application.instance import instantiate as add_to_graph
from hubplug_tf1._eager.functions import Functions, is_training
from hubplug_tf1._eager.state import State, Values, restored, stored_variables, trainable_keys
from hubplug_tf1._errors import GraphError, MissingOpsError, SessionError
from hubplug_tf1._graph.variant import Variant
from hubplug_tf1._state.variables import make_variable_map
from hubplug_tf1._surroundings import checks
from hubplug_tf1._surroundings.autograph import not_converted
from hubplug_tf1._surroundings.eager import is_eager_around

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hubplug.spec import ModuleSpec
    from hubplug_tf1._state.variables import StoredVariable


@not_converted
def instantiate(
    spec: ModuleSpec, variant: Variant, *, name: str, trainable: bool, tags: frozenset[str], checkpoint: str | None
) -> Instance:
    """Makes a module's state in objects of TensorFlow 2.

    Args:
        spec: The definition, for a later export.
        variant: The graph variant, with absolute paths in its asset constants.
        name: What the names of variables begin with.
        trainable: Whether its variables are trained; update ops and regularization losses follow.
        tags: Those of the variant.
        checkpoint: The prefix of the checkpoint that variables start from, or None for their own initializers.

    Raises:
        MissingOpsError: This process lacks ops of the graph.
        MissingCheckpointError: There is no such checkpoint.
        CheckpointMismatch: The checkpoint does not fit the graph.
        RuntimeError: A variable is partitioned along another axis than the first.
    """
    trained = trainable_keys(variant) if trainable else frozenset()
    state = make_state(spec, variant, name=name, trained=trained, tags=tags, checkpoint=checkpoint)
    return Instance(spec, variant, state, name=name, trainable=trainable, tags=tags)


def make_state(
    spec: ModuleSpec,
    variant: Variant,
    *,
    name: str,
    trained: Collection[str],
    tags: frozenset[str],
    checkpoint: str | None,
    shared: State | None = None,
) -> State:
    """The state of a graph variant; arguments and errors as of ``instantiate`` and ``State``."""
    if missing := checks.find_missing_ops(variant.meta_graph):
        raise MissingOpsError(
            f"The module needs ops that are not registered in this process: {', '.join(missing)}",
            hint=checks.missing_ops_hint(missing),
        )
    values = _initial(spec, variant, tags) if checkpoint is None else restored(checkpoint)
    with tf.init_scope(), tf.compat.v1.name_scope(None):
        return State(variant, name=name, trained=trained, values=values, shared=shared)


def _initial(spec: ModuleSpec, variant: Variant, tags: frozenset[str]) -> Values:
    """The first values of variables that start from their own initializers."""

    def values(stored: Sequence[StoredVariable]) -> Iterator[tuple[StoredVariable, Any]]:
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            made = add_to_graph(spec, variant, name="module", trainable=False, tags=tags, checkpoint=None)
            session.run(tf.compat.v1.global_variables_initializer())
            found = session.run(made.variable_map)
        wanted = {each.op for each in stored}
        definitions = stored_variables(variant)
        for key, each in make_variable_map(definitions, definitions).items():
            pairs = zip(each, found[key], strict=True) if isinstance(each, list) else [(each, found[key])]
            yield from ((definition, value) for definition, value in pairs if definition.op in wanted)

    return values


class Instance(tf.Module):
    """The state of one module under eager execution; implements ``hubplug.spec.ModuleImpl``."""

    def __init__(
        self, spec: ModuleSpec, variant: Variant, state: State, *, name: str, trainable: bool, tags: frozenset[str]
    ) -> None:
        super().__init__()
        self._spec = spec
        self._variant = variant
        self._scope = name
        self._trainable = trainable
        self._tags = tags
        self.state = state
        self.functions = Functions(variant, state)

    def __repr__(self) -> str:
        return f"{self._scope!r}{', trainable' if self._trainable else ''}, tags {sorted(self._tags)}"

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def tags(self) -> frozenset[str]:
        return self._tags

    @property
    def scope(self) -> str:
        return self._scope

    @property
    def variable_map(self) -> dict[str, Any]:
        """Name in the module -> Variable, or list of Variables for a partitioned one; the same dict each time."""
        return self.state.variable_map

    @not_converted
    def apply(self, inputs: Any, signature: str | None, as_dict: bool | None, training: bool = False) -> Any:
        """Applies a signature; see ``hubplug.Module.__call__``."""
        if not tf.compat.v2.executing_eagerly() and not is_eager_around():
            raise GraphError(
                "Module must be applied in the graph it was instantiated for. This one was made under eager execution, and "
                "is applied in a graph of TensorFlow 1.",
                hint="make a Module inside of `with graph.as_default():`; or apply this one outside of it",
            )
        return self.functions.apply(inputs, signature, as_dict, is_training(training) and self._trainable)

    def request_export(self, path: str, session: Any) -> ExportRequest:
        """What is to be written; see ``hubplug.Module.export``."""
        if session is not None:
            raise SessionError(
                "The Module was made under eager execution, and no session has its values",
                hint="call export(path) without one",
            )
        return ExportRequest(self._spec, path, variables=self.state.variable_map, tags=self._tags)
