"""One small request of another plugin, and its whole answer."""

from __future__ import annotations

from contextlib import closing

from hubplug.errors import FetchError
from hubplug.shown.progress import Silent
from hubplug.urls import redact
from hubplug.web import WebAnswer, WebRequest
from hubplug_http._body import Body
from hubplug_http._download import Download
from hubplug_http._failures import Failure
from hubplug_http._follow import redirect_target
from hubplug_http._request import Answer

_REDIRECTS = range(300, 400)


def ask(request: WebRequest, download: Download) -> WebAnswer:
    """Sends a request, again after passing errors, and reads the answer.

    Raises:
        FetchError: There is no answer, it is broken off, or longer than it may be.
    """
    try:
        answer = download.insist(request.url)
        if isinstance(answer, Failure):
            return _refusal(answer)
        if answer.status in _REDIRECTS:
            answer.close()
            location = _location_of(answer)
            return WebAnswer(answer.url, answer.status, answer.headers, location=location, secrets=answer.secrets)
        with closing(Body(download, request.url, answer, Silent(str(request.handle.original)))) as body:
            content = _whole(body, request)
        return WebAnswer(answer.url, answer.status, answer.headers, content, secrets=answer.secrets)
    finally:
        download.close()


def _whole(body: Body, request: WebRequest) -> bytes:
    content = b""
    while piece := body.read(1 << 16):
        content += piece
        if len(content) > request.most_bytes:
            raise FetchError(
                f"{redact(request.url)} answered with more than {request.most_bytes:,} bytes",
                hint="is this the address of the service's API?",
            )
    return content


def _refusal(failure: Failure) -> WebAnswer:
    """A refusal that no retry helps against is an answer; whatever else went wrong is an error."""
    said = failure.said
    if said is None or failure.passing or failure.failover:
        raise failure.error
    return WebAnswer(said.url, said.status, said.headers, said.start, secrets=said.secrets, error=failure.error)


def _location_of(answer: Answer) -> str | None:
    location = answer.header("Location")
    if not location:
        return None
    target = redirect_target(answer.url, location)
    if isinstance(target, Failure):
        raise target.error
    return target
