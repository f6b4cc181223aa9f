"""``signatures.json``: which file has which signature, and how its inputs and outputs are called there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

FILE = "signatures.json"
_PACKAGES = ("onnx", "onnxruntime", "onnxruntime-extensions", "tf2onnx")
SPARSE_PARTS = ("indices", "values", "dense_shape")


@dataclass(frozen=True)
class Port:
    """An input or output of a signature.

    Attributes:
        kind: ``dense``, ``sparse`` or ``ragged``.
        dtype: Of its values, as TensorFlow calls it.
        shape: None for dimensions that are open; None for a rank that is.
        tensors: What it is called in the ONNX model: one name; indices, values and dense shape of a sparse one; values and row
            splits, the outermost first, of a ragged one.
    """

    kind: str
    dtype: str
    shape: Sequence[int | None] | None
    tensors: Sequence[str]


@dataclass(frozen=True)
class Signature:
    """A signature in a file of its own.

    Attributes:
        file: Beside the description.
        needs_extensions: Whether it has ops of onnxruntime-extensions.
        inputs: By their names in the source.
        outputs: By their names in the source.
    """

    file: str
    needs_extensions: bool
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


def file_of(signature: str) -> str:
    """The name of the file of a signature: names of signatures may have any characters."""
    return f"{quote(signature, safe='')}.onnx"


def write_description(directory: Path, signatures: Mapping[str, Signature]) -> None:
    """Writes it beside the files."""
    plain = {
        "signatures": {name: asdict(about) for name, about in signatures.items()},
        "made_with": {package: version(package) for package in _PACKAGES},
    }
    (directory / FILE).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def read_description(directory: Path) -> dict[str, Signature]:
    """Reads what ``write_description`` wrote."""
    plain = json.loads((directory / FILE).read_text(encoding="utf-8"))["signatures"]
    return {
        name: Signature(about["file"], about["needs_extensions"], _ports(about["inputs"]), _ports(about["outputs"]))
        for name, about in plain.items()
    }


def _ports(plain: Mapping[str, Mapping[str, object]]) -> dict[str, Port]:
    return {key: Port(**about) for key, about in plain.items()}  # type: ignore[arg-type]


def part_names(key: str, kind: str, count: int) -> Iterable[str]:
    """What the tensors of an input or output are called, before names that are taken twice are changed."""
    if kind == "dense":
        return [key]
    parts = SPARSE_PARTS if kind == "sparse" else ["values", *(f"row_splits_{depth}" for depth in range(count - 1))]
    return [f"{key}_{part}" for part in parts]
