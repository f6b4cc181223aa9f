"""Arrays of tensors become lists of tensors: a rewriting of protos, no TensorFlow graph is touched.

A TensorArray of TensorFlow 1 is a resource that ops change, and a number, its flow, that says in which order. A list is a
value: here it goes where the flow went. Gradients of lists are lists; those of arrays do not cross the graphs of functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._graph.subgraph import op_name, tensor_name

_HINT = "use the module in a graph of TensorFlow 1"
_ARRAY = "TensorArrayV3"
_PASSING = frozenset({"Enter", "Merge", "Switch", "Exit", "NextIteration", "Identity"})

# Of each op on arrays: where its flow is among its inputs, and whether it gives a flow.
_FLOWS: Mapping[str, tuple[int, bool]] = {
    "TensorArrayWriteV3": (3, True),
    "TensorArrayScatterV3": (3, True),
    "TensorArraySplitV3": (3, True),
    "TensorArrayReadV3": (2, False),
    "TensorArrayGatherV3": (2, False),
    "TensorArrayConcatV3": (1, False),
    "TensorArraySizeV3": (1, False),
    "TensorArrayCloseV3": (0, False),
}


def use_lists(graph_def: Any) -> None:
    """Rewrites the arrays of a GraphDef, in place.

    Raises:
        RaisingError: Something else than the ops on arrays takes one, such as a gradient that TensorFlow 1 made.
    """
    if any(node.op == _ARRAY for node in graph_def.node):
        _Rewriting(graph_def).run()


class _Rewriting:
    def __init__(self, graph_def: Any) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._added: list[Any] = []
        self._origin: dict[str, Any] = {}
        self._sizes = {node.name: node.input[0] for node in graph_def.node if node.op == _ARRAY}

    def run(self) -> None:
        takers: dict[str, list[Any]] = {}
        for node in self._nodes.values():
            for each in node.input:
                if each[0] != "^":
                    takers.setdefault(tensor_name(each), []).append(node)
        waiting = []
        for node in self._nodes.values():
            if node.op == _ARRAY:
                array = tf.compat.v1.NodeDef()
                array.CopyFrom(node)
                waiting += [(f"{node.name}:0", array), (f"{node.name}:1", array)]
        while waiting:
            tensor, array = waiting.pop()
            if tensor in self._origin:
                continue
            self._origin[tensor] = array
            for taker in takers.get(tensor, ()):
                waiting += [(f"{taker.name}:{index}", array) for index in self._passed_on(taker, tensor)]
        for node in list(self._nodes.values()):
            self._rewrite(node)
        self._graph_def.node.extend(self._added)

    def _passed_on(self, taker: Any, tensor: str) -> Sequence[int]:
        """Which outputs of an op are the array that it takes."""
        if taker.op in _PASSING and (taker.op != "Switch" or tensor_name(taker.input[0]) == tensor):
            return (0, 1) if taker.op == "Switch" else (0,)
        if taker.op in _FLOWS:
            return (0,) if _FLOWS[taker.op][1] else ()
        raise RaisingError(
            f"Op {taker.name!r} ({taker.op}) takes a TensorArray and has no equal in functions of TensorFlow 2",
            hint=_HINT,
        )

    def _rewrite(self, node: Any) -> None:
        if node.op == _ARRAY:
            self._become_list(node)
        elif node.op in _FLOWS:
            array = self._origin.get(tensor_name(node.input[0]))
            flow = node.input[_FLOWS[node.op][0]]
            if array is None or tensor_name(flow) not in self._origin:
                raise RaisingError(f"Op {node.name!r} ({node.op}) takes a TensorArray from nowhere", hint=_HINT)
            self._become_list_op(node, array, self._list(flow))
        elif node.op in _PASSING and any(tensor_name(each) in self._origin for each in node.input if each[0] != "^"):
            self._pass_list(node)

    def _pass_list(self, node: Any) -> None:
        for index, each in enumerate(node.input):
            if each[0] == "^" or (node.op == "Switch" and index == 1):
                continue
            if tensor_name(each) not in self._origin:
                raise RaisingError(f"Op {node.name!r} ({node.op}) takes a TensorArray or something else", hint=_HINT)
            node.input[index] = self._list(each)
        node.attr["T"].type = tf.variant.as_datatype_enum
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]

    def _list(self, flow: str) -> str:
        """A new list has one output in place of the handle and the flow of a new array."""
        name = op_name(flow)
        return f"{name}:0" if self._origin[tensor_name(flow)].name == name else flow

    def _become_list(self, node: Any) -> None:
        array = self._origin[f"{node.name}:0"]
        shape = self._shape(node, array.attr["element_shape"].shape)
        _set(node, "TensorListReserve", [shape, node.input[0]], element_dtype=array.attr["dtype"])
        node.attr["shape_type"].type = tf.int32.as_datatype_enum

    def _become_list_op(self, node: Any, array: Any, flow: str) -> None:
        dtype, shape = array.attr["dtype"], array.attr["element_shape"].shape
        int32 = tf.compat.v1.AttrValue(type=tf.int32.as_datatype_enum)
        inputs = list(node.input)
        if node.op == "TensorArrayWriteV3":
            resize = tf.compat.v1.AttrValue(b=array.attr["dynamic_size"].b)
            _set(
                node, "TensorListSetItem", [flow, inputs[1], inputs[2]],
                element_dtype=dtype, resize_if_index_out_of_bounds=resize,
            )  # fmt: skip
        elif node.op == "TensorArrayScatterV3" and self._is_filled_once(node, array):
            size = self._sizes[array.name]
            _set(
                node, "TensorListScatterV2", [inputs[2], inputs[1], self._shape(node, shape), size],
                element_dtype=dtype, shape_type=int32,
            )  # fmt: skip
        elif node.op == "TensorArrayScatterV3":
            _set(node, "TensorListScatterIntoExistingList", [flow, inputs[2], inputs[1]], element_dtype=dtype)
        elif node.op == "TensorArraySplitV3":
            shape_input = self._shape(node, shape)
            _set(node, "TensorListSplit", [inputs[1], shape_input, inputs[2]], element_dtype=dtype, shape_type=int32)
        elif node.op == "TensorArrayReadV3":
            _set(node, "TensorListGetItem", [flow, inputs[1], self._shape(node, shape)], element_dtype=dtype)
        elif node.op == "TensorArrayGatherV3":
            own = node.attr["element_shape"].shape if "element_shape" in node.attr else shape
            known = shape if own.unknown_rank else own
            _set(node, "TensorListGather", [flow, inputs[1], self._shape(node, known)], element_dtype=dtype)
        elif node.op == "TensorArrayConcatV3":
            rest = node.attr["element_shape_except0"].shape if "element_shape_except0" in node.attr else None
            if rest is not None and not rest.unknown_rank:
                shape = tf.TensorShape([None]).concatenate(tf.TensorShape(rest)).as_proto()
            lengths = self._constant(node, "lengths", tf.make_tensor_proto([], tf.int64))
            _set(
                node, "TensorListConcatV2", [flow, self._shape(node, shape), lengths],
                element_dtype=dtype, shape_type=int32,
            )  # fmt: skip
        elif node.op == "TensorArraySizeV3":
            _set(node, "TensorListLength", [flow])
        else:
            _set(node, "NoOp", [])

    def _is_filled_once(self, node: Any, array: Any) -> bool:
        """Whether an array of a known size gets its elements from a tensor right where it is made.

        Then there is no list before that a gradient would be asked for.
        """
        return op_name(node.input[3]) == array.name and not array.attr["dynamic_size"].b

    def _shape(self, node: Any, shape: Any) -> str:
        known = tf.TensorShape(shape)
        sizes = -1 if known.rank is None else [-1 if size is None else size for size in known.as_list()]
        return self._constant(node, "element_shape", tf.make_tensor_proto(sizes, tf.int32))

    def _constant(self, node: Any, what: str, value: Any) -> str:
        """A constant beside an op: in the same loop, which a constant by itself is not."""
        name, number = f"{node.name}/{what}", 0
        while name in self._nodes:
            number += 1
            name = f"{node.name}/{what}_{number}"
        constant = tf.compat.v1.NodeDef(name=name, op="Const")
        constant.attr["dtype"].type = value.dtype
        constant.attr["value"].tensor.CopyFrom(value)
        names = dict.fromkeys(op_name(each) for each in node.input)
        constant.input.extend("^" + each for each in names if each in self._nodes)
        self._nodes[name] = constant
        self._added.append(constant)
        return name


def _set(node: Any, op: str, inputs: Sequence[str], **attributes: Any) -> None:
    """Makes another op of a node, which keeps its name, its device and what it waits for."""
    inputs = [*inputs, *(each for each in node.input if each[0] == "^")]
    node.op = op
    node.input[:] = inputs
    for name in list(node.attr):
        del node.attr[name]
    for name, value in attributes.items():
        node.attr[name].CopyFrom(value)
