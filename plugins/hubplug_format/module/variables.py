"""Variables as the collections of a meta graph describe them (VariableDef)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hubplug.errors import FormatError
from hubplug_format.checkpoint.entries import AGAIN, MAX_RANK
from hubplug_format.protos.schema import message_class, parse

VARIABLE_COLLECTIONS = (
    "variables",
    "trainable_variables",
    "model_variables",
    "local_variables",
    "moving_average_variables",
    "global_step",
)


@dataclass(frozen=True)
class SliceInfo:
    """Which part of a partitioned variable this one is: a name, and a number for each dimension."""

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class VariableInfo:
    """A variable of a meta graph.

    Attributes:
        name: Of its tensor: ``w:0``.
        initializer_name: Of its initializer op.
        initial_value_name: Of the tensor that the initializer assigns.
        snapshot_name: Of the tensor with its value.
        is_resource: Whether it is a resource variable.
        trainable: As it was created.
        slice: The part of a partitioned variable that it is, or None.
        collections: Those that hold it.
    """

    name: str
    initializer_name: str
    initial_value_name: str
    snapshot_name: str
    is_resource: bool
    trainable: bool
    slice: SliceInfo | None
    collections: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the checkpoint, which for a part of a partitioned variable is that of the whole."""
        return self.slice.full_name if self.slice else self.name.rpartition(":")[0] or self.name


def read_variables(collections: Mapping[str, Iterable[bytes]], where: str) -> tuple[VariableInfo, ...]:
    """The variables in serialized VariableDefs, each once, in the order of their first mention.

    Raises:
        FormatError: One of them is damaged.
    """
    # By the whole definition: two that differ under one name are two, so that nothing hides behind the first.
    found: dict[tuple[Any, ...], dict[str, None]] = {}
    for collection, items in collections.items():
        what = f"a variable in collection {collection!r} of {where}"
        for data in items:
            found.setdefault(_read_variable(data, what), {})[collection] = None
    return tuple(VariableInfo(*(*fields, tuple(names))) for fields, names in found.items())


def _read_variable(data: bytes, what: str) -> tuple[Any, ...]:
    """All of a VariableInfo but its collections."""
    message = parse(message_class("VariableDef"), data, what)
    part = None
    if message.HasField("save_slice_info_def"):
        info = message.save_slice_info_def
        if len(info.full_shape) + len(info.var_offset) + len(info.var_shape) > 3 * MAX_RANK:
            raise FormatError(f"{what} is damaged: it has more dimensions than a tensor can have", hint=AGAIN)
        part = SliceInfo(info.full_name, tuple(info.full_shape), tuple(info.var_offset), tuple(info.var_shape))
    return (
        message.variable_name,
        message.initializer_name,
        message.initial_value_name,
        message.snapshot_name,
        message.is_resource,
        message.trainable,
        part,
    )
