"""What the name of a file tells of its format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hubplug.errors import ConfigError
from hubplug.urls import redact

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_INPUTS: Mapping[str, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "csv": (".csv",),
    "parquet": (".parquet", ".pq"),
    "tfrecord": (".tfrecord", ".tfrecords", ".tfr"),
    "text": (".txt", ".text"),
    "images": (".jpg", ".jpeg", ".png", ".gif", ".bmp"),
}
_OUTPUTS = ("jsonl", "csv", "parquet", "tfrecord")
FORMATS = tuple(_INPUTS)


def input_form(path: str) -> str:
    """The format of a file, by its name.

    Raises:
        ConfigError: The name does not tell.
    """
    form = _form_by_name(path, _INPUTS)
    if form is None:
        raise ConfigError(f"The name of {redact(path)} does not tell its format", hint=f"--format {'|'.join(FORMATS)}")
    return form


def output_form(path: str) -> str:
    """The format in which rows are written to a file, by its name.

    Raises:
        ConfigError: The name does not tell, or nothing is written in that format.
    """
    form = _form_by_name(path, {name: _INPUTS[name] for name in _OUTPUTS})
    if form is None or path.lower().endswith(COMPRESSED):
        endings = ", ".join(_INPUTS[name][0] for name in _OUTPUTS)
        raise ConfigError(
            f"The name {redact(path)} does not tell in which format to write", hint=f"end it in one of {endings}"
        )
    return form


def _form_by_name(path: str, forms: Mapping[str, Sequence[str]]) -> str | None:
    name = path.lower()
    if name.endswith(COMPRESSED):
        name = os.path.splitext(name)[0]
    return next((form for form, endings in forms.items() if name.endswith(tuple(endings))), None)
