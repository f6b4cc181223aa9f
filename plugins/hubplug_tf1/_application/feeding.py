"""From what callers give to the tensors of a signature, and back.

Everything convertible to a tensor is converted; sparse and ragged tensors are taken as such and in their ``...Value``
forms. What does not fit is an error that names the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from hubplug.errors import InputError
from hubplug_tf1._errors import InputValueError
from hubplug_tf1._graph.subgraph import tensor_name
from hubplug_tf1._graph.tensor_info import ParsedTensorInfo

OUTPUT = "default"


def tensors_to_feed(signature: str, infos: Mapping[str, ParsedTensorInfo], inputs: Any) -> dict[str, tf.Tensor]:
    """Converts the inputs of one call.

    Args:
        signature: Its name, for messages.
        infos: The inputs that it requires, by key.
        inputs: A dict by key; or one value where the signature has one input; or None.

    Returns:
        By name of a tensor in the module's graph what is fed for it.

    Raises:
        InputError: Keys are missing or extra, or a value is of another kind or shape.
        InputValueError: A value is of another dtype or cannot become a tensor; it is a TypeError and a ValueError.
    """
    fed: dict[str, tf.Tensor] = {}
    # In the order of keys, as in tensorflow_hub: it numbers the ops that are made of the values.
    for key, value in sorted(values_by_key(signature, infos, inputs).items()):
        converted = _converted(key, value, infos[key])
        names = infos[key].tensor_names
        if len(names) == 1 and isinstance(converted, tf.Tensor):
            fed[tensor_name(names[0])] = converted
            continue
        components = tf.nest.flatten(converted, expand_composites=True)
        fed.update(zip(map(tensor_name, names), components, strict=True))
    return fed


def outputs_from(infos: Mapping[str, ParsedTensorInfo], tensors: Mapping[str, tf.Tensor]) -> dict[str, Any]:
    """Puts the outputs of one call together.

    Args:
        infos: The outputs of the signature, by key.
        tensors: By name of a tensor in the module's graph what stands for it.
    """
    found: dict[str, Any] = {}
    for key, info in infos.items():
        parts = [tensors[tensor_name(name)] for name in info.tensor_names]
        dense = isinstance(info.type_spec, tf.TensorSpec)
        found[key] = parts[0] if dense else tf.nest.pack_sequence_as(info.type_spec, parts, expand_composites=True)
    return found


def find_default_output_error(signature: str, outputs: Mapping[str, ParsedTensorInfo]) -> str | None:
    """Says so if a signature has no output that a call without ``as_dict`` could return."""
    if OUTPUT in outputs:
        return None
    return f"There is no output named 'default'. Use as_dict=True. (Signature {signature!r} has: {_list(outputs)})"


def values_by_key(signature: str, infos: Mapping[str, ParsedTensorInfo], inputs: Any) -> dict[str, Any]:
    """The inputs of one call by key, as given; arguments and errors as ``tensors_to_feed``."""
    if inputs is None:
        inputs = {}
    elif not isinstance(inputs, dict):
        if len(infos) == 1:
            return {next(iter(infos)): inputs}
        said = "multiple inputs. Use a dict." if infos else "no inputs."
        raise InputError(f"Signature expects {said}", hint=f"signature {signature!r} takes {_description(infos)}")
    if inputs.keys() != infos.keys():
        missing, extra = sorted(set(infos) - set(inputs)), sorted(set(inputs) - set(infos), key=str)
        raise InputError(
            f"Cannot convert dict_inputs: missing {missing!r}, extra given {extra!r}",
            hint=f"signature {signature!r} takes {_description(infos)}",
        )
    return inputs


def _converted(key: str, value: Any, info: ParsedTensorInfo) -> Any:
    expected = info.type_spec
    try:
        converted = _as_tensors(value, info)
    except TypeError as error:
        raise InputError(f"Can't convert {key!r}: {_one_line(error)}", hint=_hint(key, info)) from error
    except ValueError as error:
        raise InputValueError(f"Can't convert {key!r}: {_one_line(error)}", hint=_hint(key, info)) from error
    dense = isinstance(expected, tf.TensorSpec) and isinstance(converted, tf.Tensor)
    if dense and converted.dtype == expected.dtype and expected.shape.is_compatible_with(converted.shape):
        return converted  # the usual case; the description of a value takes longer than a small call
    got = tf.type_spec_from_value(converted)
    if type(got) is not type(expected):
        raise InputError(f"Can't convert {key!r}: Got {_kind(got)}. Expected {_kind(expected)}.", hint=_hint(key, info))
    if converted.dtype != info.dtype:
        raise InputValueError(
            f"Can't convert {key!r}: Got {got}. Expected {expected}.",
            hint=f"cast the value first: tf.cast(value, {info.dtype!r})",
        )
    if not expected.is_compatible_with(converted):
        raise InputError(f"Can't convert {key!r}: Got {got}. Expected {expected}.", hint=_hint(key, info))
    return converted


def _hint(key: str, info: ParsedTensorInfo) -> str:
    return f"the signature takes {_description({key: info})}; reshape the value, or make it one of that kind"


def _as_tensors(value: Any, info: ParsedTensorInfo) -> Any:
    if isinstance(value, (tf.Tensor, tf.SparseTensor, tf.RaggedTensor)):
        return value
    if isinstance(value, tf.compat.v1.SparseTensorValue):
        return tf.SparseTensor.from_value(value)
    if isinstance(value, tf.compat.v1.ragged.RaggedTensorValue):
        return tf.RaggedTensor.from_nested_row_splits(value.flat_values, value.nested_row_splits, validate=False)
    return tf.compat.v2.convert_to_tensor(value, info.dtype)


def _kind(spec: tf.TypeSpec) -> str:
    return str(spec.value_type.__name__)


def _description(infos: Mapping[str, ParsedTensorInfo]) -> str:
    return ", ".join(f"{key!r}: {infos[key].type_spec}" for key in sorted(infos)) or "no inputs"


def _list(keys: Mapping[str, Any]) -> str:
    return ", ".join(repr(key) for key in sorted(keys))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
