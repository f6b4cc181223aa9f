"""Which content a handle must have: hubplug.lock, written by ``hubplug lock`` and checked at every resolve.

The file is JSON::

    {"version": 1, "modules": {"https://example.com/m/1": {"location": "...", "archive_sha256": "...", "tree_sha256": "..."}}}

A handle that would show a secret is listed by its redacted text and told apart by the sha256 of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError, DigestMismatch
from hubplug.settings.config import Config
from hubplug.shown.logs import logger
from hubplug.types import FileRecord, Handle, LocalModule
from hubplug.urls import find_url_error, normal_form, redact

_LOG = logger("hubplug")
# Some 400 for each module.
_MOST_BYTES = 4 << 20
_MOST_MODULES = 10_000


@dataclass(frozen=True)
class Pin:
    """What is known of a handle's content.

    Attributes:
        handle_sha256: Digest of the handle's whole text.
        location: Where it came from, redacted.
        archive_sha256: Digest of the archive; None for a tree of single files.
        tree_sha256: Digest of the files, see ``tree_digest``.
    """

    handle_sha256: str
    location: str
    archive_sha256: str | None
    tree_sha256: str


@dataclass(frozen=True)
class Pins:
    """The pins of a lock file; none where there is no such file.

    Attributes:
        path: The lock file.
        modules: The pins by the redacted text of their handles.
        present: Whether there is such a file.
        locked: Whether what is not pinned is refused.
        named: Whether the user named the file.
        added: Those of ``modules`` that the file does not have yet.
    """

    path: Path
    modules: Mapping[str, Pin] = field(default_factory=dict)
    present: bool = False
    locked: bool = False
    named: bool = False
    added: Mapping[str, Pin] = field(default_factory=dict)

    @classmethod
    def read(cls, config: Config) -> Pins:
        """Reads the lock file that belongs to a configuration.

        Raises:
            ConfigError: It is damaged or cannot be read.
        """
        modules = _read(config.lock_path)
        if modules is None:
            return cls(config.lock_path, locked=config.locked, named=config.names_lock)
        return cls(config.lock_path, modules, present=True, locked=config.locked)

    def of(self, handle: Handle) -> Pin | None:
        """The pin of a handle, or None."""
        text = handle.original.text
        for spelling in (_spelling(text), text):
            pin = self.modules.get(redact(spelling))
            if pin and pin.handle_sha256 == text_digest(spelling):
                return pin
        return None

    def apply(self, handle: Handle) -> Handle:
        """The handle with the digest that it must have.

        Raises:
            DigestMismatch: The handle names another digest than the lock file, or is not listed though ``locked``.
        """
        pin = self.of(handle)
        if pin is None:
            if self.locked and handle.scheme:
                missing = "is not listed in" if self.present else "is not pinned: there is no"
                raise DigestMismatch(
                    f"{handle} {missing} {self.path}, and the configuration says locked: true",
                    hint=f"hubplug lock '{handle}'",
                )
            if self.present and handle.scheme:
                _LOG.warning("%s is not listed in %s: its content is not checked", handle, self.path)
            elif self.named and handle.scheme:
                _LOG.warning("There is no %s, which HUBPLUG_LOCK names: nothing is checked of %s", self.path, handle)
            return handle
        if handle.sha256 and pin.archive_sha256 and handle.sha256 != pin.archive_sha256:
            raise DigestMismatch(
                f"{handle} asks for the archive with sha256 {handle.sha256}, and {self.path} pins {pin.archive_sha256}",
                hint="make the two agree",
            )
        return replace(handle, sha256=handle.sha256 or pin.archive_sha256)

    def demand(self, handle: Handle, module: LocalModule) -> None:
        """Compares a module with what the handle, or the lock file, says of it; one that cannot be compared fails.

        Raises:
            DigestMismatch: They differ, or nothing is known of where the module's files came from.
        """
        pin = self.of(handle)
        provenance = module.provenance
        if handle.sha256 is not None:
            expected, got = f"the archive with sha256 {handle.sha256}", provenance and provenance.archive_sha256
            fine = got == handle.sha256
        elif pin is not None:
            expected = f"the tree with sha256 {pin.tree_sha256}"
            got = None if provenance is None else tree_digest(provenance.files)
            fine = got == pin.tree_sha256
        else:
            return
        if not fine:
            raise DigestMismatch(
                f"{handle.original}: expected {expected}, got {got or 'files of which no digest is known'}; it is not used",
                hint="ask the publisher which digest is right; if the new one is, change the pin (hubplug lock HANDLE)",
            )

    def without(self, handle: Handle) -> Pins:
        """These pins, but for that of one handle, which may then be anything."""
        names = {str(handle.original), redact(_spelling(handle.original.text))}
        modules = {name: pin for name, pin in self.modules.items() if name not in names}
        return replace(self, modules=modules, present=False, locked=False, named=False)

    def with_module(self, module: LocalModule) -> Pins:
        """These pins and that of a module that was fetched.

        Raises:
            ConfigError: Nothing is known of where its files came from, as for a directory used in place.
        """
        provenance = module.provenance
        if provenance is None:
            raise ConfigError(
                f"{module.handle.original} has no record of its files: it is used in place, or another program cached it",
                hint="lock handles that hubplug fetches; for an old cache entry: hubplug cache remove, then again",
            )
        name = _spelling(module.handle.original.text)
        pin = Pin(text_digest(name), provenance.location, provenance.archive_sha256, tree_digest(provenance.files))
        new = {redact(name): pin}
        return replace(self, modules={**self.modules, **new}, added={**self.added, **new}, present=True)

    def write(self) -> Pins:
        """Adds the pins of modules that were fetched to what the lock file says now, whoever wrote it meanwhile.

        Returns:
            What it says then. It is written whole or not at all.

        Raises:
            ConfigError: It is damaged or cannot be written.
        """
        from hubplug.files.space import reason_of
        from hubplug.files.staging import replace_file, taking_turns

        try:
            with taking_turns(self.path.absolute().parent):
                merged = replace(self, modules={**(_read(self.path) or {}), **self.added})
                with replace_file(self.path) as file:
                    file.write(merged.to_json().encode())
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {reason_of(error, self.path)}") from error
        return merged

    def to_json(self) -> str:
        """The content of the lock file."""
        import json

        modules = {handle: vars(pin) for handle, pin in sorted(self.modules.items())}
        return json.dumps({"version": 1, "modules": modules}, indent=2) + "\n"


def _read(path: Path) -> dict[str, Pin] | None:
    """The pins of a lock file; None where there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _parse(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is not a lock file of version 1: {str(error)[:300]}",
            hint="write it anew with `hubplug lock HANDLE...`",
        ) from error


def _parse(content: bytes) -> dict[str, Pin]:
    from hubplug.files.strict_json import parse_json

    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    data: Any = parse_json(content)
    if data["version"] != 1:
        raise ValueError(f"its version is {str(data['version'])[:80]!r}")
    if len(data["modules"]) > _MOST_MODULES:
        raise ValueError(f"it lists more than {_MOST_MODULES} modules")
    modules = {handle: Pin(**pin) for handle, pin in data["modules"].items()}
    for handle, pin in modules.items():
        texts = (pin.handle_sha256, pin.location, pin.tree_sha256, pin.archive_sha256 or "")
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"the pin of {handle[:80]!r} has a value that is not text")
    return dict(_respelled(handle, pin) for handle, pin in modules.items())


def _spelling(text: str) -> str:
    """The one spelling under which a handle is pinned, so that no other one gets around the pin."""
    return text if find_url_error(text) else normal_form(text)


def _respelled(name: str, pin: Pin) -> tuple[str, Pin]:
    """An entry as someone may have written it by hand, under the spelling that is looked up."""
    spelling = _spelling(name)
    if spelling == name or pin.handle_sha256 != text_digest(name):
        return name, pin
    return spelling, replace(pin, handle_sha256=text_digest(spelling))


def text_digest(text: str) -> str:
    """Hexadecimal sha256 of a text, by which it is recognized without being stored."""
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def tree_digest(files: Iterable[FileRecord]) -> str:
    """Hexadecimal sha256 over the sorted lines ``<sha256>  <size>  <path>`` of every file."""
    from hashlib import sha256

    lines = sorted(f"{file.sha256}  {file.size}  {file.path}\n" for file in files)
    return sha256("".join(lines).encode("utf-8")).hexdigest()
