"""What a server says of a module that is not here: the JSON at the URLs of ``hubplug serve`` and ``hubplug site``.

It is a foreign text, which nothing proves: it is asked for only where nothing is demanded of the module, it is read
into one shape, and whatever has another is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from hubplug.asking import Asker
from hubplug.errors import FetchError, NobodyAnswered
from hubplug.pins import Pins
from hubplug.retrieval import Retrieval
from hubplug.types import Handle, Plan, Source
from hubplug.urls import redact, scheme_of, under_prefix

if TYPE_CHECKING:
    from hubplug.hub import Hub

_MOST = 1_000
_OK = 200
_Text = Annotated[str, msgspec.Meta(max_length=_MOST)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Few = msgspec.Meta(max_length=_MOST)


class _Tensor(msgspec.Struct):
    dtype: _Text
    shape: Annotated[list[_Number | None], _Few] | None
    kind: Literal["dense", "sparse", "composite"]


class _Signature(msgspec.Struct):
    inputs: Annotated[dict[_Text, _Tensor], _Few]
    outputs: Annotated[dict[_Text, _Tensor], _Few]


class _Variant(msgspec.Struct):
    tags: Annotated[list[_Text], _Few]
    signatures: Annotated[dict[_Text, _Signature], _Few]


class _Variables(msgspec.Struct, omit_defaults=True):
    count: _Number | None = None
    bytes: _Number | None = None
    data_files: _Number | None = None
    problem: _Text | None = None


class _Asset(msgspec.Struct, omit_defaults=True):
    file: _Text
    bytes: _Number | None = None
    problem: _Text | None = None


class _Module(msgspec.Struct):
    format: _Text
    variants: Annotated[list[_Variant], msgspec.Meta(min_length=1, max_length=_MOST)]
    tensorflow_version: _Text | None = None
    attachments: Annotated[dict[_Text, _Number], _Few] = {}
    image_size: Annotated[list[_Number], msgspec.Meta(min_length=2, max_length=2)] | None = None
    variables: _Variables = msgspec.field(default_factory=_Variables)
    assets: Annotated[list[_Asset], _Few] = []
    ops_of_other_packages: Annotated[dict[_Text, _Text | None], _Few] = {}


class _Archive(msgspec.Struct):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size: _Number


class _Said(msgspec.Struct):
    module: _Module
    archive: _Archive
    version: _Text | None = None


def said_by_server(hub: Hub, handle: str) -> dict[str, Any] | None:
    """Describes a module as ``ModuleSpec.describe`` does, without bringing it here; nothing is verified.

    Returns:
        With ``said_by``, the URL that was asked. None where the module has to be brought, or is here: it is in a cache or a
        directory, or pinned, or has to keep profiles, hubplug is offline, or the server says nothing of that kind.
    """
    pins, parsed = Pins.read(hub.config), Handle.parse(handle)
    if hub.config.offline or pins.locked or parsed.sha256 or pins.of(parsed):
        return None
    source = Retrieval(hub.chain, hub.config).way(parsed, pins)[1]
    if source is None or source.handle.sha256 or not _is_page(hub, source):
        return None
    try:
        answer = Asker(hub.chain, hub.config, source.handle, source.location).send(source.location)
    except (FetchError, NobodyAnswered):  # whoever brings the module will say what is wrong, or ask a mirror
        return None
    if answer.status != _OK or _has_to_keep_profiles(hub, source, answer.url):
        return None
    try:
        said = msgspec.json.decode(answer.body, type=_Said)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return {
        "said_by": redact(answer.url),
        "version": said.version,
        **msgspec.to_builtins(said.module),
        "archive_bytes": said.archive.size,
        "archive_sha256": said.archive.sha256,
    }


def _is_page(hub: Hub, source: Source) -> bool:
    """Whether a module is not here, and would be downloaded from a URL that differs from that of its page."""
    if source.in_place or scheme_of(source.location).lower() not in ("http", "https") or "?" in source.location:
        return False
    if source.cacheable and getattr(hub.chain.ask("hubplug_cache", source).value, "hit", False):
        return False
    plan = hub.chain.ask("hubplug_fetch", source).value
    asked = plan.asks_about or () if isinstance(plan, Plan) else ()
    # A URL that is fetched as it is names an archive.
    return any(url.startswith(f"{source.location}?") for url in asked)


def _has_to_keep_profiles(hub: Hub, source: Source, url: str) -> bool:
    seen: Iterable[str] = (url, source.location, *(handle.text for handle in source.handle.trail))
    return any(under_prefix(text, prefix) for text in seen for prefix in hub.config.validate)
