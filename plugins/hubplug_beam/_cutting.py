"""How the input is cut into parts, and which outputs have a place for each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hubplug.errors import ConfigError, MissingError
from hubplug.urls import redact, scheme_of
from hubplug_beam import _files, _formats, _names
from hubplug_beam._parts import Part

SPLIT_BYTES = 256 << 20
_IMAGES_IN_A_PART = 1000
_DIGITS = 5


def plan_parts(pattern: str, form: str | None = None, split_bytes: int = SPLIT_BYTES) -> tuple[str, list[Part]]:
    """Cuts the input into parts: by what it is alone, so that any number of workers writes the same shards.

    Args:
        pattern: A path or URL; ``*``, ``?`` and ``**`` stand for names.
        form: The format; None: by the names of the files.
        split_bytes: Files that are larger are cut into ranges of about this many bytes, where the format has places to cut.

    Returns:
        The format, and the parts in the order of their shards.

    Raises:
        MissingError: No file matches.
        ConfigError: The format cannot be told.
        HubplugError: The place cannot be reached.
    """
    found = _files.find(pattern)
    if not found:
        hint = (
            "give the files in it: DIRECTORY/*" if _files.is_directory(pattern) else "check the pattern, and quote it"
        )
        raise MissingError(f"No file matches {redact(pattern)}", hint=hint)
    form = form or _form_of([path for path, _ in found])
    pieces: list[tuple[tuple[str, ...], int, int | None, int]] = []
    if form == "images":
        for first in range(0, len(found), _IMAGES_IN_A_PART):
            group = found[first : first + _IMAGES_IN_A_PART]
            pieces.append((tuple(path for path, _ in group), 0, None, sum(size for _, size in group)))
    else:
        for path, size in found:
            cuts = [0] if size <= split_bytes else _formats.cuts(path, form, size, split_bytes)
            ends: Sequence[int | None] = [*cuts[1:], None]
            for start, stop in zip(cuts, ends, strict=True):
                pieces.append(((path,), start, stop, size // len(cuts)))
    digits = max(_DIGITS, len(str(len(pieces))))
    return form, [
        Part(files, f"{number:0{digits}d}-of-{len(pieces):0{digits}d}", start, stop, size)
        for number, (files, start, stop, size) in enumerate(pieces)
    ]


def check_output(pattern: str) -> None:
    """
    Raises:
        ConfigError: Not every part would get a shard of its own, or no format is meant.
    """
    if pattern.count("*") != 1:
        raise ConfigError(
            f"{redact(pattern)} has {pattern.count('*') or 'no'} '*', and each shard needs a name of its own",
            hint="write one where the number of the shard goes: 'out/embeddings-*.parquet'; and quote it",
        )
    if "::" in pattern:
        raise ConfigError(f"{redact(pattern)} chains file systems with '::'", hint="give the place itself")
    if "*" in os.path.dirname(pattern) or (scheme_of(pattern) and "/" not in pattern.partition("://")[2]):
        raise ConfigError(f"{redact(pattern)}: the '*' is not in the name of a file", hint="write it after the last /")
    _names.output_form(pattern)


def _form_of(paths: Sequence[str]) -> str:
    forms = {_names.input_form(path) for path in paths}
    if len(forms) > 1:
        raise ConfigError(
            f"The input has files of several formats: {', '.join(sorted(forms))}",
            hint="give a narrower pattern, or --format",
        )
    return forms.pop()
