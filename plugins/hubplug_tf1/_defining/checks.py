"""What a ``module_fn`` may not do: each function looks at its graph and signatures and lists what is wrong, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.protos import registered_op_def
from hubplug_tf1._graph.tensor_info import is_symbolic_value

Signatures = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]


def find_unsupported_values(inputs: Mapping[Any, Any], outputs: Mapping[Any, Any]) -> list[str]:
    """Inputs and outputs that no signature can have."""
    return [
        f"{kind} {key!r} has type {type(value).__name__}"
        for kind, values in (("input", inputs), ("output", outputs))
        for key, value in values.items()
        if not (isinstance(key, str) and is_symbolic_value(value))
    ]


def find_foreign_tensors(graph: tf.Graph, signatures: Signatures) -> list[str]:
    """Inputs and outputs that are not in the module's graph."""
    return [
        f"{kind} {key!r} of signature {name!r} is {tensor.name!r} of another graph"
        for name, both in signatures.items()
        for kind, values in zip(("input", "output"), both, strict=True)
        for key, tensor in _tensors(values)
        if tensor.graph is not graph
    ]


def find_colocated_inputs(signatures: Signatures) -> list[str]:
    """Inputs under a colocation constraint: what replaces them would not be where the constraint says."""
    return [
        f"tensor {tensor.name!r} appears as input {key!r} of signature {name!r} but has "
        f"Tensor.op.colocation_groups() == {tensor.op.colocation_groups()}"
        for name, (inputs, _) in signatures.items()
        for key, tensor in _tensors(inputs)
        if tensor.op.colocation_groups() != [_group(tensor.op)]
    ]


def find_colocated_state(graph: tf.Graph) -> list[str]:
    """State-holding ops that are colocated with others: state is made once, where those others are not."""
    state = [op for op in graph.get_operations() if _holds_state(op)]
    groups = {_group(op) for op in state}
    return [
        f"node {op.name!r} has op {op.type!r}, which counts as state-holding, but Operation.colocation_groups() == "
        f"{op.colocation_groups()}"
        for op in state
        if not groups.issuperset(op.colocation_groups())
    ]


def find_inputs_of_multi_output_ops(signatures: Signatures) -> list[str]:
    """Inputs that are one of several outputs of an op."""
    return sorted(
        {
            f"{key}={tensor.name!r}"
            for inputs, _ in signatures.values()
            for key, tensor in _tensors(inputs)
            if len(tensor.op.outputs) > 1
        }
    )


def _tensors(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        for tensor in tf.nest.flatten(value, expand_composites=True):
            yield key, tensor


def _group(op: tf.Operation) -> bytes:
    return b"loc:@" + op.name.encode()


def _holds_state(op: tf.Operation) -> bool:
    definition = registered_op_def(op.type)
    return definition is not None and definition.is_stateful and not definition.input_arg
