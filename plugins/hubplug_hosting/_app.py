"""What each URL answers: archives, pages, and the same as data; an ASGI application."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from hubplug.errors import HubplugError
from hubplug.shown.logs import logger
from hubplug_hosting._access import CHALLENGE, Gate, line_of_log
from hubplug_hosting._artifacts import Artifact, Artifacts
from hubplug_hosting._catalogue import BadPath, Place, components_of, find_place
from hubplug_hosting._descriptions import Description, Descriptions
from hubplug_hosting._listing import Listing, Model, list_models, near_names
from hubplug_hosting._pages import (
    Site,
    index_data,
    index_page,
    module_page,
    page_headers,
    problem_page,
    waiting_page,
)
from hubplug_hosting._sending import archive_response
from hubplug_hosting._tree import ModuleTree
from hubplug_hosting._views import describe, view_of

T = TypeVar("T")

HEALTH = "healthz"
_LOG = logger("hubplug.hosting")
_FORMAT = "tf-hub-format"
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_SECONDS_OF_A_PERSON = 8.0
_MEDIA_TYPES = dict.fromkeys(("", ".tar.gz", ".tgz"), "application/gzip") | {".tar": "application/x-tar"}
_MAKERS = 2
_LONGEST_SEARCH = 200
_TEXT_HEADERS = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Settings:
    """What all requests share; see ``ModuleServer``."""

    tree: ModuleTree
    artifacts: Artifacts
    descriptions: Descriptions
    gate: Gate
    gs_location: str | None
    root_path: str
    log: Callable[[str], None]


class ModuleApp:
    """Answers GET and HEAD."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listing = Listing(settings.tree)
        # Apart from the threads that read and look, which nobody shall have to wait for.
        self._makers = CapacityLimiter(_MAKERS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"cannot answer {scope['type']}")
        request = Request(scope, receive)
        started, status, size = time.monotonic(), 0, 0

        async def counted(message: Any) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        response = await self._guarded(request)
        if _has_body(request):  # a body that is not read would be taken for the next request
            response.headers["Connection"] = "close"
        try:
            await response(scope, receive, counted)
        finally:
            self._settings.log(line_of_log(request, status, size, time.monotonic() - started))

    async def _guarded(self, request: Request) -> Response:
        site = self._site(request)
        try:
            return await self._answer(request, site)
        except BadPath as error:
            return _text(400, f"Bad request: {error}")
        except HubplugError as error:
            _LOG.error("%s: %s", request.url.path, error.message)
            # Where the tree lies is nobody's business.
            said = error.message.replace(f"{self._settings.tree.root}/", "")
            return self._problem(request, site, 500, "This module cannot be served", said)
        except OSError as error:
            _LOG.error("%s: %s", request.url.path, error)
            return self._problem(request, site, 500, "This module cannot be read", "Its files cannot be read")

    async def _answer(self, request: Request, site: Site) -> Response:
        if "content-length" in request.headers and "transfer-encoding" in request.headers:
            raise BadPath("it has both Content-Length and Transfer-Encoding")
        path = self._path(request)
        if path == f"/{HEALTH}":
            return _text(200, "ok")
        if not self._settings.gate.admits(request):
            return PlainTextResponse(
                "A token is needed\n",
                401,
                {"WWW-Authenticate": CHALLENGE, "Cache-Control": "no-store", **_TEXT_HEADERS},
            )
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, HEAD", **_TEXT_HEADERS})
        components = components_of(path)
        query = _query(request)
        asked = query.get(_FORMAT, [])
        if not components and not asked:
            words = " ".join(query.get("q", []))[:_LONGEST_SEARCH]
            models = await to_thread.run_sync(self._listing.search, words)
            return await self._listed(request, site, models, words=words)
        place = await to_thread.run_sync(find_place, self._settings.tree, components)
        if place is None:
            return await self._nothing(request, site, components, is_for_programs=bool(asked))
        if asked == ["compressed"] or (not asked and components[-1].endswith(self._settings.tree.suffixes)):
            artifact = await self._artifact(place)
            media_type = _MEDIA_TYPES.get(place.suffix, "application/octet-stream")
            return archive_response(request, artifact, is_versioned=place.is_versioned, media_type=media_type)
        if asked == ["uncompressed"]:
            return self._location(place)
        if asked:
            raise BadPath(f"{_FORMAT} must be compressed or uncompressed")
        return await self._module(request, site, place)

    async def _artifact(self, place: Place) -> Artifact:
        found: Artifact | None = await to_thread.run_sync(self._settings.artifacts.open, place)
        if found is None:
            return await to_thread.run_sync(self._settings.artifacts.make, place, limiter=self._makers)
        return found

    async def _module(self, request: Request, site: Site, place: Place) -> Response:
        known = asyncio.ensure_future(self._description(place))
        try:
            described = await asyncio.wait_for(asyncio.shield(known), _SECONDS_OF_A_PERSON)
        except asyncio.TimeoutError:
            known.add_done_callback(_forget)
            if _wants_data(request):
                return JSONResponse({"problem": "it is being looked at; ask again"}, 503, {"Retry-After": "5"})
            return _page(waiting_page(place.name, site), {"Refresh": "3"}, status=202)
        view = await to_thread.run_sync(view_of, self._settings.tree, place, *described)
        if _wants_data(request):
            return JSONResponse(view.as_data(site), headers=_data_headers())
        return _page(await to_thread.run_sync(module_page, view, site))

    async def _description(self, place: Place) -> tuple[int, str, Description]:
        artifact = await self._artifact(place)
        with artifact.file:
            known = await to_thread.run_sync(
                describe, self._settings.tree.root, place, artifact, self._settings.descriptions
            )
        await asyncio.wrap_future(known.facts)
        return artifact.size, artifact.sha256, known

    async def _listed(
        self, request: Request, site: Site, models: Sequence[Model], words: str = "", below: str = ""
    ) -> Response:
        if _wants_data(request):
            return JSONResponse(index_data(models, site), headers=_data_headers())
        return _page(await to_thread.run_sync(index_page, models, site, words, below))

    async def _nothing(
        self, request: Request, site: Site, components: tuple[str, ...], *, is_for_programs: bool
    ) -> Response:
        name = "/".join(components)
        if components and not is_for_programs:
            models = await to_thread.run_sync(list_models, self._settings.tree, components)
            if models:
                return await self._listed(request, site, models, below=name)
        near = await to_thread.run_sync(near_names, self._settings.tree, components) if components else []
        if _wants_data(request) and not is_for_programs:
            return JSONResponse({"problem": f"There is no module /{name}", "near": near}, 404, _data_headers())
        if is_for_programs or not _wants_page(request):
            meant = f". Did you mean /{near[0]}?" if near else ""
            return _text(404, f"There is no module /{name}{meant}")
        page = problem_page("There is no such module", f"Nothing is called {name} here.", site, near)
        return _page(page, status=404)

    def _location(self, place: Place) -> Response:
        location = self._settings.gs_location
        if location is None:
            return _text(
                406,
                "This server has archives only: request them with tf-hub-format=compressed (TFHUB_MODEL_LOAD_FORMAT=COMPRESSED)",
            )
        # The protocol wants the place in the body of a 303 without a Location.
        return PlainTextResponse(f"{location.rstrip('/')}/{place.name}", 303, _TEXT_HEADERS)

    def _problem(self, request: Request, site: Site, status: int, title: str, message: str) -> Response:
        if _wants_data(request):
            return JSONResponse({"problem": f"{title}: {message}"}, status, _data_headers())
        if _FORMAT in request.url.query or not _wants_page(request):
            return _text(status, f"{title}: {message}")
        return _page(problem_page(title, message, site), status=status)

    def _path(self, request: Request) -> str:
        """The path below the root path, which a proxy may have taken away already."""
        target = bytes(request.scope.get("raw_path") or b"").decode("latin-1")
        if "://" in target:
            scheme, _, rest = target.partition("://")
            if scheme.lower() not in ("http", "https"):
                raise BadPath("it is for another protocol")
            target = rest[len(rest.partition("/")[0]) :] or "/"
        if self._settings.root_path and f"{target}/".startswith(f"{self._settings.root_path}/"):
            target = target.removeprefix(self._settings.root_path) or "/"
        return target

    def _site(self, request: Request) -> Site:
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            address, port = request.scope.get("server") or ("localhost", None)
            shown = f"[{address}]" if ":" in address else address
            host = f"{shown}:{port}" if port is not None else shown
        return Site(f"{request.scope.get('scheme', 'http')}://{host}{self._settings.root_path}/")


def _query(request: Request) -> Mapping[str, list[str]]:
    try:
        return parse_qs(
            bytes(request.scope["query_string"]).decode("latin-1"), keep_blank_values=True, max_num_fields=100
        )
    except ValueError:
        raise BadPath("the query has too many parts") from None


def _has_body(request: Request) -> bool:
    return request.headers.get("Content-Length", "0").strip("0") != "" or "Transfer-Encoding" in request.headers


def _wants_data(request: Request) -> bool:
    accepted = request.headers.get("Accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _text(status: int, text: str) -> Response:
    return Response(f"{text}\n".encode("utf-8", "replace"), status, _TEXT_HEADERS, "text/plain; charset=utf-8")


def _page(page: str, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    body = page.encode("utf-8", "replace")
    return HTMLResponse(body, status, {**page_headers(), **(headers or {})})


def _data_headers() -> dict[str, str]:
    return {"Cache-Control": "no-cache", "Vary": "Accept", **_TEXT_HEADERS}


def _forget(task: asyncio.Future[T]) -> None:
    """Takes the exception of what nobody waits for any more; who asks again meets it again."""
    if not task.cancelled():
        task.exception()
