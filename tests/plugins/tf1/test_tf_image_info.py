"""ImageModuleInfo, get_expected_image_size, get_num_image_channels."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1


def image_spec(
    shape: Any, size: tuple[int, int] | None = None, signature: str | None = None, key: str = "images"
) -> hubplug.ModuleSpec:
    def module_fn() -> None:
        hubplug.add_signature(signature, {key: v1.placeholder(tf.float32, shape)}, tf.constant(1.0))
        if size is not None:
            info = hubplug.ImageModuleInfo()
            info.default_image_size.height, info.default_image_size.width = size
            hubplug.attach_image_module_info(info)

    return hubplug.create_module_spec(module_fn)


def test_the_message_has_the_published_encoding() -> None:
    info = hubplug.ImageModuleInfo()
    info.default_image_size.height = 3
    info.default_image_size.width = 300
    assert info.SerializeToString() == b"\x0a\x05\x08\x03\x10\xac\x02"
    again = hubplug.ImageModuleInfo.FromString(b"\x0a\x05\x08\x03\x10\xac\x02")
    assert (again.default_image_size.height, again.default_image_size.width) == (3, 300)
    assert hubplug.ImageModuleInfo.DESCRIPTOR.full_name == "tensorflow_hub.ImageModuleInfo"
    assert not hubplug.ImageModuleInfo().HasField("default_image_size")


def test_the_message_leaves_the_default_pool_to_tensorflow_hub() -> None:
    program = (
        "import hubplug; hubplug.ImageModuleInfo\n"
        "from google.protobuf import descriptor_pool\n"
        "try:\n"
        "    descriptor_pool.Default().FindMessageTypeByName('tensorflow_hub.ImageModuleInfo')\n"
        "except KeyError:\n"
        "    print('free')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "free\n"


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ([None, 4, 5, 3], None, [4, 5]),
        ([None, None, None, 3], (7, 8), [7, 8]),
        ([None, 4, 5, 3], (7, 8), [7, 8]),
        ([None, 4, 5, 3], (0, 8), [4, 5]),
        ([None, 4, 5, 3], (7, 0), [4, 5]),
        ([None, 4, 5, None], None, [4, 5]),
    ],
)
def test_the_size_is_that_of_the_message_or_else_of_the_shape(shape: Any, size: Any, expected: list[int]) -> None:
    found = hubplug.get_expected_image_size(image_spec(shape, size))
    assert found == expected
    assert isinstance(found, list)


@pytest.mark.parametrize("shape", [[None, None, None, 3], [None, 4, None, 3], [4, 5, 3], None])
def test_a_size_that_nobody_says_is_a_value_error(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \[batch_size, height, width, num_channels\]"):
        hubplug.get_expected_image_size(image_spec(shape))


def test_the_number_of_channels_is_that_of_the_shape() -> None:
    assert hubplug.get_num_image_channels(image_spec([None, None, None, 1], (2, 2))) == 1
    for shape in ([None, 4, 5, None], [4, 5, 3], None):
        with pytest.raises(ValueError, match="known num_channels"):
            hubplug.get_num_image_channels(image_spec(shape))


def test_signature_and_input_may_be_named() -> None:
    spec = image_spec([None, 4, 5, 3], signature="other", key="k")
    assert hubplug.get_expected_image_size(spec, "other", "k") == [4, 5]
    assert hubplug.get_num_image_channels(spec, signature="other", input_name="k") == 3
    with pytest.raises(ValueError, match="missing input 'images' in signature 'other'"):
        hubplug.get_num_image_channels(spec, "other")
    with pytest.raises(ValueError, match="Signature 'default' is missing"):
        hubplug.get_expected_image_size(spec)


def test_the_message_counts_whatever_signature_is_named() -> None:
    assert hubplug.get_expected_image_size(image_spec([None, 4, 5, 3], (7, 8)), "nothing", "such") == [7, 8]


def test_a_module_is_asked_by_its_own_variant_and_a_spec_by_the_untagged_one() -> None:
    def module_fn() -> None:
        hubplug.add_signature(inputs={"images": v1.placeholder(tf.float32, [None, 4, 5, 3])}, outputs=tf.constant(1.0))

    spec = hubplug.create_module_spec(module_fn, [({"train"}, {})])
    with tf.Graph().as_default():
        module = hubplug.Module(spec, tags={"train"})
    assert hubplug.get_expected_image_size(module) == [4, 5]
    assert hubplug.get_num_image_channels(module) == 3
    with pytest.raises(KeyError):
        hubplug.get_expected_image_size(spec)
