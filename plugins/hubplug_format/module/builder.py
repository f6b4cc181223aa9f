"""Building the graph of a small module without TensorFlow: nodes, variables, assets and signatures.

For tests and for publishers of what other programs computed. TensorFlow checks the graph when it loads it; this module
only writes down what it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubplug.types import TensorInfo
from hubplug_format.module.assets import ASSETS_COLLECTION, find_asset_name_error
from hubplug_format.module.graph_variant import ATTACHMENTS_COLLECTION
from hubplug_format.protos.attrs import Shape, Type, put_attr
from hubplug_format.protos.dtypes import dtype_number
from hubplug_format.protos.schema import message_class
from hubplug_format.protos.values import Values

# As TensorFlow writes it: the value that an asset's constant has in the file.
BLANK_ASSET = b"SAVEDMODEL-ASSET"

_PRODUCER = 1395


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph that is being built.

    Attributes:
        name: ``x:0``.
        dtype: ``float32``, ...
        shape: A number or None for each dimension, or None.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


class ModuleBuilder:
    """One graph variant of a module.

    A module that multiplies its input by a variable::

        builder = ModuleBuilder()
        x = builder.placeholder("x", "float32", [None, 2])
        w = builder.variable("w", [[1.0, 2.0], [3.0, 4.0]])
        y = builder.node("MatMul", [x, w], {"T": Type("float32")}, shape=[None, 2])
        builder.signature(inputs={"x": x}, outputs={"default": y})
        write_module("/models/twice", builder)

    Attributes:
        meta_graph: The MetaGraphDef message (of ``message_class``), for what has no method here.
        variables: Name -> value of each variable.
        assets: File name -> content of each asset.
    """

    def __init__(self, tags: Collection[str] = ()) -> None:
        """Starts an empty graph.

        Args:
            tags: Those that identify the graph variant.
        """
        self.meta_graph = message_class("MetaGraphDef")()
        self.meta_graph.meta_info_def.tags.extend(sorted(tags))
        self.meta_graph.graph_def.versions.producer = _PRODUCER
        self.variables: dict[str, Values] = {}
        self.assets: dict[str, bytes] = {}

    def node(
        self,
        op: str,
        inputs: Sequence[Tensor | str] = (),
        attrs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        dtype: str = "float32",
        shape: Sequence[int | None] | None = None,
    ) -> Tensor:
        """Adds a node and returns its first output.

        Args:
            op: Its op type.
            inputs: Tensors, or names as a NodeDef has them (``^node`` for a control input).
            attrs: Values are bool, int, float, bytes, str, Type, Shape, Func, Values, or a list of one of them.
            name: Unique in the graph; None makes one of the op type.
            dtype: Of the first output; goes into signatures, not into the node.
            shape: Of the first output; None for an unknown rank.

        Raises:
            ValueError: The name is taken, or an attribute cannot be written.
        """
        graph = self.meta_graph.graph_def
        taken = {node.name for node in graph.node}
        if name is None:
            name = next(free for i in range(len(taken) + 1) if (free := f"{op}_{i}" if i else op) not in taken)
        elif name in taken:
            raise ValueError(f"There is a node {name!r} already")
        node = graph.node.add(name=name, op=op)
        node.input.extend(_input_name(value) for value in inputs)
        for key, value in (attrs or {}).items():
            put_attr(node.attr[key], value)
        return Tensor(f"{name}:0", dtype, None if shape is None else tuple(shape))

    def placeholder(self, name: str, dtype: str, shape: Sequence[int | None] | None) -> Tensor:
        """Adds an input."""
        return self.node(
            "Placeholder", (), {"dtype": Type(dtype), "shape": Shape(shape)}, name=name, dtype=dtype, shape=shape
        )

    def constant(self, value: Any, *, name: str | None = None, dtype: str | None = None) -> Tensor:
        """Adds a constant: a number, string or nested list of them, or a numpy array."""
        values = Values.of(value, dtype)
        attrs = {"dtype": Type(values.dtype), "value": values}
        return self.node("Const", (), attrs, name=name, dtype=values.dtype, shape=values.shape)

    def variable(self, name: str, value: Any, *, dtype: str | None = None, trainable: bool = True) -> Tensor:
        """Adds a resource variable and returns the tensor that reads it.

        Args:
            name: Its name, in the graph and in the checkpoint.
            value: What the checkpoint is to hold: a number, string or nested list of them, or a numpy array.
            dtype: None takes it from the value: float32 for float, int32 for int.
            trainable: Whether it is in the collection of trainable variables.
        """
        values = Values.of(value, dtype)
        typed = {"dtype": Type(values.dtype)}
        attrs = typed | {"shared_name": name, "shape": Shape(values.shape)}
        handle = self.node("VarHandleOp", (), attrs, name=name, dtype="resource", shape=[])
        initial = self.constant(values.zeros(), name=f"{name}/Initializer/zeros")
        assign = self.node("AssignVariableOp", [handle, initial], typed, name=f"{name}/Assign")
        reader = f"{name}/Read/ReadVariableOp"
        read = self.node("ReadVariableOp", [handle], typed, name=reader, dtype=values.dtype, shape=values.shape)
        self.variables[name] = values
        definition = message_class("VariableDef")(
            variable_name=handle.name,
            initializer_name=assign.name.removesuffix(":0"),
            initial_value_name=initial.name,
            snapshot_name=read.name,
            is_resource=True,
            trainable=trainable,
        ).SerializeToString()
        for collection in ("variables", *(["trainable_variables"] if trainable else [])):
            self.collection(collection).bytes_list.value.append(definition)
        return read

    def asset(self, filename: str, content: bytes, *, name: str | None = None) -> Tensor:
        """Adds an asset file and returns the string constant with its path.

        Raises:
            ValueError: The name is not a plain relative path.
        """
        if error := find_asset_name_error(filename):
            raise ValueError(f"An asset cannot have this name: {error}")
        tensor = self.constant(BLANK_ASSET, name=name)
        self.assets[filename] = content
        definition = message_class("AssetFileDef")(filename=filename)
        definition.tensor_info.name = tensor.name
        packed = self.collection(ASSETS_COLLECTION).any_list.value.add()
        packed.type_url = "type.googleapis.com/tensorflow.AssetFileDef"
        packed.value = definition.SerializeToString()
        self.collection("asset_filepaths").node_list.value.append(tensor.name)
        return tensor

    def attach(self, key: str, message: bytes) -> None:
        """Attaches a serialized message."""
        attachment = message_class("ModuleAttachment")(key=key, value=message)
        self.collection(ATTACHMENTS_COLLECTION).bytes_list.value.append(attachment.SerializeToString())

    def signature(
        self,
        name: str = "default",
        inputs: Mapping[str, Tensor | TensorInfo] | None = None,
        outputs: Mapping[str, Tensor | TensorInfo] | None = None,
    ) -> None:
        """Adds a signature; a sparse input or output is given as a ``hubplug.types.TensorInfo``."""
        definition = self.meta_graph.signature_def[name]
        for key, tensor in (inputs or {}).items():
            _put_tensor_info(definition.inputs[key], tensor)
        for key, tensor in (outputs or {}).items():
            _put_tensor_info(definition.outputs[key], tensor)

    def collection(self, name: str) -> Any:
        """The CollectionDef message of a graph collection, made when it is not there."""
        return self.meta_graph.collection_def[name]


def _input_name(value: Tensor | str) -> str:
    name = value.name if isinstance(value, Tensor) else value
    return name.removesuffix(":0")


def _put_tensor_info(info: Any, tensor: Tensor | TensorInfo) -> None:
    info.Clear()
    info.dtype = dtype_number(tensor.dtype)
    if tensor.shape is None:
        info.tensor_shape.unknown_rank = True
    else:
        info.tensor_shape.SetInParent()
        for size in tensor.shape:
            info.tensor_shape.dim.add(size=-1 if size is None else size)
    if isinstance(tensor, Tensor):
        info.name = tensor.name
    elif tensor.kind == "sparse":
        info.coo_sparse.values_tensor_name = tensor.names["values"]
        info.coo_sparse.indices_tensor_name = tensor.names["indices"]
        info.coo_sparse.dense_shape_tensor_name = tensor.names["shape"]
    elif tensor.kind == "dense":
        info.name = tensor.names["name"]
    else:
        raise ValueError(f"A {tensor.kind} tensor cannot be written; dense and sparse ones can")
