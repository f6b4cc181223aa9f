"""How an archive is sent: from the open file whose digest the answer names, as far as the client takes it."""

from __future__ import annotations

from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hubplug.shown.logs import logger
from hubplug_hosting._artifacts import Artifact
from hubplug_hosting._ranges import UnsatisfiableRange, has_it_already, wanted_range

_LOG = logger("hubplug.hosting")
_PIECE = 256 << 10


def archive_response(request: Request, artifact: Artifact, *, is_versioned: bool, media_type: str) -> Response:
    """The answer to a request for an archive: all of it, a range, or nothing where the client has it already.

    Args:
        request: A GET or HEAD.
        artifact: The archive. It is closed here, or when the answer has been sent.
        is_versioned: Whether what this URL gives never changes.
        media_type: What it is.
    """
    etag = f'"{artifact.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "public, max-age=31536000, immutable" if is_versioned else "no-cache",
    }
    asked = request.headers
    if has_it_already(asked.get("If-None-Match"), etag):
        artifact.file.close()
        return Response(None, 304, headers)
    try:
        wanted = wanted_range(asked.get("Range"), asked.get("If-Range"), etag, artifact.size)
    except UnsatisfiableRange:
        artifact.file.close()
        total = {"Content-Range": f"bytes */{artifact.size}"}
        return PlainTextResponse("No byte is in this range\n", 416, {**headers, **total})
    first, end = wanted or (0, artifact.size)
    headers["Content-Type"] = media_type
    headers["Content-Length"] = str(end - first)
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{artifact.size}"
    return _ArchiveResponse(request, artifact, first, end, 206 if wanted else 200, headers)


class _ArchiveResponse(Response):
    """Some bytes of an archive.

    Starlette's own FileResponse opens its file by name, and does not notice that it was written to.
    """

    def __init__(
        self, request: Request, artifact: Artifact, first: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(None, status, headers)
        self._request, self._artifact, self._first, self._end = request, artifact, first, end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_bytes(send)
        finally:
            self._artifact.file.close()

    async def _send_bytes(self, send: Any) -> None:
        self._artifact.file.seek(self._first)
        rest = self._end - self._first
        while rest:
            try:
                piece = await to_thread.run_sync(partial(self._artifact.file.read, min(rest, _PIECE)))
                fault = "" if piece and self._artifact.is_unchanged() else "it was written to"
            except OSError as error:
                fault = error.strerror or str(error)
            # Rather end short than send bytes that the digest in the head does not cover.
            if fault:
                _LOG.error("%s: the archive could not be sent to its end: %s", self._request.url.path, fault)
                return
            rest -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": rest > 0})
            if rest and await self._request.is_disconnected():
                return
