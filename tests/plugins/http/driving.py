"""Drives the plugin through its hooks, as the core does, and reads what it brings."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable
from typing import Any

from hubplug.types import ArchiveStream, Handle, Source
from hubplug_http import Http

Auth = Callable[..., Any]


def unsigned(url: str, redirected_from: str | None = None) -> None:
    """What the core answers when no plugin signs."""


def archive_of(size: int = 60_000, *, seed: int = 0) -> bytes:
    """A gzipped tar whose bytes do not compress."""
    content = random.Random(seed).randbytes(size)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("saved_model.pb")
        member.size = size
        tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


ARCHIVE = archive_of()


def start(url: str, auth_for: Auth = unsigned, **options: Any) -> Any:
    """What the plan gives: a stream, or another handle."""
    plugin = Http(**options)
    source = plugin.hubplug_resolve(Handle.parse(url))
    while isinstance(source, Handle):
        source = plugin.hubplug_resolve(source)
    assert isinstance(source, Source), source
    plan = plugin.hubplug_fetch(source)
    assert plan is not None
    assert plan.network
    return plan.run(None, auth_for)


def bring(url: str, auth_for: Auth = unsigned, *, at_once: int = 1 << 16, **options: Any) -> bytes:
    """The whole archive."""
    with start(url, auth_for, **options) as stream:
        return drain(stream, at_once)


def drain(stream: ArchiveStream, at_once: int = 1 << 16) -> bytes:
    pieces = []
    while piece := stream.read(at_once):
        pieces.append(piece)
    return b"".join(pieces)


class Signing:
    """Signs requests to one origin with a bearer token, as a plugin for credentials would; notes what it was asked."""

    def __init__(self, prefix: str, token: str) -> None:
        self.prefix = prefix
        self.token = token
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, url: str, redirected_from: str | None = None) -> Any:
        self.asked.append((url, redirected_from))
        return _Bearer(self.token, self.prefix) if url.startswith(self.prefix) else None


class _Bearer:
    def __init__(self, token: str, prefix: str) -> None:
        self._token = token
        self.hubplug_rule = f"bearer token from environment variable CORP_TOKEN, rule for {prefix}"

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
