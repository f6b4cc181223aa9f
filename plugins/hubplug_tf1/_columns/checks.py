"""Whether a module can be a feature column: each function lists what is wrong with its signature ``default``, in words."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hubplug.errors import FormatError
from hubplug.spec import ModuleSpec
from hubplug_tf1._defining.image_info import get_expected_image_size


def find_text_problems(spec: ModuleSpec) -> list[str]:
    """What keeps a module from embedding texts: one string input ``[None]``, output ``default`` float32 ``[None, K]``.

    Raises:
        ValueError: It has no signature ``default``.
    """
    inputs, outputs = spec.get_input_info_dict(), spec.get_output_info_dict()
    problems = []
    if len(inputs) != 1:
        problems.append(f"Module default signature must require only one input; it requires {sorted(inputs)}")
    else:
        ((key, info),) = inputs.items()
        if info.dtype != tf.string or _lengths(info) != [None]:
            problems.append(
                "Module default signature must have only one input tf.Tensor(shape=(?,), dtype=string); "
                f"{key!r} is {_in_words(info)}"
            )
    return problems + _find_output_problems(outputs, "Module default signature", any_batch=False)


def find_image_problems(spec: ModuleSpec, image_size: Any = None) -> list[str]:
    """What keeps a module from embedding images: one float32 input ``images``, output ``default`` float32 ``[_, K]``.

    Args:
        spec: The module.
        image_size: Height and width; None: the module must say them.

    Raises:
        ValueError: It has no signature ``default``.
    """
    inputs, outputs = spec.get_input_info_dict(), spec.get_output_info_dict()
    problems = []
    if list(inputs) != ["images"] or inputs["images"].dtype != tf.float32:
        there = ", ".join(f"{key!r}: {_in_words(info)}" for key, info in inputs.items()) or "none"
        problems.append(
            "Module 'default' signature must require a single input, which must have type float32 and name 'images'; "
            f"its inputs: {there}"
        )
    elif image_size is None:
        try:
            get_expected_image_size(spec)
        except FormatError as error:
            problems.append(f"Module does not support hub.get_expected_image_size(): {error.message}")
    if image_size is not None and len(image_size) != 2:
        problems.append(f"image_size must be height and width, got {image_size}")
    return problems + _find_output_problems(outputs, "Module 'default' signature", any_batch=True)


def _find_output_problems(outputs: dict[str, Any], what: str, *, any_batch: bool) -> list[str]:
    if "default" not in outputs:
        return [f"{what} must have a 'default' output; it has {sorted(outputs)}"]
    info = outputs["default"]
    lengths = _lengths(info)
    fits = lengths is not None and len(lengths) == 2 and lengths[1] is not None and (any_batch or lengths[0] is None)
    if fits and info.dtype == tf.float32 and not info.is_composite:
        return []
    expected = f"tf.Tensor(shape=({'_' if any_batch else '?'},K), dtype=float32)"
    return [f"{what} must have a 'default' output of {expected}; it is {_in_words(info)}"]


def _lengths(info: Any) -> list[int | None] | None:
    # Not from the shape itself: under TensorFlow 1's behaviour its elements are Dimensions, which
    # equal neither a number nor None.
    shape = info.get_shape()
    return None if shape.rank is None else shape.as_list()


def _in_words(info: Any) -> str:
    return f"{info.dtype.name} {info.get_shape()}" + (" (sparse)" if info.is_sparse else "")
