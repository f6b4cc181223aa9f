"""A tree of modules: where it lies, and what in it is a module, for the plugins of a chain."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hubplug.chain import mistake_of
from hubplug.errors import HubplugError
from hubplug.hub import Hub
from hubplug.shown.logs import logger
from hubplug_format import SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE
from hubplug_hosting._packing import reads_format

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")
_SUFFIX = re.compile(r"(\.[A-Za-z][A-Za-z0-9]*)+")
_LOG = logger("hubplug.hosting")


def suffixes_of(hub: Hub) -> tuple[str, ...]:
    """What the names of archives end with that a chain unpacks: ours, and what plugins say in ``archive_suffixes``."""
    suffixes = list(ARCHIVE_SUFFIXES)
    for member in hub.chain.members:
        for suffix in getattr(member.plugin, "archive_suffixes", ()):
            if not _SUFFIX.fullmatch(suffix):
                raise mistake_of(member, f"has {suffix!r} in archive_suffixes, expected one like '.tar.zst'")
            suffixes.append(suffix)
    return tuple(dict.fromkeys(suffixes))


def suffix_in(name: str, suffixes: Iterable[str]) -> str:
    """The longest suffix that a name has; empty where it has none of them."""
    return max((suffix for suffix in suffixes if name.endswith(suffix)), key=len, default="")


@dataclass(frozen=True)
class ModuleTree:
    """What is served.

    Attributes:
        root: The directory.
        hub: Whose chain says what a module is.
        suffixes: What the names of archives end with; where a module is there twice, the first counts.
    """

    root: str
    hub: Hub
    suffixes: tuple[str, ...]

    @classmethod
    def of(cls, root: str | os.PathLike[str], hub: Hub) -> ModuleTree:
        """A tree whose archives are those that the chain unpacks."""
        return cls(os.fspath(root), hub, suffixes_of(hub))

    def without_suffix(self, name: str) -> str:
        """The name of a module, from that of its archive or directory."""
        suffix = self.suffix_of(name)
        return name.removesuffix(suffix) if suffix else name

    def suffix_of(self, name: str) -> str:
        """The suffix that makes a file an archive; empty for another name."""
        return suffix_in(name, self.suffixes)

    def is_module(self, descriptor: int, components: tuple[str, ...] = ()) -> bool:
        """Whether an open directory of the tree holds what the chain can read."""
        with os.scandir(descriptor) as entries:
            files = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        if files & {SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE}:
            return True
        path = Path(self.root, *components)
        try:
            return bool(files) and reads_format(self.hub, path)
        except HubplugError as error:
            _LOG.warning("%s is left out: %s", path, error.message)
            return False
