"""Protocol buffer classes of our own, in a private descriptor pool.

``schema.proto`` says which; ``schema.binpb`` is what ``tools/compile_schema.py`` makes of it. The default pool stays untouched:
TensorFlow registers the same messages there, and two registrations of one name are an error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from hubplug.errors import FormatError
from hubplug_format.protos.wire import wire_fields


@cache
def message_class(name: str) -> type[Any]:
    """The protocol buffer class of a message in a module.

    Args:
        name: Its name without package: ``GraphDef``, ``SignatureDef``, ``VariableDef``, ``ModuleAttachment``, ...

    Raises:
        KeyError: The schema has no such message.
    """
    found: type[Any] = message_factory.GetMessageClass(private_pool().FindMessageTypeByName(f"tensorflow.{name}"))
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
    """The pool that knows the messages of ``schema.proto``, and Any."""
    pool = descriptor_pool.DescriptorPool()
    compiled = Path(__file__).with_name("schema.binpb").read_bytes()
    # A FileDescriptorSet has one field: the files, in the order in which they can be added.
    for file in wire_fields(memoryview(compiled), "schema.binpb"):
        pool.AddSerializedFile(compiled[file.content : file.end])
    return pool
