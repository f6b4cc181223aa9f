"""What stands for fetch and unpack in the contract of a cache."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from hubplug.files.tree import TreeWriter
from hubplug.testing._modules import archive_of
from hubplug.types import Provenance, Source


class Producer:
    """Stands for fetch and unpack: fills a directory with a module."""

    def __init__(
        self, source: Source, module: Path, log: Path, *, archive_sha256: str | None = None, seconds: float = 0.0
    ) -> None:
        self._source = source
        self._module = module
        self._log = log
        # A cache may go by this digest: what differs has another one.
        self._archive_sha256 = archive_sha256 or hashlib.sha256(archive_of(module, "")).hexdigest()
        self._seconds = seconds
        self.provenance: Provenance | None = None

    def of(self, source: Source, **changes: Any) -> Producer:
        """Another one, which writes into the same log."""
        return Producer(source, changes.pop("module", self._module), self._log, **changes)

    def count(self) -> int:
        """How often this one, and those made from it, have been called, by whatever process."""
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0

    def __call__(self, dest: Path) -> Provenance:
        with self._log.open("a") as log:
            log.write("called\n")
        time.sleep(self._seconds)
        tree = TreeWriter(dest)
        for path in sorted(self._module.rglob("*")):
            name = path.relative_to(self._module).as_posix()
            if path.is_dir():
                tree.directory(name)
            else:
                with tree.open(name) as file:
                    file.write(path.read_bytes())
        self.provenance = Provenance(
            str(self._source.handle.original),
            self._source.key_sha256,
            str(self._source),
            self._archive_sha256,
            '"1"',
            tree.finish(),
        )
        return self.provenance
