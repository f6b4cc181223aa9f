"""Real inputs that the user gives for the verification: files of numpy's format ``.npz``, an array for each input."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hubplug.errors import ConfigError
from hubplug.types import SignatureInfo
from hubplug_convert._cases import Case


def read_examples(given: Iterable[str], signatures: Mapping[str, SignatureInfo]) -> dict[str, list[Case]]:
    """The cases that the options ``--example [SIGNATURE=]FILE`` name, by signature.

    Raises:
        ConfigError: A file cannot be read, or does not have the inputs of its signature.
    """
    found: dict[str, list[Case]] = {}
    for text in given:
        before, equals, after = text.partition("=")
        name, path = (before, Path(after)) if equals and before in signatures else ("", Path(text))
        if not name:
            name = "default" if "default" in signatures else next(iter(signatures))
        try:
            with np.load(path, allow_pickle=False) as file:
                values = {key: file[key] for key in file.files}
        except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            raise ConfigError(
                f"--example {text}: {path} cannot be read: {error}",
                hint="write it with numpy.savez(path, NAME=array, ...), strings as arrays of the dtype S or U",
            ) from error
        wanted = signatures[name].inputs
        if values.keys() != wanted.keys() or any(info.kind != "dense" for info in wanted.values()):
            raise ConfigError(
                f"--example {text}: {path} has {', '.join(sorted(values)) or 'no array'}, and the inputs of signature {name!r} "
                f"are {', '.join(f'{key} ({info.kind} {info.dtype})' for key, info in wanted.items()) or 'none'}",
                hint="give an array for each input, of a signature that takes dense ones only",
            )
        inputs = {key: value.astype(object) if value.dtype.kind in "SU" else value for key, value in values.items()}
        found.setdefault(name, []).append(Case(name, f"the example {path.name}", inputs))
    return found
