"""Where a redirect leads, and what may travel along.

Every hop is a new request: the user's headers go along only while scheme, host and port stay what they were at the
start, and the plugins that sign requests are asked again for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from hubplug.errors import HandleError
from hubplug.shown.logs import logger
from hubplug.urls import normal_form, origin_of, redact, scheme_of
from hubplug_http._failures import Failure, refused
from hubplug_http._options import Servers
from hubplug_http._request import Answer, Sender
from hubplug_http._urls import find_address_error, host_of, is_http, without_userinfo

MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_ASK = "ask whoever runs the server, or for another handle"
_LOG = logger("hubplug")


def follow(
    url: str,
    *,
    sender: Sender,
    servers: Servers,
    auth_for: Callable[..., Any],
    headers: Mapping[str, str],
    follows: bool = True,
) -> Answer | Failure:
    """Asks for a URL and follows redirects.

    Args:
        url: What to ask for.
        sender: What sends the requests.
        servers: The settings.
        auth_for: ``auth_for(url, redirected_from)``: what signs a request, or None.
        headers: The plugin's own headers, which go everywhere.
        follows: Whether redirects are followed at all.

    Returns:
        The first response that is not a redirect, whatever its status; or why there is none.
    """
    if (problem := find_address_error(url)) is not None:  # it may come from another plugin
        return Failure(HandleError(problem, hint="check the host and the port"))
    url, userinfo = without_userinfo(normal_form(url))
    came_from: str | None = None
    start: tuple[str, str, int | None] | None = None
    left = credentials = False
    trail = [redact(url)]
    while True:
        prepared = sender.prepare(url, dict(headers))
        if isinstance(prepared, Failure):
            return prepared
        # From here on only the form that will be sent counts: two parsers must not see two hosts in one URL.
        url = str(prepared.url)
        start = start or origin_of(url)
        left = left or origin_of(url) != start
        own_headers = {} if left else servers.headers_for(url)
        auth = auth_for(url, came_from)
        if auth is None and userinfo is not None and not left:
            auth = Userinfo(*userinfo)
        credentials = credentials or auth is not None or bool(own_headers)
        if came_from is not None and _is_downgrade(came_from, url):
            if credentials:
                return refused(
                    f"{host_of(came_from)} redirects from https to http ({redact(url)}), and credentials are in use",
                    trail[0],
                    "ask for a handle that stays on https; over http anyone on the network path could read and change it",
                )
            _LOG.warning("%s: redirected from https to http: %s", trail[0], redact(url))
        prepared.headers.update(own_headers)
        answer = sender.send(prepared, servers.at(url, left=left), auth)
        if isinstance(answer, Failure):
            return answer
        location = answer.header("Location")
        if answer.status not in _REDIRECTS or not location or not follows:
            return answer
        answer.close()
        target = redirect_target(url, location)
        if isinstance(target, Failure):
            return target
        came_from, url = url, target
        trail.append(redact(url))
        if len(trail) > MOST_REDIRECTS + 1:
            return refused(
                f"More than {MOST_REDIRECTS} redirects: {' -> '.join(trail)}", trail[0], "ask whoever runs the server"
            )


def redirect_target(url: str, location: str) -> str | Failure:
    """The absolute URL that a ``Location`` header means, without userinfo: a server does not choose our credentials."""
    # http.client decodes headers as latin-1, and servers send UTF-8.
    text = location.encode("latin-1", "replace").decode("utf-8", "replace").strip()
    try:
        # urljoin takes an absolute URL without a host for a relative one.
        target = text if scheme_of(text) else urljoin(url, text)
    except ValueError:
        target = text
    if not is_http(target):
        scheme = target.partition(":")[0]
        kind = f"a {scheme}: URL" if len(scheme) < 12 else "another kind of URL"
        return refused(f"{host_of(url)} redirects to {kind}, and only http and https are followed", url, _ASK)
    if (problem := find_address_error(target)) is not None:
        return refused(f"{host_of(url)} redirects: {problem}", url, _ASK)
    return without_userinfo(normal_form(target))[0]


class Userinfo:
    """Basic credentials from the user's own ``https://user:password@host/``."""

    hubplug_rule = "user name and password in the handle"

    def __init__(self, user: str, password: str) -> None:
        self._pair = (user, password)

    def __call__(self, request: Any) -> Any:
        from requests.auth import HTTPBasicAuth

        return HTTPBasicAuth(*self._pair)(request)


def _is_downgrade(came_from: str, url: str) -> bool:
    return came_from.startswith("https:") and url.startswith("http:")
