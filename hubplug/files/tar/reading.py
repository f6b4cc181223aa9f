"""The members of a tar file, in one pass over its bytes.

A parser of our own: Python's ``tarfile`` is made to be lenient (it skips damaged headers, follows links, takes sparse
files and negative sizes), and its filters have been got around more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hubplug.errors import ArchiveError, UnsafeArchiveError
from hubplug.files.tar.headers import BLOCK, LARGEST_SIZE, Header, HeaderFault, parse_header, shown
from hubplug.files.tar.pax import PaxRecords, parse_pax
from hubplug.files.tree import Limits

# Programs pad to a whole tape record: 10 KiB by default, at most this.
_MOST_PADDING = 16 << 20
_MOST_EXTENDED_HEADERS = 64
# A header that says nothing, or a record that nothing needs, takes time, and next to nothing of a compressed archive.
_HEADERS_FOR_A_MEMBER = 2
_RECORDS_FOR_A_MEMBER = 16


@dataclass(frozen=True)
class Member:
    """A file or directory of the archive.

    Attributes:
        name: In its shortest form: without ``./`` in front or ``/`` at the end. Whether it is safe is for the tree.
        size: Of the file in bytes; None for a directory.
        content: The bytes of the file as they come, to be taken before the next member.
    """

    name: str
    size: int | None
    content: Iterator[memoryview]


class TarReader:
    """Reads members in the order of the archive."""

    def __init__(self, chunks: Iterable[bytes], name: str, limits: Limits) -> None:
        """Reads from ``chunks``, the bytes of a tar file that a person calls ``name``."""
        self._chunks = iter(chunks)
        self._piece = memoryview(b"")
        self._name = name
        self._limits = limits
        self._position = 0
        self._extended_bytes = self._extended_headers = self._records = 0
        self._after = "its beginning"

    def members(self) -> Iterator[Member]:
        """Yields every member, and checks that the archive ends where it says.

        Raises:
            ArchiveError: The archive is damaged, cut off, or holds no file.
            UnsafeArchiveError: It asks for what no module needs.
        """
        files = members = 0
        while (found := self._next_header()) is not None:
            member = self._member(*found)
            members += 1
            if members > self._limits.max_members:
                raise UnsafeArchiveError(f"{self._name} has more members than the cap of {self._limits.max_members:,}")
            if member is None:
                continue
            self._after = repr(member.name[:120])
            files += member.size is not None
            yield member
            if member.size:
                self._take(-member.size % BLOCK)
        if not files:
            raise ArchiveError(
                f"{self._name} holds no file ({members} directories)", hint="pack the content of the module's directory"
            )

    def _pieces(self, size: int) -> Iterator[memoryview]:
        """Yields the next ``size`` bytes as they come."""
        while size:
            if not self._piece:
                try:
                    self._piece = memoryview(next(self._chunks))
                except StopIteration:
                    raise self._cut_off() from None
                continue
            piece, self._piece = self._piece[:size], self._piece[size:]
            size -= len(piece)
            self._position += len(piece)
            yield piece

    def _take(self, size: int) -> bytes:
        return b"".join(self._pieces(size))

    def _next_header(self) -> tuple[Header, PaxRecords] | None:
        """The header of the next member with what its extended headers say; None at the end of the archive."""
        pax: PaxRecords | None = None
        while True:
            start = self._position
            block = self._take(BLOCK)
            if not any(block):
                if pax is not None:
                    raise ArchiveError(f"{self._name} is damaged: an extended header at its end has no member")
                self._check_end()
                return None
            try:
                header = parse_header(block)
                if header.kind in ("file", "directory"):
                    return header, pax or PaxRecords()
                records = self._extended(header)
            except HeaderFault as fault:
                raise self._refused(fault, start) from None
            if header.kind == "global pax":
                continue
            if pax is not None:
                raise UnsafeArchiveError(f"{self._name} has two extended headers for the member at byte {start:,}")
            pax = records

    def _extended(self, header: Header) -> PaxRecords:
        if header.size > self._limits.max_header_bytes:
            raise HeaderFault(
                f"an extended header of {header.size:,} bytes is larger than the cap of "
                f"{self._limits.max_header_bytes:,}",
                unsafe=True,
            )
        self._extended_bytes += header.size
        self._extended_headers += 1
        most = _HEADERS_FOR_A_MEMBER * self._limits.max_members
        if self._extended_headers > most:
            raise HeaderFault(f"it has more than {most:,} extended headers", unsafe=True)
        if self._extended_bytes > _MOST_EXTENDED_HEADERS * self._limits.max_header_bytes:
            raise HeaderFault(f"its extended headers have more than {self._extended_bytes:,} bytes", unsafe=True)
        data = self._take(header.size)
        padding = self._take(-header.size % BLOCK)
        if header.kind == "long name":
            # GNU tar reads on to the next NUL, whatever the size says.
            ended = data.endswith(b"\0") or (padding and not any(padding))
            name = data[:-1] if data.endswith(b"\0") else data
            if not name or b"\0" in name or not ended:
                raise HeaderFault(f"a long name is {data[:40]!r}", unsafe=True)
            return PaxRecords(path=name)
        try:
            records = parse_pax(data, is_global=header.kind == "global pax")
        except HeaderFault as fault:
            raise HeaderFault(f"{shown(header.name)}: {fault}", unsafe=fault.unsafe) from None
        self._records += records.count
        most = _RECORDS_FOR_A_MEMBER * self._limits.max_members
        if self._records > most:
            raise HeaderFault(f"its extended headers have more than {most:,} records", unsafe=True)
        return records

    def _member(self, header: Header, pax: PaxRecords) -> Member | None:
        """The member, or None for the root of the archive."""
        raw = header.name if pax.path is None else pax.path
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ArchiveError(f"{self._name} has a member whose name is not UTF-8: {raw[:120]!r}") from None
        if not name:
            raise UnsafeArchiveError(f"{self._name} has a member without a name")
        size = header.size
        if pax.size is not None and pax.size != size:
            if not (header.size_is_a_stand_in and pax.size > LARGEST_SIZE):
                raise UnsafeArchiveError(
                    f"{self._name} gives two sizes of {name[:120]!r}: {size:,} bytes in its header and {pax.size:,} in "
                    "its pax record"
                )
            size = pax.size
        is_directory = header.kind == "directory"
        if name.endswith("/"):
            if not is_directory:
                raise UnsafeArchiveError(f"{self._name} has a file whose name ends with a slash: {name[:120]!r}")
            name = name[:-1] if len(name) > 1 else name
        while name.startswith("./"):
            name = name[2:]
        if is_directory and name in (".", ""):
            return None
        return Member(name, None if is_directory else size, self._pieces(0 if is_directory else size))

    def _check_end(self) -> None:
        """Reads on from the first block of zeros: a second one, and nothing but zeros after it."""
        try:
            second = self._take(BLOCK)
        except ArchiveError:
            raise self._cut_off() from None
        if any(second):
            raise ArchiveError(
                f"{self._name} is damaged: a single block of zeros at byte {self._position - 2 * BLOCK:,}"
            )
        padding = 0
        while True:
            if self._piece.tobytes().strip(b"\0"):
                raise ArchiveError(f"{self._name} continues after its end marker at byte {self._position:,}")
            padding += len(self._piece)
            if padding > _MOST_PADDING:
                raise UnsafeArchiveError(f"{self._name} has more than {_MOST_PADDING:,} bytes of padding at its end")
            self._piece = memoryview(next(self._chunks, b""))
            if not self._piece:
                break
        if padding % BLOCK:
            raise self._cut_off()

    def _refused(self, fault: HeaderFault, start: int) -> ArchiveError:
        if fault.unsafe:
            return UnsafeArchiveError(
                f"{self._name} is refused: {fault}",
                hint="a module holds regular files and directories only; `hubplug pack` and `hubplug cache export` make such archives",
            )
        return ArchiveError(f"{self._name} is damaged at byte {start:,}, after {self._after}: {fault}")

    def _cut_off(self) -> ArchiveError:
        return ArchiveError(
            f"{self._name} is cut off at byte {self._position:,}, after {self._after}: it has no end marker there",
            hint="fetch it again; if that does not help, it was uploaded incompletely",
        )
