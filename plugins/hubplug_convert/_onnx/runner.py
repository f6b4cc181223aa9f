"""A result in onnxruntime, as its users run it: without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from hubplug_convert._contract import NotExpressibleError, Ragged, Sparse
from hubplug_convert._onnx.description import Port, Signature, read_description

_ERRORS_ONLY = 3


class OnnxRunner:
    """The files of a result."""

    def __init__(self, result: Path) -> None:
        self._signatures = read_description(result)
        self._sessions = {name: _session(result, about) for name, about in self._signatures.items()}

    def run(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        about, session = self._signatures[signature], self._sessions[signature]
        there = {each.name for each in session.get_inputs()}
        fed = {
            name: _as_fed(part, about)
            for key, port in about.inputs.items()
            for name, part in zip(port.tensors, _parts(inputs[key]), strict=True)
            if name in there
        }
        names = [name for port in about.outputs.values() for name in port.tensors]
        fetched = dict(zip(names, session.run(names, fed), strict=True))
        return {
            key: _value(port, [_as_fetched(fetched[name]) for name in port.tensors])
            for key, port in about.outputs.items()
        }


def _session(result: Path, about: Signature) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if about.needs_extensions:
        import onnxruntime_extensions

        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    return onnxruntime.InferenceSession(str(result / about.file), options, providers=["CPUExecutionProvider"])


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Sparse):
        return [value.indices, value.values, value.dense_shape]
    splits = []
    while isinstance(value, Ragged):
        splits.append(value.row_splits)
        value = value.values
    return [value, *splits]


def _value(port: Port, parts: Sequence[Any]) -> Any:
    if port.kind == "sparse":
        return Sparse(*parts)
    value, *splits = parts
    for split in reversed(splits):
        value = Ragged(value, split)
    return value


def _as_fed(array: Any, about: Signature) -> Any:
    if array.dtype.kind != "O":
        return array
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise NotExpressibleError("strings of ONNX are UTF-8") from error
    if about.needs_extensions and any("\0" in text for text in texts):
        raise NotExpressibleError("strings of onnxruntime-extensions end before a NUL")
    fed = np.empty(len(texts), object)
    fed[:] = texts
    return fed.reshape(array.shape)


def _as_fetched(array: Any) -> Any:
    array = np.asarray(array)
    if array.dtype.kind not in "OU":
        return array
    fetched = np.empty(array.size, object)
    fetched[:] = [item.encode() for item in array.ravel().tolist()]
    return fetched.reshape(array.shape)
