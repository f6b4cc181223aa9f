"""Which ops of TensorFlow 1 take or make references, and which ops do the same on resource handles."""

from __future__ import annotations

from functools import cache

from hubplug_tf1._graph.protos import registered_op_def

_ON_TABLES = frozenset({"InitializeTable", "InitializeTableFromTextFile"})
_RENAMED = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
    "IsVariableInitialized": "VarIsInitializedOp",
}


def is_of_table(op: str) -> bool:
    return op in _ON_TABLES or op.startswith("LookupTable")


@cache
def resource_equal(op: str) -> str | None:
    """The op on resource handles that does what an op on references does."""
    if is_of_table(op):
        return op + "V2"
    equal = _RENAMED.get(op, "Resource" + op)
    definition = registered_op_def(op)
    other = registered_op_def(equal)
    if definition is None or other is None or len(definition.input_arg) != len(other.input_arg):
        return None
    handle = definition.input_arg[0]
    return equal if handle.type_attr and not handle.number_attr and "Accumulator" not in op else None


@cache
def takes_references(op: str) -> bool:
    definition = registered_op_def(op)
    return definition is not None and any(argument.is_ref for argument in definition.input_arg)


@cache
def makes_references(op: str) -> bool:
    definition = registered_op_def(op)
    return definition is not None and any(argument.is_ref for argument in definition.output_arg)
