"""One download: which URL answers, how often it is asked, and what its response is taken as."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hubplug.errors import FetchError, HubplugError, IncompleteDownload
from hubplug.shown.logs import logger
from hubplug.shown.progress import progress
from hubplug.shown.redaction import scrub
from hubplug.types import ArchiveStream, Handle, Source
from hubplug.urls import redact
from hubplug_http._arrived import PEEKED, Arrival, find_body_error, find_status_error
from hubplug_http._body import Body
from hubplug_http._digest import CheckedStream, announced_sha256
from hubplug_http._failures import Failure, Said, proxy_wants_credentials, refused
from hubplug_http._follow import follow
from hubplug_http._numbers import length_in
from hubplug_http._options import Servers
from hubplug_http._request import Answer, Sender
from hubplug_http._retry import PASSING_STATUSES, pause_before, retry_after
from hubplug_http._urls import host_of

_LOG = logger("hubplug")
_MOST_LOCATION_BYTES = _MOST_ERROR_BYTES = 4096


class Download:
    """Brings one source from the first of its URLs that has it."""

    def __init__(
        self,
        source: Source,
        urls: Sequence[str],
        *,
        servers: Servers,
        auth_for: Callable[..., Any],
        sender: Sender,
        next_when_missing: bool,
        agent: str,
        force_progress: bool = False,
        accept: str = "*/*",
        follows: bool = True,
    ) -> None:
        self._source = source
        self._urls = urls
        self._servers = servers
        self._auth_for = auth_for
        self._sender = sender
        self._next_when_missing = next_when_missing
        self._headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": "identity"}
        self._force_progress = force_progress
        self._follows = follows

    def archive(self) -> ArchiveStream:
        """The compressed protocol: any 2xx whose body is an archive.

        Raises:
            FetchError: No URL could be had; AccessError, MissingError and IncompleteDownload say more.
            ArchiveError: What was sent is not an archive.
        """
        try:
            archive: ArchiveStream = self._first_answer(self._archive_at)
            return archive
        except BaseException:
            self._sender.close()
            raise

    def location(self) -> Handle:
        """The uncompressed protocol: 303 without a Location, and a body that names a place on Google storage.

        Raises:
            FetchError: The server does not speak it, or could not be reached.
        """
        try:
            return self._source.handle.instead(self._first_answer(self._location_at), named_by_server=True)
        finally:
            self._sender.close()

    def request(self, url: str, extra: Mapping[str, str] = {}) -> Answer | Failure:
        """One way through all redirects; an error response other than 416 is a Failure too."""
        answer = follow(
            url,
            sender=self._sender,
            servers=self._servers,
            auth_for=self._auth_for,
            headers={**self._headers, **extra},
            follows=self._follows,
        )
        if isinstance(answer, Answer) and answer.status >= 400 and answer.status != 416:
            answer = self._status_failure(answer)
        elif isinstance(answer, Answer) and 200 <= answer.status < 300:
            answer = _find_length_failure(answer) or answer
        return answer.without(self._sender.credentials) if isinstance(answer, Failure) else answer

    def insist(self, url: str, extra: Mapping[str, str] = {}) -> Answer | Failure:
        """``request``, retried as often as the settings of the URL's server allow."""
        options = self._servers.at(url)
        attempt = 0
        while True:
            answer = self.request(url, extra)
            attempt += 1
            if isinstance(answer, Answer) or not answer.passing or attempt > options.retries:
                return answer
            if not self.pause(answer, attempt, url):
                return answer

    def pause(self, failure: Failure, attempt: int, url: str) -> bool:
        """Waits before a retry; False when the server asks for too long a wait."""
        seconds = pause_before(attempt, failure.wait, longest=self._servers.at(url).max_retry_wait)
        if seconds is None:
            return False
        _LOG.warning("%s; retrying in %.1f s (%d)", failure.error.message, seconds, attempt)
        self._sender.renew()
        time.sleep(seconds)
        return True

    def arrival(self, answer: Answer) -> Arrival:
        """What is known of a response, as it may be shown."""
        media_type = answer.header("Content-Type")
        return Arrival(
            asked=str(self._source.handle.original),
            final=scrub(answer.url, self._sender.credentials),
            host=host_of(answer.url),
            rule=answer.rule,
            hint=answer.hint,
            media_type=None if media_type is None else scrub(media_type, answer.secrets),
            secrets=answer.secrets,
        )

    def _first_answer(self, ask: Callable[[str], Any]) -> Any:
        """What the first URL gives that can be reached; another does not help against a refusal by one."""
        tried: list[str] = []
        for url in self._urls:
            got = ask(url)
            if not isinstance(got, Failure):
                return got
            tried.append(redact(url))
            if not (got.failover or (got.missing and self._next_when_missing)):
                break
            if url != self._urls[-1]:
                _LOG.warning("%s; trying the next mirror", got.error.message)
        raise _with_trail(got.error, tried)

    def _archive_at(self, url: str) -> ArchiveStream | Failure:
        answer = self.insist(url)
        if isinstance(answer, Failure):
            return answer
        if not 200 <= answer.status < 300 or answer.status == 206:
            start = answer.beginning()
            answer.close()
            return Failure(find_status_error(answer.status, start, self.arrival(answer)))
        arrival = self.arrival(answer)
        body = Body(self, url, answer, progress(arrival.asked, force=self._force_progress))
        known: dict[str, Any] = {
            "name": arrival.asked,
            "size": body.size,
            "location": arrival.final,
            "etag": answer.header("ETag"),
            "media_type": arrival.media_type,
        }
        announced = announced_sha256(answer.header("Repr-Digest"), answer.header("Digest"))
        stream = CheckedStream(body, announced=announced, **known) if announced else ArchiveStream(body, **known)
        try:
            error = find_body_error(stream.peek(PEEKED), arrival)
        except FetchError as failed:
            body.close()
            # Nothing has been handed on: to the caller a server that breaks off here is as good as unreachable.
            return Failure(failed, failover=isinstance(failed, IncompleteDownload))
        if error is not None:
            body.close()
            return Failure(error)
        return stream

    def _location_at(self, url: str) -> str | Failure:
        answer = self.insist(url)
        if isinstance(answer, Failure):
            return answer
        start = answer.beginning(_MOST_LOCATION_BYTES + 1)
        answer.close()
        host = host_of(answer.url)
        text = start.decode("utf-8", "replace")
        if answer.status != 303:
            got = f"it responded with status {answer.status}"
        elif len(start) > _MOST_LOCATION_BYTES:
            got = f"it responded with a location of more than {_MOST_LOCATION_BYTES} bytes"
        elif not text.startswith("gs://") or any(c < " " for c in text.rstrip("\r\n")):
            got = "its response does not begin with gs://"
        else:
            return text.rstrip("\r\n")
        return Failure(
            FetchError(
                f"TFHUB_MODEL_LOAD_FORMAT=UNCOMPRESSED is set, but {host} serves archives only: {got} "
                f"(expected 303 and a gs:// location) for {self._source.handle.original}",
                hint="unset TFHUB_MODEL_LOAD_FORMAT (the option load_format of the plugin http)",
            )
        )

    def _status_failure(self, answer: Answer) -> Failure:
        start = answer.beginning(_MOST_ERROR_BYTES)
        answer.close()
        arrival = self.arrival(answer)
        if answer.status == 407:
            return proxy_wants_credentials(answer.proxy, arrival.final)
        wait = retry_after(answer.header("Retry-After"))
        return Failure(
            find_status_error(answer.status, start, arrival, wait),
            passing=answer.status in PASSING_STATUSES,
            failover=answer.status >= 500,
            wait=wait,
            missing=answer.status in (404, 410),
            said=Said(answer.url, answer.status, answer.headers, start, answer.secrets),
        )

    def close(self) -> None:
        self._sender.close()


def _find_length_failure(answer: Answer) -> Failure | None:
    """What is wrong with the announced length: if that is not a number, it is not known where the body ends (RFC 9112, section 6.3)."""
    try:
        length_in(answer.header("Content-Length"))
    except ValueError:
        answer.close()
        failure = refused(
            f"{host_of(answer.url)} sent a Content-Length that is not a number of bytes",
            answer.url,
            "ask whoever runs the server",
        )
        return replace(failure, failover=True)
    return None


def _with_trail(error: HubplugError, tried: Sequence[str]) -> HubplugError:
    if len(tried) < 2:
        return error
    return type(error)(f"{error.message}. Tried: {', '.join(tried)}", hint=error.hint)
