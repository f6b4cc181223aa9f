"""What a directory holds that is not a SavedModel, in one sentence that helps."""

from __future__ import annotations

from pathlib import Path

from hubplug_format import SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE, names_in

_KINDS = (
    ((".tflite",), "a TensorFlow Lite model"),
    ((".keras", ".h5", ".hdf5"), "a Keras file"),
    ((".tar.gz", ".tgz", ".tar", ".zip"), "an archive"),
    ((".onnx",), "an ONNX model"),
    ((".index",), "a checkpoint"),
    ((".pb",), "a graph"),
)
_ENTRIES = 1000


def what_is_there(directory: Path) -> str:
    """Says that there is no SavedModel, what there is instead, and which directory may have been meant."""
    wanted = f"neither {SAVED_MODEL_FILE} nor {SAVED_MODEL_TEXT_FILE}"
    said = f"no SavedModel in {directory}: it contains {wanted}, but {names_in(directory)}"
    if inner := _find_inner(directory):
        return f"{said}; did you mean {inner}?"
    if kind := _find_kind(directory):
        return f"{said}, which looks like {kind}"
    return said


def _find_inner(directory: Path) -> Path | None:
    for inner in _children(directory):
        if inner.is_dir() and any((inner / name).is_file() for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE)):
            return inner
    return None


def _find_kind(directory: Path) -> str | None:
    names = [path.name for path in _children(directory)]
    if "model.json" in names:
        return "a TensorFlow.js model"
    return next((kind for endings, kind in _KINDS if any(name.endswith(endings) for name in names)), None)


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())[:_ENTRIES]
    except OSError:
        return []
