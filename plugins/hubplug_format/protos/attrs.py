"""Attributes of a node, written into AttrValue messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubplug_format.protos.dtypes import dtype_number
from hubplug_format.protos.values import Values


@dataclass(frozen=True)
class Type:
    """A data type as an attribute: ``Type("float32")``."""

    name: str


@dataclass(frozen=True)
class Shape:
    """A shape as an attribute: None for an unknown dimension, and as a whole for an unknown rank."""

    dims: Sequence[int | None] | None


@dataclass(frozen=True)
class Func:
    """A function of the library as an attribute."""

    name: str
    attrs: Mapping[str, Any] = field(default_factory=dict)


def put_attr(attr: Any, value: Any) -> None:
    """Writes a value into an AttrValue message.

    Raises:
        ValueError: There is no attribute of this kind.
    """
    if isinstance(value, (list, tuple)):
        attr.list.SetInParent()
        for item in value:
            _put_item(attr.list, item)
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, float):
        attr.f = value
    elif isinstance(value, (bytes, str)):
        attr.s = value if isinstance(value, bytes) else value.encode()
    elif isinstance(value, Type):
        attr.type = dtype_number(value.name)
    elif isinstance(value, Shape):
        _put_shape(attr.shape, value)
    elif isinstance(value, Func):
        _put_func(attr.func, value)
    elif isinstance(value, Values):
        value.put(attr.tensor)
    else:
        raise ValueError(f"No attribute can be a {type(value).__name__}: {value!r}")


def _put_item(items: Any, value: Any) -> None:
    if isinstance(value, bool):
        items.b.append(value)
    elif isinstance(value, int):
        items.i.append(value)
    elif isinstance(value, float):
        items.f.append(value)
    elif isinstance(value, (bytes, str)):
        items.s.append(value if isinstance(value, bytes) else value.encode())
    elif isinstance(value, Type):
        items.type.append(dtype_number(value.name))
    elif isinstance(value, Shape):
        _put_shape(items.shape.add(), value)
    elif isinstance(value, Func):
        _put_func(items.func.add(), value)
    elif isinstance(value, Values):
        value.put(items.tensor.add())
    else:
        raise ValueError(f"No list attribute can hold a {type(value).__name__}: {value!r}")


def _put_shape(message: Any, shape: Shape) -> None:
    message.SetInParent()
    if shape.dims is None:
        message.unknown_rank = True
        return
    for size in shape.dims:
        message.dim.add(size=-1 if size is None else size)


def _put_func(message: Any, func: Func) -> None:
    message.name = func.name
    for key, value in func.attrs.items():
        put_attr(message.attr[key], value)
