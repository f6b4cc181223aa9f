"""Which objects of a store an export wrote itself: each carries its mark, where the store keeps one.

A reply may be lost after the store has done what it was asked to. The client then repeats the request, and is told that
something is there already. Equal bytes do not say whose it is, since two may export one module at once; a mark does.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Mapping
from typing import Any

_KEY = "hubplug-export"


class Mark:
    """The mark of one export.

    Attributes:
        options: What ``put_file`` of the file system takes to put it on an object; nothing where that is not known.
    """

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem
        self._value = secrets.token_hex(16)
        self._is_s3 = "s3" in _protocols(filesystem)
        option = None
        if self._is_s3:
            option = "Metadata"
        elif "metadata" in inspect.signature(filesystem.put_file).parameters:
            option = "metadata"
        self.options: Mapping[str, Any] = {option: {_KEY: self._value}} if option else {}

    def is_on(self, path: str, info: Mapping[str, Any]) -> bool | None:
        """Whether an object carries it; None where the store keeps no marks.

        Args:
            path: Its name in the file system.
            info: What the file system says about it.
        """
        if not self.options:
            return None
        kept = self._filesystem.metadata(path) if self._is_s3 else info.get("metadata")
        return isinstance(kept, Mapping) and kept.get(_KEY) == self._value


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
