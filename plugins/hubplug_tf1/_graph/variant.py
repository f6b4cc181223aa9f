"""One graph variant of a module, prepared once: what of it is state, and what each signature needs.

Nothing here touches a TensorFlow graph. The MetaGraphDef is shared by all and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import tensorflow as tf

from hubplug.errors import UnknownSignatureError
from hubplug.files.locks import ForkLock
from hubplug_tf1._graph.protos import CondContextDef, OpDef, OpList, WhileContextDef, length_of, registered_op_def
from hubplug_tf1._graph.subgraph import tensor_name
from hubplug_tf1._graph.tensor_info import ParsedTensorInfo, parse_tensor_info_map

DEFAULT_SIGNATURE = "default"

# An error about signatures describes as many of them as a reader would look through.
_MOST_SHOWN = 8

_KEYS = tf.compat.v1.GraphKeys

_CONTEXTS: Mapping[str, type[Any]] = {_KEYS.COND_CONTEXT: CondContextDef, _KEYS.WHILE_CONTEXT: WhileContextDef}

_NO_COLLECTION = tf.compat.v1.MetaGraphDef().collection_def["none"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Signature:
    """The inputs and outputs of a signature by their keys."""

    name: str
    inputs: Mapping[str, ParsedTensorInfo]
    outputs: Mapping[str, ParsedTensorInfo]


class Variant:
    """A MetaGraphDef, and what follows from it.

    Safe to share between threads.
    """

    def __init__(self, meta_graph: Any) -> None:
        """Keeps a MetaGraphDef, whose asset constants hold absolute paths; it is looked at when first needed."""
        self.meta_graph = meta_graph
        self._lock = ForkLock()
        self._signatures: dict[str, Signature] = {}
        self._derived: dict[Hashable, Any] = {}

    def __getstate__(self) -> Any:
        return self.meta_graph

    def __setstate__(self, state: Any) -> None:
        self.__init__(state)  # type: ignore[misc]

    @cached_property
    def signature_names(self) -> list[str]:
        """The names of the signatures, sorted."""
        return sorted(self.meta_graph.signature_def)

    def signature(self, name: str) -> Signature:
        """A signature.

        Raises:
            UnknownSignatureError: There is none of this name.
        """
        if name not in self.meta_graph.signature_def:
            there = ", ".join(repr(each) for each in self.signature_names) or "none"
            raise UnknownSignatureError(
                f"Signature {name!r} is missing from meta graph. It has: {there}",
                hint=f"give one of these as signature=: {self._signatures_in_words()}",
            )
        if name not in self._signatures:
            definition = self.meta_graph.signature_def[name]
            inputs, outputs = parse_tensor_info_map(definition.inputs), parse_tensor_info_map(definition.outputs)
            self._signatures[name] = Signature(name, inputs, outputs)
        return self._signatures[name]

    def _signatures_in_words(self) -> str:
        shown = [
            f"{name!r} from {_in_words(self.signature(name).inputs)} to {_in_words(self.signature(name).outputs)}"
            for name in self.signature_names[:_MOST_SHOWN]
        ]
        return "; ".join(shown + ["..."] * (len(self.signature_names) > _MOST_SHOWN))

    @cached_property
    def nodes(self) -> dict[str, Any]:
        """Private copies of the nodes by name, in the order of the graph, as this process can import them."""
        graph_def = tf.compat.v1.GraphDef()
        graph_def.node.MergeFrom(self.meta_graph.graph_def.node)
        unknown = _attributes_to_drop(self.meta_graph.meta_info_def.stripped_op_list)
        for node in graph_def.node:
            _adapt_attributes(node, unknown.get(node.op, {}))
        return {node.name: node for node in graph_def.node}

    @cached_property
    def functions(self) -> dict[str, Any]:
        """The FunctionDefs of the library by name."""
        return {function.signature.name: function for function in self.meta_graph.graph_def.library.function}

    @cached_property
    def function_gradients(self) -> dict[str, str]:
        """Function name -> name of the function that is its gradient."""
        return {each.function_name: each.gradient_func for each in self.meta_graph.graph_def.library.gradient}

    @cached_property
    def state_ops(self) -> frozenset[str]:
        """Names of the state-holding ops: registered stateful ops without inputs."""
        kinds: dict[str, bool] = {}
        for node in self.nodes.values():
            if node.op not in kinds:
                kinds[node.op] = is_state_op(registered_op_def(node.op))
        return frozenset(name for name, node in self.nodes.items() if kinds[node.op])

    @cached_property
    def input_tensors(self) -> frozenset[str]:
        """The tensors that are inputs of any signature."""
        return frozenset(
            name
            for signature in self.signature_names
            for info in self.signature(signature).inputs.values()
            for name in map(tensor_name, info.tensor_names)
        )

    def output_count(self, op: str) -> int:
        """How many outputs an op has."""
        node = self.nodes[op]
        definition = registered_op_def(node.op)
        if definition is None:
            return len(self.functions[node.op].signature.output_arg) if node.op in self.functions else 1
        return sum(length_of(argument, node) for argument in definition.output_arg)

    def collection(self, key: str) -> Any:
        """A CollectionDef; an empty one where the variant does not have it."""
        collections = self.meta_graph.collection_def
        return collections.get(key, _NO_COLLECTION)

    def elements(self, key: str) -> list[str]:
        """The names of the ops and tensors in a collection."""
        return list(self.collection(key).node_list.value)

    @cached_property
    def contexts(self) -> tuple[tuple[str, Any], ...]:
        """The CondContextDefs and WhileContextDefs that are in no other one, each with the key of its collection."""
        return tuple(
            (key, kind.FromString(value))
            for key, kind in _CONTEXTS.items()
            for value in self.collection(key).bytes_list.value
        )

    def copy_library(self, graph_def: Any, functions: Collection[str]) -> None:
        """Copies some functions, with what is registered for their gradients, into another GraphDef."""
        library = self.meta_graph.graph_def.library
        graph_def.library.function.extend(each for each in library.function if each.signature.name in functions)
        graph_def.library.gradient.extend(each for each in library.gradient if each.function_name in functions)

    def derived(self, key: Hashable, make: Callable[[], T]) -> T:
        """What follows from the variant and is kept with it under a key; made at the first call."""
        with self._lock:
            if key not in self._derived:
                self._derived[key] = make()
            found: T = self._derived[key]
            return found


def is_state_op(definition: OpDef | None) -> bool:
    """Whether ops of this type hold state: stateful, without inputs, with something to refer to it by."""
    return bool(definition and definition.is_stateful and not definition.input_arg and definition.output_arg)


def _in_words(infos: Mapping[str, ParsedTensorInfo]) -> str:
    described = (
        f"{key!r}: {'sparse ' if info.is_sparse else 'composite ' if info.is_composite else ''}"
        f"{info.dtype.name} {info.get_shape()}"
        for key, info in sorted(infos.items())
    )
    return f"{{{', '.join(described)}}}"


def _attributes_to_drop(producer: OpList) -> dict[str, dict[str, Any]]:
    """By op type, the attributes that this process does not know, with the default that the producer gave them."""
    found: dict[str, dict[str, Any]] = {}
    for definition in producer.op:
        known = registered_op_def(definition.name)
        if known is None:
            continue
        names = {attribute.name for attribute in known.attr}
        newer = {each.name: each.default_value for each in definition.attr if each.name not in names}
        if newer:
            found[definition.name] = newer
    return found


def _adapt_attributes(node: Any, unknown: Mapping[str, Any]) -> None:
    # import_graph_def would do both at every call.
    for name, default in unknown.items():
        if name in node.attr and default.WhichOneof("value") and node.attr[name] == default:
            del node.attr[name]
    definition = registered_op_def(node.op)
    for attribute in definition.attr if definition else ():
        if attribute.HasField("default_value") and attribute.name not in node.attr:
            node.attr[attribute.name].CopyFrom(attribute.default_value)
