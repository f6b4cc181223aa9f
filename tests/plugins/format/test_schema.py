"""The schema of the messages: its source, what is compiled of it, and the dtypes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hubplug_format import dtype_name, message_class
from tools.compile_schema import FOLDER, compile_schema


def test_what_is_compiled_is_of_the_source(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="the compiler is not here")
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    compile_schema(tmp_path / "schema.binpb")
    made, shipped = (
        FileDescriptorSet.FromString((place / "schema.binpb").read_bytes()) for place in (tmp_path, FOLDER)
    )
    assert made == shipped, "run `python tools/compile_schema.py`"


def test_every_message_of_the_source_has_a_class() -> None:
    names = re.findall(r"^message (\w+)", (FOLDER / "schema.proto").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 60
    for name in names:
        assert message_class(name).DESCRIPTOR.full_name == f"tensorflow.{name}"
    with pytest.raises(KeyError):
        message_class("NoSuchMessage")


def test_the_dtypes_are_those_of_the_schema() -> None:
    other = {"float": "float32", "double": "float64", "half": "float16"}
    values = message_class("TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type.values
    for value in values:
        stem, _, reference = value.name.removeprefix("DT_").lower().partition("_ref")
        name = other.get(stem, stem) + ("_ref" if value.name.endswith("_REF") else "") + reference
        assert dtype_name(value.number) == name
    assert dtype_name(max(value.number for value in values if value.number < 100) + 1).startswith("dtype_")
