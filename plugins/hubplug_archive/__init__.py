"""Unpacks tar archives, plain or compressed with gzip, bzip2 or xz.

The plugin decides what a module archive may hold: regular files and directories, in a tar file that is whole to its
last byte. Everything else is refused by name; the archive is refused, not the member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubplug.hookspecs import RunUnpack, hookimpl
from hubplug.types import Declined, Plan

if TYPE_CHECKING:
    from hubplug.types import ArchiveStream

__all__ = ["TarArchive"]


class TarArchive:
    """Unpacks tar archives, compressed or not; its caps are those of the section ``limits`` of hubplug.yaml."""

    @hookimpl
    def hubplug_unpack(self, archive: ArchiveStream) -> Plan[RunUnpack] | Declined:
        """Takes whatever begins as a tar file, a gzip, bzip2 or xz stream does, whatever its name or media type.

        Raises:
            ArchiveError: It is something that no plugin could unpack: nothing at all, an HTML page, JSON, a git-LFS
                pointer, another text.
        """
        from hubplug_archive._recognition import find_wrong_answer, recognize
        from hubplug_archive._unpacking import unpack

        head = archive.peek(1024)
        compression = recognize(head)
        if compression is None:
            return Declined(
                find_wrong_answer(archive.name, head, archive.media_type), hint="publish the module as a .tar.gz"
            )
        kind = "a tar archive" if compression == "none" else f"a tar archive compressed with {compression}"
        return Plan(f"unpack {kind}", lambda tree: unpack(archive, tree, compression))
