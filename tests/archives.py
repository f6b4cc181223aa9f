"""Tar archives made by hand: legal ones of every layout, and hostile ones of every family that is known."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)


def header(
    name: bytes,
    size: int = 0,
    flag: bytes = b"0",
    *,
    magic: bytes = USTAR,
    link: bytes = b"",
    prefix: bytes = b"",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    size_field: bytes | None = None,
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One header block with any content in any field."""
    block = bytearray(BLOCK)

    def put(at: int, width: int, value: bytes) -> None:
        assert len(value) <= width, (at, value)
        block[at : at + len(value)] = value

    put(0, 100, name)
    put(100, 8, mode)
    put(108, 8, uid)
    put(116, 8, b"0000000\0")
    put(124, 12, b"%011o\0" % size if size_field is None else size_field)
    put(136, 12, b"00000000000\0")
    put(148, 8, b" " * 8)
    put(156, 1, flag)
    put(157, 100, link)
    put(257, 8, magic)
    put(345, 155, prefix)
    total = sum(block) - 256 * signed * sum(byte > 127 for byte in block if signed)
    put(148, 8, b"%06o\0 " % total if checksum is None else checksum)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes, data: bytes = b"data", flag: bytes = b"0", **fields: object) -> bytes:
    """A member with its data."""
    return header(name, len(data), flag, **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: bytes) -> bytes:
    return header(name, 0, b"5", mode=b"0000755\0")


def pax_record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) + rest != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def pax(*records: tuple[bytes, bytes], flag: bytes = b"x", raw: bytes | None = None) -> bytes:
    """An extended header of its own."""
    data = b"".join(pax_record(*record) for record in records) if raw is None else raw
    return header(b"PaxHeaders/x", len(data), flag) + padded(data)


def long_name(name: bytes, flag: bytes = b"L") -> bytes:
    return header(b"././@LongLink", len(name) + 1, flag, magic=GNU) + padded(name + b"\0")


def module_members() -> list[bytes]:
    """What looks like a module from outside."""
    return [
        directory(b"./"),
        file(b"./tfhub_module.pb", b"\x08\x03"),
        file(b"./saved_model.pb", bytes(range(256)) * 3),
        directory(b"./variables/"),
        file(b"./variables/variables.index", b"index"),
        file(b"./variables/variables.data-00000-of-00001", b"\x01\x02\x03\x04" * 150),
    ]


MODULE_FILES = {
    "tfhub_module.pb": b"\x08\x03",
    "saved_model.pb": bytes(range(256)) * 3,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": b"\x01\x02\x03\x04" * 150,
}


def module_tar(*extra: bytes, end: bytes = END) -> bytes:
    """A module, then ``extra``, then the end marker."""
    return b"".join([*module_members(), *extra, end])


def compressed(data: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "bzip2":
        return bz2.compress(data)
    if how == "xz":
        return lzma.compress(data)
    assert how == "none"
    return data


COMPRESSIONS = ("none", "gzip", "bzip2", "xz")


def stdlib_tar(layout: int, files: dict[str, bytes]) -> bytes:
    """The same files as Python's ``tarfile`` writes them in one of its formats."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def unsafe_archives() -> Iterator[tuple[str, bytes]]:
    """Well-formed archives that ask for what no module needs, each with the name of its family."""
    for name in (
        b"../escape",
        b"/etc/escape",
        b"//escape",
        b"a/../../escape",
        b"a/..",
        b"..",
        b"./../escape",
        b".//escape",
        b"variables/../../escape",
        b"..\\escape",
        b"a\\..\\..\\escape",
        b"C:escape",
        b"C:/escape",
        b"c:\\escape",
        b"a//b",
        b"a/./b",
        b".",
        b"./",
        b"a\nb",
        b"a\x1bb",
        b"\x7f",
        "a\u0085b".encode(),
        b".hubplug.json",
        b"./.hubplug.json",
        b".HUBPLUG.json",
        b".hubplug.json/x",
        b".hubplug.damaged",
        b".HubPlug-anything",
        ".hub\u200cplug.damaged".encode(),
        b"n" * 100 + b"/" + b"x",
    ):
        if name == b"n" * 100 + b"/" + b"x":
            continue
        yield f"name {name!r}", module_tar(file(name))
        yield f"pax name {name!r}", module_tar(pax((b"path", name)), file(b"harmless"))
        yield f"GNU long name {name!r}", module_tar(long_name(name), file(b"harmless", magic=GNU))
        if name not in (b".", b"./"):
            yield f"directory {name!r}", module_tar(directory(name))
    yield "prefix ..", module_tar(file(b"escape", prefix=b".."))
    yield "prefix absolute", module_tar(file(b"escape", prefix=b"/etc"))
    yield "component of 256 bytes", module_tar(pax((b"path", b"n" * 256)), file(b"x"))
    yield "path of 5000 bytes", module_tar(pax((b"path", b"d/" * 2500 + b"x")), file(b"x"))
    for flag, kind in (
        (b"1", "hard link"),
        (b"2", "symbolic link"),
        (b"3", "character device"),
        (b"4", "block device"),
        (b"6", "fifo"),
        (b"7", "contiguous"),
        (b"D", "GNU dumpdir"),
        (b"K", "GNU long link"),
        (b"M", "GNU multi-volume"),
        (b"N", "old GNU names"),
        (b"S", "GNU sparse"),
        (b"V", "volume label"),
        (b"X", "Solaris pax"),
        (b"A", "Solaris ACL"),
        (b"I", "star inode"),
        (b"E", "vendor E"),
        (b"Z", "vendor Z"),
        (b"\xff", "type 255"),
    ):
        for magic in (USTAR, GNU):
            yield f"{kind} {magic!r}", module_tar(header(b"odd", 0, flag, link=b"saved_model.pb", magic=magic))
            yield f"{kind} to /etc {magic!r}", module_tar(header(b"odd", 0, flag, link=b"/etc/passwd", magic=magic))
            yield (
                f"{kind} with a write through it {magic!r}",
                module_tar(header(b"odd", 0, flag, link=b"..", magic=magic), file(b"odd/x", magic=magic)),
            )
        yield f"only a {kind}", header(b"odd", 0, flag, link=b"/etc/passwd") + END
    yield "link with a trailing slash", module_tar(header(b"odd/", 0, b"2", link=b".."))
    yield "pax linkpath on a file", module_tar(pax((b"linkpath", b"/etc/passwd")), file(b"x"))
    yield (
        "pax linkpath on a link",
        module_tar(pax((b"linkpath", b"../../x"), (b"path", b"y")), header(b"y", 0, b"2", link=b"z")),
    )
    for key in (b"GNU.sparse.map", b"GNU.sparse.size", b"GNU.sparse.major", b"GNU.sparse.name", b"SCHILY.realsize"):
        yield f"sparse {key!r}", module_tar(pax((key, b"60000000000")), file(b"x"))
        yield f"sparse for all {key!r}", module_tar(pax((key, b"1"), flag=b"g"), file(b"x"))
    yield (
        "sparse 1.0",
        module_tar(
            pax(
                (b"GNU.sparse.major", b"1"),
                (b"GNU.sparse.minor", b"0"),
                (b"GNU.sparse.name", b"big"),
                (b"GNU.sparse.realsize", b"60000000000"),
            ),
            file(b"GNUSparseFile.0/big", padded(b"1\n60000000000\n0\n")),
        ),
    )
    yield "pax size smaller", module_tar(pax((b"size", b"1")), file(b"x", b"12345"))
    yield "pax size larger", module_tar(pax((b"size", b"1024")), file(b"x", b"12345"))
    yield "pax size over zero", module_tar(pax((b"size", b"5")), header(b"x") + padded(b"12345"))
    yield (
        "pax size over a smuggled member",
        module_tar(pax((b"size", b"1024")), file(b"x", b""), file(b"smuggled", b"")),
    )
    yield "pax size negative", module_tar(pax((b"size", b"-1")), file(b"x"))
    yield "pax size in words", module_tar(pax((b"size", b"five")), file(b"x"))
    yield "pax size fractional", module_tar(pax((b"size", b"4.0")), file(b"x"))
    yield "pax size twice", module_tar(pax((b"size", b"4"), (b"size", b"4")), file(b"x"))
    yield "pax size huge", module_tar(pax((b"size", b"9" * 30)), file(b"x"))
    yield "pax size over the cap", module_tar(pax((b"size", b"9" * 18)), header(b"x"))
    yield "pax path twice", module_tar(pax((b"path", b"a"), (b"path", b"b")), file(b"x"))
    yield "pax path empty", module_tar(pax((b"path", b"")), file(b"x"))
    yield "pax path with NUL", module_tar(pax((b"path", b"a\0b")), file(b"x"))
    yield "pax path for all", module_tar(pax((b"path", b"a"), flag=b"g"), file(b"x"))
    yield "pax size for all", module_tar(pax((b"size", b"4"), flag=b"g"), file(b"x"))
    yield "two pax headers", module_tar(pax((b"path", b"a")), pax((b"path", b"b")), file(b"x"))
    yield "pax and long name", module_tar(pax((b"path", b"a")), long_name(b"b"), file(b"x", magic=GNU))
    yield "two long names", module_tar(long_name(b"a"), long_name(b"b"), file(b"x", magic=GNU))
    yield "long name with NUL", module_tar(long_name(b"a\0b"), file(b"x", magic=GNU))
    cut = header(b"././@LongLink", 10, b"L", magic=GNU) + padded(b"n" * 200 + b"\0")
    yield "long name that goes on behind its size", module_tar(cut, file(b"x", magic=GNU))
    yield "negative size", module_tar(header(b"x", size_field=b"\xff" * 12))
    yield "negative size of a pax header", module_tar(header(b"x", flag=b"x", size_field=b"\xff" * 12))
    yield "negative size of a long name", module_tar(header(b"x", flag=b"L", size_field=b"\xff" * 11 + b"\0"))
    yield "size with the sign bit", module_tar(header(b"x", size_field=b"\xc0" + bytes(11)))
    yield "size over the cap", module_tar(header(b"x", size_field=b"\x80" + b"\x7f" * 11))
    yield "pax header of 2 MiB", module_tar(pax((b"comment", b"c" * (2 << 20))), file(b"x"))
    yield "pax header of 2 GiB", module_tar(header(b"x", 2 << 30, b"x"))
    yield "long name of 2 MiB", module_tar(long_name(b"n" * (2 << 20)), file(b"x", magic=GNU))
    yield "directory with data", module_tar(header(b"d/", 512, b"5") + bytes(512))
    yield "file with a slash and data", module_tar(file(b"d/", b"data"))
    yield "pax name with a slash on a file", module_tar(pax((b"path", b"d/")), file(b"x", b"data"))
    yield "the same file twice with other bytes", module_tar(file(b"saved_model.pb", b"other"))
    yield "the same file under ./ with other bytes", module_tar(file(b"./saved_model.pb", b"other"))
    yield "case collision", module_tar(file(b"Saved_Model.pb"))
    yield "case collision of a directory", module_tar(file(b"VARIABLES/x"))
    yield "Unicode collision", module_tar(file("\u00e9".encode()), file("e\u0301".encode()))
    yield "German sharp s", module_tar(file("stra\u00dfe".encode()), file(b"STRASSE"))
    yield "file, then directory", module_tar(file(b"saved_model.pb/x"))
    yield "directory, then file", module_tar(file(b"variables"))
    yield "file, then directory member", module_tar(directory(b"saved_model.pb/"))
    yield "empty name", module_tar(file(b""))


def damaged_archives() -> Iterator[tuple[str, bytes]]:
    """Archives that are not whole, or not what they say, each with the name of its family."""
    good = module_tar()
    yield "no end marker", module_tar(end=b"")
    yield "half an end marker", module_tar(end=bytes(BLOCK))
    yield "end marker and a half", module_tar(end=bytes(2 * BLOCK + 100))
    yield "data after the end", module_tar(end=END + b"x" + bytes(BLOCK - 1))
    yield "member after the end", module_tar(end=END + file(b"late") + END)
    yield "lone zero block", module_tar(bytes(BLOCK), file(b"late"))
    yield "second archive after it", good + good
    yield "wrong checksum", module_tar(header(b"x", checksum=b"000000\0 "))
    yield "checksum not octal", module_tar(header(b"x", checksum=b"abcdef\0 "))
    yield "no checksum", module_tar(header(b"x", checksum=bytes(8)))
    yield "unknown magic", module_tar(file(b"x", magic=b"wrong\x0000"))
    yield "size not octal", module_tar(header(b"x", size_field=b"0000000009\0 "))
    yield "size empty", module_tar(header(b"x", size_field=b" " * 12))
    yield "size with junk after it", module_tar(header(b"x", size_field=b"0000004\0000\0"))
    yield "name not UTF-8", module_tar(file(b"caf\xe9"))
    yield "pax name not UTF-8", module_tar(pax((b"path", b"caf\xe9")), file(b"x"))
    yield "surrogate in a name", module_tar(pax((b"path", b"\xed\xa0\x80")), file(b"x"))
    yield "pax binary names", module_tar(pax((b"hdrcharset", b"BINARY"), (b"path", b"x")), file(b"x"))
    for raw in (
        b"0 path=x\n",
        b"-5 path=x\n",
        b"5\n",
        b"path=x\n",
        b"99 path=x\n",
        b"8 path=x\n",
        b"11 path=x\n\n",
        b"10 path=xx",
        b"7 =abc\n",
        b"8 pathx\n",
        b"010 path=x\n",
        b"999999999999 path=x\n",
        b"\xff" * 20,
        b" 10 path=x\n",
    ):
        yield f"pax record {raw!r}", module_tar(pax(raw=raw), file(b"x"))
    yield "pax header without a member", module_tar(pax((b"path", b"x")))
    yield "long name without a member", module_tar(long_name(b"x"))
    yield "member longer than the archive", module_tar(header(b"x", 1 << 20))
    yield "no member", END
    yield "no member, padded", bytes(10240)
    yield "only the root", directory(b"./") + END
    yield "only directories", directory(b"a/") + directory(b"b/") + END
    for how in ("gzip", "bzip2", "xz"):
        whole = compressed(good, how)
        yield f"{how}: trailing junk", whole + b"junk"
        yield f"{how}: one byte too many", whole + b"\0"
        yield f"{how}: much trailing junk", whole + b"junk" * 10_000
        yield f"{how}: trailing zeros", whole + bytes(1024)
        yield f"{how}: without its last 8 bytes", whole[:-8]
        yield f"{how}: of nothing", compressed(b"", how)
        yield f"{how}: twice compressed", compressed(whole, how)
        yield f"{how}: of a truncated tar", compressed(good[:-BLOCK], how)
        yield f"{how}: of a text", compressed(b"not a tar archive, but long enough " * 40, how)
        yield (
            f"{how}: an empty stream between",
            compressed(good[:1024], how) + compressed(b"", how) + compressed(good[1024:], how),
        )
        yield f"{how}: only its magic", whole[:6]
    whole = compressed(good, "gzip")
    yield "gzip: wrong CRC", whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    yield "gzip: wrong length", whole[:-4] + bytes([whole[-4] ^ 1]) + whole[-3:]
    yield "gzip: reserved flags", whole[:3] + b"\xe0" + whole[4:]
    yield "gzip: unknown method", whole[:2] + b"\x07" + whole[3:]
    yield "xz: no check", lzma.compress(good, check=lzma.CHECK_NONE)


def wrong_answers() -> Iterator[tuple[str, bytes, str]]:
    """What servers send instead of an archive, with a word that the error must have."""
    yield "empty", b"", "empty"
    yield "HTML", b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>", "HTML"
    yield "HTML without doctype", b"  <html><body>404</body></html>" + b" " * 2000, "HTML"
    yield "JSON", b'{"error": {"code": 404, "message": "no such model"}}', "JSON"
    yield (
        "git-LFS",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123\n",
        "git-LFS",
    )
    yield "text", b"Not found\n", "text"
