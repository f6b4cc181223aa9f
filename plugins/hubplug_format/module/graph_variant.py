"""A graph variant: what one MetaGraphDef says about itself, read as far as someone asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hubplug.types import SignatureInfo
from hubplug_format.module.allowance import Allowance
from hubplug_format.module.assets import ASSETS_COLLECTION, AssetInfo, read_assets
from hubplug_format.module.signatures import count_tensors, read_signatures, tensors_of
from hubplug_format.module.variables import VARIABLE_COLLECTIONS, VariableInfo, read_variables
from hubplug_format.protos.schema import message_class, parse
from hubplug_format.protos.wire import BYTES, wire_fields

ATTACHMENTS_COLLECTION = "hub_module_attachments"

# Fields of MetaGraphDef.
_GRAPH, _COLLECTIONS, _OBJECT_GRAPH = 2, 4, 7
_MESSAGES = ("bytes_list", "any_list")


@dataclass(frozen=True)
class CollectionInfo:
    """A graph collection: how it is encoded (``node_list``, ``bytes_list``, ...; empty for none) and how many items it has."""

    kind: str
    size: int


@dataclass(frozen=True)
class SaverInfo:
    """The names in a SaverDef: of the tensor that takes the path, of the save tensor, and of the restore op."""

    filename_tensor_name: str
    save_tensor_name: str
    restore_op_name: str


@dataclass(frozen=True, eq=False)
class Graph:
    """A parsed GraphDef.

    Attributes:
        message: The GraphDef message.
        nodes: Its NodeDef messages.
        functions: The FunctionDef messages of its library, in order.
        gradients: Function name -> name of its gradient function.
        registered_gradients: Gradient function -> the op type it is registered for.
    """

    message: Any
    nodes: Sequence[Any]
    functions: Sequence[Any]
    gradients: Mapping[str, str]
    registered_gradients: Mapping[str, str]

    @classmethod
    def parse(cls, data: bytes, what: str = "the graph") -> Graph:
        """A graph from the encoding of a GraphDef.

        Raises:
            FormatError: It is damaged.
        """
        graph = parse(message_class("GraphDef"), data, what)
        library = graph.library
        return cls(
            graph,
            graph.node,
            library.function,
            {gradient.function_name: gradient.gradient_func for gradient in library.gradient},
            {gradient.gradient_func: gradient.registered_op_type for gradient in library.registered_gradients},
        )


class GraphVariant:
    """One MetaGraphDef. It pickles as its bytes.

    Attributes:
        where: What a person calls it, for errors.
    """

    def __init__(
        self, meta_graph_bytes: bytes | memoryview, where: str = "the meta graph", allowance: Allowance | None = None
    ) -> None:
        """Reads everything but the graphs, which are not even copied.

        Args:
            meta_graph_bytes: The serialized MetaGraphDef.
            where: What a person calls it.
            allowance: How much it may hold; None: as much as a whole file.

        Raises:
            FormatError: The bytes are damaged, or hold more than they may.
        """
        self.where = where
        allowance = allowance or Allowance()
        self._data = memoryview(meta_graph_bytes)
        # A field that occurs twice is one message to TensorFlow, which merges the two: so all occurrences count.
        self._graphs: dict[int, list[memoryview]] = {_GRAPH: [], _OBJECT_GRAPH: []}
        rest = []
        for field in wire_fields(self._data, where):
            allowance.take("fields", 1, where)
            if field.number in self._graphs and field.wire_type == BYTES:
                self._graphs[field.number].append(self._data[field.content : field.end])
            else:
                kind = "collections" if field.number == _COLLECTIONS else "others"
                allowance.take(kind, field.end - field.start, where)
                rest.append(self._data[field.start : field.end])
        self._message = parse(message_class("MetaGraphDef"), b"".join(rest), where)
        about, signatures = self._message.meta_info_def, self._message.signature_def
        allowance.take("items", len(about.tags) + len(about.stripped_op_list.op), where)
        for collection in self.collections.values():
            allowance.take("items", collection.size * (2 if collection.kind in _MESSAGES else 1), where)
        for name in signatures:
            allowance.take("tensors", count_tensors(signatures[name]), where)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.meta_graph_bytes, self.where)

    def __repr__(self) -> str:
        return f"<GraphVariant {sorted(self.tags)} of {self.where}>"

    @cached_property
    def meta_graph_bytes(self) -> bytes:
        """The serialized MetaGraphDef, exactly as found."""
        return bytes(self._data)

    @cached_property
    def tags(self) -> frozenset[str]:
        """The tags that identify it; none for inference."""
        return frozenset(self._message.meta_info_def.tags)

    @cached_property
    def signatures(self) -> Mapping[str, SignatureInfo]:
        """Its signatures, sorted by name.

        Raises:
            FormatError: One of them is damaged.
        """
        return read_signatures(self._message)

    @cached_property
    def signature_tensors(self) -> Mapping[str, tuple[str, ...]]:
        """Signature -> the names of all its tensors, those of composite ones to any depth."""
        return tensors_of(self._message)

    @cached_property
    def method_names(self) -> Mapping[str, str]:
        """Signature -> its method name, which is empty in modules."""
        return {name: self._message.signature_def[name].method_name for name in sorted(self._message.signature_def)}

    @cached_property
    def attachments(self) -> Mapping[str, bytes]:
        """Key -> serialized message, of the collection ``hub_module_attachments``.

        Raises:
            FormatError: One of them is damaged.
        """
        found = {}
        for data in self._bytes_list(ATTACHMENTS_COLLECTION):
            message = parse(message_class("ModuleAttachment"), data, f"an attachment of {self.where}")
            found[message.key] = message.value
        return found

    @cached_property
    def collections(self) -> Mapping[str, CollectionInfo]:
        """Its graph collections, sorted by name."""
        return {name: self._describe(name) for name in sorted(self._message.collection_def)}

    def collection(self, name: str) -> tuple[Any, ...]:
        """The items of a collection: str, bytes, int or float; ``(type_url, value)`` for an ``any_list``; none if absent."""
        if name not in self._message.collection_def:
            return ()
        collection = self._message.collection_def[name]
        kind = collection.WhichOneof("kind")
        if kind is None:
            return ()
        values = getattr(collection, kind).value
        return tuple((item.type_url, item.value) for item in values) if kind == "any_list" else tuple(values)

    @cached_property
    def assets(self) -> tuple[AssetInfo, ...]:
        """Its asset files, of the collection ``saved_model_assets`` and of the field ``asset_file_def``.

        Raises:
            FormatError: One of the entries is damaged.
        """
        kind = self.collections.get(ASSETS_COLLECTION)
        packed = self.collection(ASSETS_COLLECTION) if kind and kind.kind == "any_list" else ()
        return read_assets(packed, self._message.asset_file_def, self.where)

    @cached_property
    def variables(self) -> tuple[VariableInfo, ...]:
        """The variables of all its variable collections, each once, in order.

        Raises:
            FormatError: One of the entries is damaged.
        """
        return read_variables({name: self._bytes_list(name) for name in VARIABLE_COLLECTIONS}, self.where)

    @cached_property
    def stripped_ops(self) -> tuple[str, ...]:
        """The op types that the publisher says the graph uses; a scanner looks at the graph instead."""
        return tuple(op.name for op in self._message.meta_info_def.stripped_op_list.op)

    @property
    def has_stripped_defaults(self) -> bool:
        """Whether the exporter says that it left out the attributes of nodes whose values are the defaults of their ops."""
        return bool(self._message.meta_info_def.stripped_default_attrs)

    @property
    def tensorflow_version(self) -> str:
        """The release of TensorFlow that wrote it."""
        return str(self._message.meta_info_def.tensorflow_version)

    @cached_property
    def saver(self) -> SaverInfo | None:
        """The names of its saver; None in modules made by create_module_spec."""
        if not self._message.HasField("saver_def"):
            return None
        saver = self._message.saver_def
        return SaverInfo(saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)

    @property
    def has_object_graph(self) -> bool:
        """Whether it was written by ``tf.saved_model.save``, as a TF2 SavedModel."""
        return any(self._graphs[_OBJECT_GRAPH])

    @cached_property
    def object_graph(self) -> Any:
        """The SavedObjectGraph message of a TF2 SavedModel, as far as the schema goes: what functions capture.

        Raises:
            FormatError: It is damaged.
        """
        what = f"the object graph of {self.where}"
        return parse(message_class("SavedObjectGraph"), b"".join(self._graphs[_OBJECT_GRAPH]), what)

    @cached_property
    def graph_bytes(self) -> bytes:
        """The serialized GraphDef."""
        return b"".join(self._graphs[_GRAPH])

    @cached_property
    def graph(self) -> Graph:
        """The graph, parsed when first asked for.

        Raises:
            FormatError: It is damaged.
        """
        return Graph.parse(self.graph_bytes, f"the graph of {self.where}")

    def _bytes_list(self, name: str) -> tuple[bytes, ...]:
        return self.collection(name) if self._describe(name).kind == "bytes_list" else ()

    def _describe(self, name: str) -> CollectionInfo:
        # Looking up a missing key of a protocol buffer map would add it.
        if name not in self._message.collection_def:
            return CollectionInfo("", 0)
        collection = self._message.collection_def[name]
        kind = collection.WhichOneof("kind")
        return CollectionInfo(kind, len(getattr(collection, kind).value)) if kind else CollectionInfo("", 0)


def signatures_of(meta_graph_bytes: bytes) -> Mapping[str, SignatureInfo]:
    """The signatures of a serialized MetaGraphDef, by name, without parsing its graph.

    Raises:
        FormatError: The bytes are damaged.
    """
    return GraphVariant(meta_graph_bytes).signatures
