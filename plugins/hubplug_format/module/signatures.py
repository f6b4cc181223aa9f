"""From the SignatureDefs of a meta graph to ``hubplug.types.SignatureInfo``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hubplug.errors import FormatError
from hubplug.types import SignatureInfo, TensorInfo
from hubplug_format.protos.dtypes import dtype_name


def read_signatures(meta_graph: Any) -> dict[str, SignatureInfo]:
    """The signatures of a MetaGraphDef message, sorted by name.

    Raises:
        FormatError: One of them is damaged.
    """
    return {
        name: SignatureInfo(
            _read_tensors(meta_graph.signature_def[name].inputs, f"input of signature {name!r}"),
            _read_tensors(meta_graph.signature_def[name].outputs, f"output of signature {name!r}"),
        )
        for name in sorted(meta_graph.signature_def)
    }


def count_tensors(definition: Any) -> int:
    """How many tensors a SignatureDef message has, with the dimensions and the parts of each."""
    return sum(_count(info) for side in (definition.inputs, definition.outputs) for info in map(side.get, side))


def _count(info: Any) -> int:
    count = 1 + len(info.tensor_shape.dim)
    if info.WhichOneof("encoding") == "composite_tensor":
        composite = info.composite_tensor
        count += len(composite.components) + composite.type_spec.type_state.ByteSize() // 2
    return count


def tensors_of(meta_graph: Any) -> dict[str, tuple[str, ...]]:
    """The names of all tensors that the signatures of a MetaGraphDef message take and give, however they are composed."""
    return {
        name: tuple(
            tensor
            for infos in (signature.inputs, signature.outputs)
            for info in infos.values()
            for tensor in _names(info)
        )
        for name, signature in meta_graph.signature_def.items()
    }


def _names(info: Any) -> Iterator[str]:
    parts = info.coo_sparse
    yield from (info.name, parts.values_tensor_name, parts.indices_tensor_name, parts.dense_shape_tensor_name)
    for component in info.composite_tensor.components:
        yield from _names(component)


def _read_tensors(infos: Mapping[str, Any], what: str) -> dict[str, TensorInfo]:
    return {key: _read_tensor(infos[key], f"{what}: {key!r}") for key in sorted(infos)}


def _read_tensor(info: Any, what: str) -> TensorInfo:
    encoding = info.WhichOneof("encoding")
    shape = _read_shape(info.tensor_shape, what)
    if encoding == "coo_sparse":
        parts = info.coo_sparse
        names = {
            "values": parts.values_tensor_name,
            "indices": parts.indices_tensor_name,
            "shape": parts.dense_shape_tensor_name,
        }
        return TensorInfo(dtype_name(info.dtype), shape, "sparse", names)
    if encoding == "composite_tensor":
        return _read_composite(info, what)
    return TensorInfo(dtype_name(info.dtype), shape, "dense", {"name": info.name})


def _read_composite(info: Any, what: str) -> TensorInfo:
    composite = info.composite_tensor
    names = {str(i): component.name for i, component in enumerate(composite.components)}
    dtype, shape = info.dtype, None
    # The states of the ragged, sparse and indexed-slices specs begin with the shape and the dtype of the whole.
    for value in _leaves(composite.type_spec.type_state):
        kind = value.WhichOneof("kind")
        if kind == "tensor_shape_value" and shape is None:
            shape = _read_shape(value.tensor_shape_value, what)
        elif kind == "tensor_dtype_value" and not dtype:
            dtype = value.tensor_dtype_value
    return TensorInfo(dtype_name(dtype), shape, "composite", names)


def _leaves(value: Any) -> Iterator[Any]:
    kind = value.WhichOneof("kind")
    if kind in ("list_value", "tuple_value"):
        for item in getattr(value, kind).values:
            yield from _leaves(item)
    elif kind == "named_tuple_value":
        for pair in value.named_tuple_value.values:
            yield from _leaves(pair.value)
    else:
        yield value


def _read_shape(shape: Any, what: str) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    if any(dim.size < -1 for dim in shape.dim):
        raise FormatError(
            f"The meta graph is damaged: the shape of the {what} is {[dim.size for dim in shape.dim]}",
            hint="fetch or export the module again",
        )
    return tuple(None if dim.size == -1 else dim.size for dim in shape.dim)
