"""What one worker reads, applies and writes in one step: a file, a range of one, or a few small ones."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from hubplug.urls import redact


@dataclass(frozen=True)
class Part:
    """A piece of the input, which becomes one shard of the output.

    Attributes:
        files: The paths or URLs that it is read from; several only where each holds one row, as images do.
        name: What stands in the place of the ``*`` of the output's pattern.
        start: Where it begins: a byte of a file of lines, a row group of a Parquet file.
        stop: Where it ends; None: with the file.
        size: Bytes to be read, as far as they are known.
    """

    files: tuple[str, ...]
    name: str
    start: int = 0
    stop: int | None = None
    size: int = 0

    @classmethod
    def of_file(cls, path: str) -> Part:
        """A whole file; its name is that of the file and tells files of different directories apart."""
        stem = os.path.basename(path).partition(".")[0]
        return cls((path,), f"{stem}-{hashlib.sha256(path.encode()).hexdigest()[:8]}")

    def __str__(self) -> str:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        place = f" from {self.start}" if self.start else ""
        return f"{redact(self.files[0])}{more}{place}"


def shard_path(pattern: str, part: Part) -> str:
    """Where the shard of a part is written."""
    return pattern.replace("*", part.name)
