"""A signature as a graph of constants: its variables frozen, its tables read, its inputs placeholders, its outputs named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

import hubplug
from hubplug.errors import ExportError
from hubplug_convert._contract import Request
from hubplug_convert._graph_runner import module_spec
from hubplug_convert._onnx.description import Port, part_names

v1 = tf.compat.v1

_TABLES = ("HashTable", "HashTableV2")
# Reference tables and their ops, as those that the converter knows.
_AS_RESOURCES = {
    "HashTable": "HashTableV2",
    "LookupTableFind": "LookupTableFindV2",
    "LookupTableSize": "LookupTableSizeV2",
}


@dataclass(frozen=True)
class Tensors:
    """An input or output in a graph: its tensors, in the order of ``Port``."""

    kind: str
    dtype: str
    shape: Sequence[int | None] | None
    tensors: Sequence[Any]


@dataclass(frozen=True)
class FrozenSignature:
    """A signature that needs no session.

    Attributes:
        graph_def: Its graph.
        inputs: By name.
        outputs: By name.
        renamed: Tensor of the graph -> its name in ONNX; the inputs and outputs.
        tables: Shared name of a table -> its keys and values.
    """

    graph_def: Any
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    renamed: Mapping[str, str]
    input_tensors: Sequence[str]
    output_tensors: Sequence[str]
    tables: Mapping[bytes, tuple[Any, Any]]


def find_paths(graph_def: Any, source: Path) -> list[str]:
    """The files of the source whose paths the graph of a signature gives: there are none beside an ONNX model."""
    beginning = os.fsencode(source) + b"/"
    texts = [text for node in graph_def.node if node.op == "Const" for text in node.attr["value"].tensor.string_val]
    return [os.fsdecode(text.removeprefix(beginning)) for text in texts if text.startswith(beginning)]


@contextmanager
def frozen_signatures(request: Request) -> Iterator[Any]:
    """Within it, a function from the name of a signature to its ``FrozenSignature``."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        if request.format == "tf1-hub":
            yield _ModuleGraphs(request, session).freeze
        else:
            yield _SavedModelGraph(request, session).freeze


class _ModuleGraphs:
    """A module in TF1 Hub format, applied once for each signature."""

    def __init__(self, request: Request, session: Any) -> None:
        self._session = session
        self._spec = module_spec(request)
        self._tags = request.tags
        self._module = hubplug.Module(self._spec, tags=request.tags)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])

    def freeze(self, name: str) -> FrozenSignature:
        infos = self._spec.get_input_info_dict(name, self._tags)
        fed = {key: _placeholders(info.type_spec) for key, info in infos.items()}
        outputs = self._module(fed, signature=name, as_dict=True)
        return _freeze(
            self._session,
            {key: _tensors(value) for key, value in fed.items()},
            {key: _tensors(value) for key, value in outputs.items()},
        )


class _SavedModelGraph:
    """A TF1 SavedModel."""

    def __init__(self, request: Request, session: Any) -> None:
        self._session = session
        meta_graph = v1.saved_model.loader.load(session, sorted(request.tags), str(request.source))
        self._signatures = meta_graph.signature_def

    def freeze(self, name: str) -> FrozenSignature:
        definition = self._signatures[name]
        return _freeze(
            self._session,
            {key: self._of(info) for key, info in definition.inputs.items()},
            {key: self._of(info) for key, info in definition.outputs.items()},
        )

    def _of(self, info: Any) -> Tensors:
        if info.WhichOneof("encoding") == "coo_sparse":
            parts = info.coo_sparse
            names = [parts.indices_tensor_name, parts.values_tensor_name, parts.dense_shape_tensor_name]
        elif info.WhichOneof("encoding") == "name":
            names = [info.name]
        else:
            raise ExportError("Composite tensors of a SavedModel's signature have no equal in ONNX")
        tensors = [self._session.graph.get_tensor_by_name(each) for each in names]
        shape = (
            None
            if info.tensor_shape.unknown_rank
            else [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        )
        return Tensors("sparse" if len(names) > 1 else "dense", tf.as_dtype(info.dtype).name, shape, tensors)


def _placeholders(spec: Any) -> Any:
    parts = [v1.placeholder(part.dtype, part.shape) for part in tf.nest.flatten(spec, expand_composites=True)]
    return tf.nest.pack_sequence_as(spec, parts, expand_composites=True)


def _tensors(value: Any) -> Tensors:
    kind = (
        "sparse" if isinstance(value, tf.SparseTensor) else "ragged" if isinstance(value, tf.RaggedTensor) else "dense"
    )
    shape = value.shape
    return Tensors(
        kind,
        value.dtype.base_dtype.name,
        None if shape.rank is None else list(shape.as_list()),
        tf.nest.flatten(value, expand_composites=True),
    )


def _freeze(session: Any, inputs: Mapping[str, Tensors], outputs: Mapping[str, Tensors]) -> FrozenSignature:
    fed = [tensor for about in inputs.values() for tensor in about.tensors]
    with session.graph.as_default():
        # A name for each, also where an output is an input, or two are one tensor.
        fetched = [tf.identity(tensor) for about in outputs.values() for tensor in about.tensors]
        graph_def = _constants(session, fed, fetched)
        tables = _read_tables(session, graph_def)
    with tf.Graph().as_default() as graph:
        placeholders = [
            v1.placeholder(tensor.dtype.base_dtype, tensor.shape, f"input_{n}") for n, tensor in enumerate(fed)
        ]
        there = {node.name for node in graph_def.node}
        replaced = {t.name: p for t, p in zip(fed, placeholders, strict=True) if t.op.name in there}
        found = tf.import_graph_def(graph_def, replaced, [tensor.name for tensor in fetched], name="net")
        named = [tf.identity(tensor, f"output_{n}") for n, tensor in enumerate(found)]
        return _named(graph.as_graph_def(add_shapes=True), inputs, outputs, placeholders, named, tables)


def _named(graph_def: Any, inputs: Any, outputs: Any, placeholders: Any, fetched: Any, tables: Any) -> FrozenSignature:
    taken: set[str] = set()
    input_ports = {key: _port(key, about, "input", taken) for key, about in inputs.items()}
    output_ports = {key: _port(key, about, "output", taken) for key, about in outputs.items()}
    tensors = [*placeholders, *fetched]
    names = [name for port in [*input_ports.values(), *output_ports.values()] for name in port.tensors]
    return FrozenSignature(
        graph_def,
        input_ports,
        output_ports,
        {tensor.name: name for tensor, name in zip(tensors, names, strict=True)},
        [tensor.name for tensor in placeholders],
        [tensor.name for tensor in fetched],
        tables,
    )


def _port(key: str, about: Tensors, side: str, taken: set[str]) -> Port:
    names = []
    for name in part_names(key, about.kind, len(about.tensors)):
        # Inputs and outputs of an ONNX graph are values of one graph, and no two of them have one name.
        while name in taken:
            name = f"{name}_{side}"
        taken.add(name)
        names.append(name)
    return Port(about.kind, about.dtype, about.shape, names)


def _constants(session: Any, fed: Sequence[Any], fetched: Sequence[Any]) -> Any:
    """What the outputs need, with variables that are constants."""
    graph_def = session.graph.as_graph_def()
    frozen = v1.graph_util.convert_variables_to_constants(session, graph_def, [tensor.op.name for tensor in fetched])
    for node in frozen.node:
        node.device = ""
        node.attr.pop("_class", None)
    return frozen


def _read_tables(session: Any, graph_def: Any) -> dict[bytes, tuple[Any, Any]]:
    """The contents of the tables; each gets a name of its own, and is no reference any more."""
    tables = {}
    for node in graph_def.node:
        if node.op in _TABLES:
            handle = session.graph.get_operation_by_name(node.name).outputs[0]
            export = tf.raw_ops.LookupTableExport if node.op == "HashTable" else tf.raw_ops.LookupTableExportV2
            dtypes = {"Tkeys": node.attr["key_dtype"].type, "Tvalues": node.attr["value_dtype"].type}
            tables[node.name.encode()] = tuple(session.run(export(table_handle=handle, **dtypes)))
            node.attr["shared_name"].s = node.name.encode()
        node.op = _AS_RESOURCES.get(node.op, node.op)
    return tables
