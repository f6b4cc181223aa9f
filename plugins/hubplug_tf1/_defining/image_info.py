"""What a module says of the images that it takes: ``ImageModuleInfo``, and the shape of its input.

``ImageModuleInfo`` is the message that tensorflow_hub attaches under ``image_module_info``: in proto3, package
``tensorflow_hub``, ``message ImageModuleInfo { message InputSize { int32 height = 1; int32 width = 2; }
InputSize default_image_size = 1; }``. It lives in a descriptor pool of its own, since tensorflow_hub in the same
process has the same name in the default one.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from hubplug.errors import FormatError
from hubplug_tf1._defining.authoring import attach_message

KEY = "image_module_info"
_INPUT = "images"
_EXPECTED = "expected [batch_size, height, width, num_channels] with known "


def _message_class() -> type[Any]:
    field = descriptor_pb2.FieldDescriptorProto
    optional = field.LABEL_OPTIONAL
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_hub/image_module_info.proto", package="tensorflow_hub", syntax="proto3"
    )
    info = file.message_type.add(name="ImageModuleInfo")
    size = info.nested_type.add(name="InputSize")
    size.field.add(name="height", number=1, type=field.TYPE_INT32, label=optional)
    size.field.add(name="width", number=2, type=field.TYPE_INT32, label=optional)
    info.field.add(
        name="default_image_size",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow_hub.ImageModuleInfo.InputSize",
        label=optional,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow_hub.ImageModuleInfo"))
    message.__module__ = __name__  # None otherwise, on which help() fails
    return message


ImageModuleInfo = _message_class()


def attach_image_module_info(image_module_info: Any) -> None:
    """Attaches an ImageModuleInfo to the graph variant whose ``module_fn`` is running.

    Args:
        image_module_info: The message; ``default_image_size`` is the size that users should resize images to.

    Raises:
        TypeError: It is not a protocol buffer message.
    """
    attach_message(KEY, image_module_info)


def get_expected_image_size(
    module_or_spec: Any, signature: str | None = None, input_name: str | None = None
) -> list[int]:
    """The size of the images that a module takes.

    Args:
        module_or_spec: A Module; or a ModuleSpec, of which the graph variant without tags counts.
        signature: Its name; None stands for ``default``.
        input_name: The name of the input; None stands for ``images``.

    Returns:
        Height and width in pixels, of the attached ImageModuleInfo if it has both, else of the input's shape.

    Raises:
        ValueError: Neither says it; or there is no such signature or input.
        KeyError: The ModuleSpec has no graph variant without tags.
    """
    info = module_or_spec.get_attached_message(KEY, ImageModuleInfo, required=False)
    if info is not None:
        size = info.default_image_size
        if size.height and size.width:
            return [size.height, size.width]
    dims = _input_dims(module_or_spec, signature, input_name, "height and width")
    if dims[1] is None or dims[2] is None:
        raise _shape_error(tuple(dims), "height and width")
    return [dims[1], dims[2]]


def get_num_image_channels(module_or_spec: Any, signature: str | None = None, input_name: str | None = None) -> int:
    """The number of channels (3 for RGB) of the images that a module takes.

    Args:
        module_or_spec: A Module; or a ModuleSpec, of which the graph variant without tags counts.
        signature: Its name; None stands for ``default``.
        input_name: The name of the input; None stands for ``images``.

    Raises:
        ValueError: The shape of the input does not say it; or there is no such signature or input.
        KeyError: The ModuleSpec has no graph variant without tags.
    """
    dims = _input_dims(module_or_spec, signature, input_name, "num_channels")
    if dims[3] is None:
        raise _shape_error(tuple(dims), "num_channels")
    return dims[3]


def _input_dims(module_or_spec: Any, signature: str | None, input_name: str | None, wanted: str) -> list[int | None]:
    infos = module_or_spec.get_input_info_dict(signature)
    name = _INPUT if input_name is None else input_name
    if name not in infos:
        raise FormatError(
            f"Module is missing input {name!r} in signature {signature or 'default'!r}; it has {sorted(infos)}",
            hint="name one of its inputs as input_name=",
        )
    shape = infos[name].get_shape()
    if shape.rank != 4:
        raise _shape_error(shape, wanted)
    dims: list[int | None] = shape.as_list()
    return dims


def _shape_error(shape: Any, wanted: str) -> FormatError:
    return FormatError(
        f"Shape of module input is {shape}, {_EXPECTED}{wanted}",
        hint="the publisher can say the size with hub.attach_image_module_info()" if wanted != "num_channels" else None,
    )
