"""A module in a graph: its state there, and the applications of its signatures over that state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hubplug.errors import InputError
from hubplug.shown.logs import logger
from hubplug.spec import ExportRequest
from hubplug_tf1._application import feeding, tapes
from hubplug_tf1._application.apply_graph import ApplyTemplate, apply_template, import_application
from hubplug_tf1._application.replacements import Replacements
from hubplug_tf1._application.scopes import ApplicationScopes
from hubplug_tf1._errors import GraphError, InputValueError, MissingOpsError, NameTakenError, SessionError
from hubplug_tf1._graph.subgraph import op_name
from hubplug_tf1._graph.variant import DEFAULT_SIGNATURE, Variant
from hubplug_tf1._state.state_graph import StateTemplate, import_state, state_template
from hubplug_tf1._state.variables import find_variable_map_error, make_variable_map
from hubplug_tf1._surroundings import checks
from hubplug_tf1._surroundings.autograph import not_converted
from hubplug_tf1._surroundings.collector import collector_paused

if TYPE_CHECKING:
    from hubplug.spec import ModuleSpec

_REGULARIZATION_LOSSES = tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES

_LOG = logger(__name__)


@not_converted
@collector_paused()
def instantiate(
    spec: ModuleSpec,
    variant: Variant,
    *,
    name: str,
    trainable: bool,
    tags: frozenset[str],
    checkpoint: str | None,
    import_whole_graph: bool = False,
) -> Instance:
    """Adds a module's state to the current graph.

    Args:
        spec: The definition, for a later export.
        variant: The graph variant, with absolute paths in its asset constants.
        name: The variable scope, made unique.
        trainable: Whether its variables are trained; update ops and regularization losses follow.
        tags: Those of the variant.
        checkpoint: The prefix of the checkpoint that variables start from, or None for their own initializers.
        import_whole_graph: Whether the state and each application import all of the variant, as tensorflow_hub does.

    Raises:
        GraphError: The name scope is taken.
        MissingOpsError: This process lacks ops of the graph.
        MissingCheckpointError: There is no such checkpoint.
        CheckpointMismatch: The checkpoint does not fit the graph.
        RuntimeError: A variable is partitioned along another axis than the first.
    """
    if missing := checks.find_missing_ops(variant.meta_graph):
        raise MissingOpsError(
            f"The module needs ops that are not registered in this process: {', '.join(missing)}",
            hint=checks.missing_ops_hint(missing),
        )
    template = state_template(variant, trainable=trainable, checkpoint=checkpoint, whole=import_whole_graph)
    if problem := find_variable_map_error(template.variables):
        raise GraphError(problem, hint="publish the module with variables partitioned along axis 0")
    graph = _graph_for_state()
    # Neither control dependencies nor control flow around may reach the state: it is run on its own.
    with graph.as_default(), tf.control_dependencies(None):
        scope, variables = _add_state(template, graph, name)
    trained = {each.op: variable for each, variable in zip(template.variables, variables, strict=True) if trainable}
    tapes.tell_of_losses(graph.get_collection(_REGULARIZATION_LOSSES, f"{scope}/"), trained.values())
    return Instance(
        spec,
        variant,
        graph=graph,
        scope=scope,
        trainable=trainable,
        tags=tags,
        variable_map=make_variable_map(template.variables, variables),
        trained=trained,
        import_whole_graph=import_whole_graph,
    )


def _graph_for_state() -> tf.Graph:
    """The graph that has the state of a module made now.

    Bodies of v2 control flow and of ``tf.function`` within a graph have the variables of that graph; a function that has
    variables of its own (``wrap_function``), or whose surroundings are eager, has the state too.
    """
    graph = tf.compat.v1.get_default_graph()
    with tf.init_scope():
        eager_around = tf.compat.v2.executing_eagerly()
    while not eager_around and checks.shares_collection(graph, tf.compat.v1.GraphKeys.GLOBAL_VARIABLES):
        graph = graph.outer_graph
    if hasattr(graph, "outer_graph"):
        _LOG.warning(
            "Using TF1 Hub format while building a function: %s. This can lead to errors if the function is not pruned.",
            graph.name,
        )
    return graph


def _add_state(template: StateTemplate, graph: tf.Graph, name: str) -> tuple[str, list[Any]]:
    with tf.compat.v1.variable_scope(None, default_name=name, auxiliary_name_scope=False) as variable_scope:
        scope = variable_scope.name
    if error := checks.find_scope_error(graph, scope):
        raise GraphError(error[0], hint=error[1])
    if op := checks.find_taken_name(graph, f"{scope}/", {node.name for node in template.meta_graph.graph_def.node}):
        raise NameTakenError(
            f"The op {op!r} is in the graph already, and the module has one of that name for its variable scope {scope}/.",
            hint="give the Module another name=",
        )
    return scope, import_state(template, scope)


class Instance:
    """The state of one module in one graph; implements ``hubplug.spec.ModuleImpl``."""

    def __init__(
        self,
        spec: ModuleSpec,
        variant: Variant,
        *,
        graph: tf.Graph,
        scope: str,
        trainable: bool,
        tags: frozenset[str],
        variable_map: dict[str, Any],
        trained: dict[str, Any],
        import_whole_graph: bool,
    ) -> None:
        self._spec = spec
        self._variant = variant
        self._graph = graph
        self._scope = scope
        self._trainable = trainable
        self._tags = tags
        self._variable_map = variable_map
        # By the ops that hold them the variables that tapes watch by themselves.
        self._trained = trained
        self._whole = import_whole_graph
        self._applied: set[ApplyTemplate] = set()
        self._state: dict[str, tf.Tensor] = {}
        self._scopes = ApplicationScopes(scope.rpartition("/")[2])

    def __repr__(self) -> str:
        return f"{self._scope!r}{', trainable' if self._trainable else ''}, tags {sorted(self._tags)}"

    @property
    def variable_map(self) -> dict[str, Any]:
        """Name in the module -> Variable, or list of Variables for a partitioned one; the same dict each time."""
        return self._variable_map

    @not_converted
    @collector_paused()
    def apply(self, inputs: Any, signature: str | None, as_dict: bool | None) -> Any:
        """Adds one application of a signature to the current graph; see ``hubplug.Module.__call__``."""
        graph = tf.compat.v1.get_default_graph()
        if error := checks.find_graph_error(self._graph, graph):
            raise GraphError(
                error,
                hint="the default graph is per thread; apply it inside `with graph.as_default():` of its own graph",
            )
        asked = self._variant.signature(signature or DEFAULT_SIGNATURE)
        fed = feeding.tensors_to_feed(asked.name, asked.inputs, inputs)
        if error := checks.find_foreign_input_error(graph, fed):
            raise InputValueError(error, hint="make the inputs in the graph of the module")
        template = apply_template(self._variant, asked, updates=self._trainable, whole=self._whole)
        prefix = self._scopes.reserve(asked.name)
        # Only now: in the names of later calls this one counts, as it did in tensorflow_hub.
        if not as_dict and (error := feeding.find_default_output_error(asked.name, asked.outputs)):
            raise InputError(error, hint="pass as_dict=True")
        replacements = Replacements(fed, self._state_tensor, graph)
        taken = {name: replacements.original(name) for name in template.data}
        used = {op_name(name) for name in taken}
        tapes.tell_of_variables(variable for op, variable in self._trained.items() if op in used)
        tapes.refuse_unseen(graph, taken.values())
        tensors = import_application(
            template, prefix, replacements, is_repeated=graph is self._graph and template in self._applied
        )
        tapes.tell_of_ops(tensors.values(), [(tensor, replacements[name]) for name, tensor in taken.items()])
        if graph is self._graph:
            self._applied.add(template)
        outputs = feeding.outputs_from(asked.outputs, tensors)
        return outputs if as_dict else outputs[feeding.OUTPUT]

    def request_export(self, path: str, session: Any) -> ExportRequest:
        """What is to be written; see ``hubplug.Module.export``."""
        if session is None:
            raise SessionError(
                "Module.export takes a tf.compat.v1.Session, got NoneType",
                hint="give the session that holds the values; a Module that was made under eager execution needs none",
            )
        if getattr(session, "graph", self._graph) is not self._graph:
            raise GraphError(
                "The session graph differs from the graph where the module was instantiated",
                hint="make the session in the graph of the module: tf.compat.v1.Session(graph=...)",
            )
        return ExportRequest(self._spec, path, session=session, variables=self._variable_map, tags=self._tags)

    def _state_tensor(self, name: str) -> tf.Tensor | None:
        if op_name(name) not in self._variant.state_ops:
            return None
        if name not in self._state:
            self._state[name] = self._graph.get_tensor_by_name(f"{self._scope}/{name}")
        return self._state[name]
