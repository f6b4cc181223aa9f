"""Defining a module: ``create_module_spec`` runs a ``module_fn`` in a graph of its own, where ``add_signature`` and
``attach_message`` say what of that graph is to be seen from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.compat.v1 import MetaGraphDef

from hubplug.in_effect import hub_in_effect
from hubplug.shown.logs import logger
from hubplug_format import ATTACHMENTS_COLLECTION, message_class
from hubplug_tf1._defining.checks import (
    find_colocated_inputs,
    find_colocated_state,
    find_foreign_tensors,
    find_inputs_of_multi_output_ops,
    find_unsupported_values,
)
from hubplug_tf1._errors import AuthoringError
from hubplug_tf1._graph.tensor_info import build_tensor_info
from hubplug_tf1._reading.collections import find_collections_error
from hubplug_tf1._reading.saved_model import variant_of
from hubplug_tf1._reading.spec import GraphSpec

_LOG = logger(__name__)

# Keys that are not strings: neither seen among the graph's collections nor exported with them.
_SIGNATURES = ("hubplug_tf1", "signatures")
_ATTACHMENTS = ("hubplug_tf1", "attachments")

_ATTACHMENT_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*$")


def create_module_spec(
    module_fn: Callable[..., Any],
    tags_and_args: Iterable[tuple[Iterable[str] | None, Mapping[str, Any]]] | None = None,
    drop_collections: Iterable[str] | None = None,
) -> GraphSpec:
    """Makes the definition of a module from a function that builds its graph.

    Args:
        module_fn: Called once per graph variant, each time with a new default graph in which variables are resource
            variables. It calls ``add_signature`` at least once.
        tags_and_args: Pairs of a set of tags and the keyword arguments for ``module_fn``; None or empty:
            ``[(set(), {})]``.
        drop_collections: Names of collections of the graphs to be left out.

    Returns:
        A ModuleSpec without values: variables of a Module made from it start from their own initializers.

    Raises:
        ValueError: There is no signature; tags are repeated; a collection is not one that modules may have; an input or
            a state-holding op has a colocation constraint that cannot be kept.
    """
    dropped = frozenset(drop_collections or ())
    variants = {}
    for tags, arguments in tags_and_args or [(None, {})]:
        tags = frozenset(tags or ())
        if tags in variants:
            raise AuthoringError(f"Tags {sorted(tags)} used repeatedly", hint="give each graph variant different tags")
        meta_graph = _build(module_fn, arguments, dropped)
        meta_graph.meta_info_def.tags.extend(sorted(tags))
        where = f"the graph variant {sorted(tags)} of {getattr(module_fn, '__name__', 'module_fn')}"
        if error := find_collections_error(meta_graph.collection_def):
            hint = "Use hub.create_module_spec(..., drop_collections=[...]) as appropriate"
            if isinstance(drop_collections, str):
                hint += f": a list of names, where {drop_collections!r} is a list of letters"
            raise AuthoringError(f"{error} of {where}", hint=hint)
        variants[tags] = variant_of(meta_graph, where)
    spec = GraphSpec(variants.values())
    spec.hub = hub_in_effect
    return spec


def add_signature(name: str | None = None, inputs: Any = None, outputs: Any = None) -> None:
    """Declares a signature of the module whose ``module_fn`` is running.

    Args:
        name: Its name; None stands for ``default``. Of two signatures of one name the last one counts.
        inputs: A dict from input names to Tensors, SparseTensors or RaggedTensors, to be replaced by what the module is
            applied to; a single one stands for ``{"default": it}``; None for no inputs.
        outputs: The same for what an application returns.

    Raises:
        ValueError: An input or output is of another type; all of them are listed.
    """
    name = "default" if name is None else name
    inputs, outputs = _as_dict(inputs), _as_dict(outputs)
    if problems := find_unsupported_values(inputs, outputs):
        raise AuthoringError(
            f"The inputs and outputs declared in hub.add_signature() for signature {name!r} should be of type Tensor, "
            "SparseTensor or RaggedTensor, under names that are strings: " + "; ".join(problems)
        )
    tf.compat.v1.add_to_collection(_SIGNATURES, (name, inputs, outputs))


def attach_message(key: str, message: Any) -> None:
    """Attaches a message to the graph variant whose ``module_fn`` is running; users get it with ``get_attached_message``.

    Args:
        key: Letters, digits and underscores, starting with a letter. Of two messages of one key the last one counts.
        message: A protocol buffer message.

    Raises:
        ValueError: ``key`` is malformed.
        TypeError: ``key`` is not a string, or ``message`` is not a message.
    """
    if not isinstance(key, str):
        raise TypeError(f"hub.attach_message() takes a str as key, got {type(key).__name__}: {key!r}")
    if not _ATTACHMENT_KEY.match(key):
        raise AuthoringError(
            f"hub.attach_message() called with malformed key {key!r}",
            hint="use letters, digits and underscores, starting with a letter",
        )
    if not callable(getattr(message, "SerializeToString", None)):
        raise TypeError(
            f"hub.attach_message() takes a protocol buffer message for {key!r}, got {type(message).__name__}"
        )
    # As it is now: the caller may go on to use the message for something else.
    data = message.SerializeToString(deterministic=True)
    tf.compat.v1.add_to_collection(_ATTACHMENTS, (key, data))


def _build(module_fn: Callable[..., Any], arguments: Mapping[str, Any], dropped: frozenset[str]) -> MetaGraphDef:
    with tf.Graph().as_default() as graph:
        with tf.compat.v1.variable_scope("", use_resource=True):
            module_fn(**arguments)
        signatures = {name: (inputs, outputs) for name, inputs, outputs in graph.get_collection(_SIGNATURES)}
        attachments = dict(graph.get_collection(_ATTACHMENTS))
        _check(graph, signatures)
        kept = [key for key in graph.get_all_collection_keys() if isinstance(key, str) and key not in dropped]
        meta_graph = tf.compat.v1.train.export_meta_graph(graph=graph, collection_list=kept, strip_default_attrs=True)
    for name, (inputs, outputs) in signatures.items():
        definition = meta_graph.signature_def[name]
        for key, value in inputs.items():
            definition.inputs[key].CopyFrom(build_tensor_info(value))
        for key, value in outputs.items():
            definition.outputs[key].CopyFrom(build_tensor_info(value))
    for key, data in attachments.items():
        attachment = message_class("ModuleAttachment")(key=key, value=data)
        meta_graph.collection_def[ATTACHMENTS_COLLECTION].bytes_list.value.append(attachment.SerializeToString())
    return meta_graph


def _check(graph: tf.Graph, signatures: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    if not signatures:
        raise AuthoringError("No signatures present", hint="call hub.add_signature(...) at least once in the module_fn")
    if foreign := find_foreign_tensors(graph, signatures):
        raise AuthoringError(
            "Signatures can only have tensors of the graph that module_fn builds: " + "; ".join(foreign),
            hint="make them inside module_fn, and without tf.function or control flow around hub.add_signature()",
        )
    if colocated := find_colocated_inputs(signatures):
        raise AuthoringError(
            "A tensor x used as input in a signature must not be subject to a tf.colocate_with(y) constraint (the "
            "reverse would be allowed): " + "; ".join(colocated)
        )
    if state := find_colocated_state(graph):
        raise AuthoringError(
            "A state-holding node x of a module's graph (e.g., a Variable op) must not be subject to a "
            "tf.colocate_with(y) constraint unless y is also a state-holding node: " + "; ".join(state)
        )
    if uses := find_inputs_of_multi_output_ops(signatures):
        _LOG.error(
            "The inputs declared in hub.add_signature() should be tensors from ops with a single output: a "
            "tf.colocate_with() that names such an op can make it impossible to apply the module. Affected inputs: %s",
            ", ".join(uses),
        )


def _as_dict(values: Any) -> dict[str, Any]:
    if values is None:
        return {}
    return dict(values) if isinstance(values, dict) else {"default": values}
