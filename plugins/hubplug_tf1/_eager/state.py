"""The state of a module in objects of TensorFlow 2: variables, tables and assets.

Variables are ``tf.Variable``s with the values of the checkpoint, those of a partitioned one each by itself. What a function
of the module reads of them, it captures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from typing import Any

import tensorflow as tf

from hubplug_tf1._eager.pieces import asset_ops, needed_piece
from hubplug_tf1._eager.resources import Resource
from hubplug_tf1._errors import GraphError
from hubplug_tf1._graph.protos import VariableDef
from hubplug_tf1._graph.subgraph import needed_nodes, op_name
from hubplug_tf1._graph.variant import Variant
from hubplug_tf1._private_tensorflow.functions import variable_class
from hubplug_tf1._private_tensorflow.tapes import tell_of_access
from hubplug_tf1._raising.references import resource_graph
from hubplug_tf1._state.variables import (
    StoredVariable,
    check_checkpoint,
    find_variable_map_error,
    make_variable_map,
    restore_batches,
)

_KEYS = tf.compat.v1.GraphKeys
_numbers = count(1)

Values = Callable[[Sequence[StoredVariable]], Iterator[tuple[StoredVariable, Any]]]
"""From variables to their first values, in any order."""


class State(tf.Module):
    """The state of one graph variant; a dependency of checkpoints and SavedModels.

    Attributes:
        weights: Name in the module -> Variable, or list of Variables for a partitioned one.
        resources: Tables and other resources.
        assets: Asset files.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        name: str,
        trained: Collection[str],
        values: Values,
        shared: State | None = None,
    ) -> None:
        """Makes the state.

        Args:
            variant: The graph variant, whose asset constants hold paths.
            name: What the names of variables begin with.
            trained: The keys of the variables that tapes watch by themselves.
            values: From variables to their first values.
            shared: The state of another graph variant; variables that are equal in both are the same.

        Raises:
            GraphError: A variable is partitioned along another axis than the first.
        """
        super().__init__()
        self._variant = variant
        stored = stored_variables(variant)
        if problem := find_variable_map_error(stored):
            raise GraphError(problem, hint="publish the module with variables partitioned along axis 0")
        found = shared.find_equal(stored) if shared else {}
        changed = _changed_by_updates(variant)
        for each, value in values([each for each in stored if each.op not in found]):
            found[each.op] = _make_variable(f"{name}/{each.op}", each, value, each.key in trained, each.op in changed)
        self._by_op: dict[str, tuple[StoredVariable, Any]]
        object.__setattr__(self, "_by_op", {each.op: (each, found[each.op]) for each in stored})
        object.__setattr__(self, "variable_map", make_variable_map(stored, [found[each.op] for each in stored]))
        self.weights = dict(self.variable_map)
        assets = {op: tf.saved_model.Asset(_path_in(variant, op)) for op in sorted(asset_ops(variant))}
        object.__setattr__(self, "_assets", assets)
        self.assets = list(self._assets.values())
        object.__setattr__(self, "_resources", self._make_resources())
        self.resources = list(dict.fromkeys(self._resources.values()))
        self._initialize_resources()

    variable_map: dict[str, Any]
    _assets: dict[str, Any]
    _resources: dict[str, Resource]

    @property
    def stored(self) -> list[tuple[StoredVariable, Any]]:
        """The variables, or parts of them, as the module defines them and as they are here."""
        return list(self._by_op.values())

    def tensor(self, name: str, replica: int = 0) -> Any:
        """What stands for a tensor of a state op or an asset; None for any other tensor.

        Args:
            name: The full name of the tensor in the module.
            replica: Which of the copies of a variable, where a ``tf.distribute.Strategy`` has several.
        """
        op = op_name(name)
        if op in self._by_op:
            variable = _copy_of(self._by_op[op][1], replica)
            tell_of_access(variable)
            return variable.handle
        if op in self._assets:
            return self._assets[op].asset_path
        return self._resources[op].resource_handle if op in self._resources else None

    def find_equal(self, stored: Sequence[StoredVariable]) -> dict[str, Any]:
        """By op those variables that this state has too."""
        here = {(each.key, each.offset, each.dtype, each.shape): variable for each, variable in self.stored}
        places = {each.op: (each.key, each.offset, each.dtype, each.shape) for each in stored}
        return {op: here[place] for op, place in places.items() if place in here}

    def _make_resources(self) -> dict[str, Resource]:
        prefix = f"hubplug_{next(_numbers)}"
        by_name: dict[tuple[str, str], Resource] = {}
        found: dict[str, Resource] = {}
        for op in sorted(self._variant.state_ops - self._by_op.keys()):
            node = self._variant.nodes[op]
            shared_name = node.attr["shared_name"].s.decode() if "shared_name" in node.attr else ""
            # Two ops of one shared name are one table.
            place = (node.op, shared_name or f"{op}/")
            if place not in by_name:
                piece = resource_graph(tf.compat.v1.GraphDef(node=[node]), [f"{op}:0"]).graph_def
                (copy,) = piece.node
                copy.attr.pop("_class", None)
                if "shared_name" in copy.attr:
                    copy.attr["shared_name"].s = f"{prefix}/{shared_name or op}".encode()
                if "use_node_name_sharing" in copy.attr:
                    copy.attr["use_node_name_sharing"].b = False
                piece.versions.CopyFrom(self._variant.meta_graph.graph_def.versions)
                by_name[place] = Resource(piece, f"{op}:0")
            found[op] = by_name[place]
        return found

    def _initialize_resources(self) -> None:
        for element in self._variant.elements(_KEYS.TABLE_INITIALIZERS):
            piece = needed_piece(self._variant, [], [element])
            if reached := {op_name(name) for name in piece.taken} & self._resources.keys():
                assets = {op: self._assets[op] for op in map(op_name, piece.taken) if op in self._assets}
                self._resources[min(reached)].initialize_by(piece, self.tensor, assets)


def stored_variables(variant: Variant) -> list[StoredVariable]:
    """The variables of a graph variant, in the order of GLOBAL_VARIABLES."""
    definitions = variant.collection(_KEYS.GLOBAL_VARIABLES).bytes_list.value
    return [StoredVariable.parse(VariableDef.FromString(each), variant.nodes) for each in definitions]


def trainable_keys(variant: Variant) -> frozenset[str]:
    """The keys of the variables in TRAINABLE_VARIABLES."""
    definitions = variant.collection(_KEYS.TRAINABLE_VARIABLES).bytes_list.value
    return frozenset(StoredVariable.parse(VariableDef.FromString(each), variant.nodes).key for each in definitions)


def restored(checkpoint: str) -> Values:
    """The first values of variables that start from a checkpoint, a batch at a time.

    Raises:
        MissingCheckpointError: There is no such checkpoint.
        CheckpointMismatch: It does not fit the variables.
    """

    def values(stored: Sequence[StoredVariable]) -> Iterator[tuple[StoredVariable, Any]]:
        if stored:
            check_checkpoint(checkpoint, stored)
        for batch in restore_batches(stored):
            with tf.compat.v2.device("/device:CPU:0"):
                tensors = tf.raw_ops.RestoreV2(
                    prefix=checkpoint,
                    tensor_names=[each.key for each in batch],
                    shape_and_slices=[each.slice_spec for each in batch],
                    dtypes=[each.dtype for each in batch],
                )
            while batch:
                yield batch.pop(), tensors.pop()

    return values


def _make_variable(name: str, stored: StoredVariable, value: Any, trained: bool, changed: bool) -> Any:
    shape = None if stored.shape is not None else tf.TensorShape(None)
    given = {"trainable": trained, "name": name, "dtype": stored.dtype, "shape": shape}
    if not tf.distribute.has_strategy():
        return variable_class()(value, **given)
    if changed and not trained:
        # Each replica has update ops of its own.
        mean = stored.dtype.is_floating
        given["synchronization"] = tf.compat.v2.VariableSynchronization.ON_READ
        given["aggregation"] = (
            tf.compat.v2.VariableAggregation.MEAN if mean else tf.compat.v2.VariableAggregation.ONLY_FIRST_REPLICA
        )
    return tf.compat.v2.Variable(value, **given)


def _copy_of(variable: Any, replica: int) -> Any:
    if not hasattr(variable, "values") or not isinstance(variable, tf.compat.v2.distribute.DistributedValues):
        return variable
    return variable.values[replica]


def _changed_by_updates(variant: Variant) -> set[str]:
    """The variables that update ops take, and so may change."""
    updates = variant.elements(_KEYS.UPDATE_OPS)
    if not updates:
        return set()
    nodes = variant.nodes
    needed = needed_nodes(nodes, updates, cut_ops=variant.state_ops)
    return {
        op_name(nodes[name].input[0])
        for name in needed
        if nodes[name].op.startswith(("Assign", "Scatter", "ResourceScatter")) and nodes[name].input
    }


def _path_in(variant: Variant, op: str) -> str:
    return str(variant.nodes[op].attr["value"].tensor.string_val[0].decode())
