"""The module that the workload "fetching" downloads, and the server that it is downloaded from.

The archive holds weights as training leaves them: normally distributed float32, which gzip makes smaller by a tenth.
One piece is compressed and repeated, in blocks that refer to nothing outside the piece; so an archive of any size is
made in moments, and unpacks like one that ``tar czf`` made.

``python benchmarks/loopback.py DIRECTORY`` serves a directory on a free port of 127.0.0.1 until its standard input
ends, and prints the port. ``/late/NAME`` is ``/NAME`` a second later; ``/asked/NAME`` says how often that was asked for.
"""

from __future__ import annotations

import http.server
import os
import socketserver
import sys
import tarfile
import threading
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np

from hubplug_format import ModuleBuilder, Type, write_module

MEGABYTE = 10**6
_PIECE_FLOATS = 1 << 22
_WEIGHTS = "variables/variables.data-00000-of-00001"
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
_LATE_SECONDS = 1.0


def write_archive(path: Path, megabytes: int, small_files: int = 0) -> None:
    """Writes a module as tar.gz whose weights have about ``megabytes`` MB, with some small assets."""
    directory = path.with_suffix(".module")
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    y = builder.node("Mul", [x, builder.variable("scale", 2.0)], {"T": Type("float32")}, name="y", shape=[None])
    builder.signature(inputs={"x": x}, outputs={"default": y})
    write_module(directory, builder)
    if small_files:
        (directory / "assets").mkdir(exist_ok=True)
    for number in range(small_files):
        (directory / "assets" / f"file-{number}").write_bytes(b"x" * 1000)
    weights = np.random.default_rng(0).standard_normal(_PIECE_FLOATS, dtype=np.float32) * np.float32(0.05)
    piece = weights.tobytes()
    pieces = megabytes * MEGABYTE // len(piece)
    with path.open("wb") as file:
        gzip = _Gzip(file)
        for source in sorted(directory.rglob("*")):
            name = source.relative_to(directory).as_posix()
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if source.is_dir() else 0o644
            if source.is_dir():
                info.type = tarfile.DIRTYPE
                gzip.write(info.tobuf())
                continue
            # What follows the checkpoint's own bytes in the shard is of no concern to its index.
            own = source.read_bytes()
            more = pieces if name == _WEIGHTS else 0
            info.size = len(own) + more * len(piece)
            gzip.write(info.tobuf() + own)
            gzip.repeat(piece, more)
            gzip.write(b"\0" * (-info.size % tarfile.BLOCKSIZE))
        gzip.finish(b"\0" * 2 * tarfile.BLOCKSIZE)


class _Gzip:
    def __init__(self, file: object) -> None:
        self._file = file
        self._checksum = self._size = 0
        file.write(_GZIP_HEADER)

    def write(self, data: bytes) -> None:
        self._add(data, _deflated(data, zlib.Z_FULL_FLUSH))

    def repeat(self, data: bytes, count: int) -> None:
        compressed = _deflated(data, zlib.Z_FULL_FLUSH) if count else b""
        for _ in range(count):
            self._add(data, compressed)

    def finish(self, data: bytes) -> None:
        self._add(data, _deflated(data, zlib.Z_FINISH))
        self._file.write(self._checksum.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little"))

    def _add(self, data: bytes, compressed: bytes) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        self._file.write(compressed)


def _deflated(data: bytes, flush: int) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(flush)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[Counter[str]] = Counter()
    lock = threading.Lock()
    root = Path()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith("asked/"):
            self._answer(str(self.asked[path.removeprefix("asked/")]).encode())
            return
        if path.startswith("late/"):
            path = path.removeprefix("late/")
            time.sleep(_LATE_SECONDS)
        with self.lock:
            self.asked[path] += 1
        with (self.root / path).open("rb") as file:
            self._head(os.stat(file.fileno()).st_size)
            self.connection.sendfile(file)

    def _answer(self, body: bytes) -> None:
        self._head(len(body))
        self.wfile.write(body)

    def _head(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *message: object) -> None:
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    _Handler.root = Path(sys.argv[1])
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
