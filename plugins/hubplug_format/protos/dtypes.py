"""The data types of tensors: their numbers in protocol buffers, their names, and how wide their elements are."""

from __future__ import annotations

_NAMES = [
    "invalid",
    "float32",
    "float64",
    "int32",
    "uint8",
    "int16",
    "int8",
    "string",
    "complex64",
    "int64",
    "bool",
    "qint8",
    "quint8",
    "qint32",
    "bfloat16",
    "qint16",
    "quint16",
    "uint16",
    "complex128",
    "float16",
    "resource",
    "variant",
    "uint32",
    "uint64",
    "float8_e5m2",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e4m3b11fnuz",
    "float8_e5m2fnuz",
    "int4",
    "uint4",
    "int2",
    "uint2",
    "float4_e2m1fn",
]
_NUMBERS = {name: number for number, name in enumerate(_NAMES)}
_WIDTHS = {
    1: "uint8 int8 bool qint8 quint8 float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz "
    "int4 uint4 int2 uint2 float4_e2m1fn",
    2: "int16 uint16 qint16 quint16 float16 bfloat16",
    4: "float32 int32 uint32 qint32",
    8: "float64 int64 uint64 complex64",
    16: "complex128",
}
_ELEMENT_BYTES = {name: width for width, names in _WIDTHS.items() for name in names.split()}
_REFERENCE = 100


def dtype_name(number: int) -> str:
    """TensorFlow's name of a ``DataType`` number: ``float32``; ``float32_ref`` for a reference; ``dtype_77`` if unknown."""
    if 0 <= number < len(_NAMES):
        return _NAMES[number]
    if 0 < number - _REFERENCE < len(_NAMES):
        return f"{_NAMES[number - _REFERENCE]}_ref"
    return f"dtype_{number}"


def dtype_number(name: str) -> int:
    """The ``DataType`` number of a name such as ``float32``.

    Raises:
        ValueError: TensorFlow has no data type of that name.
    """
    try:
        return _NUMBERS[name]
    except KeyError:
        raise ValueError(f"There is no data type {name!r}; there are: {', '.join(_NAMES[1:])}") from None


def element_bytes(name: str) -> int | None:
    """Bytes per element in a checkpoint; None where elements differ in length or are not stored (string, variant)."""
    return _ELEMENT_BYTES.get(name)
