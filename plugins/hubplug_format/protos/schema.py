"""Protocol buffer classes of our own, in a private descriptor pool.

The default pool stays untouched: TensorFlow registers the same messages there, and two registrations of one name are an
error.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from hubplug.errors import FormatError
from hubplug_format.protos.dtypes import proto_enum
from hubplug_format.protos.fields import ENUMS, MESSAGES

_PACKAGE = "tensorflow"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "fixed32": _Field.TYPE_FIXED32,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "sint64": _Field.TYPE_SINT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}


@cache
def message_class(name: str) -> type[Any]:
    """The protocol buffer class of a message in a module.

    Args:
        name: Its name without package: ``GraphDef``, ``SignatureDef``, ``VariableDef``, ``ModuleAttachment``, ...

    Raises:
        KeyError: The schema has no such message.
    """
    if name not in MESSAGES:
        raise KeyError(name)
    found: type[Any] = message_factory.GetMessageClass(private_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))
    return found


def parse(kind: type[Any], data: bytes, what: str) -> Any:
    """A message from its encoding.

    Args:
        kind: Its class.
        data: The encoding.
        what: What the data is, for the error: a path, or "the graph of [...]".

    Raises:
        FormatError: The data is damaged, or is something else.
    """
    message = kind()
    try:
        message.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{what} is damaged: its {len(data)} bytes are not a {kind.DESCRIPTOR.name} protocol buffer",
            hint="fetch or export the module again",
        ) from error
    return message


@cache
def private_pool() -> descriptor_pool.DescriptorPool:
    """The pool that knows the messages of a module, and Any."""
    pool = descriptor_pool.DescriptorPool()
    any_file = descriptor_pb2.FileDescriptorProto(
        name="google/protobuf/any.proto", package="google.protobuf", syntax="proto3"
    )
    _add_message(any_file, "Any", ["one string type_url 1", "one bytes value 2"])
    pool.AddSerializedFile(any_file.SerializeToString())

    file = descriptor_pb2.FileDescriptorProto(
        name="hubplug_format.proto", package=_PACKAGE, syntax="proto3", dependency=[any_file.name]
    )
    for enum, values in {**ENUMS, "DataType": proto_enum()}.items():
        described = file.enum_type.add(name=enum)
        for value, number in values.items():
            described.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        lines = [line.strip() for line in fields.splitlines() if line.strip()]
        _add_message(file, name, lines)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_message(file: descriptor_pb2.FileDescriptorProto, name: str, lines: list[str]) -> None:
    message = file.message_type.add(name=name)
    for line in lines:
        label, kind, field_name, number, *oneof = line.split()
        if label == "map":
            kind = _add_map_entry(message, kind, field_name)
        field = message.field.add(name=field_name, number=int(number))
        field.label = _Field.LABEL_OPTIONAL if label == "one" else _Field.LABEL_REPEATED
        _set_type(field, kind)
        if oneof:
            if not any(known.name == oneof[0] for known in message.oneof_decl):
                message.oneof_decl.add(name=oneof[0])
            field.oneof_index = [known.name for known in message.oneof_decl].index(oneof[0])


def _add_map_entry(message: descriptor_pb2.DescriptorProto, kind: str, field_name: str) -> str:
    entry = message.nested_type.add(name="".join(part.title() for part in field_name.split("_")) + "Entry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL)
    _set_type(key, "string")
    value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL)
    _set_type(value, kind)
    return f"{message.name}.{entry.name}"


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Field.TYPE_ENUM if kind in ENUMS or kind == "DataType" else _Field.TYPE_MESSAGE
    field.type_name = "." + (kind if "." in kind and kind.startswith("google.") else f"{_PACKAGE}.{kind}")
