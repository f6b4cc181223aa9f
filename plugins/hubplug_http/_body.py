"""The bytes of an archive as they arrive: every one counted, and what was cut off is continued or not used at all.

A transfer that breaks is resumed with Range and If-Range where the server gave a strong entity tag. Everywhere else the
body is asked for from its start, and the bytes that were handed on already are compared by their checksum before the
first new one is: so a body that changed in between never becomes half old and half new.
"""

from __future__ import annotations

import http.client
import re
import zlib
from collections.abc import Mapping
from typing import Protocol

from urllib3.exceptions import HTTPError

from hubplug.errors import FetchError, HubplugError, IncompleteDownload, SourceChanged
from hubplug.shown.progress import Progress
from hubplug_http._failures import Failure, describe_exception
from hubplug_http._numbers import length_in, whole_number
from hubplug_http._options import ServerOptions
from hubplug_http._request import Answer

_MOST_AT_ONCE = 1 << 20
# A transfer that gets on by this much between two breaks is not hopeless: its attempts are counted anew.
_WORTH_GOING_ON = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


class Asker(Protocol):
    """What requests a body again."""

    def request(self, url: str, extra: Mapping[str, str] = {}, /) -> Answer | Failure: ...
    def pause(self, failure: Failure, attempt: int, url: str, /) -> bool: ...
    def close(self) -> None: ...


class Body:
    """A ``hubplug.types.Readable`` over as many responses as it takes.

    Attributes:
        size: The announced number of bytes, or None.
    """

    def __init__(self, asker: Asker, url: str, answer: Answer, bar: Progress) -> None:
        self._asker = asker
        self._url = url
        self._answer = answer
        self._bar = bar
        self._etag = strong_etag(answer.header("ETag"))
        self._ranges = self._etag is not None
        self._position = 0
        self._checksum = 0
        self._attempts = 0
        self._broke_at = 0
        self._closed = False
        self.size = announced_size(answer)
        bar.expect(self.size)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none only at the end of a body that is complete as far as HTTP can tell.

        Raises:
            IncompleteDownload: The transfer broke, and could not be resumed.
            SourceChanged: What the server has now is not what the first bytes came from.
            FetchError: The server refused to go on.
        """
        if size <= 0:
            return b""
        while True:
            data = self._read_answer(min(size, _MOST_AT_ONCE))
            if isinstance(data, Failure):
                self._go_on(data)
                continue
            self._position += len(data)
            self._checksum = zlib.crc32(data, self._checksum)
            self._bar.advance(len(data))
            return data

    def close(self) -> None:
        """Ends the transfer, finished or not."""
        if not self._closed:
            self._closed = True
            self._bar.close()
            self._answer.close()
            self._asker.close()

    def _read_answer(self, size: int) -> bytes | Failure:
        """More of the current response; none at its end; a failure where it breaks."""
        failure = None
        try:
            data = self._answer.read(size)
        except (HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            failure = describe_exception(
                error, self._answer.url, self._answer.proxy, options=self._options, verdict=self._answer.watch.verdict
            )
        if failure is not None:
            return failure
        if not data and self.size is not None and self._position < self.size:
            return Failure(FetchError("the connection was closed"), passing=True)
        return data

    def _go_on(self, why: Failure) -> None:
        """Puts a response in place that continues at the current position."""
        if self._position - self._broke_at >= _WORTH_GOING_ON:
            self._attempts = 0
        self._broke_at = self._position
        while True:
            self._answer.close()
            self._attempts += 1
            if not why.passing or self._attempts > self._options.retries:
                raise self._gives_up(why)
            if not self._asker.pause(why, self._attempts, self._url):
                raise self._gives_up(why)
            failed = self._continued()
            if failed is None:
                return
            why = failed

    def _continued(self) -> Failure | None:
        """One attempt to continue; None when it has worked."""
        extra: dict[str, str] = {}
        if self._ranges and self._position:
            extra = {"Range": f"bytes={self._position}-", "If-Range": str(self._etag)}
        answer = self._asker.request(self._url, extra)
        if isinstance(answer, Failure):
            return answer
        self._answer = answer
        if answer.status == 206 and extra and self._fits(answer):
            return None
        if extra and answer.status in (206, 416):
            self._ranges = False  # this server cannot do it: from the start, then
            answer.close()
            return self._continued()
        if answer.status != 200:
            return Failure(FetchError(f"the server responded to a retry with status {answer.status}"))
        if self._position == 0:
            self._etag, self.size = strong_etag(answer.header("ETag")), announced_size(answer)
            self._bar.expect(self.size)
            return None
        return self._skip_what_is_known(answer)

    def _fits(self, answer: Answer) -> bool:
        """Whether a 206 response continues this body at the current position."""
        match = _CONTENT_RANGE.fullmatch(answer.header("Content-Range") or "")
        if match is None:
            return False
        first, last, total = (None if text == "*" else whole_number(text) for text in match.groups())
        if first != self._position or last is None or last < first or (total is None and match[3] != "*"):
            return False
        if total is not None and last >= total:
            return False
        if None not in (total, self.size) and total != self.size:
            return False
        etag = answer.header("ETag")
        if etag is not None and strong_etag(etag) != self._etag:
            return False
        self.size = total if self.size is None else self.size
        return True

    def _skip_what_is_known(self, answer: Answer) -> Failure | None:
        """Reads again what was handed on already, and compares it."""
        etag, size = strong_etag(answer.header("ETag")), announced_size(answer)
        if (self._etag and etag and etag != self._etag) or (None not in (size, self.size) and size != self.size):
            raise self._changed()
        known, self._position, checksum = self._position, 0, 0
        try:
            while self._position < known:
                data = self._read_answer(min(known - self._position, _MOST_AT_ONCE))
                if isinstance(data, Failure):
                    return data
                if not data:  # a body of unknown length that is shorter now
                    raise self._changed()
                self._position += len(data)
                checksum = zlib.crc32(data, checksum)
        finally:
            self._position = known
        if checksum != self._checksum:
            raise self._changed()
        return None

    def _changed(self) -> SourceChanged:
        return SourceChanged(
            f"{self._name} changed on its server while it was downloaded, after {self._position:,} bytes; nothing was kept",
            hint="try again",
        )

    def _gives_up(self, why: Failure) -> HubplugError:
        if not why.passing:
            return why.error
        of = f"{self.size:,} bytes" if self.size is not None else "an unannounced number of bytes"
        return IncompleteDownload(
            f"{self._name}: download stopped at {self._position:,} of {of}: {why.error.message}",
            hint=why.error.hint or "try again; if it always stops, ask whoever runs the server or the proxy",
        )

    @property
    def _options(self) -> ServerOptions:
        return self._answer.watch.options

    @property
    def _name(self) -> str:
        return self._bar.name


def strong_etag(value: str | None) -> str | None:
    """An entity tag that stands for the same bytes; a weak one (RFC 9110, section 8.8.1) does not."""
    return value if value is not None and re.fullmatch(r'"[^"]*"', value) else None


def announced_size(answer: Answer) -> int | None:
    """The Content-Length of the body as it travels, or None."""
    if answer.header("Transfer-Encoding"):
        return None
    return length_in(answer.header("Content-Length"))
