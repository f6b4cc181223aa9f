"""``output_shape``: a shape without the batch, or a structure of them like that of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_keras._errors import LayerError


def normal_shape(shape: Any) -> Any:
    """An ``output_shape`` with a tuple for each shape, in dicts and lists as they were given.

    A tuple and a list of numbers are shapes; JSON knows lists only.
    """
    if isinstance(shape, Mapping):
        return {key: normal_shape(value) for key, value in shape.items()}
    if shape is None or isinstance(shape, int):
        return shape
    parts = [normal_shape(part) for part in shape]
    return parts if any(isinstance(part, (tuple, list, dict)) for part in parts) else tuple(parts)


def map_shapes(function: Callable[[tuple[int | None, ...]], Any], shapes: Any) -> Any:
    """The structure with what a function makes of each shape."""
    if isinstance(shapes, Mapping):
        return {key: map_shapes(function, shape) for key, shape in shapes.items()}
    return [map_shapes(function, shape) for shape in shapes] if isinstance(shapes, list) else function(shapes)


def first_shape(shapes: Any) -> Any:
    """The shape of one of several inputs, which may be in dicts and lists."""
    if isinstance(shapes, Mapping):
        return first_shape(next(iter(shapes.values())))
    if isinstance(shapes, (list, tuple)) and shapes and not (shapes[0] is None or isinstance(shapes[0], int)):
        return first_shape(shapes[0])
    return shapes


def with_shapes(outputs: Any, shapes: Any) -> Any:
    """Outputs that have the shapes that are said of them.

    Raises:
        LayerError: The structures differ, or a shape is not that of the output.
    """
    if shapes is None:
        return outputs
    if isinstance(outputs, Mapping):
        if not isinstance(shapes, Mapping) or set(shapes) != set(outputs):
            raise _mismatch(outputs, shapes)
        return {key: with_shapes(output, shapes[key]) for key, output in outputs.items()}
    if isinstance(outputs, Sequence):
        if not isinstance(shapes, list) or len(shapes) != len(outputs):
            raise _mismatch(outputs, shapes)
        return [with_shapes(output, shape) for output, shape in zip(outputs, shapes, strict=True)]
    if not isinstance(shapes, tuple):
        raise _mismatch(outputs, shapes)
    if tf.is_tensor(outputs) and hasattr(outputs, "set_shape"):
        said = [outputs.shape[0] if outputs.shape.rank else None, *shapes]
        if not outputs.shape.is_compatible_with(said):
            raise LayerError(
                f"output_shape={shapes!r} is not compatible with what the layer gives, of shape {outputs.shape}",
                hint="give the shape without the batch, or none at all",
            )
        outputs.set_shape(said)
    return outputs


def _mismatch(outputs: Any, shapes: Any) -> LayerError:
    found = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
    return LayerError(
        f"output_shape={shapes!r} does not have the same nested structure as the output of the layer, {found}",
        hint="give a shape for each output, in the dict or list that they come in",
    )
