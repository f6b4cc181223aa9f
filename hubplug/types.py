"""The values that flow along the chain: plain frozen data, no TensorFlow, no network, no secret in any repr."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, TypeVar

from hubplug.errors import HandleError, HubplugError
from hubplug.urls import find_url_error, redact, scheme_of

R_co = TypeVar("R_co", bound=Callable[..., Any], covariant=True)

_OPTIONAL_TEXT = (str, type(None))
_LEVELS = ("error", "warning", "note")
_PIN = re.compile(r"#sha256=(?P<digest>[^#]*)$")


@dataclass(frozen=True, repr=False)
class Handle:
    """What someone asks for: a URL, a path, or a name that only a company's plugin understands.

    Attributes:
        text: The handle as typed, without its fragment. It may hold a secret: show ``str(handle)`` instead.
        sha256: Digest that the archive must have (64 hexadecimal digits), or None.
        asked_before: The handle that a plugin or a server redirected to this one, or None.
        named_by_server: Whether a server, not the user or a plugin, chose this text.
        answered: Whether a plan of ``hubplug_resolve`` named this text for a handle that means the latest of something.
    """

    text: str
    sha256: str | None = None
    asked_before: Handle | None = None
    named_by_server: bool = False
    answered: bool = False

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Splits a typed handle into its text and its ``#sha256=<hex>`` pin.

        Any other fragment of a URL is dropped; in a path ``#`` is an ordinary character.

        Raises:
            TypeError: ``text`` is not a string.
            HandleError: It is empty, has a NUL character (a URL: any control character, or a backslash in its host), or
                its pin is not 64 hexadecimal digits.
        """
        if not isinstance(text, str):
            raise TypeError(f"A handle is a str (a URL, or str(path) for a path), got {type(text).__name__}: {text!r}")
        digest = None
        if pin := _PIN.search(text):
            digest = pin["digest"].lower()
            if not re.fullmatch("[0-9a-f]{64}", digest):
                raise HandleError(
                    f"The pin of {redact(text[: pin.start()])!r} is not a sha256 digest: {pin['digest'][:80]!r}",
                    hint="write #sha256= followed by the 64 hexadecimal digits of the archive's sha256",
                )
            text = text[: pin.start()]
        if not text or "\0" in text:
            raise HandleError(
                f"{redact(text)!r} is not a handle: it is empty or has a NUL character",
                hint="give the URL of a module, or the path of a module directory or archive",
            )
        if scheme_of(text):
            if problem := find_url_error(text):
                raise HandleError(
                    f"{redact(text)!r} is not a handle: {problem}", hint="check how the URL was pasted together"
                )
            text = text.partition("#")[0]
        return cls(text, digest)

    @property
    def scheme(self) -> str:
        """The part before ``://``, as typed; empty for a path."""
        return scheme_of(self.text)

    @property
    def original(self) -> Handle:
        """The handle that the user typed: the first of the trail."""
        return self.trail[-1]

    @property
    def trail(self) -> tuple[Handle, ...]:
        """This handle, the one for which it was named instead, and so on, back to the original one."""
        return (self,) if self.asked_before is None else (self, *self.asked_before.trail)

    def instead(self, text: str, *, named_by_server: bool = False) -> Handle:
        """The handle that this one is redirected to; it remembers where it came from, and a pin of this one stays."""
        parsed = Handle.parse(text)
        return Handle(parsed.text, self.sha256 or parsed.sha256, self, named_by_server)

    def __str__(self) -> str:
        return redact(self.text)

    def __repr__(self) -> str:
        return f"Handle({redact(self.text)!r})"


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """Where a handle lives.

    Attributes:
        handle: The handle that was resolved.
        location: A local directory, or what a fetch plugin understands: the URL or path of an archive or tree.
        in_place: Whether ``location`` is a local directory to be used as it is, neither cached nor fetched.
        cache_key: What the cache files the module under; None stands for the text of the original handle or, where that means
            the latest of something, of the handle that was named for it.
        cacheable: Whether a cache may keep it.
    """

    handle: Handle
    location: str
    in_place: bool = False
    cache_key: str | None = None
    cacheable: bool = True

    def __post_init__(self) -> None:
        demand_types(self, handle=Handle, location=str, in_place=bool, cache_key=_OPTIONAL_TEXT, cacheable=bool)

    @property
    def key(self) -> str:
        """The cache key in effect. It may hold a secret."""
        return self.named.text if self.cache_key is None else self.cache_key

    @property
    def named(self) -> Handle:
        """The handle that always means this module: the original one, or what was last named for a handle that does not."""
        return next((handle for handle in self.handle.trail if handle.answered), self.handle.original)

    @property
    def key_sha256(self) -> str:
        """Hexadecimal sha256 of the cache key: by it a manifest recognizes the key without storing it."""
        return hashlib.sha256(self.key.encode("utf-8", "surrogateescape")).hexdigest()

    def __str__(self) -> str:
        return redact(self.location)

    def __repr__(self) -> str:
        return f"Source({redact(self.location)!r})"


@dataclass(frozen=True)
class Declined:
    """A plugin's answer "not mine", with the reason that is listed when no plugin answers.

    Attributes:
        reason: One clause, without secrets.
        error: What is then to be raised: a subclass of the error that the hook documents for that, which is a type of
            the plugin's surroundings as well; None: that error.
        hint: What to do when no plugin answers, for the error; None: what the core says.
    """

    reason: str
    error: type[HubplugError] | None = None
    hint: str | None = None

    def __post_init__(self) -> None:
        demand_types(self, reason=str, hint=_OPTIONAL_TEXT)
        if self.error is not None and not (isinstance(self.error, type) and issubclass(self.error, HubplugError)):
            raise TypeError(f"Declined.error is {self.error!r}, expected a subclass of HubplugError")


@dataclass(frozen=True, eq=False)
class Plan(Generic[R_co]):
    """What a plugin would do, and the function that does it.

    Attributes:
        what: One sentence for people, without secrets ("download https://example.com/m/1 as a tar archive").
        run: The function that acts, of the type that ``hubplug.hookspecs`` has for the hook: ``RunFetch``, ...
        network: Whether ``run`` opens a socket itself: such a plan is refused when offline.
        hit: Of a cache: whether it has the module already, so that nothing is fetched. It is what ``explain`` shows.
        credentials: With which ones ``run`` signs its requests, in words and without secrets, where it does so itself
            and does not ask ``hubplug_auth``; None: it asks, or needs none.
        asks_about: Of ``hubplug_fetch``: the URLs about which ``run`` asks ``hubplug_auth``, mirrors too; they may hold
            secrets. None: the source's location, if that is an http(s) URL.
        lasting: Of ``hubplug_fetch``: whether the handle that ``run`` names stays right for ever; it is kept, and not asked for again.
        names: Of ``hubplug_export``: the names of the files and directories that ``run`` makes. A directory that has none
            of them may have others; None: it must be empty.
    """

    what: str
    run: R_co = field(repr=False)
    network: bool = False
    hit: bool = False
    credentials: str | None = None
    lasting: bool = False
    names: Collection[str] | None = None
    asks_about: Sequence[str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        demand_types(self, what=str, network=bool, hit=bool, credentials=_OPTIONAL_TEXT, lasting=bool)
        if not callable(self.run):
            raise TypeError(f"Plan.run is {type(self.run).__name__}, expected a function")


class Readable(Protocol):
    """A stream of bytes; ``read`` returns at most ``size`` bytes, and none only at the end."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class ArchiveStream:
    """The bytes of an archive, hashed as they are read.

    Attributes:
        name: What a person calls it: a redacted URL or a path.
        size: Its length in bytes where that is known.
        location: Where the bytes really came from, after redirects; redacted.
        etag: The server's entity tag, or None.
        media_type: The server's Content-Type, or None.
        blame: Makes of an error of the stream the one to raise: the core puts in who brought it.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        name: str,
        size: int | None = None,
        location: str | None = None,
        etag: str | None = None,
        media_type: str | None = None,
    ) -> None:
        for method in ("read", "close"):
            if not callable(getattr(stream, method, None)):
                raise TypeError(f"ArchiveStream has a stream of {type(stream).__name__}, which has no {method}()")
        self._stream = stream
        self._ahead = b""
        self.blame: Callable[[Exception], Exception] = lambda error: error
        self._sha256 = hashlib.sha256()
        self.name = name
        self.size = size
        self.location = name if location is None else location
        self.etag = etag
        self.media_type = media_type
        optional = {"location": _OPTIONAL_TEXT, "etag": _OPTIONAL_TEXT, "media_type": _OPTIONAL_TEXT}
        demand_types(self, name=str, size=(int, type(None)), **optional)

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, or all there are, without consuming them."""
        while len(self._ahead) < size and (more := self._next(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none only at the end of the archive."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._next(size)
        self._sha256.update(data)
        return data

    def _next(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
            if not isinstance(data, bytes):
                raise TypeError(f"it gave {type(data).__name__}, expected bytes")
        except Exception as error:
            blamed = self.blame(error)
            if blamed is error:
                raise
            raise blamed from error
        return data

    def sha256(self) -> str:
        """Hexadecimal digest of what has been read so far."""
        return self._sha256.hexdigest()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> ArchiveStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ArchiveStream({self.name!r})"


@dataclass(frozen=True)
class FileRecord:
    """One file of a module.

    Attributes:
        path: Relative to the module's directory, with ``/``.
        size: In bytes.
        sha256: Hexadecimal digest of the content.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """Where the files of a local copy came from; this is what a cache records in its manifest.

    Attributes:
        handle: The original handle, or what was named for one that means the latest of something; redacted.
        handle_sha256: Digest of the cache key's whole text: tells two handles apart without storing either.
        location: Where the bytes came from, after rewriting and redirects; redacted.
        archive_sha256: Digest of the archive; None for a tree that came as single files.
        etag: The server's entity tag, or None.
        files: Every file, sorted by path.
    """

    handle: str
    handle_sha256: str
    location: str
    archive_sha256: str | None = None
    etag: str | None = None
    files: tuple[FileRecord, ...] = ()


@dataclass(frozen=True, eq=False)
class LocalModule:
    """A directory that holds a module.

    Attributes:
        path: The directory.
        handle: The handle that was resolved to it.
        provenance: Where its files came from; None for a directory that is used in place, and for an entry that
            tensorflow_hub wrote.
    """

    path: Path
    handle: Handle
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        demand_types(self, path=Path, handle=Handle, provenance=(Provenance, type(None)))


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature.

    Attributes:
        dtype: TensorFlow's name for it: ``float32``, ``string``, ``int64``, ...
        shape: A number or None for each dimension; None where not even the rank is known.
        kind: How it is encoded.
        names: The tensors of the graph that carry it: one of a dense tensor (``x:0``); values, indices and shape of a
            sparse one under those keys; components in order of a composite.
    """

    dtype: str
    shape: tuple[int | None, ...] | None
    kind: Literal["dense", "sparse", "composite"] = "dense"
    names: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class SignatureInfo:
    """The inputs and outputs of a signature by their keys."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True)
class Finding:
    """One thing that a validator found.

    Attributes:
        rule: Stable id, ``profile/what``: ``text-feature-vector/input-count``.
        level: ``error`` makes the module fail the profile.
        message: What was found and what was expected.
        tags: The graph variant, or None.
        signature: Its name, or None.
        where: The input, output, node, variable or file, or None.
    """

    rule: str
    level: Literal["error", "warning", "note"]
    message: str
    tags: frozenset[str] | None = None
    signature: str | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        demand_types(self, rule=str, message=str, signature=_OPTIONAL_TEXT, where=_OPTIONAL_TEXT)
        if self.level not in _LEVELS:
            raise ValueError(f"Finding.level is {self.level!r}, expected one of {', '.join(_LEVELS)}")


@dataclass(frozen=True, eq=False, repr=False)
class AuthRequest:
    """A request that is about to be sent.

    Attributes:
        url: Where to. It may hold a secret.
        handle: The handle on whose behalf.
        redirected_from: The URL whose answer sent us here, or None for the first request.
    """

    url: str
    handle: Handle
    redirected_from: str | None = None

    def __repr__(self) -> str:
        return f"AuthRequest({redact(self.url)!r})"


def demand_types(value: object, **kinds: type | tuple[type, ...]) -> None:
    """Checks the types of fields where they are made, so that whoever made the value is blamed for it.

    Raises:
        TypeError: One is of another type.
    """
    for name, kind in kinds.items():
        found = getattr(value, name)
        if not isinstance(found, kind):
            allowed = [
                each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)) if each is not type(None)
            ]
            raise TypeError(f"{type(value).__name__}.{name} is {type(found).__name__}, expected {' or '.join(allowed)}")
