"""Modules that keep a profile, and the parts to spoil them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubplug.spec import ModuleSpec
from hubplug.types import Handle, LocalModule
from hubplug_format import IMAGE_INFO_KEY, ModuleBuilder, Type, message_class, write_module


def attach_size(builder: ModuleBuilder, height: int, width: int) -> None:
    info = message_class("ImageModuleInfo")()
    info.default_image_size.height = height
    info.default_image_size.width = width
    builder.attach(IMAGE_INFO_KEY, info.SerializeToString())


def text_builder(tags: tuple[str, ...] = (), values: list[list[float]] | None = None) -> ModuleBuilder:
    """Hashes a text into one of four buckets and looks that row up."""
    builder = ModuleBuilder(tags)
    texts = builder.placeholder("texts", "string", [None])
    rows = builder.variable(
        "embeddings", values or [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 0.5, 0.0], [3.0, 3.0, 3.0]]
    )
    ids = builder.node("StringToHashBucketFast", [texts], {"num_buckets": 4}, dtype="int64", shape=[None])
    axis = builder.constant(0)
    attrs = {"Tparams": Type("float32"), "Tindices": Type("int64"), "Taxis": Type("int32")}
    vectors = builder.node("GatherV2", [rows, ids, axis], attrs, shape=[None, 3])
    builder.signature(inputs={"texts": texts}, outputs={"default": vectors})
    return builder


def image_builder(size: int | None = 4, signature: str = "image_feature_vector") -> ModuleBuilder:
    """The mean over the pixels of an image."""
    builder = ModuleBuilder()
    images = builder.placeholder("images", "float32", [None, size, size, 3])
    axes = builder.constant([1, 2])
    means = builder.node("Mean", [images, axes], {"T": Type("float32"), "Tidx": Type("int32")}, shape=[None, 3])
    for name in (signature, "default"):
        builder.signature(name, inputs={"images": images}, outputs={"default": means, "net/mean": means})
    return builder


def spec_of(directory: Path) -> ModuleSpec:
    from hubplug_tf1 import Tf1Format

    spec: Any = Tf1Format().hubplug_load_format(LocalModule(directory, Handle.parse(str(directory))))
    return spec


@pytest.fixture
def text_module(tmp_path: Path) -> Path:
    write_module(tmp_path / "text", text_builder())
    return tmp_path / "text"


@pytest.fixture
def image_module(tmp_path: Path) -> Path:
    write_module(tmp_path / "image", image_builder())
    return tmp_path / "image"
