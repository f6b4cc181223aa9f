"""One request: which URL, in which format, and the response."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from hubplug.errors import HubplugError
from hubplug.shown.logs import logger
from hubplug_hosting._artifacts import Artifact, Artifacts
from hubplug_hosting._catalogue import ARCHIVE_SUFFIXES, BadPath, Place, all_places, components_of, find_place
from hubplug_hosting._connections import Connections, DeadlineReader
from hubplug_hosting._pages import list_page, module_page
from hubplug_hosting._ranges import UnsatisfiableRange, has_it_already, wanted_range

_LOG = logger("hubplug.hosting")
_PIECE = 256 << 10
_FORMAT = "tf-hub-format"
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class Settings:
    """What all requests share; see ``ModuleServer``."""

    root: str
    artifacts: Artifacts
    connections: Connections
    gs_location: str | None
    header_timeout: float
    body_timeout: float


class Handler(BaseHTTPRequestHandler):
    """Responds to GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version = "hubplug"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self._settings: Settings = self.server.settings  # type: ignore[attr-defined]
        self._incoming = DeadlineReader(self.connection)
        self.rfile = io.BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        self._settings.connections.set_busy(self.connection, False)
        self._incoming.allow(self._settings.header_timeout)
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self._settings.connections.set_busy(self.connection, True)
        self.connection.settimeout(self._settings.body_timeout)
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that is not read would be taken for the next request
        return True

    def do_GET(self) -> None:
        """Sends an archive or a page."""
        try:
            self._answer()
        except BadPath as error:
            self._send_text(HTTPStatus.BAD_REQUEST, f"Bad request: {error}")
        except HubplugError as error:
            _LOG.error("%s: %s", self.path, error.message)
            self._send_text(HTTPStatus.INTERNAL_SERVER_ERROR, f"This module cannot be served: {error.message}")
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            _LOG.error("%s: %s", self.path, error)
            self._send_text(HTTPStatus.INTERNAL_SERVER_ERROR, "This module cannot be read")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.info("%s %s", self.address_string(), (format % args).encode("unicode_escape").decode("ascii"))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A plain line in place of the page of the standard library, which repeats what the client sent."""
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._send_text(status, status.phrase, {"Allow": "GET, HEAD"} if status == 405 else {})

    def _answer(self) -> None:
        target = self.path
        if "://" in target.partition("?")[0]:
            parts = urlsplit(target)
            if parts.scheme not in ("http", "https"):
                raise BadPath("it is for another protocol")
            target = target.partition("://")[2]
            target = target[len(target.partition("?")[0].partition("/")[0]) :] or "/"
        path, _, query = target.partition("?")
        components = components_of(path)
        try:
            asked = parse_qs(query, keep_blank_values=True, max_num_fields=100).get(_FORMAT, [])
        except ValueError:
            raise BadPath("the query has too many parts") from None
        if not components and not asked:
            self._send_page(list_page((place.name for place in all_places(self._settings.root)), self._base_url()))
            return
        place = find_place(self._settings.root, components)
        if place is None:
            self._send_text(HTTPStatus.NOT_FOUND, f"There is no module /{'/'.join(components)}")
        elif not asked and components[-1].endswith(ARCHIVE_SUFFIXES):
            self._send_archive(place)
        elif not asked:
            handle = self._base_url() + quote("/".join(components))
            self._send_page(module_page(self._settings.root, place, handle))
        elif asked == ["compressed"]:
            self._send_archive(place)
        elif asked == ["uncompressed"]:
            self._send_location(place)
        else:
            raise BadPath(f"{_FORMAT} must be compressed or uncompressed")

    def _send_archive(self, place: Place) -> None:
        with self._settings.artifacts.opened(place) as artifact:
            etag = f'"{artifact.sha256}"'
            headers = {
                "ETag": etag,
                "Accept-Ranges": "bytes",
                "Cache-Control": "public, max-age=31536000, immutable" if place.is_versioned else "no-cache",
            }
            if has_it_already(self.headers.get("If-None-Match"), etag):
                self._send_head(HTTPStatus.NOT_MODIFIED, headers)
                return
            is_plain = place.is_archive and place.components[-1].endswith(".tar")
            headers["Content-Type"] = "application/x-tar" if is_plain else "application/gzip"
            try:
                wanted = wanted_range(self.headers.get("Range"), self.headers.get("If-Range"), etag, artifact.size)
            except UnsatisfiableRange:
                total = {"Content-Range": f"bytes */{artifact.size}"}
                self._send_text(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "No byte is in this range", total)
                return
            first, end = wanted or (0, artifact.size)
            headers["Content-Length"] = str(end - first)
            if wanted:
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{artifact.size}"
            self._send_head(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, headers)
            if self.command != "HEAD":
                self._send_bytes(artifact, first, end)

    def _send_bytes(self, artifact: Artifact, first: int, end: int) -> None:
        artifact.file.seek(first)
        rest = end - first
        while rest:
            try:
                piece = artifact.file.read(min(rest, _PIECE))
                fault = "" if piece and artifact.is_unchanged() else "it was written to"
            except OSError as error:
                fault = error.strerror or str(error)
            # Rather end short than send bytes that the digest in the head does not cover.
            if fault:
                self.close_connection = True
                _LOG.error("%s: the archive could not be sent to its end: %s", self.path, fault)
                return
            self.wfile.write(piece)
            rest -= len(piece)

    def _send_location(self, place: Place) -> None:
        location = self._settings.gs_location
        if location is None:
            self._send_text(
                HTTPStatus.NOT_ACCEPTABLE,
                "This server has archives only: request them with tf-hub-format=compressed (TFHUB_MODEL_LOAD_FORMAT=COMPRESSED)",
            )
        else:
            # The protocol wants the place in the body of a 303 without a Location.
            self._send_text(HTTPStatus.SEE_OTHER, f"{location.rstrip('/')}/{place.name}", end="")

    def _send_page(self, page: str) -> None:
        body = page.encode("utf-8", "replace")
        headers = {**_PAGE_HEADERS, "Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
        self._send_head(HTTPStatus.OK, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_text(
        self, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None, end: str = "\n"
    ) -> None:
        body = (text + end).encode("utf-8", "replace")
        self._send_head(
            status,
            {
                "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
                "Content-Length": str(len(body)),
                **(headers or {}),
            },
        )
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _base_url(self) -> str:
        host = self.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            address = self.connection.getsockname()
            host = f"{address[0]}:{address[1]}"
        return f"http://{host}/"
