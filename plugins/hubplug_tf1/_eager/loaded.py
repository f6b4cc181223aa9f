"""A module in TF1 Hub format as an object like those of TensorFlow 2 that ``tf.saved_model.load`` gives."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import tensorflow as tf

from hubplug.spec import ModuleSpec
from hubplug_tf1._eager.functions import Functions, Signatures, is_training
from hubplug_tf1._eager.instance import make_state
from hubplug_tf1._eager.state import State, trainable_keys
from hubplug_tf1._errors import GraphError
from hubplug_tf1._graph.variant import Variant
from hubplug_tf1._surroundings.autograph import not_converted
from hubplug_tf1._surroundings.eager import has_eager_state

_TRAIN = frozenset({"train"})


class _Spec(Protocol):
    @property
    def checkpoint(self) -> str | None: ...

    def get_tags(self) -> list[frozenset[str]]: ...

    def prepare(self, tags: Collection[str] | None) -> Variant: ...


class LoadedModule(tf.compat.v2.__internal__.tracking.AutoTrackable):
    """A module that is called with ``training=``, has its variables and losses, and can be saved.

    Attributes:
        variables: All variables.
        trainable_variables: Those that its publisher trained.
        regularization_losses: Functions without arguments, each of which computes a loss.
        signatures: Name -> concrete function, from tensors by name to a dict of tensors.
    """

    _is_hub_module_v1 = True

    def __init__(self, functions: Functions, state: State, in_training: Functions, training_state: State) -> None:
        """Takes the functions that compute it, and those that do in training; both over the same variables."""
        self._functions = functions
        self._in_training = in_training
        self.state = state
        self.training_state = training_state
        states = [state] if training_state is state else [state, training_state]
        by_name = {
            (key, position): variable
            for each in states
            for key, found in each.variable_map.items()
            for position, variable in enumerate(found if isinstance(found, list) else [found])
        }
        self.variables = [by_name[place] for place in sorted(by_name)]
        self.trainable_variables = [variable for variable in self.variables if variable.trainable]
        self.regularization_losses = in_training.loss_functions()
        self.asset_paths = list(state.assets)
        self.signatures = Signatures(functions)

    @not_converted
    def __call__(
        self, inputs: Any = None, training: bool = False, signature: str | None = "default", as_dict: bool = False
    ) -> Any:
        """Applies a signature.

        Args:
            inputs: A dict from input names to what converts to their tensors; or a single value where the signature has
                one input; or nothing where it has none.
            training: Whether to compute what the publisher computes in training, and to run the update ops.
            signature: Its name; None stands for ``default``.
            as_dict: Whether to return all outputs.

        Returns:
            A dict of all outputs with ``as_dict``; otherwise the output named ``default``.

        Raises:
            TypeError: Inputs or outputs do not fit the signature (InputError).
            ValueError: There is no such signature (UnknownSignatureError), or a dtype does not fit.
        """
        updates = is_training(training)
        functions = self._in_training if updates else self._functions
        return functions.apply(inputs, signature, as_dict, updates)


@not_converted
def load_object(spec: Any, tags: Collection[str] | None = None, options: Any = None) -> LoadedModule:
    """A graph variant of a module as an object of TensorFlow 2, under eager execution.

    Args:
        spec: The definition.
        tags: Those of the graph variant. None stands for the one without tags, and where there is one for training
            (``{"train"}``), that one is applied in training, over the same variables.
        options: A ``tf.saved_model.LoadOptions``; nothing in it concerns a module in this format.

    Raises:
        GraphError: Execution is not eager.
        UnknownTagsError: There is no such graph variant.
        MissingOpsError: This process lacks ops of the graph.
        MissingCheckpointError: The variables are missing.
        CheckpointMismatch: The checkpoint does not fit the graph.
    """
    if not has_eager_state():
        raise GraphError(
            "A module in TF1 Hub format can be loaded as an object under eager execution only",
            hint="use hubplug.Module in a graph",
        )
    return _load(spec, spec, tags)


def _load(spec: ModuleSpec, graphs: _Spec, tags: Collection[str] | None) -> LoadedModule:
    chosen = frozenset(tags or ())
    training = _TRAIN if tags is None and _TRAIN in graphs.get_tags() else chosen
    variant, in_training = graphs.prepare(chosen), graphs.prepare(training)
    trained = trainable_keys(in_training)

    def state(of: Variant, its_tags: frozenset[str], shared: State | None = None) -> State:
        checkpoint = graphs.checkpoint
        return make_state(spec, of, name="module", trained=trained, tags=its_tags, checkpoint=checkpoint, shared=shared)

    made = state(variant, chosen)
    functions = Functions(variant, made)
    if training == chosen:
        return LoadedModule(functions, made, functions, made)
    also = state(in_training, training, made)
    return LoadedModule(functions, made, Functions(in_training, also), also)
