"""An index that would end the process inside of TensorFlow is an error before TensorFlow opens it, wherever it would."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import FormatError
from hubplug_format import message_class
from hubplug_format.checkpoint.table import read_table, write_table

v1 = tf.compat.v1


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None, 4])
    whole = v1.get_variable("p", [4, 2], partitioner=v1.fixed_size_partitioner(2))
    hubplug.add_signature(inputs=x, outputs=tf.matmul(x, whole.as_tensor()))


def not_an_entry(value: bytes) -> bytes:
    return b"\xff\xff"


def a_part_twice(value: bytes) -> bytes:
    entry = message_class("BundleEntryProto").FromString(value)
    entry.slices.add().CopyFrom(entry.slices[0])
    return bytes(entry.SerializeToString())


def a_negative_dimension(value: bytes) -> bytes:
    entry = message_class("BundleEntryProto").FromString(value)
    entry.shape.dim[0].size = -4
    return bytes(entry.SerializeToString())


DAMAGES: list[Callable[[bytes], bytes]] = [not_an_entry, a_part_twice, a_negative_dimension]


@pytest.fixture(params=DAMAGES, ids=lambda damage: damage.__name__)
def damaged(request: pytest.FixtureRequest, tmp_path: Path, export_module: Any) -> Path:
    """A module whose index has right checksums, and one entry that TensorFlow takes for granted."""
    path: Path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    index = path / "variables" / "variables.index"
    pairs = dict(read_table(index.read_bytes(), "index"))
    pairs[b"p"] = request.param(pairs[b"p"])
    index.write_bytes(write_table(sorted(pairs.items())))
    return path


def test_a_module_is_not_made(damaged: Path) -> None:
    with tf.Graph().as_default(), pytest.raises(FormatError, match="is damaged") as got:
        hubplug.Module(str(damaged))
    assert isinstance(got.value, tf.errors.OpError)
    assert got.value.hint


def test_it_is_not_loaded(damaged: Path) -> None:
    with pytest.raises(FormatError, match="is damaged") as got:
        hubplug.load(str(damaged))
    assert isinstance(got.value, tf.errors.DataLossError)
    assert got.value.hint


def test_nothing_is_exported_from_it(damaged: Path, tmp_path: Path) -> None:
    spec = hubplug.create_module_spec(module_fn)
    checkpoint = str(damaged / "variables" / "variables")
    with pytest.raises(FormatError, match="is damaged"):
        spec.export(str(tmp_path / "copy"), checkpoint_path=checkpoint)
    assert not (tmp_path / "copy").exists()


def test_nor_from_a_directory_whose_latest_checkpoint_it_is(damaged: Path, tmp_path: Path) -> None:
    directory = damaged / "variables"
    (directory / "checkpoint").write_text('model_checkpoint_path: "variables"\n')
    with pytest.raises(FormatError, match="is damaged"):
        hubplug.create_module_spec(module_fn).export(str(tmp_path / "copy"), checkpoint_path=str(directory))


def test_a_data_file_that_is_too_short_is_named_when_a_module_is_made(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    (data,) = (path / "variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:-1])
    with tf.Graph().as_default(), pytest.raises(FormatError, match=re.escape(data.name)):
        hubplug.Module(str(path))
