"""Unpacks an archive into a tree: reading, decompressing and writing overlap, each in a thread of its own.

The calling thread reads (so that Ctrl-C reaches it while it waits for a server) and hashes the archive; a second one
decompresses and finds the members; a third one hashes and writes them. At most a few MiB are between them.
"""

from __future__ import annotations

from itertools import chain

from hubplug.errors import ArchiveError, HubplugError
from hubplug.files.tar.headers import BLOCK
from hubplug.files.tar.reading import TarReader
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import ArchiveStream
from hubplug_archive._decompression import decompress
from hubplug_archive._recognition import Compression, refuse_wrong_content
from hubplug_archive._relay import Broken, Relay, Worker

_CHUNK = 1 << 20


def unpack(archive: ArchiveStream, tree: TreeWriter, compression: Compression) -> None:
    """Reads ``archive`` to its last byte and writes its members to ``tree``.

    Raises:
        ArchiveError: It is damaged, cut off, or followed by something else.
        UnsafeArchiveError: It asks for what no module needs.
        HubplugError: The stream could not be read, or the tree not be written.
    """
    compressed: Relay[bytes] = Relay()
    orders: Relay[_Order] = Relay()

    def find_members(chunks: Relay[bytes]) -> None:
        try:
            _find_members(chunks, orders, archive.name, tree.limits, compression)
        finally:
            orders.close()

    # The writer comes first: what stopped it lies earlier in the archive than what stopped the finder.
    workers = (Worker(lambda orders: _write(orders, tree), orders), Worker(find_members, compressed))
    try:
        while chunk := _read(archive):
            compressed.put(chunk)
        compressed.close()
    except Broken:
        pass
    except BaseException:
        compressed.give_up()
        raise
    finally:
        for worker in workers:
            worker.join()
    for worker in workers:
        if worker.error is not None and not isinstance(worker.error, Broken):
            raise worker.error


_Order = tuple[str, "int | None"] | memoryview
"""A member (its name, and its size or None for a directory), or the next bytes of the file that was named last."""


def _read(archive: ArchiveStream) -> bytes:
    try:
        return archive.read(_CHUNK)
    except HubplugError:
        raise
    except OSError as error:
        raise ArchiveError(f"Cannot read {archive.name}: {error.strerror or error}") from error


def _find_members(
    chunks: Relay[bytes], orders: Relay[_Order], name: str, limits: Limits, compression: Compression
) -> None:
    inside = decompress(chunks, compression, name, limits)
    if compression != "none":
        head = b""
        while len(head) < BLOCK and (piece := next(inside, b"")):
            head += piece
        refuse_wrong_content(name, head, compression)
        inside = chain([head], inside)
    for member in TarReader(inside, name, limits).members():
        orders.put((member.name, member.size))
        for content in member.content:
            orders.put(content)


def _write(orders: Relay[_Order], tree: TreeWriter) -> None:
    queue = iter(orders)
    for order in queue:
        assert isinstance(order, tuple)
        name, size = order
        if size is None:
            tree.directory(name)
            continue
        with tree.open(name, size) as file:
            while file.missing:
                piece = next(queue, None)
                if not isinstance(piece, memoryview):
                    raise Broken
                file.write(piece)
