"""The protos of graphs that have no public alias in TensorFlow, and what it knows of ops before there are any.

The messages are found by the names that they have in the format, among those that TensorFlow registers with protobuf.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from google.protobuf import descriptor_pool, message_factory

if TYPE_CHECKING:
    from tensorflow.core.framework.op_def_pb2 import OpDef, OpList
    from tensorflow.core.framework.variable_pb2 import VariableDef
    from tensorflow.core.protobuf.control_flow_pb2 import CondContextDef, WhileContextDef
    from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
else:

    def _messages(*names: str) -> Iterator[Any]:
        for name in names:
            yield message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"tensorflow.{name}"))

    OpDef, OpList, VariableDef, CondContextDef, WhileContextDef, AssetFileDef, SavedModel = _messages(
        "OpDef", "OpList", "VariableDef", "CondContextDef", "WhileContextDef", "AssetFileDef", "SavedModel"
    )

_known: dict[str, OpDef] = {}


def registered_op_def(op_type: str) -> OpDef | None:
    """The OpDef under which this process knows an op, or None.

    Whether a graph can be imported, and which of its ops hold state, must be known before it has an ``Operation``. The
    public way takes half a millisecond, once for each op; one that is not known is asked for again, since a library that
    has it may have been loaded meanwhile.
    """
    if op_type not in _known:
        graph_def = tf.compat.v1.GraphDef(node=[tf.compat.v1.NodeDef(name="op", op=op_type)])
        with tf.Graph().as_default() as graph:
            exported: Any = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=graph, collection_list=[])
        _known.update({definition.name: definition for definition in exported.meta_info_def.stripped_op_list.op})
    return _known.get(op_type)


def length_of(argument: Any, node: Any) -> int:
    """How many tensors an argument of an OpDef is in a node."""
    if argument.number_attr:
        return int(node.attr[argument.number_attr].i)
    return len(node.attr[argument.type_list_attr].list.type) if argument.type_list_attr else 1
